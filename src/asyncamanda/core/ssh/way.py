"""Where ssh goes, by its own word: `ssh -G` prints what all of its configuration comes to.

A keyword in small letters and its value, a line each (ssh(1), -G).
"""

from collections.abc import Sequence
from dataclasses import dataclass

_UNPINNED = ("none", "/dev/null")


@dataclass(frozen=True, slots=True)
class SshWay:
    """Where ssh goes for a host, and what it uses on the way.

    `known_as` is the host's name in known_hosts. `has_command`: a KnownHostsCommand is asked.
    `control_path` is the socket of a connection that it would share, "" where it shares none.
    """

    host: str
    port: int
    known_as: str
    keys: tuple[str, ...]
    known_hosts: tuple[str, ...]
    has_command: bool
    control_path: str = ""


def plan_way(argv: Sequence[str]) -> list[str]:
    """Return the argv that asks where ssh would go if it were started as `argv`."""
    return [argv[0], "-G", *argv[1:]]


def parse_way(text: str, host: str) -> SshWay:
    """Return what `ssh -G` printed; `host` is what it was asked for.

    Raises ValueError if the port is no number.
    """
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        said.setdefault(name, []).append(value)
    one = {name: values[0] for name, values in said.items()}
    name = one.get("hostname", host).lower()
    port = int(one.get("port", "22"))
    alias = one.get("hostkeyalias", "none")
    if alias == "none":
        alias = name if port == 22 else f"[{name}]:{port}"
    files = f"{one.get('userknownhostsfile', '')} {one.get('globalknownhostsfile', '')}"
    control_path = one.get("controlpath", "none")
    return SshWay(
        host=name,
        port=port,
        known_as=alias,
        keys=tuple(said.get("identityfile", ())),
        known_hosts=tuple(file for file in files.split() if file not in _UNPINNED),
        has_command=one.get("knownhostscommand", "none") != "none",
        control_path="" if control_path == "none" else control_path,
    )

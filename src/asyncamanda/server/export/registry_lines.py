"""The lines of an export's authorized_keys that a new server takes: clients' alone.

Each must be what `enroll` writes, but for a `from` before it: whatever else a line may say could
give its key more than the gate.
"""

import re

from asyncamanda.server.enrol.enrolled import parse_line, parse_registry, render_line

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FROM = re.compile(r'from="[0-9A-Za-z.,:/*?!-]{1,500}",')


def choose_lines(text: str) -> tuple[list[str], list[str]]:
    """Return the clients' lines of authorized_keys, and the other ones that are no comments."""
    taken: list[str] = []
    left: list[str] = []
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            (taken if is_of_client(line) else left).append(line)
    return taken, left


def is_of_client(line: str) -> bool:
    """Return whether a line of authorized_keys lets a client to the gate, and does nothing else."""
    entry = parse_line(line)
    if entry is None:
        return False
    try:
        entry.key.fingerprint  # noqa: B018 - it raises
    except ValueError:
        return False
    found = _FROM.match(line)
    return line[found.end() if found else 0 :].strip() == render_line(entry).strip()


def plan_lines(text: str, lines: list[str]) -> str:
    """Return authorized_keys with these lines in it, each once, and what else was in it."""
    there = {*text.split("\n")}
    fresh = [line for line in lines if line not in there]
    head = text if not text or text.endswith("\n") else f"{text}\n"
    return head + "".join(f"{line}\n" for line in fresh)


def drop_clients(text: str) -> str:
    """Return authorized_keys without the lines that enroll anybody."""
    return "".join(line for line in _LINE.findall(text) if not parse_registry(line))

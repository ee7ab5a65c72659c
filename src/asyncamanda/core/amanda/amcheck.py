"""What `amcheck -c` says of one client: what each line means, and what fixes it.

amcheck's exit status is no verdict: it is 0, too, when no host was checked at all. What the lines
mean is in amcheck_lines.py.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from asyncamanda.core.amanda.amcheck_lines import CLIENT_LINES
from asyncamanda.core.amanda.amcheck_server_lines import SERVER_LINES


@dataclass(frozen=True, slots=True)
class Trouble:
    """A line that reports trouble: what it means, and what to do.

    `is_absence`: nothing is wrong but that the client is not there.
    """

    said: str
    why: str
    fix: str
    is_absence: bool = False


MEANINGS = (*CLIENT_LINES, *SERVER_LINES)  # the first that matches counts
AMANDA_USER = "backup"  # Debian's; server.toml may name another
UNKNOWN = "asyncamanda does not know this message"

_KNOWN = tuple((re.compile(meaning.pattern), meaning) for meaning in MEANINGS)

_FRAME = re.compile(
    r"Amanda Backup Client Hosts Check|-+|\(brought to you by Amanda .*\)|HOST \S+ OK: .*|"
    r"Client check: \d+ hosts? checked in .*|"
    # a backtrace; newer C libraries put a blank into it
    r".*\.so[.\d]*\(.*\) ?\[0x[0-9a-f]+\]|.*selfcheck\(.*\) ?\[0x[0-9a-f]+\]"
)
_CHECKED = re.compile(r"^Client check: (\d+) hosts? checked in .*?(\d+) problems? found", re.M)
_HEAD = re.compile(r"amadmin: |(?:HOST \S+ )?(?:ERROR|WARNING|CRITICAL|BAD): (?:NAK )?")
_TAIL = re.compile(r" \(ruid:\d+ euid:\d+\)$")  # each program adds this about itself


def interpret_amcheck(
    client: str, status: int | None, stdout: str, stderr: str, user: str = AMANDA_USER
) -> tuple[Trouble, ...]:
    """Return what is wrong according to amcheck, for `client` alone; nothing if all is well.

    `status` is its exit status, None if it did not come to an end of its own; `user` is whom Amanda
    runs as on the server. Accepts any text: a
    line that it does not know is a trouble with an explanation that says so.
    """
    checked = _CHECKED.search(stdout)
    is_well = status == 0 and checked is not None and int(checked[1]) == 1 and checked[2] == "0"
    found = explain_lines(client, stdout if is_well else f"{stdout}\n{stderr}", user)
    if not found and not is_well:
        end = "was ended" if status is None else f"ended with status {status}"
        return (_unexplained(f"amcheck {end} without giving a reason"),)
    return found


def explain_lines(client: str, text: str, user: str = AMANDA_USER) -> tuple[Trouble, ...]:
    """Return each trouble that Amanda's lines report, once; echoes if there is nothing else."""
    read = dict.fromkeys(_read(line, client, user) for line in _cut_lines(text))
    found = [trouble for trouble, is_echo in read if not is_echo]
    return tuple(found or [trouble for trouble, _ in read])


def _cut_lines(text: str) -> Iterable[str]:
    """Yield the lines that report something; an indented line only continues with advice."""
    for line in text.splitlines():
        if line.strip() and not line.startswith("  ") and not _FRAME.fullmatch(line.strip()):
            yield line.strip()


def _read(line: str, client: str, user: str) -> tuple[Trouble, bool]:
    """Return what a line means, and whether it is an echo."""
    said = _TAIL.sub("", _HEAD.sub("", line, count=1).removeprefix(f"{client}: "))
    for pattern, meaning in _KNOWN:
        if match := pattern.fullmatch(said):
            words = {name: value or "" for name, value in match.groupdict().items()}
            quoted = {name: shlex.quote(value) for name, value in words.items()}
            names = {"client": client, "user": user}
            why = meaning.why.format_map(words | names)
            fix = meaning.fix.format_map(quoted | names)
            return Trouble(said, why, fix, meaning.is_absence), meaning.is_echo
    return _unexplained(said), False


def _unexplained(said: str) -> Trouble:
    advice = "amcheck(8) and the client's newest files in /var/log/amanda/client may explain it"
    return Trouble(said, UNKNOWN, advice)

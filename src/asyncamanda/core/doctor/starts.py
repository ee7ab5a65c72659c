"""What a line of cron's, or a unit of systemd's, would start: as which user, and which program.

crontab(5): five fields or a word with `@`, in the system's files then a user, then the command.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CRON_PATH = "/usr/bin:/bin"  # Debian's cron has no other where the file sets none: cron(8)

_TIMES = re.compile(r"\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+")
_USER = re.compile(r"(\S+)\s+")
_PATH = re.compile(r"\s*PATH\s*=\s*[\"']?([^\"'\s]*)")
_PROGRAM = re.compile(r"(\S*asyncamanda)\s+(?:run\b|-i\b|--interval\b)")


@dataclass(frozen=True, slots=True)
class Start:
    """What is started: `user` is None where that is whose file it is; `path` is where one looks."""

    program: str
    user: str | None = None
    path: str = CRON_PATH


def parse_cron_line(line: str, path: str, *, has_user: bool) -> Start | None:
    """Return what a line of a crontab starts; None if that is not the agent."""
    times = _TIMES.match(line) if has_user else None
    user = _USER.match(line, times.end()) if times else None
    begin = user.end() if user else 0
    found = _PROGRAM.search(line, begin)
    if found is None:
        return None
    program, before = found[1], line[begin : found.start()].split()
    if before[-1:] == ["-m"]:  # by an interpreter
        program = next((word for word in before if word.startswith("/")), before[0])
    return Start(program, user[1] if user else None, path)


def read_path(lines: Iterable[str]) -> str:
    """Return the last PATH that a crontab sets, else cron's own."""
    found = [match[1] for line in lines if (match := _PATH.match(line))]
    return found[-1] if found else CRON_PATH


def parse_unit(lines: Iterable[str]) -> Iterator[Start]:
    """Yield what a service of systemd's starts first; its ExecStart may have a prefix."""
    said = dict(line.strip().partition("=")[::2] for line in lines if line[:1] not in "#[")
    if program := said.get("ExecStart", "").lstrip("!@-+:").split()[:1]:
        yield Start(program[0], said.get("User"))

"""Examining paths and asking programs, as this process's user, and not for long."""

import contextlib
import os
import pwd
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.doctor.rights import PathKind, Seen
from asyncamanda.system.session import clean_line

SECONDS = 10.0  # for a program that only looks something up, on a machine that may be busy
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Told:
    """How a program ended, None where it did not start or not end, and what it printed.

    `fault` says why in that case.
    """

    status: int | None
    stdout: str = ""
    stderr: str = ""
    fault: str = ""

    @property
    def first_line(self) -> str:
        """The first line that is not blank, of stderr or else of stdout."""
        return next((line for line in _lines(self.stderr) or _lines(self.stdout)), self.fault)


def _lines(text: str) -> list[str]:
    return [clean_line(line.encode()) for line in text.splitlines() if line.strip()]


def ask(
    argv: Sequence[str], environ: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> Told:
    """Run a program with an empty input to its end, and return how it ended."""
    kept = {name: os.environ[name] for name in ("HOME", "SSH_AUTH_SOCK") if name in os.environ}
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environ or {**kept, "PATH": _PATH, "LANG": "C.UTF-8"},
            cwd="/",
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        return Told(None, fault=f"{argv[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Told(None, fault=f"{argv[0]} did not end within {seconds:g} seconds")
    decoded = [os.fsdecode(output) for output in (done.stdout, done.stderr)]
    return Told(done.returncode, *decoded)


def look_at(path: Path) -> Seen:
    """Return what this user sees of `path`; nothing is opened."""
    try:
        status = path.stat()
    except OSError as error:
        words = error.strerror or str(error)
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            words = f"a link to {path.readlink()}, which does not exist"
        return Seen(str(path), PathKind.NOTHING, error=words)
    kind = PathKind.FILE if stat.S_ISREG(status.st_mode) else PathKind.OTHER
    flags = os.statvfs(path).f_flag
    return Seen(
        path=str(path),
        kind=PathKind.FOLDER if stat.S_ISDIR(status.st_mode) else kind,
        owner=name_owner(status.st_uid),
        mode=stat.S_IMODE(status.st_mode),
        may_read=os.access(path, os.R_OK),
        may_write=os.access(path, os.W_OK),
        may_execute=os.access(path, os.X_OK),
        is_nosuid=bool(flags & os.ST_NOSUID),
        is_noexec=bool(flags & os.ST_NOEXEC),
    )


def name_owner(uid: int) -> str:
    """Return the user's name, or the number where there is none."""
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def can_be_made(path: Path) -> bool:
    """Return whether this user can make `path`, which is missing, and what is missing above it."""
    above = next((folder for folder in path.parents if os.path.lexists(folder)), path.parent)
    return os.access(f"{above}/.", os.W_OK | os.X_OK)


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a regular file; none if it cannot be read."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield from file

"""Examining paths and asking programs, as this process's user, and not for long."""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from asyncamanda.core.doctor.rights import PathKind, Seen
from asyncamanda.core.ssh.argv import SshOptions, Target, plan_master
from asyncamanda.core.ssh.way import SshWay, parse_way, plan_way
from asyncamanda.system.programs import Answer, plain_environ, run_program


def ask_ssh(target: Target, options: SshOptions) -> tuple[Answer, SshWay | None]:
    """Return what ssh says of where it goes as the agent starts it; None if it does not say."""
    argv = plan_way(plan_master(target, options, "none"))
    answer = run_program(argv, environ=plain_environ("SSH_AUTH_SOCK"))
    if answer.status != 0:
        return answer, None
    try:
        return answer, parse_way(answer.stdout, target.host)
    except ValueError:
        return answer, None


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
        is_readonly=bool(flags & os.ST_RDONLY),
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

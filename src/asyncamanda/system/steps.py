"""Steps that look first whether they are needed, and what many of them make: folders, files.

All of it is root's work, in folders that belong to the Amanda user: so nothing here follows a
link that lies in one of them, on the way or at its end, or takes over a file with a second name.
"""

import errno
import os
import pwd
import shutil
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.errors import AsyncamandaError, ConfigurationError, RefusedError
from asyncamanda.system.files import open_folder

SEARCHED = "/usr/local/bin:/usr/bin:/bin"  # sshd's shell finds the forced command there
LINK = Path("/usr/local/bin/asyncamanda")


@dataclass(frozen=True, slots=True)
class SetupStep:
    """Something that is to be so: in words, whether it is, and how to make it so."""

    what: str
    is_so: Callable[[], bool]
    make: Callable[[], None]


def make_step(step: SetupStep) -> None:
    """Make `step` so. Raises AsyncamandaError with what stood in the way."""
    try:
        step.make()
    except OSError as error:
        raise cannot(step, error) from error
    if not step.is_so():
        raise cannot(step, None)


def cannot(step: SetupStep, error: OSError | None) -> AsyncamandaError:
    """Return the error for a step that failed, or that changed nothing."""
    return RefusedError(
        "step-failed",
        f"this could not be done: {step.what}{f' ({error.strerror})' if error else ''}",
        "is there a link, or a read-only file system, in its place?",
    )


def plan_folder(path: Path, account: pwd.struct_passwd, mode: int) -> SetupStep:
    """Return the step after which `path` is a folder of the account's, with this mode."""
    return SetupStep(
        f"{path} is a folder of {account.pw_name}'s, mode {mode:04o}",
        lambda: is_like(path, account, stat.S_IFDIR | mode),
        lambda: _make_folder(path, account, mode),
    )


def plan_file(path: Path, account: pwd.struct_passwd, mode: int) -> SetupStep:
    """Return the step after which `path` is a file of the account's, with this mode."""
    return SetupStep(
        f"{path} is a file of {account.pw_name}'s, mode {mode:04o}",
        lambda: is_like(path, account, stat.S_IFREG | mode),
        lambda: _make_file(path, account, mode),
    )


def plan_link(who: str) -> SetupStep:
    """Return the step after which `who`, in words, finds this program."""
    return SetupStep(
        f"{who} finds asyncamanda: {LINK} leads to it",
        lambda: shutil.which("asyncamanda", path=SEARCHED) is not None,
        _link_program,
    )


def _link_program() -> None:
    for program in (Path(sys.prefix, "bin", "asyncamanda"), Path(sys.argv[0]).absolute()):
        if program.name == "asyncamanda" and os.access(program, os.X_OK):
            LINK.parent.mkdir(parents=True, exist_ok=True)
            LINK.unlink(missing_ok=True)
            LINK.symlink_to(program)
            return
    raise ConfigurationError(
        "not-installed",
        "this asyncamanda runs from a checkout, and nobody else would find it",
        "install it, as README.md says: /opt/asyncamanda/bin/pip install ...",
    )


def is_like(path: Path, account: pwd.struct_passwd, mode: int) -> bool:
    """Return whether `path` is the account's, and of this kind and mode."""
    try:
        seen = path.stat()
    except OSError:
        return False
    return (seen.st_uid, seen.st_mode) == (account.pw_uid, mode)


def _make_folder(path: Path, account: pwd.struct_passwd, mode: int) -> None:
    folder = open_folder(path.parent, make=True)
    try:
        with suppress(FileExistsError):
            os.mkdir(path.name, 0o700, dir_fd=folder)
        _give(folder, path.name, account, mode, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(folder)


def _make_file(path: Path, account: pwd.struct_passwd, mode: int) -> None:
    folder = open_folder(path.parent)
    try:
        try:
            _give(folder, path.name, account, mode, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            _give(folder, path.name, account, mode, os.O_RDONLY)
    finally:
        os.close(folder)


def give(path: Path, account: pwd.struct_passwd, mode: int) -> None:
    """Make the file `path` the account's, with this mode; a link in its place is refused."""
    folder = open_folder(path.parent)
    try:
        _give(folder, path.name, account, mode, os.O_RDONLY)
    finally:
        os.close(folder)


def _give(folder: int, name: str, account: pwd.struct_passwd, mode: int, flags: int) -> None:
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode) and status.st_nlink != 1:
            raise OSError(errno.EMLINK, "it has another name elsewhere", name)
        os.fchown(descriptor, account.pw_uid, account.pw_gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)

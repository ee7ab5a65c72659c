"""Where the agent keeps what lasts between its starts, and how those folders are made."""

import errno
import os
import pwd
import stat
from binascii import crc32
from contextlib import ExitStack, suppress
from pathlib import Path

from asyncamanda import quick
from asyncamanda.config.client import SYSTEM_FILE
from asyncamanda.errors import AsyncamandaError, LaterError, RefusedError
from asyncamanda.system.account import find_user
from asyncamanda.system.files import make_private

KINDS = ("client", "classic")  # quick.state_folder()
PUBLIC = Path(quick.SYSTEM_STATE, "public")  # for everybody to read
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def state_for(path: Path) -> Path:
    """Return the folder that belongs to the configuration file `path`."""
    if path == SYSTEM_FILE:
        return Path(quick.SYSTEM_STATE, "client")
    return Path(quick.state_folder("client"), f"{crc32(os.fsencode(path)):08x}")


def summary_for(path: Path) -> Path:
    """Return the summary's place for the configuration file `path`."""
    if path == SYSTEM_FILE:
        return PUBLIC / "status.json"
    return PUBLIC / f"{crc32(os.fsencode(path)):08x}.json"


def make_folder(folder: Path) -> None:
    """Make the folder that the memory is kept in, for its user alone. Raises OSError.

    One that an older version left open is closed, and so is the one of all such folders. Below
    /var/tmp anybody may have made one of that name; such a one is not used.
    """
    shared = Path("/var/tmp")  # noqa: S108 - guarded below
    if folder.is_relative_to(shared):
        own = shared / folder.relative_to(shared).parts[0]
        own.mkdir(mode=0o700, exist_ok=True)
        status = own.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", str(own))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in (folder.parent, folder):
        if each is folder or each.name in KINDS:
            make_private(each)


def unwritable(folder: Path, error: OSError) -> AsyncamandaError:
    """Return the error for a memory that cannot be kept: later if room can be made."""
    is_refused = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
    make = (
        "Run it once as root, which creates the folder" if is_refused else "Free some space there"
    )
    if error.errno == errno.EROFS:
        make = "Its file system is mounted read-only: after an error of its device? dmesg says so"
    return (RefusedError if is_refused else LaterError)(
        "state-not-writable",
        f"{folder} cannot be written: {error.strerror}",
        "without its memory asyncamanda could mistake an interrupted backup for a good one. "
        + make,
    )


def prepare_state(path: Path, user: str) -> None:
    """Make the folder that belongs to the configuration file `path`, as root, for `user`.

    Raises ConfigurationError if there is no such user, LaterError or RefusedError if it cannot be.
    """
    make_for_user(state_for(path), user)


def make_for_user(state: Path, user: str) -> None:
    """Make `state` below the system's folder, as root, for `user`.

    The folders may be the user's already, so nothing here follows a link that lies in one.
    Raises ConfigurationError if there is no such user, LaterError or RefusedError if it cannot be.
    """
    account = find_user(user)
    system = Path(quick.SYSTEM_STATE)
    try:
        system.mkdir(mode=0o755, parents=True, exist_ok=True)
        with ExitStack() as stack:
            place = os.open(system, FOLDER)
            stack.callback(os.close, place)
            for name in state.relative_to(system).parts:
                place = _give_folder(name, place, account, 0o700)
                stack.callback(os.close, place)
    except OSError as error:
        raise unwritable(state, error) from error
    with suppress(OSError):  # a backup does not need it
        _prepare_public(account)


def _prepare_public(account: pwd.struct_passwd) -> None:
    """Make the folder of the summary, for `account` to write and for all to read."""
    above = os.open(PUBLIC.parent, FOLDER)
    try:
        os.close(_give_folder(PUBLIC.name, above, account, 0o755))
    finally:
        os.close(above)


def _give_folder(name: str, above: int, account: pwd.struct_passwd, mode: int) -> int:
    """Make the folder `name` in the one that is open as `above`, and give it to `account`.

    Returns it, open. A link or another kind of file in its place is refused: raises OSError.
    """
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=above)
    folder = os.open(name, FOLDER, dir_fd=above)
    try:
        os.fchown(folder, account.pw_uid, account.pw_gid)
        os.fchmod(folder, mode)
    except BaseException:
        os.close(folder)
        raise
    return folder

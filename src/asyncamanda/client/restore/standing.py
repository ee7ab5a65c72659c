"""What can be seen today of what a dump does not have: the folders above a disk, and an age.

An image begins with the disk's own folder. Who could come to that is judged by what lies above it
now, as far as this process, the Amanda user's, can see it: what it cannot see counts as closed.
"""

import errno
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from asyncamanda.client.state.accounts import meet_account
from asyncamanda.core.restore.accounts import date_account
from asyncamanda.core.restore.permission import Access, Asker, may_enter
from asyncamanda.errors import RefusedError
from asyncamanda.system.programs import run_program

ACL_XATTR = "system.posix_acl_access"


def may_reach(device: str, asker: Asker) -> bool:
    """Return whether `asker` may enter all folders above a disk's own, as they are now."""
    if not device.startswith("/"):
        return False
    try:
        above = {*_above(device), *_above(os.path.realpath(device))}
        return all(may_enter(_look(path), asker, keeps_acls=True) for path in above)
    except OSError:
        return False


def _above(path: str) -> Iterator[str]:
    """Yield the folders above a path, its links followed or not."""
    while path != (path := os.path.dirname(path)):  # noqa: PTH120
        yield os.path.realpath(path)


def _look(folder: str) -> Access:
    status = os.stat(folder)  # noqa: PTH116
    acl = b""
    try:
        acl = os.getxattr(folder, ACL_XATTR)
    except OSError as error:
        if error.errno not in {errno.ENODATA, errno.EOPNOTSUPP}:
            raise
    return Access(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, acl)


def ask_age(state: Path, account: pwd.struct_passwd, now: datetime) -> datetime:
    """Return since when the account is there for certain; whoever comes for the first time is new.

    Raises RefusedError if nothing has been written down yet of this machine's accounts.
    """
    uid, name = account.pw_uid, account.pw_name
    seen = meet_account(state, uid, name, now)
    if seen is None:
        raise RefusedError(
            "account-unknown",
            "it is not known yet which accounts this machine has, and since when",
            "the next backup writes it down; until then, as root: asyncamanda restore",
        )
    return date_account(seen, uid, name, _read_birth(account)) or now


def _read_birth(account: pwd.struct_passwd) -> datetime | None:
    """Return when the account's home was made; None where that is not known, or not certain.

    It is certain where only root could have put that folder there, and it is the account's.
    """
    try:
        home = os.lstat(account.pw_dir)
        above = [os.stat(path) for path in _above(account.pw_dir)]  # noqa: PTH116
    except OSError:
        return None
    is_roots = all(one.st_uid == 0 and not one.st_mode & 0o022 for one in above)
    if not is_roots or not stat.S_ISDIR(home.st_mode) or home.st_uid != account.pw_uid:
        return None
    answer = run_program(["stat", "--format=%W", "--", account.pw_dir])
    with suppress(ValueError, OverflowError, OSError):
        if answer.status == 0 and (seconds := int(answer.stdout)) > 0:
            return datetime.fromtimestamp(seconds, UTC)
    return None

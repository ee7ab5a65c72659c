"""Who is at the other end of a Unix socket, as the kernel says, and what the accounts say of that.

Names, groups and everything else that the peer itself could say is not asked for.
"""

import array
import errno
import grp
import os
import pwd
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from asyncamanda.core.restore.accounts import is_ordinary
from asyncamanda.core.restore.ownership import NewOwner
from asyncamanda.core.restore.permission import Asker
from asyncamanda.errors import RefusedError

SO_PEERGROUPS = 59  # linux/asm-generic/socket.h; Python has no name for it
MOST_GROUPS = 256  # Python reads no longer answers of the kernel's
BY_ROOT = "as root, asyncamanda does it for everybody's files"

_CREDENTIALS = struct.Struct("iII")


def only_root() -> RefusedError:
    """Return the error for an ordinary user who asks for a whole image."""
    return RefusedError(
        "only-root",
        "a whole image has everybody's files, so only root may have it",
        "you or your administrator can do it, as root: asyncamanda restore",
    )


@dataclass(frozen=True, slots=True)
class SocketPeer:
    """The process that connected, as it was then: its uid, and its groups, None if too many."""

    uid: int
    gids: frozenset[int] | None


def read_peer(connection: socket.socket) -> SocketPeer:
    """Return who is at the other end. Raises OSError if that is no Unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, gid = _CREDENTIALS.unpack(raw)
    try:
        listed = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * MOST_GROUPS)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        return SocketPeer(uid, None)
    return SocketPeer(uid, frozenset([gid, *array.array("I", listed)]))


def find_account(peer: SocketPeer) -> pwd.struct_passwd:
    """Return the account of whoever asks.

    Raises RefusedError where it is none of a person: what a service could have read is not for
    whoever has taken it over, and root does not come this way.
    """
    with suppress(KeyError):
        if is_ordinary(peer.uid):
            return pwd.getpwuid(peer.uid)
    raise RefusedError(
        "not-a-user", f"uid {peer.uid} is not the account of an ordinary user here", BY_ROOT
    )


def describe_asker(peer: SocketPeer, account: pwd.struct_passwd) -> tuple[Asker, NewOwner]:
    """Return who asks, for judging what they could have read, and for what will be theirs.

    The groups are those of the process and those of the user database, which both have to allow
    it: a session may be older than the day on which its user left a group.
    """
    known = frozenset(os.getgrouplist(account.pw_name, account.pw_gid))
    held = known if peer.gids is None else peer.gids
    groups = tuple({_name_groups(held), _name_groups(known)})
    asker = Asker(account.pw_uid, account.pw_name, groups)
    owner = NewOwner(account.pw_uid, account.pw_gid, os.fsencode(account.pw_name), held & known)
    return asker, owner


def _name_groups(gids: frozenset[int]) -> frozenset[str]:
    """Return the numbers of groups, and their names as far as they have any."""
    found = {str(gid) for gid in gids}
    for gid in gids:
        with suppress(KeyError):
            name = grp.getgrgid(gid).gr_name
            if not name.isdigit():
                found.add(name)
    return frozenset(found)

"""Somebody's file made an ordinary user's own: what of its owner, mode and attributes remains.

Nothing may become open to more people by it. What was the user's own keeps all but the bits that
give a program its owner's rights. What was another's keeps its mode, but not its list of named
users and groups; and where its group cannot be kept the new one may do what all others may.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from asyncamanda.core.restore.member import Kind, Member

PERMISSIONS = 0o777  # without set-uid, set-gid and the sticky bit
GROUP, OTHERS = 0o070, 0o007
USER_ATTRIBUTE = b"SCHILY.xattr.user."
ACLS = (b"SCHILY.acl.", b"SCHILY.xattr.system.posix_acl_")
DEVICES = {Kind.CHARACTER, Kind.BLOCK}


@dataclass(frozen=True, slots=True)
class NewOwner:
    """The user who gets the files: `gid` is that of new ones, `gids` are all that they may have."""

    uid: int
    gid: int
    name: bytes
    gids: frozenset[int]


def make_own(member: Member, owner: NewOwner) -> Member:
    """Return `member`, which is no device, as one of `owner`'s."""
    is_own = member.uid == owner.uid
    is_group_kept = member.gid in owner.gids
    has_lost_acl = not is_own and any(_is_acl(key) for key, _ in member.attributes)
    mode = member.mode & PERMISSIONS
    if has_lost_acl or not is_group_kept:
        mode = _close_group(mode)
    return replace(
        member,
        mode=mode,
        uid=owner.uid,
        gid=member.gid if is_group_kept else owner.gid,
        owner=owner.name,
        group=b"",
        attributes=tuple(_keep(member, is_own=is_own)),
        dumpdir=None,
    )


def _close_group(mode: int) -> int:
    """Return `mode` with nothing for the group that others have not."""
    return mode & ~GROUP | mode & (mode & OTHERS) << 3 & GROUP


def _keep(member: Member, *, is_own: bool) -> Iterator[tuple[bytes, bytes]]:
    for key, value in member.attributes:
        if key.startswith(USER_ATTRIBUTE) or (is_own and _is_acl(key)):
            yield key, value


def _is_acl(key: bytes) -> bool:
    return key.startswith(ACLS)

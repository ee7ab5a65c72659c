"""Whose the folders of an image are, for who has to judge what a user could read."""

from collections.abc import Collection

from asyncamanda.core.restore.access_list import find_acl
from asyncamanda.core.restore.image import BadImage, Kind, Member
from asyncamanda.core.restore.listing import FolderOwner
from asyncamanda.server.restore.kept_members import find_owners
from asyncamanda.server.restore.members import walk_members
from asyncamanda.server.restore.reading import OpenChain
from asyncamanda.server.restore.streams import Image


def read_owners(
    chain: OpenChain, only: Collection[bytes] | None = None
) -> dict[bytes, FolderOwner]:
    """Return whose the folders of a chain's newest image were, or those of `only` alone.

    What a broken image does not tell is not there.
    """
    head = chain.heads.get(chain.chosen.runs[-1])
    kept = find_owners(head, only) if head else None
    return _read_owners(chain.image(), only) if kept is None else kept


def _read_owners(image: Image, only: Collection[bytes] | None) -> dict[bytes, FolderOwner]:
    found: dict[bytes, FolderOwner] = {}
    alike: dict[FolderOwner, FolderOwner] = {}  # most are: each is kept once
    left = None if only is None else set(only)
    try:
        for member in walk_members(image):
            if member.kind is not Kind.FOLDER:
                break
            if left is not None and member.path not in left:
                continue
            owner = make_owner(member)
            found[member.path] = alike.setdefault(owner, owner)
            if left is not None:
                left.remove(member.path)
                if not left:
                    break
    except BadImage:
        pass
    return found


def make_owner(member: Member) -> FolderOwner:
    """Return whose a folder is, by its member."""
    return FolderOwner(member.mode, member.uid, member.gid, find_acl(member.attributes))

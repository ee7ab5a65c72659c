"""What is kept of an image's head, for those who look for members of it.

Where nothing is kept, or what is kept does not tell, the image is gone through.
"""

from collections.abc import Collection, Iterator

from asyncamanda.core.restore.acl import ACCESS
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.image import Kind, Member
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_facts import KeptFile, KeptFolder, Rights
from asyncamanda.core.restore.listing import FolderOwner
from asyncamanda.server.restore.members import OffsetOf, find_members
from asyncamanda.server.restore.streams import Image


def find_offsets(head: Head) -> OffsetOf | None:
    """Return what knows where members of an image begin, None if that is not kept."""
    return head.offset_of if isinstance(head, KeptHead) else None


def find_absent(head: Head, paths: Collection[bytes]) -> list[bytes]:
    """Return the files among these that the image is known not to have, though it lists them.

    That is so of each socket, and finding it out by the image would take all of it.
    """
    return [path for path in paths if head.is_absent(path)] if isinstance(head, KeptHead) else []


def find_size(head: Head, paths: Collection[bytes]) -> int | None:
    """Return how many bytes of contents these files have in an image, None if that is not kept.

    Of a file with holes or attributes it may be some more; a further name of a file has none.
    """
    if not isinstance(head, KeptHead):
        return None
    size = 0
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        file = head.members(folder).get(name)
        if file is None and not head.is_absent(path):
            return None
        if file and file.kind is Kind.FILE:
            size += min(file.size, file.end - file.start)
    return size


def find_folders(image: Image, head: Head, wanted: Collection[bytes]) -> Iterator[Member]:
    """Yield the members of the folders that are `wanted`, in the image's order.

    Raises as walk_members().
    """
    if isinstance(head, KeptHead):
        kept = {path: folder for path in sorted(wanted) if (folder := head.folder(path))}
        if len(kept) == len(wanted) and not any(folder.has_more for folder in kept.values()):
            yield from [_make_folder(path, folder) for path, folder in kept.items()]
            return
    yield from find_members(image, 0, wanted, folders=True)


def find_owners(head: Head, only: Collection[bytes] | None) -> dict[bytes, FolderOwner] | None:
    """Return whose the folders are, or those of `only`; None if that is not kept of each."""
    if not isinstance(head, KeptHead):
        return None
    kept = {path: folder for path in only or head if (folder := head.folder(path))}
    if any(folder.has_more for folder in kept.values()):
        return None
    alike: dict[Rights, FolderOwner] = {}  # most are: each is made once
    for folder in kept.values():
        if folder.rights not in alike:
            alike[folder.rights] = _make_owner(folder.rights)
    return {path: alike[folder.rights] for path, folder in kept.items()}


def find_kept(head: Head, path: bytes) -> Member | None:
    """Return what is kept of a file, but for what it is a link to; None if nothing is."""
    folder, _, name = path.rpartition(b"/")
    file = head.members(folder).get(name) if isinstance(head, KeptHead) else None
    return _make_file(path, file) if file else None


def _make_file(path: bytes, file: KeptFile) -> Member:
    rights = file.rights
    return Member(
        start=file.start,
        data=file.start,
        stored=0,
        end=file.end,
        kind=file.kind,
        path=path,
        link=b"",
        mode=rights.mode,
        uid=rights.uid,
        gid=rights.gid,
        owner=rights.owner,
        group=rights.group,
        mtime_ns=file.mtime_ns,
        size=file.size,
    )


def _make_owner(rights: Rights) -> FolderOwner:
    acl = dict(rights.attributes).get(ACCESS, b"")
    return FolderOwner(rights.mode, rights.uid, rights.gid, acl)


def _make_folder(path: bytes, folder: KeptFolder) -> Member:
    rights = folder.rights
    return Member(
        start=0,
        data=0,
        stored=0,
        end=0,
        kind=Kind.FOLDER,
        path=path,
        link=b"",
        mode=rights.mode,
        uid=rights.uid,
        gid=rights.gid,
        owner=rights.owner,
        group=rights.group,
        mtime_ns=folder.mtime_ns,
        size=0,
        attributes=rights.attributes,
    )

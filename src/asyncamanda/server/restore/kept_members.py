"""What is kept of an image's head, for those who look for members of it.

Where nothing is kept, or what is kept does not tell, the image is gone through.
"""

from collections.abc import Collection, Iterator

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.image import Kind, Member
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_facts import KeptFolder
from asyncamanda.server.restore.members import OffsetOf, find_members
from asyncamanda.server.restore.streams import Image


def find_offsets(head: Head) -> OffsetOf | None:
    """Return what knows where members of an image begin, None if that is not kept."""
    return head.offset_of if isinstance(head, KeptHead) else None


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

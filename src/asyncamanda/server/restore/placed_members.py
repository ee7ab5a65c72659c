"""Members of an image by what is kept of its head: read where they are, without a look at others.

Where nothing is kept, or what is kept does not tell, all of the image is gone through.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.image import Kind, Member
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_facts import KeptFolder
from asyncamanda.server.restore.members import find_members, walk_members
from asyncamanda.server.restore.streams import Image

_NEAR = 1 << 18  # bytes: less is rather read than jumped over


def find_files(image: Image, head: Head, wanted: Collection[bytes]) -> Iterator[Member]:
    """Yield those members that are no folders and whose paths are `wanted`, each once.

    They come in the image's order, and nothing is read behind the last. Raises as walk_members().
    """
    left = set(wanted)
    if isinstance(head, KeptHead):
        places = _find_places(head, left)
        if not head.index.unplaced:
            left &= {*places.values()}  # the others are not in the image
        if len(places) == len(left):
            for member in _visit(image, places):
                left.remove(member.path)
                yield member
    yield from find_members(image, head.end, left, folders=False)


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


def _find_places(head: KeptHead, wanted: Collection[bytes]) -> dict[int, bytes]:
    """Return the paths that are `wanted` by where their members begin, as far as that is known."""
    by_folder: dict[bytes, list[bytes]] = defaultdict(list)
    for path in wanted:
        folder, _, name = path.rpartition(b"/")
        by_folder[folder].append(name)
    places = {}
    for folder in sorted(by_folder):  # whose blocks lie in that order
        files = head.members(folder)
        for name in by_folder[folder]:
            if name in files:
                places[files[name].start] = folder + b"/" + name if folder else name
    return places


def _visit(image: Image, places: Mapping[int, bytes]) -> Iterator[Member]:
    """Yield the members that begin at these places, up to the first that is not what it should be.

    What is between them is jumped over.
    """
    left = deque(sorted(places))
    while left:
        for member in walk_members(image, left[0]):
            if member.start > left[0] or places.get(member.start, member.path) != member.path:
                return
            if member.start == left[0]:
                left.popleft()
                yield member
                if not left:
                    return
            if left[0] - member.end > _NEAR:
                break
        else:
            return


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

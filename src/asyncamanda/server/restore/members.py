"""Going through an image: its head, and those of its members that somebody wants.

As little as possible is read. Where files are large, that is the first page of each; and where it
is known beforehand at which bytes members begin, nothing but these.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.image import BadImage, ImageParser, Kind, Member
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.streams import Image

OffsetOf = Callable[[bytes], int | None]  # at which byte of an image a member begins, if known

_LEAST = 1 << 12  # bytes: a page, which the kernel reads in any case
_MOST = 1 << 18
_NEAR = 1 << 16  # bytes that are rather gone through than jumped over
_SMALL = 1 << 15  # bytes of contents that are rather read than jumped over


def walk_members(image: Image, offset: int = 0) -> Iterator[Member]:
    """Yield the members of an image, from the one at `offset` on.

    Raises BadImage if it is broken, or cannot be read or unpacked.
    """
    parser = ImageParser(offset)
    window = _LEAST
    while not parser.is_ended:
        at = parser.offset
        try:
            piece = image.read_at(at, window)
        except BadDataError as error:
            raise BadImage(at, error.message) from error
        if not piece:
            parser.end()
            return
        yield from parser.feed(at, piece)
        jumped = parser.offset - at - len(piece)
        window = min(window * 2, _MOST) if jumped < _SMALL else _LEAST


def find_members(
    image: Image,
    offset: int,
    wanted: Collection[bytes],
    *,
    folders: bool,
    offset_of: OffsetOf | None = None,
) -> Iterator[Member]:
    """Yield those members, folders or others, whose paths are `wanted`, each once, as they come.

    Nothing is read behind the last of them, and nothing before `offset`. `offset_of` may know at
    which byte each begins; what is not there is looked for anyway. Raises as walk_members().
    """
    left = set(wanted)

    def take(member: Member) -> bool:
        if member.path in left and (member.kind is Kind.FOLDER) == folders:
            left.remove(member.path)
            return True
        return False

    if offset_of:
        members = _visit(image, _list_places(wanted, offset_of))
        with suppress(BadImage):  # it was not where it should be
            yield from filter(take, members)
    if left:
        for member in walk_members(image, offset):
            if take(member):
                yield member
                if not left:
                    return


def _list_places(wanted: Collection[bytes], offset_of: OffsetOf) -> list[int]:
    """Return where the members begin, the last first; nothing if that is not known of each."""
    places = [offset_of(path) for path in wanted]
    known = [place for place in places if place is not None]
    return sorted(known, reverse=True) if len(known) == len(places) else []


def _visit(image: Image, places: list[int]) -> Iterator[Member]:
    """Yield the members at these places, and others between those that are near each other."""
    while places:
        for member in walk_members(image, places.pop()):
            yield member
            while places and places[-1] < member.end:
                places.pop()
            if not places or places[-1] - member.end > _NEAR:
                break


def walk_folders(image: Image) -> Iterator[Member]:
    """Yield the folders with which an image begins. Raises as walk_members() does."""
    for member in walk_members(image):
        if member.kind is not Kind.FOLDER:
            return
        yield member


def read_head(image: Image) -> Head:
    """Return the list of all that was there when the image was made, which it begins with.

    It is empty where the image is no incremental one. Raises as walk_members() does.
    """
    head = Head()
    for member in walk_folders(image):
        head.add(member)
    return head

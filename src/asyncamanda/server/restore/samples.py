"""Reading a few files out of open images, to see that they can be had."""

from collections.abc import Callable, Sequence

from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.image import BadImage, Member
from asyncamanda.core.restore.search import Located
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.members import find_members
from asyncamanda.server.restore.streams import Image

_FEW = 3  # files that may be missing: sockets, and what was deleted meanwhile
_PIECE = 1 << 18


class PausedImage(Image):
    """An image that is read with pauses, whatever is in it and however long that goes on."""

    def __init__(self, image: Image, pause: Callable[[], None]) -> None:
        super().__init__(image.files)
        self._image = image
        self._pause = pause

    def _read(self, offset: int, count: int) -> bytes:
        self._pause()
        return self._image.read_at(offset, count)

    def _move(self, sink: int, offset: int, count: int) -> int:
        raise NotImplementedError  # it is only read


def read_sample(
    images: Sequence[Image],
    heads: Sequence[Head],
    sample: Sequence[Located],
    *,
    is_whole: bool,
) -> tuple[int, int]:
    """Read the files at these places; return how many are there, and how many bytes were read.

    `is_whole`: to their ends. Raises BadDataError if an image is broken, or most are not in it.
    """
    wanted: dict[int, set[bytes]] = {}
    for place in sample:
        wanted.setdefault(place.image, set()).add(place.path)
    absent: set[bytes] = set()
    size = 0
    for number, paths in sorted(wanted.items()):
        left = {*paths}
        image = images[number]
        try:
            for member in find_members(image, heads[number].end, paths, folders=False):
                size += _read_member(image, member) if is_whole else 0
                left.discard(member.path)
        except BadImage as error:
            raise _broken(image, error) from error
        absent |= left
    count = sum(map(len, wanted.values()))
    if len(absent) > max(_FEW, count // 2):
        raise _missing(images[-1], absent, count)
    return count - len(absent), size


def _read_member(image: Image, member: Member) -> int:
    at, end = member.data, member.data + member.stored
    while at < end:
        piece = image.read_at(at, min(_PIECE, end - at))
        if not piece:
            raise BadImage(at, "it ends in the middle of a file")
        at += len(piece)
    return member.stored


def _broken(image: Image, error: BadImage) -> BadDataError:
    header = image.files.header
    return BadDataError(
        "image-broken",
        f"the dump {header.timestamp} of {header.host}:{header.disk} is broken {error}",
        "an earlier dump may be whole",
    )


def _missing(image: Image, absent: set[bytes], count: int) -> BadDataError:
    header = image.files.header
    named = ", ".join(repr(path) for path in sorted(absent)[:_FEW])
    return BadDataError(
        "files-missing",
        f"{len(absent)} of {count} files that {header.host}:{header.disk} should have are not in "
        f"their dumps, such as {named}",
        "a full dump has all of them again",
    )

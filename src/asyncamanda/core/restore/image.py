"""Images of disks as Amanda's GNUTAR and amgtar write them: the members of a GNU tar archive.

    parser = ImageParser()
    while not parser.is_ended:
        members = parser.feed(parser.offset, read(parser.offset, SOME))

The parser takes bytes and gives members; it reads nothing itself, and jumps over contents, so that
whoever can seek reads headers only. It knows what GNU tar makes of a disk with listed-incremental:
old GNU headers (long names in `L` and `K`, folders' lists in `D`, sparse files in `S`) and pax. An
image is a client's work, and hostile: all has bounds, and what is not exactly as tar would write
it is refused. Source: GNU tar 1.34, pinned against the real one by tests/system/test_image.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

from asyncamanda.core.restore.extensions import (
    GLOBAL,
    LONG_LINK,
    LONG_NAME,
    LONGEST,
    LONGEST_DUMPDIR,
    PAX,
    Extensions,
    check_global,
    parse_dumpdir,
)
from asyncamanda.core.restore.member import Kind, Member, build_member, parse_size
from asyncamanda.core.restore.sparse import OldMap, SparseMap
from asyncamanda.core.restore.tarfields import BLOCK, GNU, POSIX, has_right_checksum, pad

__all__ = ["BLOCK", "BadImage", "ImageParser", "Kind", "Member"]

_ZEROS = bytes(BLOCK)
_DUMPDIR, _SPARSE, _LABEL = b"DSV"
_FORMS = {GNU, POSIX}
_GNU_ONLY = {_DUMPDIR, _SPARSE}
_OF_MEMBERS = {LONG_NAME, LONG_LINK, PAX}
_KINDS = {
    0: Kind.FILE,
    ord("0"): Kind.FILE,
    ord("7"): Kind.FILE,
    _SPARSE: Kind.FILE,
    ord("1"): Kind.HARD_LINK,
    ord("2"): Kind.SYMLINK,
    ord("3"): Kind.CHARACTER,
    ord("4"): Kind.BLOCK,
    ord("5"): Kind.FOLDER,
    _DUMPDIR: Kind.FOLDER,
    ord("6"): Kind.FIFO,
}


class BadImage(ValueError):  # noqa: N818 - it says what the image is
    """An image, or what should be one, that is broken or hostile. `offset` is where."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"at byte {offset}: {reason}")
        self.offset = offset


class ImageParser:
    """Bytes of an image into its members. `offset` is that of the next byte that it needs."""

    def __init__(self, offset: int = 0) -> None:
        """Begin at the image's start, or at that of any member."""
        self.offset = offset
        self.is_ended = False
        self._start = offset
        self._extensions: Extensions | None = None
        self._kept = bytearray()  # of what is wanted
        self._wanted = BLOCK
        self._take: Callable[[bytes], Member | None] = self._take_header
        self._fault: BadImage | None = None

    def feed(self, at: int, piece: bytes | memoryview) -> list[Member]:
        """Return the members whose headers are complete now, in order.

        `piece` lies at byte `at` of the image, which is at most `offset`; what lies before
        `offset` is passed over. Raises BadImage; members before the fault are returned first, and
        the next call raises.
        """
        if self._fault is not None:
            raise self._fault
        found: list[Member] = []
        try:
            self._feed(at, piece, found)
        except BadImage as error:
            self._fault = error
        except ValueError as error:
            self._fault = BadImage(self._start, str(error))
        if self._fault is not None and not found:
            raise self._fault
        return found

    def end(self) -> None:
        """Note that there are no more bytes. Raises BadImage if the image has not ended."""
        if self._fault is not None:
            raise self._fault
        if not self.is_ended:
            raise BadImage(self.offset, "the image is cut off")

    def _feed(self, at: int, piece: bytes | memoryview, found: list[Member]) -> None:
        end = at + len(piece)
        if at > self.offset and not self.is_ended:
            raise BadImage(self.offset, "bytes of the image are missing")
        while self.offset < end and not self.is_ended:
            begin = self.offset - at
            part = bytes(piece[begin : begin + self._wanted - len(self._kept)])
            self.offset += len(part)
            if self._kept or len(part) < self._wanted:
                self._kept += part
                if len(self._kept) < self._wanted:
                    return
                part = bytes(self._kept)
                self._kept = bytearray()
            member = self._take(part)
            if member is not None:
                found.append(member)

    def _take_header(self, block: bytes) -> Member | None:
        if self._extensions is None:
            self._start = self.offset - BLOCK
        if block == _ZEROS:
            if self._extensions is not None:
                raise ValueError("the image ends within a member")
            self.is_ended = True
            return None
        if not has_right_checksum(block) or block[257:265] not in _FORMS:
            raise ValueError("there is no header of GNU tar's where one should be")
        kind = _KINDS.get(block[156])
        if kind is None:
            self._begin_other(block)
            return None
        if self._extensions is None and block[156] not in _GNU_ONLY:
            member = build_member(self._start, self.offset, kind, block)
            self.offset = member.end
            return member
        return self._begin_extended(block, kind)

    def _begin_other(self, block: bytes) -> None:
        """Take a header that is no member's."""
        kind, size = block[156], parse_size(block, None)
        if self._extensions is not None and kind not in _OF_MEMBERS:
            raise ValueError("a member has an extension out of place")
        if kind == _LABEL and size == 0:
            return
        if kind not in LONGEST:
            raise ValueError(f"a member is of the unknown kind {chr(kind)!a}")
        if not 0 < size <= LONGEST[kind]:
            raise ValueError("a member's extension is empty or too large")
        self._want(size + pad(size), lambda contents: self._take_other(kind, contents[:size]))

    def _take_other(self, kind: int, contents: bytes) -> None:
        self._want(BLOCK, self._take_header)
        if kind == GLOBAL:
            check_global(contents)
            return
        self._extensions = self._extensions or Extensions()
        self._extensions.add(kind, contents)

    def _begin_extended(self, block: bytes, kind: Kind) -> Member | None:
        """Take the header of a member that has more of them, or a map or list behind it."""
        extensions, self._extensions = self._extensions or Extensions(), None
        sparse: SparseMap | None = extensions.sparse_map()
        listed = extensions.field(b"GNU.dumpdir")
        is_old = block[156] in _GNU_ONLY
        if is_old and (sparse or listed is not None or block[257:265] != GNU):
            raise ValueError("a member is of two kinds")
        if (sparse and kind is not Kind.FILE) or (listed is not None and kind is not Kind.FOLDER):
            raise ValueError("a member has a map or list that its kind has not")
        dumpdir = None if listed is None else parse_dumpdir(listed)
        draft = _Draft(self._start, kind, block, extensions, sparse, dumpdir)
        if block[156] == _SPARSE:
            draft.sparse = OldMap(block)
        if block[156] != _DUMPDIR:
            return self._go_on(draft)
        size = parse_size(block, extensions)
        if size > LONGEST_DUMPDIR:
            raise ValueError("a folder's list is too large")
        if size == 0:
            return self._take_dumpdir(draft, b"")
        self._want(size + pad(size), lambda contents: self._take_dumpdir(draft, contents[:size]))
        return None

    def _take_dumpdir(self, draft: "_Draft", contents: bytes) -> Member | None:
        draft.dumpdir = parse_dumpdir(contents)
        return self._go_on(draft)

    def _take_map(self, draft: "_Draft", block: bytes) -> Member | None:
        assert draft.sparse is not None
        draft.sparse.add(block)
        return self._go_on(draft)

    def _go_on(self, draft: "_Draft") -> Member | None:
        """Return the member if nothing of it is missing, and jump to the next one."""
        if draft.sparse is not None and draft.sparse.goes_on:
            self._want(BLOCK, lambda block: self._take_map(draft, block))
            return None
        self._want(BLOCK, self._take_header)
        member = build_member(
            draft.start,
            self.offset,
            draft.kind,
            draft.block,
            draft.extensions,
            draft.sparse,
            draft.dumpdir,
        )
        self.offset = member.end
        return member

    def _want(self, size: int, take: Callable[[bytes], Member | None]) -> None:
        """Let the next `size` bytes be taken by `take`."""
        self._wanted, self._take = size, take


@dataclass(slots=True)
class _Draft:
    """A member whose header has come, but perhaps not its map or list."""

    start: int
    kind: Kind
    block: bytes
    extensions: Extensions
    sparse: SparseMap | None
    dumpdir: bytes | None

"""The server's stream of all that was asked for, into one of what the user could have read.

Folders come first, and each after the one that holds it; with them it is known who could come where
(visible.py). A file is judged by its own header then. What is not handed over is named, if the
user could have seen its name; of all else there is no word.
"""

from collections import deque
from collections.abc import Collection, Iterator

from asyncamanda.core.restore.access_list import find_acl
from asyncamanda.core.restore.archive import render_member
from asyncamanda.core.restore.image import ImageParser
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.ownership import DEVICES, NewOwner, make_own
from asyncamanda.core.restore.permission import Access
from asyncamanda.core.restore.visible import TOP, Ways

MOST_LINKS = 100_000  # that are asked for by themselves
UNREADABLE = "this user could not have read it then"
UNLISTED = "this user could not have listed that folder then"
IS_DEVICE = "it is a device, which only root can restore"
TOO_MANY_LINKS = "there are too many links to files that this user could not have come to"


class Handover:
    """One stream after another, of one disk at one date, into one.

    `links` are the hard links whose first name was not handed over: they are to be asked for again,
    each by itself. `missing` are paths and why they are not handed over; whoever tells it empties
    it. `seen` are those of the wanted paths that are there, as far as the user may know. `files`
    and `size` are what was handed over: files and bytes.
    """

    def __init__(
        self, ways: Ways, owner: NewOwner, wanted: Collection[bytes], skipped: int = 0
    ) -> None:
        """`skipped`: so many of the members that would be handed over are there already."""
        self._ways = ways
        self._owner = owner
        self._wanted = frozenset(wanted)
        self._leading = frozenset(_leading(wanted))
        self._skipped = skipped
        self.links: list[bytes] = []
        self.missing: list[tuple[bytes, str]] = []
        self.seen: set[bytes] = set()
        self.files = self.size = 0
        self._waiting: dict[bytes, Member] = {}  # folders on the way, until something lies below
        self.begin()

    def begin(self) -> None:
        """Begin another stream."""
        self._parser = ImageParser()
        self._at = 0
        self._handed: deque[tuple[bytes, int, int]] = deque()  # header, contents from, and to

    @property
    def is_ended(self) -> bool:
        """Whether the stream has come to its end."""
        return self._parser.is_ended

    def end(self) -> None:
        """Raise BadImage if the stream was cut off."""
        self._parser.end()

    def feed(self, piece: memoryview) -> Iterator[bytes | memoryview]:
        """Yield what is handed over of the stream's next `piece`, none of it behind its end.

        Raises BadImage.
        """
        begin, self._at = self._at, self._at + len(piece)
        for member in self._parser.feed(begin, piece):
            own = self._judge(member)
            if own is not None:
                self._hand_leading(own.path)
                self._hand(own)
        while self._handed:
            header, start, stop = self._handed[0]
            if header:
                yield header
            if contents := piece[max(start - begin, 0) : max(stop - begin, 0)]:
                yield contents
            if stop > self._at:
                self._handed[0] = (b"", start, stop)
                return
            self._handed.popleft()

    def _hand_leading(self, path: bytes) -> None:
        """Hand over the folders that lead to a path, as far as they were not yet."""
        if self._waiting:
            for folder in reversed(tuple(_leading([path]))):
                if folder in self._waiting:
                    self._hand(self._waiting.pop(folder))

    def _hand(self, member: Member) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        self._handed.append((render_member(member, member.path), member.data, member.end))
        if member.kind is not Kind.FOLDER:
            self.files += 1
            self.size += member.size

    def _judge(self, member: Member) -> Member | None:
        """Return what is handed over of a member, None for nothing."""
        if member.path in self._wanted and self._ways.is_named(member.path):
            self.seen.add(member.path)
        if member.kind is Kind.FOLDER:
            return self._judge_folder(member)
        if not self._ways.is_named(member.path):
            return None
        reason = self._refuse(member)
        if reason is not None:
            if reason:
                self.missing.append((member.path, reason))
            return None
        return make_own(member, self._owner)

    def _judge_folder(self, member: Member) -> Member | None:
        path = member.path
        if self._ways.is_known(path):
            return None
        self._ways.tell_folder(path, _access(member))
        is_named = self._ways.is_named(path)
        if is_named and not self._ways.is_listable(path):
            self.missing.append((path, UNLISTED))
        own = make_own(member, self._owner)
        if is_named and self._ways.is_reached(path):
            return own
        if path in self._leading and path != TOP:
            self._waiting[path] = own
        return None

    def _refuse(self, member: Member) -> str | None:
        """Return why a member that may be named is not handed over, None if it is.

        The reason is empty for a link that will be asked for.
        """
        path = member.path
        if member.kind in DEVICES:
            return IS_DEVICE
        if member.kind in {Kind.SYMLINK, Kind.FIFO}:
            return None if self._ways.is_reached(path) else UNREADABLE
        access = _access(member)
        if not self._ways.may_read(path, access):
            return UNREADABLE
        if member.kind is Kind.FILE or self._ways.may_read(member.link, access):
            return None
        if len(self.links) >= MOST_LINKS:
            return TOO_MANY_LINKS
        self.links.append(path)
        return ""


def _access(member: Member) -> Access:
    return Access(member.mode, member.uid, member.gid, find_acl(member.attributes))


def _leading(paths: Collection[bytes]) -> Iterator[bytes]:
    """Yield the folders that lead to these paths."""
    for path in paths:
        folder = path
        while folder:
            folder = folder.rpartition(b"/")[0]
            yield folder

"""One archive of what is wanted, out of the images of a chain: what the client extracts.

First the folders, of which the newest image knows how they were, by their paths; then the other
members of each image, the oldest first, in that image's order. The order is the same each time,
so that who was cut off can go on behind the last member that came whole.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from asyncamanda.core.restore.archive import END, render_member
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.image import BLOCK, BadImage, Kind, Member
from asyncamanda.core.restore.selection import Selection
from asyncamanda.server.restore.kept_members import find_absent, find_folders, find_offsets
from asyncamanda.server.restore.members import OffsetOf, find_members
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.streams import Image

NOT_IN_IMAGE = "the dump lists it, but does not have it: it was a socket, or could not be read"
NO_TARGET = "it is a further name of a file that the dump does not have"
BROKEN = "the dump is broken {}"

Hear = Callable[[bytes, str], None]  # what is missing, and why


@dataclass(slots=True)
class Written:
    """What has gone out: members of each kind, bytes of the files' contents, and of the stream."""

    files: int = 0
    folders: int = 0
    contents: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Pass:
    """What is known on the way through one image.

    `names` are the members that have gone out by now, with their paths there; `waiting` are hard
    links by the paths that they are links to, which have not.
    """

    image: Image
    head: Head
    wanted: Mapping[bytes, bytes]
    offset_of: OffsetOf | None
    names: dict[bytes, bytes] = field(default_factory=dict)
    waiting: dict[bytes, list[Member]] = field(default_factory=dict)

    def find(self, paths: Collection[bytes]) -> Iterator[Member]:
        """Yield the members of these paths that are no folders."""
        return find_members(
            self.image, self.head.end, paths, folders=False, offset_of=self.offset_of
        )


class ArchiveWriter:
    """Writes the archive to a sink. `hear` is told what of it is not there.

    The first `skip` members are passed over: whoever reads has them.
    """

    def __init__(
        self, sink: Sink, hear: Hear, skip: int = 0, written: Written | None = None
    ) -> None:
        self.written = written or Written()
        self._sink = sink
        self._hear = hear
        self._skip = skip

    def write(
        self,
        images: Sequence[Image],
        heads: Sequence[Head],
        selection: Selection,
        places: Sequence[OffsetOf | None] = (),
    ) -> None:
        """Write all of it, with its end. `places` may know where in each image members begin.

        What a broken image does not give is missing. Raises BadDataError if it breaks off in the
        middle of a file that has begun to go out, and OSError if nobody takes it any more.
        """
        self._write_folders(images[-1], heads[-1], selection.folders)
        known = places or [*map(find_offsets, heads)]
        for image, head, wanted, its in zip(images, heads, selection.members, known, strict=True):
            if wanted:
                self._write_members(_Pass(image, head, wanted, its))
        self._sink.write(END)
        self._sink.flush()
        self.written.bytes = self._sink.written

    def _write_folders(self, image: Image, head: Head, folders: Sequence[bytes]) -> None:
        """Write them by their paths: the image's order is not known where its head was kept."""
        rendered: dict[bytes, bytes] = {}
        reason = NOT_IN_IMAGE
        try:
            for member in find_folders(image, head, folders):
                rendered[member.path] = render_member(member, member.path)
        except BadImage as fault:
            reason = BROKEN.format(fault)
        for path in sorted(rendered):
            self.written.folders += 1
            if not self._is_skipped():
                self._sink.write(rendered[path])
        for path in folders:
            if path not in rendered:
                self._hear(path, reason)

    def _write_members(self, its: _Pass) -> None:
        left = dict(its.wanted)
        reason = NOT_IN_IMAGE
        for path in find_absent(its.head, its.wanted):
            self._hear(left.pop(path), reason)
        try:
            for member in its.find(left):
                del left[member.path]
                if member.kind is Kind.HARD_LINK:
                    self._put_link(its, member)
                else:
                    self._put(its.image, member, its.wanted[member.path])
                    its.names[member.path] = its.wanted[member.path]
        except BadImage as fault:
            reason = BROKEN.format(fault)
        for path in left.values():
            self._hear(path, reason)
        self._write_waiting(its)

    # -- hard links

    def _put_link(self, its: _Pass, member: Member) -> None:
        """Put a link, if what it is a link to has gone out by now; else let it wait."""
        target = its.names.get(member.link)
        if target is None:
            its.waiting.setdefault(member.link, []).append(member)
        else:
            self._put(its.image, member, its.wanted[member.path], target)

    def _write_waiting(self, its: _Pass) -> None:
        """Let the links that wait have the contents that they are further names of.

        The first one becomes the file. They are in the image under a name that nobody wants, or
        that is another file's by now; so the image is gone through again.
        """
        for path in [path for path in its.waiting if path in its.names]:
            for member in its.waiting.pop(path):
                self._put_link(its, member)
        reason = NO_TARGET
        try:
            for found in its.find(its.waiting):
                if found.kind is not Kind.HARD_LINK:
                    self._put_waiting(its, found)
        except BadImage as fault:
            reason = BROKEN.format(fault)
        for members in its.waiting.values():
            for member in members:
                self._hear(its.wanted[member.path], reason)

    def _put_waiting(self, its: _Pass, found: Member) -> None:
        """Put a member for those that are further names of it."""
        first, *others = its.waiting.pop(found.path)
        name = its.names[found.path] = its.wanted[first.path]
        self._put(its.image, found, name)
        for member in others:
            self._put(its.image, member, its.wanted[member.path], name)

    # -- one member

    def _put(self, image: Image, member: Member, path: bytes, link: bytes | None = None) -> None:
        """Put a member that is no folder into the archive under that path."""
        self.written.files += 1
        if self._is_skipped():
            return
        self._sink.write(render_member(member, path, link))
        if member.kind is Kind.FILE and member.stored:
            image.copy_to(self._sink, member.data, member.stored)
            self._sink.write(bytes(-member.stored % BLOCK))
            self.written.contents += member.stored

    def _is_skipped(self) -> bool:
        """Return whether the next member is one that whoever reads has, and count it."""
        self._skip -= 1
        return self._skip >= 0

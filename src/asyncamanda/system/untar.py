"""A tar stream that somebody else has made, unpacked into a new folder, and nowhere else.

Each member is known when it is wholly there, so that who calls can go on after a cut. Names are the
stream's and so may be anything: each folder on the way is opened from the one above it, and no
link is followed, whoever made it. Folders are this user's alone until the end; what they are to be
is set then, the deepest first, so that times are right and nobody gets in before.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from asyncamanda.core.restore.image import Kind, Member
from asyncamanda.system.attributes import FATAL, Attributes, Dresser
from asyncamanda.system.incoming import PipeSource
from asyncamanda.system.tarstream import StreamedMember, read_members
from asyncamanda.system.tree import Tree

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK}


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A member that was dealt with: where it lies below the folder, and why it does not, or "".

    `path` is None for one that was passed over.
    """

    path: bytes | None
    member: Member
    reason: str = ""


class Unpacker:
    """Unpacks into the folder that is open as `target`, which has to be this user's, mode 0700.

    `place` returns where a path of the stream's is to lie below it, None for what is passed over;
    what it raises ends the unpacking. `folders` has what each folder is to be in the end.
    """

    def __init__(
        self, target: int, place: Callable[[bytes, Kind], bytes | None] = lambda path, _: path
    ) -> None:
        self.place = place
        self.dresser = Dresser()
        self.folders: dict[bytes, Attributes] = {}
        self._tree = Tree(target)
        self._links = Tree(target)  # where first names are: so that neither closes the other's

    def close(self) -> None:
        """Release what this object has opened."""
        self._tree.close()
        self._links.close()

    def unpack(self, source: PipeSource) -> Iterator[Unpacked]:
        """Yield each member of the stream as soon as it is done, to the stream's end.

        Raises BadImage if it is no such stream, StreamCut if it ends before its end, and OSError
        for what concerns all that is to come, as a full disk.
        """
        for streamed in read_members(source):
            yield self._take(streamed, source)

    def finish(self) -> None:
        """Set what all folders are to be. Raises OSError for what concerns all of them."""
        for path in sorted(self.folders, reverse=True):  # what is below a folder comes first
            try:
                folder, name = self._tree.parent(path)
                descriptor = os.open(name or b".", OPEN_FOLDER, dir_fd=folder)
            except OSError as error:
                self.dresser.notes["folder", error.strerror or str(error)] += 1
                continue
            try:
                self.dresser.dress(descriptor, self.folders[path])
            finally:
                os.close(descriptor)

    def _take(self, streamed: StreamedMember, source: PipeSource) -> Unpacked:
        """Make what a member is, and read it to its end."""
        member = streamed.member
        path = self.place(member.path, member.kind)
        reason = ""
        if path is not None:
            try:
                self._make(path, member, streamed.within, source)
            except OSError as error:
                if error.errno in FATAL:
                    raise
                reason = error.strerror or str(error)
        streamed.skip_rest()
        return Unpacked(path, member, reason)

    def _make(self, path: bytes, member: Member, within: memoryview, source: PipeSource) -> None:
        if member.kind is Kind.FOLDER:
            self._tree.folder(path, make=True)
            self.folders[path] = self.dresser.plan(member)
            return
        folder, name = self._tree.parent(path, make=True)
        match member.kind:
            case Kind.FILE:
                self._make_file(folder, name, member, within, source)
                return
            case Kind.HARD_LINK:
                self._link(folder, name, member)
                return
            case Kind.SYMLINK:
                _replace(folder, name, lambda: os.symlink(member.link, name, dir_fd=folder))
            case Kind.FIFO:
                _replace(folder, name, lambda: os.mkfifo(name, 0o600, dir_fd=folder))
            case Kind.CHARACTER | Kind.BLOCK:
                kind, device = _DEVICES[member.kind], os.makedev(*member.device)
                _replace(folder, name, lambda: os.mknod(name, kind | 0o600, device, dir_fd=folder))
        wanted = self.dresser.plan(member)
        is_link = member.kind is Kind.SYMLINK
        self.dresser.dress_name(folder, name, wanted, has_mode=not is_link)

    def _make_file(
        self, folder: int, name: bytes, member: Member, within: memoryview, source: PipeSource
    ) -> None:
        descriptor = _replace(folder, name, lambda: os.open(name, NEW_FILE, 0o600, dir_fd=folder))
        try:
            _fill(descriptor, member, within, source)
            self.dresser.dress(descriptor, self.dresser.plan(member))
        except BaseException:
            with suppress(OSError):  # half of it must not pass for the file
                os.unlink(name, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)

    def _link(self, folder: int, name: bytes, member: Member) -> None:
        """Give a file that was unpacked before a second name."""
        first = self.place(member.link, Kind.FILE)
        if first is None:
            raise OSError(errno.ENOENT, "its first name is not restored")
        there, first_name = self._links.parent(first)
        _replace(folder, name, lambda: _link(there, first_name, folder, name))


def _replace(folder: int, name: bytes, make: Callable[[], T]) -> T:
    """Make `name`; what has that name is removed before, unless it is a folder."""
    try:
        return make()
    except FileExistsError:
        os.unlink(name, dir_fd=folder)
    return make()


def _link(there: int, first: bytes, folder: int, name: bytes) -> None:
    os.link(first, name, src_dir_fd=there, dst_dir_fd=folder, follow_symlinks=False)


def _fill(descriptor: int, member: Member, within: memoryview, source: PipeSource) -> None:
    """Write the contents; what a sparse file lacks stays a hole."""
    for offset, count in member.pieces or ((0, member.stored),):
        if member.pieces:
            os.lseek(descriptor, offset, os.SEEK_SET)
        here, within = within[:count], within[count:]
        left = here
        while left:
            left = left[os.write(descriptor, left) :]
        source.move(descriptor, count - len(here))
    if member.pieces is not None:
        os.ftruncate(descriptor, member.size)

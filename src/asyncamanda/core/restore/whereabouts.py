"""Which disk a path is on, and where what comes back is to lie.

Paths are bytes, absolute or relative to a disk's folder, which on the client is the disk's device.
Two disks may have one device, each with other parts of it (include lists); then both are named.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

ROOT = b"/"


class OnDevice(Protocol):
    """A disk: its name in the disklist, and its folder on the client."""

    @property
    def disk(self) -> str: ...

    @property
    def device(self) -> str: ...


D = TypeVar("D", bound=OnDevice)


def normalize(path: bytes) -> bytes:
    """Return an absolute `path` in its shortest form: no `.`, `..`, doubled or last slash."""
    names: list[bytes] = []
    for name in path.split(b"/"):
        if name == b"..":
            del names[-1:]
        elif name not in {b"", b"."}:
            names.append(name)
    return ROOT + b"/".join(names)


def folder_of(disk: OnDevice) -> bytes | None:
    """Return the disk's folder, normalized; None if its device is no absolute path."""
    device = disk.device.encode("utf-8", "surrogateescape")
    return normalize(device) if device.startswith(ROOT) else None


def join(folder: bytes, path: bytes) -> bytes:
    """Return the absolute path of what is at `path` below an absolute `folder`."""
    if not path:
        return folder
    return (ROOT if folder == ROOT else folder + ROOT) + path


def relate(path: bytes, folder: bytes) -> bytes | None:
    """Return absolute `path` relative to `folder`; None if it is not there or below it."""
    if path == folder:
        return b""
    above = folder if folder == ROOT else folder + ROOT
    return path[len(above) :] if path.startswith(above) else None


def find_disks(paths: Iterable[bytes], disks: Sequence[D]) -> list[tuple[D, bytes]]:
    """Return the disks that a path may be on, each with its path there, the likeliest first.

    `paths` are the absolute names that it has, the surest first: links on the way make several. Of
    each name the longest device decides. One of the names may be on another disk than the other, or
    not in it: a backup follows no links, but a link may be newer than the backup.
    """
    found = []
    for rank, path in enumerate(paths):
        fitting = []
        for disk in disks:
            folder = folder_of(disk)
            below = None if folder is None else relate(path, folder)
            if folder is not None and below is not None:
                is_namesake = disk.disk == disk.device
                fitting.append((-len(folder), rank, not is_namesake, disk.disk, disk, below))
        longest = min((each[0] for each in fitting), default=0)
        found += [each for each in fitting if each[0] == longest]
    found.sort(key=lambda each: each[:4])
    return [(disk, below) for *_, disk, below in found]


def common_folder(paths: Iterable[bytes]) -> bytes:
    """Return the deepest folder that is above each of some absolute paths."""
    split = [path.split(b"/")[1:-1] for path in paths]
    common: list[bytes] = []
    for names in zip(*split, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ROOT + b"/".join(common)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each path of one disk is to lie below the folder that all is restored into.

    `wanted` is what was asked for, and all that may come; `prefix` stands before each path, and
    `left_out` is the beginning of the paths that is left out: one of the two is empty.
    """

    wanted: frozenset[bytes]
    prefix: bytes = b""
    left_out: bytes = b""

    def place(self, path: bytes, *, is_folder: bool) -> bytes | None:
        """Return the place of `path`; None for a folder that is above all that is wanted.

        Raises ValueError for what nobody has asked for.
        """
        if not self._is_wanted(path) and not (is_folder and self._is_above(path)):
            raise ValueError(f"{path!r} was not asked for")
        if self.left_out:
            above = self.left_out + b"/"
            return path[len(above) :] if path.startswith(above) else None
        if self.prefix:
            return self.prefix + b"/" + path if path else self.prefix
        return path or None

    def _is_wanted(self, path: bytes) -> bool:
        while path and path not in self.wanted:
            path = path.rpartition(b"/")[0]
        return path in self.wanted

    def _is_above(self, path: bytes) -> bool:
        return not path or any(each.startswith(path + b"/") for each in self.wanted)


def plan_layout(folder: bytes | None, paths: Iterable[bytes], base: bytes) -> Layout:
    """Return the layout of a disk whose folder is `folder`: names begin below `base`."""
    wanted = frozenset(paths)
    top = folder or ROOT
    below = relate(top, base)
    if below is not None:
        return Layout(wanted, prefix=below)
    return Layout(wanted, left_out=relate(base, top) or b"")


def name_folder(host: str, date: str, is_taken: Callable[[str], bool]) -> str:
    """Return the name of a new folder: `restored-HOST-DATE`, or that with -2, -3 and so on."""
    host = "".join(c if c.isalnum() or c in "-_." else "_" for c in host)
    name = f"restored-{host}-{date}"
    number = 1
    while is_taken(name if number == 1 else f"{name}-{number}"):
        number += 1
    return name if number == 1 else f"{name}-{number}"

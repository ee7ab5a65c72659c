"""What a folder holds, to the last mode and link: to be compared with what comes back."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. Times in whole seconds, as tar's own format has them."""

    kind: str
    mode: int
    owner: tuple[int, int]
    changed_at: int | None
    size: int
    content: str
    twins: tuple[str, ...]
    attributes: tuple[tuple[str, bytes], ...]


def read_tree(top: Path) -> dict[str, Entry]:
    """Return what is at and below `top`, by relative path (`.` for itself).

    A file's `content` is its digest, a link's its target; `twins` are the names of one file.
    """
    places = [top, *sorted(top.rglob("*"))]
    names: dict[int, list[str]] = {}
    for place in places:
        names.setdefault(place.lstat().st_ino, []).append(str(place.relative_to(top)))
    return {
        str(place.relative_to(top)): _read_entry(place, tuple(names[place.lstat().st_ino]))
        for place in places
    }


def _read_entry(place: Path, twins: tuple[str, ...]) -> Entry:
    status = place.lstat()
    content, size = "", 0
    if stat.S_ISLNK(status.st_mode):
        content = os.fsdecode(place.readlink())
    elif stat.S_ISREG(status.st_mode):
        content, size = hashlib.sha256(place.read_bytes()).hexdigest(), status.st_size
    return Entry(
        kind=stat.filemode(status.st_mode)[0],
        mode=stat.S_IMODE(status.st_mode),
        owner=(status.st_uid, status.st_gid),
        changed_at=int(status.st_mtime),
        size=size,
        content=content,
        twins=twins if len(twins) > 1 else (),
        attributes=tuple(_read_attributes(place)),
    )


def _read_attributes(place: Path) -> Iterator[tuple[str, bytes]]:
    """Yield its extended attributes, among which are ACLs and capabilities."""
    for name in sorted(os.listxattr(place, follow_symlinks=False)):
        yield name, os.getxattr(place, name, follow_symlinks=False)

"""How a list of names goes out: records on stdout, each ended by a NUL.

A byte of Y, N and D (head.py), and the path within the disk. And for those who have to judge who
could read it, `@MODE:UID:GID:ACL:PATH` of each folder before the first name in it, and before that
of each folder that leads to it.
"""

from collections.abc import Callable
from dataclasses import dataclass

FOLDER = b"D"


@dataclass(frozen=True, slots=True)
class FolderOwner:
    """Whose a folder was, and who else could enter it: `acl` is as the image has it, or b""."""

    mode: int
    uid: int
    gid: int
    acl: bytes = b""


def render_name(path: bytes, flag: bytes) -> bytes:
    """Return the record of a name."""
    return flag + path + b"\0"


def describe_owner(owner: FolderOwner) -> str:
    """Return MODE:UID:GID:ACL, the mode in octal digits and the ACL in hexadecimal ones."""
    return f"{owner.mode & 0o7777:o}:{owner.uid}:{owner.gid}:{owner.acl.hex()}"


def render_owner(path: bytes, owner: FolderOwner) -> bytes:
    """Return the record of a folder's owner."""
    return b"@%b:%b\0" % (describe_owner(owner).encode("ascii"), path)


def list_folders(path: bytes) -> list[bytes]:
    """Return the folders that lead to `path`, the disk's own first, without itself.

    To the disk's own folder, b"", leads none.
    """
    folders = [b""] if path else []
    at = path.find(b"/")
    while at >= 0:
        folders.append(path[:at])
        at = path.find(b"/", at + 1)
    return folders


class OwnersOnTheWay:
    """The records of the folders that lead to each name of a list that goes depth first."""

    def __init__(self, find_owner: Callable[[bytes], FolderOwner | None]) -> None:
        self._find_owner = find_owner
        self._way: list[bytes] = []

    def render(self, path: bytes) -> bytes:
        """Return the records that come before `path`'s: of folders that led not to the last one."""
        return self._go(list_folders(path))

    def render_folder(self, folder: bytes) -> bytes:
        """Return the records before those of what is in `folder`, its own included."""
        return self._go([*list_folders(folder), folder])

    def _go(self, way: list[bytes]) -> bytes:
        new = [folder for folder in way if folder not in self._way]
        self._way = way
        return b"".join(map(self._render, new))

    def _render(self, folder: bytes) -> bytes:
        owner = self._find_owner(folder)
        return b"" if owner is None else render_owner(folder, owner)

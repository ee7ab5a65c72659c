"""A host's files, seen from outside through /proc/PID/root."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lab.errors import LabError

_MAX_SYMLINKS = 40


def resolve_inside(root: Path, inner: str) -> Path:
    """Return where `inner`, an absolute path on the host, is found under `root`.

    Symlinks are followed as the host would: followed by the kernel from here, an absolute
    one would lead to the machine's own files.
    """
    rest = [part for part in reversed(PurePosixPath(inner).parts) if part != "/"]
    found: list[str] = []
    symlinks = 0
    while rest:
        part = rest.pop()
        if part == "..":
            found = found[:-1]
            continue
        here = root.joinpath(*found, part)
        if not here.is_symlink():
            found.append(part)
            continue
        symlinks += 1
        if symlinks > _MAX_SYMLINKS:
            raise LabError("lab-symlinks", f"{inner}: too many symbolic links", "untie them")
        target = PurePosixPath(here.readlink())
        if target.is_absolute():
            found = []
        rest += (step for step in reversed(target.parts) if step != "/")
    return root.joinpath(*found)


class Account(NamedTuple):
    """A user of a host."""

    uid: int
    gid: int
    home: str


class HostFiles:
    """Reads and writes files of one host."""

    def __init__(self, pid: int) -> None:
        """`pid`: of the host's PID 1."""
        self._root = Path(f"/proc/{pid}/root")

    def path(self, inner: str) -> Path:
        """Where the host's file `inner` (absolute) is found from outside."""
        return resolve_inside(self._root, inner)

    def read(self, inner: str) -> str:
        """Return a text file's content."""
        return self.path(inner).read_text(encoding="utf-8", errors="surrogateescape")

    def write(self, inner: str, text: str, *, owner: str = "root", mode: int = 0o644) -> None:
        """Write a file (an old one is replaced, not changed), with its directories."""
        place = self.path(inner)
        self.make_directory(str(PurePosixPath(inner).parent), owner=owner)
        fresh = place.with_name(f".{place.name}.fresh")
        fresh.write_text(text, encoding="utf-8", errors="surrogateescape")
        self._give(fresh, owner)
        fresh.chmod(mode)
        fresh.replace(place)

    def append(self, inner: str, text: str, *, owner: str = "root", mode: int = 0o644) -> None:
        """Add to a text file's end, or make it."""
        place = self.path(inner)
        before = self.read(inner) if place.exists() else ""
        self.write(inner, before + text, owner=owner, mode=mode)

    def make_directory(self, inner: str, *, owner: str = "root", mode: int = 0o755) -> None:
        """Make a directory and those above it, where they are missing."""
        place = self.path(inner)
        if place.is_dir():
            return
        self.make_directory(str(PurePosixPath(inner).parent), owner=owner)
        place.mkdir()
        self._give(place, owner)
        place.chmod(mode)

    def tree(self, inner: str) -> dict[str, bytes]:
        """Return the content of every regular file under a directory, by relative path."""
        top = self.path(inner)
        return {
            str(place.relative_to(top)): place.read_bytes()
            for place in sorted(top.rglob("*"))
            if place.is_file() and not place.is_symlink()
        }

    def remove(self, inner: str) -> None:
        """Remove a file, or a directory with all in it."""
        place = self.path(inner)
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()

    def processes(self) -> Iterator[list[str]]:
        """Yield the command lines of the host's processes, each as a list."""
        for entry in self.path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:  # it has just ended
                    continue
                if line:
                    yield [os.fsdecode(word) for word in line.rstrip(b"\0").split(b"\0")]

    def account(self, user: str) -> Account:
        """Return what the host's /etc/passwd says of a user."""
        for line in self.read("/etc/passwd").splitlines():
            name, _, uid, gid, _, home, _ = line.split(":")
            if name == user:
                return Account(int(uid), int(gid), home)
        raise LabError("lab-user", f"the host has no user {user}", "add it with useradd")

    def _give(self, place: Path, owner: str) -> None:
        if owner != "root":
            account = self.account(owner)
            os.chown(place, account.uid, account.gid)

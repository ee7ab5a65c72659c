"""The life of a folder in three steps, with what is hard to give back: each step is one dump's.

`tar -xG` cannot follow it: the moves in it are such as its rename records cannot repeat.
"""

import os
import secrets
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

LONG = "/".join(["a folder whose name is long enough to need a record of its own" * 2] * 3)
ODD = ("a b", "back\\nslash", "tab\there", "line\nbreak", "[x]*", "-C", "ünï", "quo\"te'", " ", "~")
NOT_UTF8 = os.fsdecode(b"latin-\xfc")
SPARSE_BYTES, PIECE = 8 << 20, b"between holes"
REPORT = "report.bin"
DELETED = "2025/drafts/first.txt"  # is there at the first two steps only
ONCE = "once.txt"  # is there at the first step only

Step = Callable[[Path, int], None]


def begin(top: Path, report_bytes: int) -> None:
    """Make the folder, as a full dump is to find it."""
    for name in ("2025/letters", "2025/drafts", "swap/one", "swap/two", "kind/folder", "empty"):
        (top / name).mkdir(parents=True)
    write(top, REPORT, secrets.token_bytes(report_bytes))
    write(top, "2025/plan.txt", b"a plan\n", mode=0o640, owner=(1001, 2001))
    write(top, "2025/letters/anna.txt", b"Dear Anna\n", mode=0o600, owner=(1002, 2002))
    write(top, DELETED, b"a first draft\n")
    write(top, ONCE, b"once\n")
    write(top, "kept.txt", b"never touched\n", mode=0o444)
    write(top, "swap/one/name", b"one\n")
    write(top, "swap/two/name", b"two\n")
    write(top, "kind/folder/file", b"in a folder that becomes a file\n")
    write(top, "kind/file", b"a file that becomes a folder\n")
    write(top, "empty.txt", b"")
    write(top, "program", b"#!/bin/sh\n", mode=0o4755, owner=(0, 2003))
    for name in (*ODD, NOT_UTF8):
        write(top, f"odd/{name}", os.fsencode(name))
    write(top, f"{LONG}/file", b"far down\n")
    _add_links(top)
    _add_sparse(top)
    (top / "empty").chmod(0o1777)
    (top / "2025/letters").chmod(0o750)


def change(top: Path, report_bytes: int) -> None:
    """Create, change, delete, and move folders so that `tar -xG` fails."""
    write(top, REPORT, secrets.token_bytes(report_bytes))
    (top / ONCE).unlink()
    (top / "2025/letters").rename(top / "letters")  # "letters" sorts before "past"
    (top / "2025").rename(top / "past")
    (top / "2025/drafts").parent.mkdir()
    (top / "past/drafts").rename(top / "2025/drafts")
    shutil.rmtree(top / "kind/folder")
    write(top, "kind/folder", b"now a file\n")
    (top / "kind/file").unlink()
    write(top, "kind/file/below", b"now in a folder\n")
    write(top, "links/own", b"its own now\n")
    for name in ODD[:4]:
        write(top, f"odd/{name}", b"changed " + os.fsencode(name))
    (top / f"odd/{ODD[4]}").unlink()
    (top / "kept.txt").chmod(0o400)


def change_again(top: Path, report_bytes: int) -> None:
    """Swap two folders, move one over what is gone, and bring a deleted name back."""
    write(top, REPORT, secrets.token_bytes(report_bytes))
    (top / "swap/one").rename(top / "swap/three")
    (top / "swap/two").rename(top / "swap/one")
    (top / "swap/three").rename(top / "swap/two")
    (top / DELETED).unlink()
    (top / "letters").rename(top / "2025/drafts/letters")
    write(top, "2025/drafts/letters/bert.txt", b"Dear Bert\n")
    (top / "links/third").hardlink_to(top / "links/first")
    (top / f"odd/{ODD[5]}").unlink()
    (top / f"odd/{ODD[0]}").rename(top / "odd/moved")
    (top / "empty").rename(top / "past/empty")
    os.chown(top / "past/plan.txt", 1003, 2001)


STEPS: tuple[Step, ...] = (begin, change, change_again)


def write(
    top: Path,
    name: str,
    content: bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
) -> None:
    """Write a file of the folder, with those folders above it that are missing."""
    place = top / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_bytes(content)
    if owner:
        os.chown(place, *owner)
    place.chmod(mode)


def add_attributes(top: Path) -> None:
    """Add an extended attribute, a capability and an ACL, which amgtar keeps where told to."""
    for name in ("attribute", "capable", "shared"):
        write(top, f"more/{name}", name.encode())
    os.setxattr(top / "more/attribute", "user.note", b"\0 a value\xff")
    os.setxattr(top / "more/capable", "security.capability", _CAPABILITY)
    os.setxattr(top / "more/shared", "system.posix_acl_access", ACL)


def _add_links(top: Path) -> None:
    write(top, "links/first", b"two names\n", owner=(1001, 2001))
    (top / "links/second").hardlink_to(top / "links/first")
    write(top, "links/other", b"one that is made its own\n")
    (top / "links/own").hardlink_to(top / "links/other")
    (top / "links/soft").symlink_to("../kept.txt")
    (top / "links/outside").symlink_to("/etc/passwd")
    (top / "links/nowhere").symlink_to("x" * 200)
    os.mkfifo(top / "links/fifo", 0o620)
    os.mknod(top / "links/null", 0o666 | 0o020000, os.makedev(1, 3))


def _add_sparse(top: Path) -> None:
    with (top / "sparse").open("wb") as file:
        for offset in (1 << 20, 5 << 20):
            file.seek(offset)
            file.write(PIECE)
        file.truncate(SPARSE_BYTES)


# cap_net_raw=ep, as struct vfs_cap_data has it, revision 2
_CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
# u::rw-, u:1001:r--, g::r--, m::r--, o::---, as the kernel has it (posix_acl_xattr.h)
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, rights, who)
    for tag, rights, who in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 1001),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)

"""A tree with one of everything that a file system has and tar stores, and its description."""

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ODD = [
    b"nl\nname", b"back\\slash", b"bsn\\nlit", b'dq"uote', b"sq'uote", b"trail ", b" lead", b"-rf",
    b"latin\xe9", b"tab\ttab", "utf8-\u00e9".encode(), b"*glob*", b"--checkpoint=1", b"%41", b"\\",
    b"del\x7f", b"bell\x07", b"cr\rx", b"{b}", b"~tilde", b"\xff\xfe", b"x=y", b"...", b"y" * 255,
    b"\xe9" * 255,
]  # fmt: skip
EARLY, LATE = -1_500_000_001, 11_000_000_000_123_456_789  # ns: before 1970; more than octal digits
USER, NOBODY = 12, 0xFFFFFFFF  # of an access list's entries
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # to open raw sockets
PAGE = 4096
_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


@dataclass(frozen=True, slots=True)
class Description:
    """All that one file, link or folder is. `first` is the first name of the same file."""

    kind: int
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    size: int
    digest: str
    target: bytes
    device: tuple[int, int]
    first: bytes
    has_holes: bool
    attributes: dict[str, bytes]


def make_tree(top: Path) -> None:
    """Make the tree. Has to be root."""
    top.mkdir()
    for odd in ODD:
        (top / os.fsdecode(odd)).write_bytes(b"odd " + odd)
    make_long_names(top)
    make_links(top)
    make_sparse_files(top)
    make_owners(top)
    make_attributes(top)
    os.mkfifo(top / "fifo", 0o640)
    os.mknod(top / "character", 0o600 | stat.S_IFCHR, os.makedev(300, 70_000))
    os.mknod(top / "block", 0o660 | stat.S_IFBLK, os.makedev(8, 17))
    for name, moment in (("early", EARLY), ("late", LATE), ("fine", 1_700_000_000_123_456_789)):
        (top / name).write_text(name)
        os.utime(top / name, ns=(moment, moment))
    (top / "empty").mkdir()
    os.utime(top / "empty", ns=(0, 999_999_999))


def make_long_names(top: Path) -> None:
    """Names around the 100 and 255 bytes of a header's fields, and paths of thousands."""
    for length in range(94, 104):
        (top / ("n" * length)).write_text("long")
        (top / ("d" * length)).mkdir()
        (top / ("s" * length)).symlink_to("t" * length)
    deep = top.joinpath(*["deep" * 30] * 20)
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep")
    (deep / "sparse").write_bytes(b"x")
    os.truncate(deep / "sparse", 1 << 20)
    (top / "s-long").symlink_to("/t" * 2000)


def make_links(top: Path) -> None:
    """Names of one file in several folders, long ones among them, and links to nothing."""
    (top / "links").mkdir()
    (top / "links" / "first").write_text("linked")
    for name in ("second", "l" * 255, "l" * 100):
        (top / "links" / name).hardlink_to(top / "links" / "first")
    (top / "first\n").write_text("also")
    (top / "links" / "other").hardlink_to(top / "first\n")
    (top / "dangling").symlink_to("/nowhere/\u00e9")
    (top / "odd-link").symlink_to(os.fsdecode(b"a\n\xff/../b"))


def make_sparse_files(top: Path) -> None:
    """Holes at the beginning, in the middle, at the end; all of it; and many of them."""
    (top / "holes").mkdir()
    for name, pieces, size in (
        ("all", (), 1 << 30),
        ("middle", (0, 1 << 25), (1 << 25) + 5),
        ("end", (0,), 1 << 26),
        ("begin", (1 << 24,), (1 << 24) + 4096),
        ("many", range(0, 300 << 14, 1 << 14), (300 << 14) + 1),
        ("far", (1 << 40,), (1 << 40) + 9000),
    ):
        with (top / "holes" / name).open("wb") as file:
            for at in pieces:
                file.seek(at)
                file.write(b"%d" % at)
            file.truncate(size)


def make_owners(top: Path) -> None:
    """Owners with and without a name, in all the range that the kernel has; all kinds of modes."""
    for uid, gid in ((1, 1), (1000, 65534), (1 << 21, 1 << 31), ((1 << 32) - 2, 5)):
        (top / f"own-{uid}").write_text("owned")
        os.chown(top / f"own-{uid}", uid, gid)
        (top / f"own-{uid}").chmod(0o6755)
        (top / f"folder-{uid}").mkdir()
        os.chown(top / f"folder-{uid}", uid, gid)
        (top / f"folder-{uid}").chmod(0o3770)
    (top / "sealed").mkdir()
    (top / "sealed" / "secret").write_text("secret")
    (top / "sealed" / "secret").chmod(0)
    (top / "sealed").chmod(0o500)


def make_attributes(top: Path) -> None:
    """Extended attributes, access lists, a capability."""
    (top / "kept").mkdir()
    for name in ("attributes", "list", "capable"):
        (top / "kept" / name).write_text(name)
    os.setxattr(top / "kept" / "attributes", "user.plain", b"v1\0\n=")
    os.setxattr(top / "kept" / "attributes", "user.a=b%3D", b"x" * 3000)
    os.setxattr(top / "kept", "user.empty", b"")
    os.setxattr(top / "kept" / "list", _ACCESS, access_list())
    os.setxattr(top / "kept", _DEFAULT, access_list())
    (top / "kept" / "capable").chmod(0o755)
    os.setxattr(top / "kept" / "capable", "security.capability", CAPABILITY)


def access_list() -> bytes:
    """Return an access list as the kernel has it: one user more may read and write."""
    entries = ((1, 6, NOBODY), (2, 6, USER), (4, 4, NOBODY), (16, 6, NOBODY), (32, 4, NOBODY))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def list_paths(top: Path) -> Iterator[Path]:
    """Yield the top and all below it."""
    for folder, folders, files in os.walk(top):
        here = Path(folder)
        yield here
        yield from (here / name for name in files)
        yield from (here / name for name in folders if (here / name).is_symlink())


def describe(top: Path) -> dict[bytes, Description]:
    """Return all that a tree is, by path below its top, which is b"."."""
    firsts: dict[int, bytes] = {}
    found = {}
    for path in sorted(list_paths(top)):
        name = os.fsencode(path.relative_to(top))
        found[name] = describe_one(path, firsts.setdefault(path.lstat().st_ino, name))
    return found


def describe_one(path: Path, first: bytes) -> Description:
    """Return what one file, link or folder is; `first` is its first name."""
    seen = path.lstat()
    is_file, is_link = stat.S_ISREG(seen.st_mode), stat.S_ISLNK(seen.st_mode)
    return Description(
        kind=stat.S_IFMT(seen.st_mode),
        mode=stat.S_IMODE(seen.st_mode),
        owner=(seen.st_uid, seen.st_gid),
        mtime_ns=seen.st_mtime_ns,
        size=seen.st_size if is_file else 0,
        digest=digest(path) if is_file else "",
        target=os.fsencode(path.readlink()) if is_link else b"",
        device=(os.major(seen.st_rdev), os.minor(seen.st_rdev)),
        first=first,
        has_holes=is_file and seen.st_blocks * 512 < seen.st_size // 2,
        attributes={
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
        },
    )


def digest(path: Path) -> str:
    """Return what tells a file's contents from others; its holes are not read."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # no more of it
                break
            at -= at % PAGE
            page = os.pread(file.fileno(), PAGE, at).rstrip(b"\0")
            if page:
                found.update(b"%d %d " % (at, len(page)) + page)
            at += PAGE
    return found.hexdigest()

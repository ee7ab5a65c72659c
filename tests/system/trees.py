"""Trees of files to be packed by the real tar, and how two of them are compared."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
from pathlib import Path

ACCESS = ((1, 6, None), (2, 6, 5), (4, 4, None), (0x10, 6, None), (0x20, 4, None))
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep
ODD_NAMES = (
    b"new\nline",
    b"back\\slash",
    b"trail ",
    b" lead",
    b"latin\xe9",
    "utf8-\u00e9".encode(),
    b"-dash",
    b"bell\x07",
    b"\xff\xfe",
    b"x" * 200,
    b"y" * 255,
)


def access_list(entries: tuple[tuple[int, int, int | None], ...] = ACCESS) -> bytes:
    """Return an access control list as the kernel has it: (tag, permissions, number) each."""
    rows = (struct.pack("<HHI", t, p, 0xFFFFFFFF if n is None else n) for t, p, n in entries)
    return struct.pack("<I", 2) + b"".join(rows)


def make_tree(top: Path) -> None:
    """Make one of everything that a folder may hold, in `top`, as root."""
    top.mkdir()
    for name in ODD_NAMES:
        folder = top / "odd" / os.fsdecode(b"D" + name[:200])
        folder.mkdir(parents=True)
        (folder / os.fsdecode(name)).write_bytes(b"odd " + name)
    deep = top.joinpath(*["d" * 120] * 4)
    deep.mkdir(parents=True)
    (deep / "f").write_text("deep")
    (top / "one").write_text("one")
    for second in ("two", "odd/three"):
        (top / second).hardlink_to(top / "one")
    (top / "empty").mkdir()
    (top / "closed/within").mkdir(parents=True)
    (top / "closed/within/file").write_text("in a folder that nobody may write to")
    for closed in ("closed/within", "closed"):
        (top / closed).chmod(0o500)
    (top / "nothing").touch()
    (top / "link").symlink_to("one")
    (top / "dangling").symlink_to("/nowhere/\u00e9" + "z" * 150)
    os.lchown(top / "dangling", 33, 33)
    os.mkfifo(top / "pipe", 0o640)
    os.mknod(top / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    _make_with_attributes(top)
    with (top / "sparse").open("wb") as file:
        file.truncate(8 << 20)
        for offset in range(1 << 20, 7 << 20, 1 << 19):
            file.seek(offset)
            file.write(b"piece of a sparse file")
    (top / "large").write_bytes(os.urandom(3 << 20))
    (top / "secret").mkdir(mode=0o700)
    (top / "secret/key").write_text("secret")
    for path in (top / "secret", top / "secret/key"):
        os.chown(path, 33, 34)
    _make_old(top)


def _make_with_attributes(top: Path) -> None:
    for name, mode in (("suid", 0o6755), ("cap", 0o755), ("acl", 0o664), ("xattr", 0o644)):
        (top / name).write_text(name)
        (top / name).chmod(mode)
    os.chown(top / "suid", 33, 34)
    (top / "suid").chmod(0o6755)
    (top / "sticky").mkdir()
    (top / "sticky").chmod(0o1777)
    os.setxattr(top / "cap", "security.capability", CAPABILITY)
    os.setxattr(top / "acl", "system.posix_acl_access", access_list())
    os.setxattr(top / "xattr", "user.name", b"va\0lue\n")
    (top / "listed").mkdir()
    os.setxattr(top / "listed", "system.posix_acl_default", access_list())
    os.setxattr(top / "listed", "user.of", b"a folder")
    (top / "listed/below").write_text("below")
    os.setxattr(top / "listed/below", "system.posix_acl_access", access_list())


def _make_old(top: Path) -> None:
    """Give all of it times of its own, to the nanosecond."""
    moment = 1_000_000_000_123_456_789
    for folder, folders, files in os.walk(os.fsencode(top), topdown=False):
        for name in [*folders, *files]:
            moment += 61_000_000_007
            os.utime(folder + b"/" + name, ns=(moment, moment), follow_symlinks=False)
    os.utime(top / "nothing", ns=(-86_400_000_000_001, -86_400_000_000_001))


def pack(top: Path, archive: Path, *options: str) -> None:
    """Pack `top` by the real tar."""
    argv = ["tar", "--sort=name", "-C", str(top), "-cf", str(archive), *options, "."]
    subprocess.run(argv, check=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})


def describe(
    top: Path, *, without: tuple[str, ...] = (), nanoseconds: bool = True
) -> dict[bytes, object]:
    """Return all that is known of each thing below `top`, by its path; `without` some keys."""
    found: dict[bytes, dict[str, object]] = {}
    names: dict[tuple[int, int], list[bytes]] = {}
    root = os.fsencode(top)
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)  # noqa: PTH118 - bytes
            status = os.lstat(path)
            key = path[len(root) + 1 :]
            mtime = status.st_mtime_ns if nanoseconds else status.st_mtime_ns // 10**9
            found[key] = {
                "kind": stat.S_IFMT(status.st_mode),
                "mode": stat.S_IMODE(status.st_mode),
                "owner": (status.st_uid, status.st_gid),
                "mtime": mtime,
            }
            found[key] |= _describe_contents(path, status)
            names.setdefault((status.st_dev, status.st_ino), []).append(key)
    for same in names.values():
        for key in same:
            found[key]["names"] = sorted(same)
    return {
        key: {name: value for name, value in seen.items() if name not in without}
        for key, seen in found.items()
    }


def _describe_contents(path: bytes, status: os.stat_result) -> dict[str, object]:
    if stat.S_ISLNK(status.st_mode):
        return {"target": Path(os.fsdecode(path)).readlink()}
    seen: dict[str, object] = {
        "attributes": sorted((name, os.getxattr(path, name)) for name in os.listxattr(path))
    }
    if stat.S_ISREG(status.st_mode):
        seen["contents"] = Path(os.fsdecode(path)).read_bytes()
        seen["is_sparse"] = status.st_blocks * 512 < status.st_size // 2
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        seen["device"] = status.st_rdev
    return seen

"""Homes of three users, with whatever decides who may read what; and what the kernel says."""

import json
import os
import struct
from pathlib import Path

from lab.host import Host

USERS = {"ana": 3000, "bob": 3001, "eve": 3002}
STAFF = 500  # ana and bob are in it

# as a user: everything that can be read below a folder, as the kernel has it
WALK = """\
import json, os, sys
top, found = os.fsencode(sys.argv[1]), {}
for folder, folders, names in os.walk(top):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.islink(path):
            found[os.path.relpath(path, top).hex()] = "link " + os.readlink(path).hex()
            continue
        try:
            with open(path, "rb") as file:
                found[os.path.relpath(path, top).hex()] = file.read().hex()
        except OSError:
            pass
print(json.dumps(found))
"""
OWNER, USER, OWNING, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NONE = 0xFFFFFFFF


def acl(bits: str, named: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
    """Return a list: what owner, group, mask and others may do, and somebody who is named."""
    owner, group, mask, other = map(int, bits)
    entries = [(OWNER, owner, NONE), (OWNING, group, NONE), (MASK, mask, NONE)]
    return tuple(sorted([*entries, (OTHER, other, NONE), named]))


def add_users(host: Host) -> None:
    """Let a host have these users, and the group."""
    for name, uid in USERS.items():
        host.append("/etc/passwd", f"{name}:x:{uid}:{uid}::/tmp:/bin/sh\n")
        host.append("/etc/group", f"{name}:x:{uid}:\n")
    host.append("/etc/group", f"staff2:x:{STAFF}:ana,bob\n")


def walk(host: Host, user: str, folder: str) -> dict[str, str]:
    """Return what a user can read below a folder, by the kernel: paths and contents in hex."""
    done = host.run(["/usr/bin/python3", "-c", WALK, folder], user=user)
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


class Homes:
    """Files below `top`, a folder as seen from outside."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def make(
        self,
        path: str,
        mode: int,
        owner: str = "root",
        group: int | None = None,
        contents: str | None = None,
        acl: tuple[tuple[int, int, int], ...] = (),
    ) -> Path:
        """Make a folder, or with `contents` a file."""
        place = self.top / path
        uid = USERS.get(owner, 0)
        if contents is None:
            place.mkdir(exist_ok=True)
        else:
            place.write_text(contents)
        os.chown(place, uid, uid if group is None else group)
        place.chmod(mode)
        if acl:
            entries = b"".join(struct.pack("<HHI", *entry) for entry in acl)
            os.setxattr(place, "system.posix_acl_access", struct.pack("<I", 2) + entries)
        return place

    def furnish(self) -> None:
        """Make homes, and other folders."""
        for name in ("ana", "bob"):
            self.make(name, 0o711 if name == "bob" else 0o755, name)
            self.make(f"{name}/private", 0o700, name)
            self.make(f"{name}/private/diary", 0o644, name, contents=f"{name}'s")
            self.make(f"{name}/mine", 0o600, name, contents="mine")
            self.make(f"{name}/all", 0o644, name, contents="for all")
            self.make(f"{name}/none", 0o000, name, contents="for nobody")
        self.make("staff", 0o2770, "root", STAFF)
        self.make("staff/plan", 0o640, "root", STAFF, contents="plan")
        self.make("staff/not-us", 0o604, "root", STAFF, contents="for others")
        self.make("closed", 0o744, "root")
        self.make("closed/name", 0o644, "root", contents="out of reach")
        self.make("open", 0o755, "root")
        self.make("open/tool", 0o4755, "root", contents="#!")
        self.make("open/for-ana", 0o640, contents="by name", acl=acl("6040", (USER, 4, 3000)))
        self.make("open/not-bob", 0o644, contents="not bob", acl=acl("6444", (USER, 0, 3001)))
        self.make("by-group", 0o750, acl=acl("7050", (GROUP, 5, STAFF)))
        self.make("by-group/x", 0o644, "root", contents="by the folder's list")
        (self.top / "open/link").symlink_to("/etc/shadow")
        (self.top / "open/way-in").hardlink_to(self.top / "bob/private/diary")
        (self.top / "open/mine-too").hardlink_to(self.top / "bob/mine")
        self.make("open/sparse", 0o644, contents="")
        os.truncate(self.top / "open/sparse", 1 << 20)

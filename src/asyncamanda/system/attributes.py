"""What a restored file has besides its contents: owner, mode, times, attributes, access lists.

As root all of it is set, owners by their names here, else by number. As another user the owner is
this user, the group is kept where the user is in it, and no file gets a set-user-ID bit. The order
is the kernel's: a change of owner clears those bits, and capabilities.
"""

import errno
import grp
import os
import pwd
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asyncamanda.core.restore.acl import ATTRIBUTES, parse_acl, render_acl
from asyncamanda.core.restore.image import Kind, Member

XATTR = b"SCHILY.xattr."
KEEP = -1  # for chown(2)
PLAIN = 0o777  # a mode without set-user-ID, set-group-ID and sticky bits
OF_A_FOLDER = 0o3777  # what another user's folder may have
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}  # no other file will do better

_HIGHEST = 0xFFFFFFFE


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is to be set of one file or folder; numbers of owners as they are on this machine."""

    uid: int
    gid: int
    mode: int
    mtime_ns: int
    extended: tuple[tuple[bytes, bytes], ...] = ()


class Dresser:
    """Sets attributes, as far as this user may.

    `notes` counts what could not be set: what, and why.
    """

    def __init__(self) -> None:
        self.notes: Counter[tuple[str, str]] = Counter()
        self._is_root = os.geteuid() == 0
        self._groups = {os.getegid(), *os.getgroups()}
        self._ids: dict[tuple[str, str], int | None] = {}
        self._began_ns = time.time_ns()  # the access time of all

    def plan(self, member: Member) -> Attributes:
        """Return what is to be set of `member`."""
        uid = self._number("user", member.owner, member.uid)
        gid = self._number("group", member.group, member.gid)
        mode = member.mode & 0o7777
        if not self._is_root:
            uid, gid = KEEP, gid if gid in self._groups else KEEP
            mode &= OF_A_FOLDER if member.kind is Kind.FOLDER and gid != KEEP else PLAIN
        return Attributes(uid, gid, mode, member.mtime_ns, member.attributes)

    def dress(self, descriptor: int, wanted: Attributes) -> None:
        """Set all of an open file or folder. Raises OSError only for what concerns all files."""
        mode = wanted.mode
        if not self._try("owner", os.fchown, descriptor, wanted.uid, wanted.gid):
            mode &= PLAIN  # what was another's must not run as this user
        self._try("mode", os.fchmod, descriptor, mode)
        if wanted.extended:
            self._set_extended(descriptor, wanted.extended)
        times = (self._began_ns, wanted.mtime_ns)
        self._try("time", os.utime, descriptor, ns=times)

    def dress_name(
        self, folder: int, name: bytes, wanted: Attributes, *, has_mode: bool = True
    ) -> None:
        """Set what can be set of the link, pipe or device `name` in the open `folder`."""
        here = {"dir_fd": folder, "follow_symlinks": False}
        is_owned = self._try("owner", os.chown, name, wanted.uid, wanted.gid, **here)
        if has_mode:  # a link has none
            mode = wanted.mode if is_owned else wanted.mode & PLAIN
            self._try("mode", os.chmod, name, mode, dir_fd=folder)
        self._try("time", os.utime, name, ns=(self._began_ns, wanted.mtime_ns), **here)

    def _number(self, kind: str, name: bytes, number: int) -> int:
        """Return who is called `name` here, else the number, else that nothing is to change."""
        known = self._find_id(kind, os.fsdecode(name)) if name else None
        if known is not None:
            return known
        return number if 0 <= number <= _HIGHEST else KEEP

    def _find_id(self, kind: str, name: str) -> int | None:
        if (kind, name) not in self._ids:
            try:
                found = pwd.getpwnam(name)[2] if kind == "user" else grp.getgrnam(name)[2]
            except (KeyError, ValueError):
                found = None
            self._ids[kind, name] = found
        return self._ids[kind, name]

    def _set_extended(self, descriptor: int, extended: Iterable[tuple[bytes, bytes]]) -> None:
        values = dict(extended)
        for key, attribute in ATTRIBUTES.items():
            if key in values:
                values.pop(XATTR + attribute, None)
                self._set_list(descriptor, attribute, values.pop(key))
        for key, value in values.items():
            name = key.removeprefix(XATTR)
            if self._is_root or name.startswith(b"user.") or name in ATTRIBUTES.values():
                self._try("extended attribute", os.setxattr, descriptor, name, value)
            else:
                self.notes["extended attribute", "only root may set it"] += 1

    def _set_list(self, descriptor: int, attribute: bytes, text: bytes) -> None:
        try:
            packed = render_acl(parse_acl(text), self._find_id)
        except ValueError as error:
            self.notes["access list", str(error)] += 1
            return
        self._try("access list", os.setxattr, descriptor, attribute, packed)

    def _try(self, what: str, setting: Callable[..., None], *words: Any, **more: Any) -> bool:
        """Set one thing, and return whether that was done; otherwise note it."""
        try:
            setting(*words, **more)
        except (OSError, OverflowError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in FATAL:
                raise
            self.notes[what, getattr(error, "strerror", None) or str(error)] += 1
            return False
        return True

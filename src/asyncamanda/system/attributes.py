"""What a restored file has besides its contents: owner, mode, times, attributes, access lists.

As root all of it is set, owners by their names here, else by number. As another user the owner is
this user, the group is kept where the user is in it, and no file gets a set-user-ID bit. The order
is the kernel's: a change of owner clears those bits, and capabilities; a user who may not write to
a file may not set its attributes either; and an access list has bits of the mode.
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
TOO_LARGE = {errno.ENOSPC, errno.EDQUOT}  # of attributes: that ext4 has no room for one so large

_HIGHEST = 0xFFFFFFFE
_EXTENDED = {"extended attribute", "access list"}


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
        elif KEEP in {uid, gid}:
            mode &= PLAIN  # it stays root's, which it was not
        return Attributes(uid, gid, mode, member.mtime_ns, member.attributes)

    def dress(self, descriptor: int, wanted: Attributes) -> None:
        """Set all of an open file or folder. Raises OSError only for what concerns all files."""
        mode = wanted.mode
        if not self._try("owner", os.fchown, descriptor, wanted.uid, wanted.gid):
            mode &= PLAIN  # what was another's must not run as this user
        lists = self._set_extended(descriptor, wanted.extended) if wanted.extended else {}
        self._try("mode", os.fchmod, descriptor, mode)
        self._set_lists(descriptor, lists)
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

    def _set_extended(
        self, descriptor: int, extended: Iterable[tuple[bytes, bytes]]
    ) -> dict[bytes, bytes]:
        """Set all but access lists, and return these."""
        lists = {}
        for key, value in extended:
            name = key.removeprefix(XATTR)
            if key in ATTRIBUTES or name in ATTRIBUTES.values():
                lists[key] = value
            elif self._is_root or name.startswith(b"user."):
                self._try("extended attribute", os.setxattr, descriptor, name, value)
            else:
                self.notes["extended attribute", "only root may set it"] += 1
        return lists

    def _set_lists(self, descriptor: int, lists: dict[bytes, bytes]) -> None:
        """Set access lists; one in words, which has names, counts for more than a packed one."""
        for key, attribute in ATTRIBUTES.items():
            packed = lists.get(XATTR + attribute)
            if key in lists:
                self._set_list(descriptor, attribute, lists[key])
            elif packed is not None:
                self._try("access list", os.setxattr, descriptor, attribute, packed)

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
            is_its_own = what in _EXTENDED and getattr(error, "errno", None) in TOO_LARGE
            if isinstance(error, OSError) and error.errno in FATAL and not is_its_own:
                raise
            self.notes[what, getattr(error, "strerror", None) or str(error)] += 1
            return False
        return True

"""Changing the disklist: one at a time, and only to what Amanda accepts.

As root this writes in a folder of root's below /etc/amanda and nowhere else, for amanda.conf, which
is the Amanda user's, says where the disklist is. No link is followed.
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from asyncamanda.core.amanda.disklist import parse_dles
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.core.values.shellwords import as_user
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.amanda.commands import first_fault
from asyncamanda.server.background.programs import PATIENCE
from asyncamanda.server.enrol.folder_lock import hold_folder
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER
from asyncamanda.server.enrol.registry import registry_path, unusable
from asyncamanda.system.account import ask_as, do_as, find_user
from asyncamanda.system.files import open_folder, replace_in
from asyncamanda.system.programs import Answer, run_program

TURN_WITHIN = timedelta(minutes=1)  # each asks Amanda twice, on a machine that may be busy
TRIES = 3  # of a change, while an editor writes the file, too

Names = Sequence[tuple[str, str]]  # the host and the disk of each DLE


def ask_amanda(user: str, *argv: str, text: str = "") -> Answer:
    """Return what one of Amanda's programs answers to `user`; `text` is its stdin."""
    account = find_user(user) if os.geteuid() == 0 else None
    return run_program(argv, PATIENCE, text=text, account=account, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class DisklistFile:
    """The disklist of an Amanda configuration, and the user that Amanda runs as."""

    amanda_config: str
    path: Path
    user: str

    def change(
        self, plan: Callable[[str], str], expect: Callable[[Names], Names], *, by_hand: str
    ) -> bool:
        """Replace its text by what `plan` makes of it; return whether that is anything else.

        `expect` says which DLEs Amanda is to find then, from those that it finds now; else nothing
        is changed. The file keeps its owner and mode. `by_hand` says what to do where it cannot be
        written.

        Raises BadDataError if Amanda would not accept it, RefusedError if it cannot be written,
        and LaterError if somebody else is changing it.
        """
        folder = registry_path(self.user).parent
        with ExitStack() as stack:
            try:
                stack.enter_context(hold_folder(folder, str(self.path), TURN_WITHIN))
            except OSError as error:
                raise unusable(folder, error) from error
            for _ in range(TRIES - 1):
                try:
                    return self._change(plan, expect)
                except OSError as error:
                    if error.errno != errno.ESTALE:
                        raise self._unwritable(error, by_hand) from error
            try:
                return self._change(plan, expect)
            except OSError as error:
                raise self._unwritable(error, by_hand) from error

    def check(
        self, plan: Callable[[str], str], expect: Callable[[Names], Names], *, by_hand: str
    ) -> None:
        """Raise what change() would raise before it writes; nothing is changed."""
        try:
            before = self._read()
        except OSError as error:
            raise self._unwritable(error, by_hand) from error
        self._check(before, plan(before), expect)

    def _change(self, plan: Callable[[str], str], expect: Callable[[Names], Names]) -> bool:
        before = self._read()
        after = plan(before)
        self._check(before, after, expect)
        if before == after:
            return False
        if self._is_users:
            do_as(self.user, lambda: _replace(self.path, before, after))
        else:
            _replace(self.path, before, after)
        return True

    def _check(self, before: str, after: str, expect: Callable[[Names], Names]) -> None:
        wanted = expect(self._ask(before))
        found = self._ask(after)
        if sorted(found) != sorted(wanted):
            raise BadDataError(
                "disklist-refused",
                f"Amanda finds something else in the disklist than is meant, so {self.path} was "
                "not changed",
                "change it by hand (is it in an included file?); what Amanda finds is listed "
                + as_user(self.user, f"amadmin {self.amanda_config} dles"),
            )

    def _ask(self, text: str) -> Names:
        """Return the DLEs that Amanda finds in this text. Raises BadDataError if it refuses it."""
        argv = ("amadmin", self.amanda_config, "-odiskfile=/dev/stdin", "dles")
        answer = ask_amanda(self.user, *argv, text=text or "\n")
        if answer.status != 0:
            raise BadDataError(
                "disklist-refused",
                f"Amanda would refuse the disklist: {_name_place(first_fault(answer), self.path)}",
                "nothing was changed: with such a disklist no client at all can be backed up",
            )
        return parse_dles(answer.stdout)

    @property
    def _is_users(self) -> bool:
        """Whether root has to be the Amanda user to read or write it."""
        is_roots = is_beside_amanda_conf(self.path) and self.path.parent.lstat().st_uid == 0
        return os.geteuid() == 0 and not is_roots

    def _read(self) -> str:
        if self._is_users:
            return str(parse_json(ask_as(self.user, lambda: json.dumps(_read_text(self.path)))))
        return _read_text(self.path)

    def _unwritable(self, error: OSError, by_hand: str) -> RefusedError:
        return RefusedError(
            "disklist-unwritable", f"{self.path} cannot be changed: {error.strerror}", by_hand
        )


def check_users_own(file: DisklistFile) -> None:
    """Raise RefusedError unless the Amanda user may replace the disklist, without root.

    As it can where its folder and it are that user's, as Debian's packages and `server setup
    --new-config` have it.
    """
    folder = file.path.parent

    def look() -> str:
        is_own = file.path.stat().st_uid == os.geteuid()
        return "own" if is_own and os.access(folder, os.W_OK | os.X_OK) else ""

    try:
        if ask_as(file.user, look):
            return
    except OSError:
        pass
    raise RefusedError(
        "disklist-not-users",
        f"{file.path} cannot be changed by {file.user}, and a machine that joins by a code needs "
        "that, since then root is not there",
        f"as root: chown {file.user} {folder} {file.path}; or enroll with the line that its setup "
        "prints, without a code",
    )


def is_beside_amanda_conf(path: Path) -> bool:
    """Return whether a file lies in a configuration's own folder, by its name alone.

    `/etc/amanda/..` would have that look, and is /etc.
    """
    return path.parent.parent == AMANDA_FOLDER and ".." not in path.parts


def _name_place(fault: str, path: Path) -> str:
    return fault.replace("/dev/stdin", str(path))


def _read_text(path: Path) -> str:
    folder = open_folder(path.parent)
    try:
        return _read(path.name, folder)[0]
    finally:
        os.close(folder)


def _replace(path: Path, before: str, after: str) -> None:
    """Replace the file. Raises OSError, ESTALE if it is not as it was `before`."""
    folder = open_folder(path.parent)
    try:
        text, like = _read(path.name, folder)
        if text != before:
            raise OSError(errno.ESTALE, "somebody else keeps changing it", str(path))
        owner = like.st_uid, like.st_gid
        replace_in(folder, path.name, after, stat.S_IMODE(like.st_mode), owner)
    finally:
        os.close(folder)


def _read(name: str, folder: int) -> tuple[str, os.stat_result]:
    """Return the file's text and status."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read(), os.fstat(descriptor)

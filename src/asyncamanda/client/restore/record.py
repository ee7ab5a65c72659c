"""The file in which a restore writes down how far it is, so that it can go on after a kill.

It lies beside what is restored, is this user's alone, and is locked while a restore goes on. A last
line that a kill has cut counts for nothing: what it would have told is done again.
"""

import contextlib
import errno
import fcntl
import json
import os
import pwd
import stat
import time
from pathlib import Path
from typing import Any

from asyncamanda.client.restore.record_lines import (
    FORM,
    Errand,
    RecordedState,
    describe_errand,
    describe_folder,
    parse_errand,
)
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import BadDataError, HeldError
from asyncamanda.system.attributes import Attributes
from asyncamanda.system.programs import run_program

FLUSH_AFTER = 0.5  # seconds
MOST_UNWRITTEN = 500  # lines
LARGEST = 1 << 30  # bytes
BOOT = Path("/proc/sys/kernel/random/boot_id")
SYNC_WITHIN = 60.0  # seconds


class Record:
    """The file, open and locked; `errand` and `state` are what it says."""

    def __init__(self, folder: int, name: str, descriptor: int, errand: Errand) -> None:
        self.errand = errand
        self.state = RecordedState()
        self._folder = folder
        self._name = name
        self._descriptor = descriptor
        self._unwritten: list[str] = []
        self._written_at = time.monotonic()

    def close(self) -> None:
        """Let the file be."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the file: nothing is left to go on with."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)

    def note(self, **words: object) -> None:
        """Write a line, with the next ones or soon; `state` becomes what it is then."""
        self.state.take(words)
        self._append(words)

    def note_folder(self, path: bytes, wanted: Attributes) -> None:
        """Write of a folder that `state` has already."""
        self._append(describe_folder(path, wanted))

    def note_done(self) -> None:
        """Note that one more member is done, soon."""
        self.state.done += 1
        if len(self._unwritten) >= MOST_UNWRITTEN:
            self.flush()

    def tend(self) -> None:
        """Write what is unwritten for a while; to be called often."""
        if time.monotonic() - self._written_at > FLUSH_AFTER:
            self.flush()

    def _append(self, words: dict[str, object]) -> None:
        self._unwritten.append(json.dumps(words, separators=(",", ":")))

    def flush(self) -> None:
        """Write all that is unwritten, and how far it is.

        Raises OSError; then nothing was written, and all of it is still to be.
        """
        lines = [*self._unwritten, json.dumps(self.state.describe_progress()), ""]
        self._written_at = time.monotonic()
        self._write("\n".join(lines).encode("ascii"))
        self._unwritten.clear()

    def sync(self, place: str) -> None:
        """Let all that was restored below `place` outlast a power cut, and say so, if it can be."""
        self.flush()
        if run_program(["sync", "-f", place], SYNC_WITHIN).status == 0:
            self._write(b'{"synced":1}\n')

    def _write(self, whole: bytes) -> None:
        """Write whole lines, or none of them: on a full disk one may be cut."""
        begin = os.fstat(self._descriptor).st_size
        try:
            while whole:
                whole = whole[os.write(self._descriptor, whole) :]
        except OSError:
            os.ftruncate(self._descriptor, begin)
            raise


def make_record(folder: int, name: str, errand: Errand, target: int) -> Record:
    """Make the file `name` in the open `folder`, for a restore into the open `target`.

    Raises FileExistsError if there is one, and OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    os.fchmod(descriptor, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    record = Record(folder, name, descriptor, errand)
    head = describe_errand(errand, _identity(target), _read_boot())
    record.note(**head, user=describe_user())
    record.flush()
    return record


def open_record(folder: int, name: str, target: int) -> Record:
    """Open the file `name` in the open `folder`, of a restore into the open `target`.

    Raises FileNotFoundError, HeldError if another process works with it, and BadDataError if it is
    not this user's own, or not about that folder, or damaged.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        _check_owner(descriptor, name)
        _lock(descriptor, name)
        head, *lines = _read_lines(descriptor)
        _check_head(head, name, target)
        record = Record(folder, name, descriptor, parse_errand(head))
        for line in lines:
            record.state.take(line)
    except (KeyError, TypeError, ValueError) as error:
        os.close(descriptor)
        raise _bad(name, "it is damaged") from error
    except BaseException:
        os.close(descriptor)
        raise
    state = record.state
    is_lost = head.get("boot") != _read_boot() and not state.is_synced  # what was in memory alone
    is_other = head.get("user") != describe_user()  # other members come, so `done` means nothing
    if (is_lost or is_other) and not state.is_placing:  # before which all has come and is synced
        record.state = RecordedState()
    record.state.is_synced = False
    return record


def describe_user() -> list[int]:
    """Return who this is, and the groups by which the broker judges it; for root that is nothing.

    These are the groups of the process that the user database has, too.
    """
    uid = os.geteuid()
    if uid == 0:
        return [uid]
    known: list[int] = []
    with contextlib.suppress(KeyError):
        account = pwd.getpwuid(uid)
        known = os.getgrouplist(account.pw_name, account.pw_gid)
    return [uid, *sorted({os.getegid(), *os.getgroups()} & {*known})]


def _check_owner(descriptor: int, name: str) -> None:
    status = os.fstat(descriptor)
    is_private = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o600
    if not stat.S_ISREG(status.st_mode) or not is_private or status.st_size > LARGEST:
        raise _bad(name, "it is not this user's own")


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EAGAIN, errno.EACCES}:
            raise
        raise HeldError(
            "already-running", f"another restore goes on with {name}", "wait for its end"
        ) from error


def _read_lines(descriptor: int) -> list[dict[str, Any]]:
    """Return the lines that are whole, and cut off one that is not."""
    text = bytearray()
    while piece := os.pread(descriptor, 1 << 20, len(text)):
        text += piece
    whole, _, _ = bytes(text).rpartition(b"\n")
    os.ftruncate(descriptor, len(whole) + 1)
    lines = [parse_json(line) for line in whole.split(b"\n")]
    if not all(isinstance(line, dict) for line in lines):
        raise ValueError("not an object")
    return lines


def _check_head(head: dict[str, Any], name: str, target: int) -> None:
    if head.get("form") != FORM or head.get("target") != _identity(target):
        raise _bad(name, "it is about another folder, or of another version")


def _identity(target: int) -> list[int]:
    status = os.fstat(target)
    return [status.st_dev, status.st_ino]


def _read_boot() -> str:
    try:
        return BOOT.read_text("ascii").strip()
    except OSError:
        return ""


def _bad(name: str, why: str) -> BadDataError:
    return BadDataError(
        "no-record", f"{name} cannot be gone on with: {why}", "restore again, without --resume"
    )

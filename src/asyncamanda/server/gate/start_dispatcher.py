"""Fetching the dispatcher: it is started where there is none, and says why it cannot work.

Of many gates that find none one starts it, under a lock, and the others share what that comes to.
The dispatcher's words to who started it come through a pipe, its stdout: `held` if another one has
the dispatcher's lock, else the reason for its end, in one line. The pipe's end without output is a
crash.

Gates import this, so it imports next to nothing.
"""

import fcntl
import os
import signal
import socket
import sys
import time
from contextlib import suppress

from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.stuck_dispatcher import LOOK_SECONDS, end_stuck, is_still
from asyncamanda.system.environ import clean_environ

PATIENCE = 40.0  # seconds for a dispatcher to start: less than a client has
POLL = 0.05  # seconds
LOCK_POLL = 0.2  # seconds: many may wait
AGAIN_SECONDS = 1.0  # after one that found another one
CRASHES = 2  # after so many it is given up
HELD = "held"
LONGEST_WORDS = 2048  # bytes, of the dispatcher's and of the note

_CRASHED = f"the dispatcher on the server ends at once; {ipc.STATE}/dispatcher.log says why"


class NoDispatcher(Exception):  # noqa: N818 - it says what is the matter
    """There is no dispatcher, and none can be started; `reason` is for the client, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def fetch_dispatcher() -> socket.socket:
    """Return a connection to the dispatcher, started if there is none.

    Raises OSError if the state folder cannot be used, and NoDispatcher with the reason if the
    dispatcher cannot work, or does not start within PATIENCE.
    """
    if line := ipc.call_dispatcher():
        return line
    give_up_at = time.monotonic() + PATIENCE
    lock = _open_lock()
    try:
        before = _read_note(lock)
        _wait_for(lock, give_up_at)
        if line := ipc.call_dispatcher():
            return line
        note = _read_note(lock)
        if note != before:  # who had the lock meanwhile has heard why there is none
            raise NoDispatcher(note.partition(" ")[2])
        try:
            return _start(give_up_at)
        except NoDispatcher as error:
            _write_note(lock, before, error.reason)
            raise
    finally:
        os.close(lock)


def wait_for_answer(line: socket.socket) -> list[str]:
    """Return the dispatcher's next words on `line`, [""] when it is gone.

    One that is stopped, or hangs, is ended. Raises NoDispatcher if that cannot be.
    """
    line.settimeout(LOOK_SECONDS)
    while True:
        try:
            return ipc.unpack(line.recv(ipc.LARGEST))
        except TimeoutError:
            if is_still():
                _look_after_dispatcher()
        except OSError:
            return _hear_last(line)


def _hear_last(line: socket.socket) -> list[str]:
    """Return what was said on a line that is broken; [""] if that is nothing."""
    try:
        return ipc.unpack(line.recv(ipc.LARGEST))
    except OSError:
        return [""]


def _look_after_dispatcher() -> None:
    """End the dispatcher if it does not work, unless another gate just sees to that."""
    with suppress(OSError):
        lock = _open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if reason := end_stuck():
                raise NoDispatcher(reason)
        finally:
            os.close(lock)


def _open_lock() -> int:
    """Return the lock of starts, open."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(f"{ipc.STATE}/start.lock", flags, 0o600)


def _wait_for(lock: int, give_up_at: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise _too_late() from None
            time.sleep(LOCK_POLL)
        else:
            return


def _read_note(lock: int) -> str:
    """Return how often a start has failed, and why it did the last time."""
    return os.pread(lock, LONGEST_WORDS, 0).decode("utf-8", "replace").rstrip()


def _write_note(lock: int, before: str, reason: str) -> None:
    """Let who waits for the lock know; in place, so that it needs no room on a full disk."""
    count = before.partition(" ")[0]
    number = int(count) + 1 if count.isascii() and count.isdigit() else 1
    words = f"{number} {reason}".encode("utf-8", "replace")[: LONGEST_WORDS - 1]
    with suppress(OSError):  # no room: then everybody tries
        os.pwrite(lock, words.ljust(LONGEST_WORDS), 0)


def _start(give_up_at: float) -> socket.socket:
    """Return a connection to a new dispatcher. Raises NoDispatcher."""
    crashes, again_at = 0, 0.0
    pipe: int | None = start_dispatcher()
    try:
        while time.monotonic() < give_up_at:
            if line := ipc.call_dispatcher():
                return line
            said = None if pipe is None else _hear(pipe)
            if said is not None and pipe is not None:
                os.close(pipe)
                pipe, again_at = None, time.monotonic() + AGAIN_SECONDS
                crashes += not said
                if said == HELD:
                    said = end_stuck()  # else that one begins, or ends
                elif not said and crashes == CRASHES:
                    said = _CRASHED
                if said:
                    raise NoDispatcher(said)
            if pipe is None and time.monotonic() > again_at:
                pipe = start_dispatcher()
            time.sleep(POLL)
    finally:
        if pipe is not None:
            os.close(pipe)
    raise _too_late()


def _hear(pipe: int) -> str | None:
    """Return what a dispatcher says at its end, "" if that is nothing; None if it goes on."""
    try:
        return os.read(pipe, LONGEST_WORDS).decode("utf-8", "replace").strip()
    except BlockingIOError:
        return None


def _too_late() -> NoDispatcher:
    return NoDispatcher("the dispatcher on the server does not start")


def start_dispatcher() -> int:
    """Start a dispatcher that outlives this process, in a session of its own.

    Returns the pipe, which does not block, on which it says why it ends. Of this session's
    environment it sees nothing. If another one lives it ends at once.
    """
    log = f"{ipc.STATE}/dispatcher.log"
    argv = [sys.executable, "-I", "-m", "asyncamanda", "server", "dispatch", "--on-demand"]
    reader, writer = os.pipe()
    try:
        os.posix_spawn(
            sys.executable,
            argv,
            clean_environ(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writer, 1),
                (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ],
            setsid=True,
            setsigdef=[signal.SIGCHLD, signal.SIGHUP],
        )
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    os.set_blocking(reader, False)
    return reader

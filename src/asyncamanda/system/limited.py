"""An answer within a known time, whatever the disks, locks and programs do that it waits for."""

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from asyncamanda.system.endings import reap

_PIECE = 1 << 16
_GONE_WITHIN = 0.2  # seconds for a child that was killed: one that waits in the kernel is left


def ask_within(seconds: float, asking: Callable[[], str]) -> str | None:
    """Return what `asking` returns in a process of its own, None if that takes longer.

    Then that process is killed, with those that it started. An error there is printed there, and
    "" is returned.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(asking, writer)
    os.close(writer)
    try:
        return _read_until(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(OSError):  # it may have had no time to lead a group
            os.kill(child, signal.SIGKILL)
        reap(child, _GONE_WITHIN)


def _answer(asking: Callable[[], str], writer: int) -> NoReturn:
    """Be the child, at the head of a process group of its own."""
    answer = ""
    try:
        os.setpgid(0, 0)
        answer = asking()
    except BaseException:
        sys.stderr.write(traceback.format_exc())  # print_exc() may colour it
        sys.stderr.flush()
    try:
        with open(writer, "wb") as pipe:
            pipe.write(answer.encode("utf-8", "surrogateescape"))
    finally:
        os._exit(0)


def _read_until(reader: int, give_up_at: float) -> str | None:
    """Return all that comes before the pipe's end, None if that does not come in time."""
    pieces: list[bytes] = []
    while True:
        left = give_up_at - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return None
        piece = os.read(reader, _PIECE)
        if not piece:
            return b"".join(pieces).decode("utf-8", "surrogateescape")
        pieces.append(piece)

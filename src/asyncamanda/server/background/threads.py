"""What Amanda's file systems are asked, in threads of their own: one that hangs stops nobody else.

A thread in a call that does not return cannot be ended. So each question is waited for with a
bound, it is not asked again before the last one of its name has come back, and no thread keeps
this process from ending.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from asyncamanda.errors import LaterError
from asyncamanda.server.background.tasks import write_trouble

WITHIN = 60.0  # seconds: a disk may have to spin up, and logs may be long
AGAIN_SECONDS = 1.0

T = TypeVar("T")

_hanging: set[str] = set()


async def apart(what: str, doing: Callable[[], T]) -> T:
    """Return what `doing` returns, done in a thread; raise what it raises.

    `what` names it in words. Raises LaterError if it does not come back within a minute, or if the
    last one of that name has not come back yet.
    """
    if what in _hanging:
        raise _hung(what)
    answer = begin_apart(what, doing)
    done, _ = await asyncio.wait({answer}, timeout=WITHIN)
    if not done:
        _hanging.add(what)
        answer.cancel()
        raise _hung(what)
    return answer.result()


def begin_apart(what: str, doing: Callable[[], T]) -> "asyncio.Future[T]":
    """Return what `doing`, done in a thread of that name, will have returned or raised.

    Raises LaterError if there can be no more threads.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        _hanging.discard(what)
        if answer.cancelled():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = doing()
        except BaseException as raised:  # it is raised where it was asked for
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, error)

    try:
        threading.Thread(target=work, name=what, daemon=True).start()
    except RuntimeError as error:
        raise LaterError("no-thread", f"{what}: {error}", "has the server room?") from error
    return answer


async def apart_at_last(what: str, doing: Callable[[], T]) -> T:
    """Do the same, again and again until it comes back: for what must not be left undone."""
    while True:
        try:
            return await apart(what, doing)
        except LaterError as error:
            write_trouble(error)
        await asyncio.sleep(AGAIN_SECONDS)


def _hung(what: str) -> LaterError:
    return LaterError(
        "file-system-hangs",
        f"{what}: the file system on the server does not answer",
        "does a network file system or a disk hang there? `dmesg` and `mount` may tell",
    )

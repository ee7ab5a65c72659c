"""Keeping the machine awake for a while: a lock of logind's, which ends with its process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from asyncamanda.core.conditions.inhibit import MODES, format_what
from asyncamanda.system import clock
from asyncamanda.system.bus import Bus, BusRefused, Unavailable, open_system_bus

_SERVICE, _PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
_WHO, _WHY = "asyncamanda", "a backup is running"
_UNKNOWN_MODE = "org.freedesktop.DBus.Error.InvalidArgs"
_DENIED = {
    "org.freedesktop.DBus.Error.AccessDenied",
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
}
_SECONDS = 3.0  # logind asks polkit, which may have to be started


class Inhibition:
    """A lock that is held, or says in `problem` why it is not; made by inhibited()."""

    def __init__(self, descriptor: int | None, problem: str | None, until: datetime) -> None:
        self._descriptor = descriptor
        self._until = until
        self.problem = problem

    def tick(self) -> None:
        """Release the lock if the time is over (wall clock); to be called a few times a second."""
        if clock.now() >= self._until:
            self.let_go()

    def let_go(self) -> None:
        """Let the machine sleep from here on."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def inhibited(for_at_most: timedelta, *, with_lid: bool) -> Iterator[Inhibition]:
    """Keep the machine from sleeping, and (`with_lid`) from reacting to its lid.

    It ends with the block, after `for_at_most` (see tick), and with this process. Where that cannot
    be had, the block runs anyway.
    """
    descriptor, problem = _ask_logind(with_lid)
    lock = Inhibition(descriptor, problem, clock.now() + for_at_most)
    try:
        yield lock
    finally:
        lock.let_go()


def _ask_logind(with_lid: bool) -> tuple[int | None, str | None]:
    words = (format_what(with_lid=with_lid), _WHO, _WHY)
    try:
        with open_system_bus(_SECONDS, with_descriptors=True) as bus:
            return _take_lock(bus, words), None
    except BusRefused as error:
        if error.name in _DENIED:
            return None, "logind does not allow it to this account"
        return None, f"logind gave no lock: {error}"
    except Unavailable as error:
        return None, f"logind gave no lock: {error}"


def _take_lock(bus: Bus, words: tuple[str, str, str]) -> int:
    """Return the lock of the first mode that this logind knows. Raises Unavailable."""
    *newer, last = MODES
    ask = partial(bus.call_for_descriptor, _SERVICE, _PATH, f"{_SERVICE}.Manager", "Inhibit")
    for mode in newer:
        try:
            return ask("ssss", (*words, mode), _SECONDS)
        except BusRefused as error:
            if error.name != _UNKNOWN_MODE:
                raise
    return ask("ssss", (*words, last), _SECONDS)

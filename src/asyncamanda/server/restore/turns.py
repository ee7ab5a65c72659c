"""Turns: so many are served at a time, the others wait in an order and know their place.

All of it lies in files of one folder, each with a client's name in it and locked by its process
(flock), so that it ends with the process, whatever that dies of: `KIND.NUMBER` of each that waits,
and `KIND.slotN` of each that is served. Whoever looks or changes anything holds the folder's own
lock for that moment.
"""

import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from asyncamanda.core.protocol.authority import LONGEST_CLIENT
from asyncamanda.core.restore.turns import Waiting, must_give_way, order_turns
from asyncamanda.errors import LaterError
from asyncamanda.system.locks import read_if_locked

LOOK_EVERY = 0.3  # seconds
ADMINISTRATOR = "-"  # no client's name


@dataclass(frozen=True, slots=True)
class TurnKind:
    """What is done so many times at once: `slots`; of one client at most `most_waiting` wait.

    Who has several at once gives one up to another that has none and has waited for `patience`.
    """

    kind: str
    slots: int
    most_waiting: int
    most_in_all: int = 200
    patience: timedelta = timedelta(minutes=10)


RESTORES = TurnKind("restore", slots=2, most_waiting=2)
LISTS = TurnKind("list", slots=4, most_waiting=8)


@contextmanager
def take_turn(
    folder: Path,
    service: TurnKind,
    client: str,
    tell: Callable[[int], None],
    look_every: float = LOOK_EVERY,
) -> Iterator["RestoreTurn"]:
    """Yield when it is the client's turn, and keep it until the block ends.

    `tell` is given the place in the queue, from 1, when there is one and whenever it changes.
    Raises LaterError if too many wait already, and OSError if the folder cannot be used.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        entry = RestoreTurn(folder, service, client)
        stack.callback(entry.leave)
        entry.enter()
        told = 0
        while True:
            place = entry.look()
            if not place:
                break
            if place != told:
                told = place
                tell(place)
            time.sleep(look_every)
        yield entry


def is_any_served(folder: Path, service: TurnKind) -> bool:
    """Return whether anybody has a turn just now. Nothing is locked or written for that."""
    slots = (folder / f"{service.kind}.slot{number}" for number in range(1, service.slots + 1))
    return any(_read_locked(slot) is not None for slot in slots)


class RestoreTurn:
    """One that waits, and then is served."""

    def __init__(self, folder: Path, service: TurnKind, client: str) -> None:
        self._folder = folder
        self._service = service
        self._client = client
        self._number = 0
        self._place = 0  # at which it is served, from 1
        self._held: list[int] = []
        self._name: Path | None = None

    def enter(self) -> None:
        """Come into the queue."""
        with _locked(self._folder):
            waiting = self._read_waiting()
            own = sum(each.client == self._client for each in waiting)
            if own >= self._service.most_waiting or len(waiting) >= self._service.most_in_all:
                raise _too_many(self._service, is_own=own >= self._service.most_waiting)
            self._number = max((each.number for each in waiting), default=0) + 1
            self._name = self._folder / f"{self._service.kind}.{self._number:010}"
            self._held.append(_open_locked(self._name, self._client))

    def look(self) -> int:
        """Return the place in the queue, from 1; 0 if it is this one's turn, which it has then."""
        with _locked(self._folder):
            free, served = self._read_slots()
            order = order_turns(self._read_waiting(), served.values())
            place = [each.number for each in order].index(self._number) + 1
            if place > len(free):
                return place
            self._place = free[place - 1]
            self._held.append(_open_locked(self._slot(self._place), self._client))
            self._forget_name()
            return 0

    def find_claim(self) -> str:
        """Return why the turn has to be given up, "" if it need not be."""
        with _locked(self._folder):
            _, served = self._read_slots()
            before = time.time() - self._service.patience.total_seconds()
            if must_give_way(self._place, served, self._read_waiting(before)):
                return "another client has waited for long, and this one has several turns"
        return ""

    def leave(self) -> None:
        """Give up the place, or the turn."""
        if self._name:
            with _locked(self._folder):
                self._forget_name()
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()

    def _forget_name(self) -> None:
        if self._name:
            with suppress(FileNotFoundError):
                self._name.unlink()
            self._name = None

    def _read_waiting(self, before: float = math.inf) -> list[Waiting]:
        """Return who waits, since that Unix time; what one that is dead has left is removed."""
        found = []
        for path in self._folder.glob(f"{self._service.kind}.[0-9]*"):
            client = _read_locked(path)
            if client is None:
                path.unlink()
            elif path.stat().st_mtime <= before:
                found.append(Waiting(int(path.name.partition(".")[2]), client))
        return found

    def _slot(self, number: int) -> Path:
        return self._folder / f"{self._service.kind}.slot{number}"

    def _read_slots(self) -> tuple[list[int], dict[int, str]]:
        """Return the slots that are free, and the clients that have the others."""
        free, served = [], {}
        for number in range(1, self._service.slots + 1):
            client = _read_locked(self._slot(number))
            if client is None:
                free.append(number)
            else:
                served[number] = client
        return free, served


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only one who looks at the folder, which takes others no longer than this one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_locked(path: Path, client: str) -> int:
    """Return a file that is locked from now on, with the client's name in it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(descriptor, 0)
    with suppress(OSError):  # no room: then it is nobody's, and has its turn as any other
        os.pwrite(descriptor, client.encode(), 0)
    return descriptor


def _read_locked(path: Path) -> str | None:
    """Return the client in a file that a living process has locked, None if none has."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    name = read_if_locked(descriptor, LONGEST_CLIENT)
    return None if name is None else name.decode("ascii", "replace")


def _too_many(service: TurnKind, *, is_own: bool) -> LaterError:
    whose = "of this client's " if is_own else ""
    return LaterError(
        "too-many-restores",
        f"too many {whose}{service.kind} requests wait at the server already",
        "try again when one of them has ended",
    )

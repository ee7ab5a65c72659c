"""Turns: so many at a time, the others know their place, and who dies leaves nothing."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.watching import until

from asyncamanda.errors import LaterError
from asyncamanda.server.restore.turns import LISTS, RESTORES, take_turn

SOON = 0.01  # seconds between looks


class Caller:
    """One that takes a turn in a thread of its own, and keeps it until leave() is called."""

    def __init__(self, folder: Path, client: str) -> None:
        self.told: list[int] = []
        self.is_served = False
        self._may_leave = threading.Event()
        self._thread = threading.Thread(target=self._call, args=(folder, client), daemon=True)
        self._thread.start()

    def _call(self, folder: Path, client: str) -> None:
        with take_turn(folder, RESTORES, client, self.told.append, SOON):
            self.is_served = True
            self._may_leave.wait()

    def come(self) -> "Caller":
        """Wait until it is served, or is told its place."""
        until(lambda: self.is_served or self.told, "a turn, or a place")
        return self

    def become_served(self) -> None:
        """Wait until it is its turn."""
        until(lambda: self.is_served, "its turn")

    def leave(self) -> None:
        """End its turn."""
        self._may_leave.set()
        self._thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for turns, in which nothing may be left that waits."""
    place = tmp_path / "turns"
    yield place
    assert not [*place.glob("*.[0-9]*")]


def test_two_are_served_and_others_are_told_their_place(folder: Path) -> None:
    """Again whenever it changes, and until it is their turn."""
    first, second, third, fourth = (Caller(folder, client).come() for client in "abcd")
    assert (first.is_served, second.is_served) == (True, True)
    assert (first.told, second.told, third.told, fourth.told) == ([], [], [1], [2])
    second.leave()
    third.become_served()
    until(lambda: fourth.told == [2, 1], "its place")
    assert not fourth.is_served
    first.leave()
    fourth.become_served()
    for caller in (third, fourth):
        caller.leave()
    assert third.told == [1]


def test_who_is_served_already_comes_after_others(folder: Path) -> None:
    """Though it has waited for longer."""
    busy = [Caller(folder, "a").come() for _ in range(2)]
    again = Caller(folder, "a").come()
    other = Caller(folder, "b").come()
    until(lambda: again.told == [1, 2], "its place")
    assert other.told == [1]
    busy[0].leave()
    other.become_served()
    assert not again.is_served
    busy[1].leave()
    again.become_served()
    for caller in (again, other):
        caller.leave()


def test_only_so_many_of_one_client_wait(folder: Path) -> None:
    """Another client's are none of its; and so many in all."""
    served = [Caller(folder, "a").come() for _ in range(2)]
    waiting = [Caller(folder, "a").come() for _ in range(RESTORES.most_waiting)]
    with pytest.raises(LaterError) as error, take_turn(folder, RESTORES, "a", print):
        raise AssertionError
    assert error.value.reference == "too-many-restores"
    assert "of this client" in error.value.message
    few = replace(RESTORES, most_in_all=2)
    with pytest.raises(LaterError) as error, take_turn(folder, few, "b", print):
        raise AssertionError
    assert "of this client" not in error.value.message
    other = Caller(folder, "b").come()
    for caller in (*served, other, *waiting):
        caller.become_served()
        caller.leave()


def test_who_has_all_turns_gives_one_up_to_who_waits_for_long(folder: Path) -> None:
    """Else a client that reads slowly could keep all others from their files."""
    patience = replace(RESTORES, patience=timedelta(0))
    with take_turn(folder, RESTORES, "a", print, SOON) as first:
        with take_turn(folder, patience, "a", print, SOON) as second:
            assert (first.find_claim(), second.find_claim()) == ("", "")
            other = Caller(folder, "b").come()
            assert first.find_claim() == ""
            assert "another client" in second.find_claim()
        other.become_served()
        again = Caller(folder, "a").come()
        assert first.find_claim() == ""
        other.leave()
        again.become_served()
        again.leave()


def test_lists_do_not_wait_for_restores(folder: Path) -> None:
    """Each kind has its own turns."""
    with ExitStack() as stack:
        for service in (RESTORES, LISTS):
            for _ in range(service.slots):
                stack.enter_context(take_turn(folder, service, "a", print, SOON))
        assert len([*folder.glob("*.slot*")]) == RESTORES.slots + LISTS.slots


_HOLDER = """
import sys, time
from pathlib import Path
from asyncamanda.server.restore.turns import RESTORES, take_turn

with take_turn(Path(sys.argv[1]), RESTORES, "dead", lambda place: print(place, flush=True)):
    print("served", flush=True)
    time.sleep(1000)
"""


def test_who_is_killed_leaves_its_turn_and_its_place(folder: Path) -> None:
    """The kernel ends the lock; nobody waits for it."""
    words = []
    holders = []
    for _ in range(3):
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, folder], stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout
        holders.append(holder)
        words.append(holder.stdout.readline())
    assert words == ["served\n", "served\n", "1\n"]
    caller = Caller(folder, "alive").come()
    assert caller.told == [1]  # whose client has no turn yet
    for holder in holders:
        holder.kill()
        holder.communicate()
    caller.become_served()
    caller.leave()
    with take_turn(folder, RESTORES, "next", print):
        assert not [*folder.glob("*.[0-9]*")]


def test_the_folder_is_its_users_alone(folder: Path) -> None:
    """Who could open a file of it could hold its lock."""
    with take_turn(folder, RESTORES, "a", print):
        modes = {oct(os.stat(path).st_mode & 0o777) for path in folder.iterdir()}  # noqa: PTH116
        assert modes == {"0o600"}
        assert folder.stat().st_mode & 0o777 == 0o700

"""How much is held, and how much room there is: by what lies there, and by its file system."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles

from asyncamanda.server.amanda.holding import look_at_holding

STAMP = "20261124120000"


@pytest.fixture
def files(tmp_path: Path) -> AmandaFiles:
    """Return Amanda's folders, with 100 bytes held in the middle of what is odd."""
    files = AmandaFiles(tmp_path)
    held = files.holding / STAMP
    held.mkdir()
    (held / "a-link").symlink_to(files.holding / "nowhere")
    (held / "b-folder").mkdir()
    (held / "laptop._home.0").write_bytes(b"x" * 100)
    (held / "laptop._home.1.tmp").write_bytes(b"x" * 1000)
    (held / ".asyncamanda").write_bytes(b"1")
    (held / "pid").write_bytes(b"1")
    (files.holding / "20261123120000").write_bytes(b"a file, and no run's folder")
    (files.holding / "20261125120000").symlink_to(files.holding / "gone")
    (files.holding / "lost+found").mkdir(mode=0)
    return files


def test_one_odd_entry_hides_nothing_else(files: AmandaFiles) -> None:
    """A link to nowhere, a folder, a file that is called like a run: the dump beside it is held.

    It would never be flushed else, until the disk is full.
    """
    holding = look_at_holding(files.settings)
    assert holding.held == 100
    assert holding.oldest_at is not None
    assert holding.oldest_at.day == 24


@pytest.mark.parametrize("use", [10**9, 1 << 20])
def test_room_is_what_the_file_system_has(files: AmandaFiles, use: int) -> None:
    """Whatever `use` says: the rest cannot be held, and a flush at 70 % of it would never come."""
    system = os.statvfs(files.holding)
    free = system.f_bavail * system.f_frsize
    capacity = look_at_holding(replace(files.settings, holding_uses=(use,))).capacity
    most = min(use << 10, free + 100)
    assert most * 0.9 <= capacity <= most * 1.1


def test_all_but_so_much_may_be_used(files: AmandaFiles) -> None:
    """As `use -100 mb` says; of what is free, not of the whole file system; never less than 0."""

    def find(use: int) -> int:
        return look_at_holding(replace(files.settings, holding_uses=(use,))).capacity

    whole, some, none = find(0), find(-(100 << 10)), find(-(10**12))
    assert 90 << 20 <= whole - some <= 110 << 20
    assert none == 0


def test_a_holding_disk_that_is_not_there_has_no_room(files: AmandaFiles) -> None:
    """And takes none away from the others."""
    both = (files.holding / "gone", files.holding)
    holding = look_at_holding(replace(files.settings, holding=both, holding_uses=(1, 1)))
    assert (holding.held, holding.capacity) == (100, 1024)

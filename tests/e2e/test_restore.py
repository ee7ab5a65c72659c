"""Files come back as they were, of any date, from wherever Amanda has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import DISKS, Past, list_all, restore, restored
from tests.e2e.office import open_office


@pytest.fixture
def past(lab_prefix: Path) -> Iterator[Past]:
    """Yield an office without dumps."""
    with open_office(lab_prefix) as office:
        opened = Past(office)
        opened.set_up()
        yield opened


def check_date(past: Past, number: int) -> None:
    """Fail unless every disk is listed and comes back as it was when that run began."""
    run = past.runs[number]
    for disk in DISKS:
        wanted = past.trees[number][disk]
        assert list_all(past.client, disk, "--at", run) == {*wanted} - {"."}
        done = restore(past.client, disk, "--at", run)
        assert done.returncode == 0, (disk, number, done.stdout + done.stderr)
        assert restored(past.client, disk) == wanted, (disk, number)


def test_every_disk_comes_back_as_it_was_at_each_date(past: Past) -> None:
    """Levels 0, 1 and 2; held, mixed, on volumes in parts; compressed by client, server, another.

    The moves in between are such that `tar -xG` fails on them.
    """
    past.live_on()
    check_date(past, 0)
    past.flush()
    past.live_on()
    check_date(past, 1)
    past.live_on()
    for number in range(3):
        check_date(past, number)
    past.flush()
    check_date(past, 2)

"""Files come back as they were, of any date, from wherever Amanda has them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.back import DISKS, Past, list_all, restore, restored
from tests.e2e.office import open_office
from tests.e2e.trees import read_tree


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
    trees = past.trees[number]
    wanted = {f"{disk}/{name}" for disk, tree in trees.items() for name in tree if name != "."}
    assert list_all(past.client, "--at", run) == wanted
    done = restore(past.client, *DISKS, "--at", run)
    assert done.returncode == 0, (number, done.stdout + done.stderr)
    for disk, tree in trees.items():
        assert restored(past.client, disk) == tree, (disk, number)


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
    check_date(past, 2)
    past.flush()
    check_date(past, 2)
    check_one_name(past)


def check_one_name(past: Past) -> None:
    """Fail unless the second name of a file comes back alone, from a volume, as the file."""
    tree = past.trees[1]["/srv/docs"]
    done = restore(past.client, "/srv/docs/links/second", "--at", past.runs[1])
    assert done.returncode == 0, done.stdout + done.stderr
    got = read_tree(past.client.path("/srv/back"))["second"]
    assert got == replace(tree["links/second"], twins=())

"""Files back over a line that breaks, to a client behind a router, and onto a disk that is full."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import SLOW, begin, begin_held, go_on, restore, restored
from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import DISK, STATE, Office, ends, open_office
from tests.e2e.trees import read_tree

FILES, BYTES = 12, 2_000_000


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop is behind a router and is backed up."""
    with open_office(lab_prefix, nat=True) as opened:
        opened.fill(files=FILES, bytes_each=BYTES)
        opened.set_up()
        done = opened.backup("laptop")
        assert done.returncode == 0, done.stderr + opened.diary
        yield opened


def test_a_line_that_breaks_is_tried_again(office: Office) -> None:
    """One command, one folder: what had come before is not fetched again."""
    laptop = office.client("laptop")
    laptop.slow(SLOW)
    program = begin(laptop, DISK)
    wait_until("a file is there", lambda: laptop.path("/srv/back/docs/file-1").exists())
    connections = office.server.connections
    laptop.readdress()  # the old connection is dead, silently
    laptop.heal()
    ((code, words),) = ends([program])
    assert code == 0, words + office.diary
    assert office.server.connections > connections
    assert restored(laptop, DISK) == read_tree(laptop.path(DISK))


def test_what_was_killed_goes_on_with_resume(office: Office) -> None:
    """`--resume` finds what is there, fetches the rest, and says so."""
    laptop = office.client("laptop")
    program = begin_held(laptop, DISK)
    os.killpg(program.pid, signal.SIGKILL)
    program.communicate()
    argv = [ASYNCAMANDA, "restore", DISK, "--to", "/srv/back", "--resume"]
    done = laptop.run(argv, check=False)
    assert done.returncode == 0, done.stderr
    assert restored(laptop, DISK) == read_tree(laptop.path(DISK))


def test_a_full_disk_stops_it_cleanly(office: Office) -> None:
    """It says so, ends, and what has come is whole; with room again `--resume` brings the rest."""
    laptop = office.client("laptop")
    program = begin_held(laptop, DISK)
    laptop.fill_disk()
    go_on(program)
    ((code, words),) = ends([program])
    laptop.free_disk()
    assert code not in {0, 70}, words
    assert "No space left on device" in words
    argv = [ASYNCAMANDA, "restore", DISK, "--to", "/srv/back", "--resume"]
    done = laptop.run(argv, check=False)
    assert done.returncode == 0, done.stderr
    assert restored(laptop, DISK) == read_tree(laptop.path(DISK))


def test_no_room_is_said_before_anything_is_fetched(office: Office) -> None:
    """The server says how much will come; nothing is made."""
    laptop = office.client("laptop")
    heads = office.server.path(f"{STATE}/heads/daily")
    wait_until("its head is kept", lambda: any(heads.glob("*/[0-9]*.0")))
    for spare, words in ((0, "no room for temporary files"), (4_000_000, "24 MB would come back")):
        laptop.fill_disk(spare)
        done = restore(laptop, DISK)
        laptop.free_disk()
        assert done.returncode == 75, done
        assert words in done.stderr, done
        assert "Traceback" not in done.stderr, done
    assert not any(laptop.path("/srv").glob("back/*"))

"""What happens at server and client while files come back, and does not harm them."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import begin, begin_held, go_on, restore, restored
from tests.e2e.dumps import cut_small, flush, force_next_level
from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, Office, ends, open_office
from tests.e2e.trees import Entry, read_tree

from lab.namespaces import piped

BIG = 24_000_000  # more than all that lies between server and client can hold
VOLUME = 40_000  # kB


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has one large file, and volumes that take some of them."""
    with open_office(lab_prefix) as opened:
        cut_small(opened.server, VOLUME)
        opened.fill(files=1, bytes_each=BIG)
        opened.set_up()
        yield opened


def dump_twice(office: Office) -> dict[str, Entry]:
    """Make a full dump on a volume, and a level 1 in the holding disk; return what was there."""
    laptop = office.client("laptop")
    assert office.backup("laptop").returncode == 0, office.diary
    flush(office.server)
    laptop.path(f"{DISK}/later").write_bytes(secrets.token_bytes(BIG))
    assert office.backup("laptop", "--force").returncode == 0, office.diary
    return read_tree(laptop.path(DISK))


def test_what_happens_meanwhile_does_not_harm_it(office: Office) -> None:
    """The client's next backup, a flush, another restore, and a volume that is used again."""
    wanted = dump_twice(office)
    laptop, server = office.client("laptop"), office.server
    run = office.dumps()[-1].timestamp
    assert run
    first = begin_held(laptop, DISK, "--at", run, to="/srv/first")

    laptop.add_tree(DISK, files=1)
    force_next_level(server, "laptop", [DISK])
    done = office.backup("laptop", "--force")
    assert done.returncode == 0, done.stderr + office.diary
    flush(server)
    other = restore(laptop, f"{DISK}/file-0", "--at", run, to="/srv/other")
    assert other.returncode == 0, other.stderr
    server.amanda("amlabel", "-f", "daily", "DAILY-001", "slot", first_slot(office))

    go_on(first)
    ((code, words),) = ends([first])
    assert code == 0, words
    assert restored(laptop, DISK, "/srv/first") == wanted
    gone = restore(laptop, DISK, "--at", run)
    assert gone.returncode not in {0, 70}, gone
    assert "DAILY-001" in gone.stdout + gone.stderr


def first_slot(office: Office) -> str:
    """Return the number of the slot that the first volume is in."""
    (place,) = office.server.path("/srv/amanda/vtapes").glob("slot*/00000.DAILY-001")
    return place.parent.name.removeprefix("slot")


def test_a_third_restore_waits_and_is_told_its_place(office: Office) -> None:
    """Two at once; the next one begins when one of them has ended."""
    wanted = dump_twice(office)
    laptop = office.client("laptop")
    names = ["/srv/1", "/srv/2", "/srv/3"]
    held = [begin_held(laptop, DISK, to=to) for to in names[:2]]
    third = begin(laptop, DISK, to=names[2])
    words = piped(third.stderr)
    wait_until("it is told", lambda: "1" in words.readline())
    assert third.poll() is None
    go_on(held[0])
    done = ends([held[0], third])
    assert [code for code, _ in done] == [0, 0], done
    go_on(held[1])
    assert [code for code, _ in ends([held[1]])] == [0]
    for to in names:
        assert restored(laptop, DISK, to) == wanted

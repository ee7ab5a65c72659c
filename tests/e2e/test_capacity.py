"""What a server has room for is told, and what in its configuration is in the way of our runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, HOLDING, Office, open_office

from asyncamanda.core.model import DumpState

HOLD = "/etc/amanda/daily/hold"
LATER = "starttime 2359"


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has a disk."""
    with open_office(lab_prefix) as built:
        built.fill()
        built.set_up()
        yield built


def change(office: Office, *pairs: tuple[str, str]) -> None:
    """Change amanda.conf."""
    conf = office.server.read(CONF)
    for old, new in pairs:
        assert old in conf, old
        conf = conf.replace(old, new)
    office.server.write(CONF, conf, owner="backup")


def capacity(office: Office) -> dict[str, object]:
    """Return what `server doctor` finds of it."""
    done = office.ask("server", "doctor", "laptop", "--json", check=False)
    (check,) = [one for one in json.loads(done.stdout)["checks"] if one["check"] == "capacity"]
    return dict(check)


def test_what_is_in_the_way_of_runs_without_volumes_is_found(office: Office) -> None:
    """By the doctor, and when a client is enrolled; the limits are told either way."""
    well = capacity(office)
    assert well["troubles"] == [], well
    assert "a disk may have 5.2 GB (half of 20 volumes of 524 MB) at most" in str(well["found"])
    change(
        office,
        ("retry-dump 5", f"retry-dump 5\n    holdingdisk never\n    {LATER}"),
        ("reserve 0", "reserve 100"),
        ('"num-slot" "20"', '"num-slot" "10"'),
    )
    office.server.write(HOLD, "", owner="backup")
    said = [
        f"{HOLD} exists",
        "starttime: /srv/docs 23:59",
        "holdingdisk never: /srv/docs",
        "reserve 100",
        "tapecycle 20, and 10 volumes",
    ]
    found = capacity(office)["troubles"]
    assert isinstance(found, list)
    assert [trouble["said"] for trouble in found] == said
    enrolled = office.ask("server", "enroll", "laptop")
    assert "the holding disk takes" in enrolled.stdout
    assert all(one in enrolled.stderr for one in said), enrolled.stderr


def test_nobody_waits_awake_for_a_hold_file(office: Office) -> None:
    """A client is put off with the reason, at once, and is backed up when the file is gone."""
    office.server.write(HOLD, "", owner="backup")
    held = office.backup("laptop", "-v")
    assert held.returncode == 75, held.stderr
    assert f"has all backups wait ({HOLD} exists)" in held.stderr
    office.server.remove(HOLD)
    done = office.backup("laptop", "--force")
    assert done.returncode == 0, f"{done.stderr}\n{office.diary}"
    assert office.confirmed() == {("laptop", "/srv/docs"): DumpState.HELD}


def test_nobody_waits_awake_for_a_time_of_day(office: Office) -> None:
    """A client is put off until then: Amanda's run would wait, and the client with it."""
    change(office, ("retry-dump 5", f"retry-dump 5\n    {LATER}"))
    late = office.backup("laptop", "-v")
    assert late.returncode == 75, late.stderr
    assert "is configured to back /srv/docs up from 23:59 on" in late.stderr
    assert not office.dumps()


def test_setup_says_what_the_size_buys(office: Office) -> None:
    """Before anything is changed."""
    new = ("--new-config", "mobile", "--vtapes", "/srv/pool", "--size", "500GB")
    done = office.ask("server", "setup", "--dry-run", *new)
    assert "with 500 GB, the holding disk takes 100 GB; what is larger goes" in done.stdout
    assert "a disk may have 200 GB (half of 20 volumes of 20 GB) at most" in done.stdout


def test_a_disk_that_is_too_large_is_refused_when_it_is_enrolled(office: Office) -> None:
    """With the sum, and nothing is changed; the client's setup says how much there is."""
    before = office.server.read("/etc/amanda/daily/disklist")
    words = ("server", "enroll", "laptop", "--disk", "/home")
    refused = office.ask(*words, "--largest", "6GB", check=False)
    assert refused.returncode == 77, refused.stderr
    assert (
        "/home needs 6 GB, and the backup server can take 5.2 GB (half of 20 volumes of 524 MB)"
        in refused.stderr
    )
    assert office.server.read("/etc/amanda/daily/disklist") == before
    odd = office.ask(*words, "--largest", "much", check=False)
    assert (odd.returncode, "--largest: " in odd.stderr) == (64, True)
    office.ask(*words, "--largest", "5GB")
    assert "laptop /home roaming" in office.server.read("/etc/amanda/daily/disklist")


def test_a_closed_folder_in_the_holding_disk_stops_nothing(office: Office) -> None:
    """Of root's, as after a restore of the server: dumps are made beside it, seen, and flushed."""
    closed = f"{HOLDING}/20261124120000"
    office.server.make_directory(closed, owner="root", mode=0o700)
    office.server.write(f"{closed}/laptop._srv_docs.0", "", mode=0o600)
    done = office.backup("laptop")
    assert done.returncode == 0, f"{done.stderr}\n{office.diary}"
    assert office.confirmed() == {("laptop", "/srv/docs"): DumpState.HELD}
    office.ask("server", "flush", "daily")
    wait_until(
        "it is on a volume",
        lambda: office.confirmed() == {("laptop", "/srv/docs"): DumpState.STORED},
        60,
    )

"""What keeps the server from working is told to its clients, and never passed over."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, DISK, Office, ends, open_slow_office

DISKLIST = "/etc/amanda/daily/disklist"
BIG = 6_000_000  # bytes: some 50 s at that rate


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office where a dump of the laptop's is under way, and a tower that has none yet."""
    with open_slow_office(lab_prefix, BIG) as opened:
        yield opened


@pytest.mark.parametrize(
    ("place", "line", "said"),
    [
        (CONF, "no-such-keyword 1\n", "not a keyword"),
        (DISKLIST, "tower /srv no-such-type\n", "no-such-type"),
    ],
)
def test_a_broken_configuration_is_told(office: Office, place: str, line: str, said: str) -> None:
    """Within a minute, though nobody comes: in the log, to clients, and by `server queue`.

    The run goes on; and when it is fixed all are served.
    """
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    whole = office.server.read(place)
    office.server.append(place, line, owner="backup")
    wait_until("it is noticed", lambda: said in office.diary, 60)
    refused = office.backup("tower")
    assert refused.returncode == 78, refused.stderr + office.diary
    assert "cannot use the Amanda configuration daily: " in refused.stderr
    assert said in refused.stderr
    assert "on the server, as root: asyncamanda server doctor" in refused.stderr
    assert said in office.view()["fault"]
    assert said in office.ask("server", "queue").stdout
    flush = office.ask("server", "flush", "daily", check=False)
    assert flush.returncode == 78, flush.stdout
    assert "cannot use the Amanda configuration daily: " in flush.stderr
    assert said in flush.stderr
    hint = re.search(r"as root: (runuser .*)", flush.stderr)
    assert hint  # it can be typed as it stands, and says the same
    told = office.server.run(["sh", "-c", hint[1]], check=False)
    assert said in told.stdout + told.stderr
    office.server.write(place, whole, owner="backup")
    wait_until("that is noticed, too", lambda: "usable again" in office.diary, 60)
    office.client("laptop").heal()
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    served = office.backup("tower", "--force")
    assert served.returncode == 0, served.stderr + office.diary


def test_a_disk_that_fills_while_it_runs_is_told(office: Office) -> None:
    """Who comes then is put off with the reason, though a run waits for room to be judged."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    office.server.fill_disk()
    put_off = office.backup("tower", "-v")
    assert put_off.returncode == 75, put_off.stderr + office.diary
    assert "full" in put_off.stderr or "No space left" in put_off.stderr, put_off.stderr
    office.server.free_disk()
    office.client("laptop").heal()
    ends([agent])
    served = office.backup("tower", "--force")
    assert served.returncode == 0, served.stderr + office.diary
    assert json.loads(office.ask("server", "queue", "--json").stdout)["faults"] == []
    assert ("tower", DISK) in office.confirmed()

"""What a dump went through is recorded when it is confirmed, for the restores to come."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, DISK, Office, open_office

PLAIN, FAST = "compress none", "compress client fast"


def _recorded(office: Office, timestamp: str) -> list[dict[str, Any]]:
    """Return what is recorded of the dumps of a run."""
    argv = ("server", "runs", timestamp, "--json")
    return [each["filters"] for each in json.loads(office.ask(*argv).stdout)["dles"]]


def test_a_dump_keeps_what_it_was_made_with(lab_prefix: Path) -> None:
    """By ours and by somebody else's run; a dumptype that changes, or a flush, changes nothing."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        conf = office.server.read(CONF)
        office.server.write(CONF, conf.replace(PLAIN, FAST), owner="backup")
        office.set_up(direct=["laptop"])  # others can dump it, too
        assert office.backup("laptop").returncode == 0, office.diary
        ours = office.dumps()[0].timestamp or ""
        (first,) = _recorded(office, ours)
        assert (first["compress"], first["encrypt"]) == ("client fast", "none")

        office.server.write(CONF, conf, owner="backup")
        office.wait_idle()
        office.server.amdump("laptop")
        theirs = office.dumps()[-1].timestamp or ""
        assert office.backup("laptop", "--force").returncode == 0, office.diary
        wait_until("the run has ended", lambda: office.diary.count("ended: backed up") == 2)
        office.ask("server", "flush", "daily")
        wait_until("all is on a volume", lambda: not office.held(), 120)
        assert theirs != ours
        assert _recorded(office, ours) == [first]
        assert [each["compress"] for each in _recorded(office, theirs)][-1] == "none"
        assert office.confirmed().keys() == {("laptop", DISK)}

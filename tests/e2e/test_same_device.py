"""Amanda takes a word for a disk's name or for its device: another DLE must not be meant by it."""

import json
from pathlib import Path

from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, STATE, Office, ends, open_office

from lab import AmandaServer
from lab.patience import stretched

NAMED = "named"
DISKLIST = "/etc/amanda/daily/disklist"
NEED = f"""
import sys
from datetime import timedelta
from asyncamanda.core.dispatch.records import Protection, ProtectionKind
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.verdicts import put_protection
ledger = Ledger.open("{STATE}/ledger.sqlite", timedelta(seconds=5))
host, disk, timestamp = sys.argv[1:]
need = Protection(host, disk, timestamp, ProtectionKind.FORCE, 0)
with transaction(ledger.engine, is_writing=True) as connection:
    put_protection(connection, "daily", (host, disk), need)
"""


def _add_named(server: AmandaServer, host: str, name: str, device: str) -> None:
    """Give the disklist a DLE whose name is not its path."""
    server.append(DISKLIST, f'{host} "{name}" {device} roaming\n', owner="backup")


def _levels(office: Office, name: str) -> dict[str, int]:
    """Return the levels at which one client's disks are dumped, by name."""
    run = office.backup(name, "--force", "--json")
    assert run.returncode == 0, run.stderr + office.diary
    end = json.loads(run.stdout.splitlines()[-1])
    return {dump["disk"]: dump["level"] for dump in end["dumps"]}


def test_only_the_dle_that_needs_it_is_forced(lab_prefix: Path) -> None:
    """Another one that is dumped from the path which is the first one's name goes on as it was."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        _add_named(office.server, "laptop", NAMED, DISK)
        office.set_up()
        assert _levels(office, "laptop") == {DISK: 0, NAMED: 0}
        wait_until("the run has ended", lambda: "ended: backed up" in office.diary)
        later = str(int(office.dumps()[0].timestamp or 0) + 1)  # as a dump that failed after it
        need = ["/opt/asyncamanda/bin/python", "-c", NEED, "laptop", DISK, later]
        office.server.run(need, user="backup")
        assert _levels(office, "laptop") == {DISK: 0, NAMED: 1}, office.diary
        assert _levels(office, "laptop") == {DISK: 1, NAMED: 1}
        assert [dump.level for dump in office.server.stored("laptop", DISK)] == [0, 0, 1]
        assert [dump.level for dump in office.server.stored("laptop", NAMED)] == [0, 1, 1]


def test_a_host_that_is_called_like_anothers_disk_is_dumped_beside_it(lab_prefix: Path) -> None:
    """Named one after the other, Amanda would dump nobody; the order of the words is ours."""
    with open_office(lab_prefix, "laptop", "tower") as office:
        office.fill("laptop", "tower")
        _add_named(office.server, "laptop", "tower", DISK)
        office.set_up({"batch_window": stretched(10)})
        agents = [office.start(name) for name in ("laptop", "tower")]
        assert [code for code, _ in ends(agents)] == [0, 0], office.diary
        (log,) = office.dumps()
        assert set(log.dles) == {("laptop", DISK), ("laptop", "tower"), ("tower", DISK)}

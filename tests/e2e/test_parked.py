"""DLEs that Amanda is configured to leave out: neither due nor failed, and said to be parked."""

import json
from pathlib import Path

from tests.e2e.laptop import ask, ask_json, wait_until
from tests.e2e.office import CONF, DISK, Office, open_office

OLD, OLDER = "/srv/old", "/srv/older"
DISKLIST = "/etc/amanda/daily/disklist"
DUMPTYPES = """
define dumptype ignored {
    roaming
    ignore yes
}
define dumptype skipped {
    roaming
    strategy skip
}
"""


def _list_disks(office: Office, **dumptypes: str) -> None:
    """Let the disklist have these disks of the laptop, below /srv, by these dumptypes."""
    lines = (f"laptop /srv/{name} {dumptype}\n" for name, dumptype in dumptypes.items())
    office.server.write(DISKLIST, "".join(lines), owner="backup")


def _standings(office: Office) -> dict[str, str]:
    status = ask_json(office.client("laptop"), "status")
    return {each["disk"]: each["standing"] for each in status["disks"]}


def test_what_is_parked_is_neither_due_nor_failed(lab_prefix: Path) -> None:
    """The others are backed up, once; then nothing is due. Once all is parked no run is made."""
    with open_office(lab_prefix, "laptop") as office:
        laptop = office.client("laptop")
        office.server.append(CONF, DUMPTYPES, owner="backup")
        laptop.add_tree(DISK)
        _list_disks(office, docs="roaming", old="ignored", older="skipped")
        office.set_up()

        first = office.backup("laptop")
        assert first.returncode == 0, first.stdout + first.stderr + office.diary
        assert _standings(office) == {DISK: "fresh", OLD: "parked", OLDER: "parked"}
        again = office.backup("laptop")
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
        (run,) = json.loads(office.ask("server", "runs", "--json").stdout)
        assert run["dumps"]["failed"] + run["dumps"]["missing"] == 0
        assert run["report"] is None
        told = ask(laptop, "check").stdout.replace("\n", " ")
        assert "left out by the server's configuration: /srv/old, /srv/older" in told
        found = office.ask("server", "doctor", "laptop", check=False).stdout
        assert "parked: /srv/old (ignore), /srv/older (strategy skip)" in " ".join(found.split())

        _list_disks(office, docs="skipped", old="ignored")
        refused = office.backup("laptop", "--force")
        assert refused.returncode == 78
        assert "configured to leave out every disk of laptop" in " ".join(refused.stderr.split())
        assert ask(laptop, "status").stdout.startswith("parked: nothing is backed up")
        plain = office.backup("laptop")
        assert (plain.returncode, plain.stderr) == (0, "")
        doctor = office.ask("server", "doctor", "laptop", check=False)
        assert doctor.returncode == 78
        assert len(office.dumps()) == 1

        _list_disks(office, docs="roaming", old="ignored")
        # the disklist is read every few seconds
        wait_until("it is dumped", lambda: office.backup("laptop", "--force").returncode == 0)
        assert _standings(office) == {DISK: "fresh", OLD: "parked"}

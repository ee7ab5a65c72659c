"""The fleet of a real office: who is protected, who is away, whose backup fails, and why."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, STATE, Office, open_office


def _read_fleet(office: Office) -> dict[str, dict[str, Any]]:
    said = json.loads(office.ask("server", "fleet", "--json").stdout)
    return {each["client"]: each for each in said["clients"]}


def _states(office: Office) -> dict[str, str]:
    return {name: str(each["state"]) for name, each in _read_fleet(office).items()}


def test_two_clients_at_a_glance(lab_prefix: Path) -> None:
    """One is backed up; the other has no such disk. Two days later the first one is away."""
    with open_office(lab_prefix, "laptop", "tablet") as office:
        office.fill("laptop")
        office.server.add_dle("tablet", DISK)
        office.set_up()
        assert _states(office) == {"laptop": "never", "tablet": "never"}
        assert office.backup("laptop").returncode == 0, office.diary
        assert office.backup("tablet").returncode != 0

        found = _read_fleet(office)
        laptop, tablet = found["laptop"], found["tablet"]
        assert (laptop["state"], tablet["state"]) == ("protected", "failing")
        assert "failing because" in tablet["alarm"]
        assert laptop["alarm"] is None
        assert (laptop["days"][-1], tablet["days"][-1]) == ("b", "f")

        shown = office.ask("server", "fleet").stdout.splitlines()
        assert shown[0].split() == ["client", "state", "backup", "used", "seen", "why"]
        assert shown[1].startswith("tablet  failing")
        assert shown[-1] == "1 of 2 protected, 1 failing"
        assert f"{DISK}: levels 0, full of" in office.ask("server", "fleet", "laptop").stdout
        clients = json.loads(office.ask("server", "clients", "--json").stdout)
        assert [each["state"] for each in clients] == ["protected", "failing"]

        office.ask("server", "refresh")
        assert office.server.read(f"{STATE}/refresh.log") == ""
        office.shift_clocks(timedelta(days=2))
        wait_until("it is away", lambda: _states(office)["laptop"] == "away")
        assert _read_fleet(office)["laptop"]["alarm"] is None


def test_page_follows_by_itself(lab_prefix: Path) -> None:
    """Nobody but the dispatcher has the page and the metrics written, and soon."""
    folder, textfile = "/srv/www/fleet", "/srv/www/asyncamanda.prom"
    with open_office(lab_prefix) as office:
        office.fill("laptop")
        office.server.run(["install", "-d", "-o", "backup", "-g", "backup", "/srv/www", folder])
        office.set_up(page={"folder": folder}, metrics={"textfile": textfile})
        assert office.backup("laptop").returncode == 0, office.diary

        def is_protected() -> bool:
            pages = [office.server.path(f"{folder}/index.html"), office.server.path(textfile)]
            return all(page.exists() for page in pages) and (
                'asyncamanda_clients{state="protected"} 1' in pages[1].read_text()
            )

        log = f"{STATE}/refresh.log"
        wait_until("the page and the metrics are there", is_protected, 40)
        assert not office.server.path(log).exists() or office.server.read(log) == ""

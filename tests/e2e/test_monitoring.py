"""Monitoring of a server with a client whose backup was made: its metrics, and the plugin."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import DISK, Office, open_office
from tests.exposition import parse_exposition
from tests.plugins import Output, read_output

EXPORTER = "/var/lib/exporter"
TEXTFILE = f"{EXPORTER}/asyncamanda.prom"


def check(office: Office, *words: str, user: str = "root") -> Output:
    """Return what the plugin says at the server."""
    argv = [ASYNCAMANDA, "server", "check", *words]
    done = office.server.run(argv, user=user, check=False)
    return read_output(done.stdout, done.returncode)


def test_a_backup_is_seen_by_prometheus_and_by_nagios(lab_prefix: Path) -> None:
    """The file comes by itself; the plugin says the same; who has no rights is told so."""
    with open_office(lab_prefix, "laptop", "tower") as office:
        office.fill()
        office.server.run(["install", "-d", "-o", "backup", EXPORTER])
        office.set_up(metrics={"textfile": TEXTFILE})
        assert check(office).status == "UNKNOWN"  # there is no ledger yet
        assert office.backup("laptop").returncode == 0, office.diary
        labels = (("client", "laptop"), ("amanda_config", "daily"), ("disk", DISK))
        name = "asyncamanda_client_last_success_timestamp_seconds"
        path = office.server.path(TEXTFILE)
        wait_until(
            "the dispatcher has written the success",
            lambda: path.exists() and (name, labels) in parse_exposition(path.read_text()),
            120,
        )
        printed = parse_exposition(office.ask("server", "metrics").stdout)
        assert printed[name, labels] == parse_exposition(path.read_text())[name, labels]
        assert printed["asyncamanda_clients", (("state", "protected"),)] == 1
        assert printed["asyncamanda_holding_disk_size_bytes", (("amanda_config", "daily"),)] > 0

        for user in ("root", "backup"):
            well = check(office, "-H", "laptop", "-w", "26h", user=user)
            assert (well.status, well.numbers["age"].warn) == ("OK", "93600")
            age = well.numbers["age"].value
            assert age is not None
            assert 0 <= age < 3600
        fleet = check(office)
        assert (fleet.status, fleet.text) == ("OK", "2 clients, none needs you")
        assert check(office, "-w", "~:-1").text == "2 of 2 clients need you: laptop, tower"
        stranger = check(office, user="nobody")
        assert (stranger.status, stranger.text[:26]) == ("UNKNOWN", "this account cannot access")

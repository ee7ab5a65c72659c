"""How far back one can go, of real dumps and volumes."""

import json
from pathlib import Path

from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import DISK, open_office


def test_clients_are_listed_with_the_time_they_can_go_back_to(lab_prefix: Path) -> None:
    """Since the first dump that is there, of held ones and of those on volumes, while they last."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()

        def since() -> str | None:
            (client,) = json.loads(office.ask("server", "clients", "--json").stdout)
            return str(client["restorable_since"]) if client["restorable_since"] else None

        def say() -> str:
            return " ".join(office.ask("server", "clients").stdout.split())

        assert since() is None
        assert "daily: no volume has been written yet, of 20" in say()
        for _ in range(2):
            run = office.backup("laptop", "--force")
            assert run.returncode == 0, run.stderr + office.diary
        first = since()
        assert first is not None
        server = office.server
        server.amanda("amflush", "-b", "-f", "daily")
        assert since() == first
        assert "daily: 1 of 20 volumes written, the first on 20" in say()
        assert "none is overwritten before all are written" in say()
        server.add_dle("laptop", "/srv/new")
        assert since() is None  # not of every disk
        disklist = "/etc/amanda/daily/disklist"
        lines = server.read(disklist).splitlines(keepends=True)
        server.write(disklist, "".join(lines[:-1]), owner="backup")
        assert since() == first
        for part in server.path("/srv/amanda/vtapes").glob("slot*/*laptop*"):
            part.unlink()  # as when the volume is used again
        assert since() is None
        assert server.find().count(DISK) == 2


def test_a_client_is_told_how_far_back_it_can_go(lab_prefix: Path) -> None:
    """From its first backup's end on, until the volume is used again."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()

        def hear() -> str | None:
            run = office.backup("laptop", "--force")
            assert run.returncode == 0, run.stderr + office.diary
            asked = [ASYNCAMANDA, "status", "--json"]
            status = json.loads(office.client("laptop").run(asked).stdout)
            (disk,) = status["disks"]
            assert disk["restorable_since"] == status["restorable_since"]
            return str(status["restorable_since"]) if status["restorable_since"] else None

        def listed() -> str | None:
            (client,) = json.loads(office.ask("server", "clients", "--json").stdout)
            return str(client["restorable_since"]) if client["restorable_since"] else None

        first = hear()
        assert first is not None, office.diary
        assert first == listed()
        words = " ".join(office.client("laptop").run([ASYNCAMANDA, "status"]).stdout.split())
        assert "files can be restored since 20" in words
        assert "(as of the last connection, " in words
        server = office.server
        server.amanda("amflush", "-b", "-f", "daily")
        assert listed() == hear() == first
        for part in server.path("/srv/amanda/vtapes").glob("slot*/*laptop*"):
            part.unlink()  # as when the volume is used again
        assert listed() is None
        server.run(["touch", "/etc/amanda/daily/tapelist"])
        wait_until("another date, or none", lambda: hear() != first)

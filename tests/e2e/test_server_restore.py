"""Files back at the server, by its administrator."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import TO
from tests.e2e.office import DISK, Office, open_office
from tests.e2e.trees import read_tree


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop is backed up, and away."""
    with open_office(lab_prefix) as opened:
        opened.fill()
        laptop = opened.client("laptop")
        laptop.run(["chown", "-R", "1234:2345", DISK])
        opened.set_up()
        assert opened.backup("laptop").returncode == 0, opened.diary
        laptop.cut()
        yield opened


def test_the_administrator_lists_and_restores_a_clients_files(office: Office) -> None:
    """With owners as numbers; the ledger has who it was; a client needs not be there."""
    laptop, server = office.client("laptop"), office.server
    listed = office.ask("server", "list", "laptop", DISK, "-0").stdout.split("\0")
    assert {*listed} - {""} == {f"{DISK}/file-{number}" for number in range(3)}
    office.ask("server", "restore", "laptop", DISK, "--to", TO)
    assert read_tree(server.path(f"{TO}/docs")) == read_tree(laptop.path(DISK))
    rows = office.ask("server", "restores").stdout
    assert "root" in rows


def test_what_cannot_be_is_refused(office: Office) -> None:
    """A folder that is there, a name that is not, a client that is not, a date before all dumps."""
    (where := office.server.path("/srv/there")).mkdir()
    (where / "mine").write_text("mine")
    words = ("server", "restore", "laptop", DISK, "--to")
    assert office.ask(*words, "/srv/there", check=False).returncode not in {0, 70}
    assert [path.name for path in where.iterdir()] == ["mine"]
    for wrong, code in (
        (("laptop", f"{DISK}/file-9", "--to", TO), 65),
        (("tower", DISK, "--to", TO), 65),
        (("laptop", DISK, "--to", TO, "--at", "2001-01-01"), 65),
    ):
        done = office.ask("server", "restore", *wrong, check=False)
        assert done.returncode == code, (wrong, done)
        if wrong[0] == "laptop":
            assert "asyncamanda server list laptop" in done.stderr, done
        assert not office.server.path(TO).exists()

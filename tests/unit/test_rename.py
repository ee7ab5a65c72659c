"""server rename: a name that the disklist has already is somebody else's, unless that is said."""

from pathlib import Path

import pytest

from asyncamanda.commands.server.rename import check_name_free
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.errors import BadDataError
from asyncamanda.server.enrol.disklist import Configured
from asyncamanda.server.enrol.disklist_file import DisklistFile


def configured(*hosts: str) -> Configured:
    """Return a configuration whose disklist has a disk of each."""
    file = DisklistFile("daily", Path("/etc/amanda/daily/disklist"), "backup")
    return Configured(file, tuple(Dle(host, "/home", "/home") for host in hosts), {})


def test_a_free_name_is_free() -> None:
    """Also one that differs from the old in case alone."""
    for hosts in ((), ("laptop",), ("elm",), ("laptop", "elm")):
        check_name_free(configured(*hosts), "laptop", "larch")
    check_name_free(configured("laptop"), "laptop", "Laptop")


@pytest.mark.parametrize("hosts", [("laptop", "larch"), ("larch",), ("Larch",)])
def test_another_host_s_name_is_refused(hosts: tuple[str, ...]) -> None:
    """Whether or not the client has disks: those of the other would be taken for its own."""
    with pytest.raises(BadDataError, match="has disks of"):
        check_name_free(configured(*hosts), "laptop", "larch")


def test_disks_that_are_renamed_already_can_be_said_to_be_its_own() -> None:
    """As where the first try was interrupted between disklist and key."""
    with pytest.raises(BadDataError) as caught:
        check_name_free(configured("larch"), "laptop", "larch")
    assert "asyncamanda server rename laptop larch --disks-renamed" in caught.value.hint
    check_name_free(configured("larch"), "laptop", "larch", are_renamed=True)
    for hosts in (("laptop", "larch"), ("Larch",)):
        with pytest.raises(BadDataError, match="has disks of") as caught:
            check_name_free(configured(*hosts), "laptop", "larch", are_renamed=True)
        assert "--disks-renamed" not in caught.value.hint

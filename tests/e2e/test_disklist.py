"""server enroll --disk, and what the real Amanda makes of the disklist after it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import ASYNCAMANDA, Run

from lab import Lab

DISKLIST = "/etc/amanda/daily/disklist"
CONF = "/etc/amanda/daily/amanda.conf"
HAS = "laptop /home roaming\nlaptop docs /srv/docs roaming\nlaptop /srv/a_b roaming\n"
PYTHON = "/opt/asyncamanda/bin/python"
TIMES = 15
ADD = f"""
from pathlib import Path
from asyncamanda.server.enrol.disklist import Addition
from asyncamanda.server.enrol.disklist_file import DisklistFile
file = DisklistFile("daily", Path("{DISKLIST}"), "backup")
for number in range({TIMES}):
    Addition("{{client}}", (f"/srv/{{{{number}}}}",), "roaming").make(file)
"""


@pytest.fixture(scope="module")
def server_lab(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a lab whose server is set up, with keys of a few clients in /srv."""
    with Lab(prefix=lab_prefix) as lab:
        lab.server.run([ASYNCAMANDA, "server", "setup", "--yes"])
        for name in ("laptop", "tablet", "larch", "elm"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"/srv/{name}"]
            lab.server.run(make)
        yield lab


@pytest.fixture
def lab(server_lab: Lab) -> Lab:
    """Yield it with a disklist of the laptop's three disks, and nobody enrolled."""
    home = server_lab.server.account("backup").home
    server_lab.server.write(f"{home}/.ssh/authorized_keys", "", owner="backup", mode=0o600)
    server_lab.server.write(DISKLIST, HAS, owner="backup")
    return server_lab


def words(client: str, *disks: str, key: str = "") -> list[str]:
    """Return the argv that enrolls a client with these disks."""
    given = [word for disk in disks for word in ("--disk", disk)]
    argv = [ASYNCAMANDA, "server", "enroll", client, "--key", f"/srv/{key or client}.pub"]
    return [*argv, *given]


def enroll(lab: Lab, client: str, *disks: str, key: str = "") -> Run:
    """Enroll a client with these disks."""
    return lab.server.run(words(client, *disks, key=key), check=False)


def dles(lab: Lab) -> list[str]:
    """Return each DLE that Amanda has."""
    return lab.server.amanda("amadmin", "daily", "dles").stdout.splitlines()


def test_two_that_add_at_once_lose_no_line(lab: Lab) -> None:
    """Each reads what the other has written, and replaces that."""
    clients = ("tablet", "larch")
    added = [lab.server.start([PYTHON, "-c", ADD.format(client=name)]) for name in clients]
    for process in added:
        said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert len(dles(lab)) == 3 + TIMES * len(clients)


def test_enrolments_at_once_take_turns(lab: Lab) -> None:
    """None fails because of another."""
    clients = ("tablet", "larch", "elm")
    started = [lab.server.start(words(name, "/srv/x")) for name in clients]
    for process in started:
        said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert len(dles(lab)) == 3 + len(clients)


@pytest.mark.parametrize(
    ("client", "disk", "reason"),
    [
        ("Laptop", "/srv/x", 'Same host with different case: "laptop" and "Laptop"'),
        ("laptop", "/srv/a/b", 'Two disks are mapping to the same name: "/srv/a_b" and "/srv/a/b"'),
    ],
)
def test_what_amanda_would_refuse_is_refused_before(
    lab: Lab, client: str, disk: str, reason: str
) -> None:
    """Or Amanda could use the whole configuration no more, and every client would end with 78."""
    home = lab.server.account("backup").home
    done = enroll(lab, client, disk, key="laptop")
    assert done.returncode == 65, done.stdout + done.stderr
    assert reason in " ".join(done.stderr.split())
    assert "nothing was changed" in " ".join(done.stderr.split())
    assert lab.server.read(DISKLIST) == HAS
    assert lab.server.read(f"{home}/.ssh/authorized_keys") == ""
    assert len(dles(lab)) == 3


@pytest.mark.parametrize(
    ("given", "told", "added"),
    [
        ("/home/", "/home/ is /home, which the disklist has", []),
        ("/srv/docs", "/srv/docs is in the disklist already, as docs", []),
        ("/srv/docs/", "/srv/docs/ is in the disklist already, as docs", []),
        ("/srv/new/", "/srv/new/ is added as /srv/new", ["laptop /srv/new"]),
        ("docs", "", []),
    ],
)
def test_a_disk_is_not_backed_up_twice_by_another_name(
    lab: Lab, given: str, told: str, added: list[str]
) -> None:
    """A slash at its end, or the device of a disk that has a name, is told."""
    before = dles(lab)
    done = enroll(lab, "laptop", given)
    assert done.returncode == 0, done.stderr
    assert told in " ".join(done.stderr.split())
    assert (done.stderr == "") == (told == "")
    assert dles(lab) == before + added


def test_a_mistake_in_amanda_conf_is_told_by_its_own_line(lab: Lab) -> None:
    """Not by what Amanda says of all of them after it, nor by a warning before it."""
    conf = lab.server.read(CONF)
    lab.server.append(CONF, "amrecover_do_fsf yes\noops 3\n", owner="backup")
    try:
        done = enroll(lab, "laptop", "/srv/new")
    finally:
        lab.server.write(CONF, conf, owner="backup")
    said = " ".join(done.stderr.split())
    line = len(conf.splitlines()) + 2
    assert (done.returncode, f"line {line}: error: not a keyword" in said) == (65, True), said
    assert not re.search("errors processing", said)

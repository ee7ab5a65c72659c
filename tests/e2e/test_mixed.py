"""Clients and servers of different Debians: each as the other's, with the other's Amanda and tar.

Another Debian's root, with the packages that the lab needs, is named by $ASYNCAMANDA_OTHER_ROOT
(README, "Working on it"). Without it only this machine's Debian is tried, with itself.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.office import DISK, Office, ends, open_office
from tests.e2e.stopping import stop_next, wait_stopped

from lab import Root
from lab.patience import stretched

SERVER, CLIENTS = "amanda", ("laptop", "tower")
BIG, SLOW = 2_000_000, 1_000_000  # bytes, and bits a second: some 17 s
MATRIX = {
    "none other": (),
    "client other": CLIENTS,
    "server other": (SERVER,),
    "all other": (SERVER, *CLIENTS),
}

Agent = subprocess.Popen[str]


def release(root: Path) -> str:
    """Return which Debian a root is of."""
    lines = (root / "usr/lib/os-release").read_text().splitlines()
    return next(line for line in lines if line.startswith("VERSION_CODENAME="))


@pytest.fixture(scope="module")
def other(lab_prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Return another Debian's root, and asyncamanda for its Python; nothing needs compiling."""
    named = os.environ.get("ASYNCAMANDA_OTHER_ROOT")
    if not named:
        pytest.skip("ASYNCAMANDA_OTHER_ROOT names no root of another Debian")
    root, prefix = Path(named), tmp_path_factory.mktemp("other") / "installed"
    if release(root) == release(Path("/")):
        raise pytest.UsageError(f"ASYNCAMANDA_OTHER_ROOT={root} is of this machine's own Debian")
    shutil.copytree(lab_prefix, prefix, symlinks=True)
    (ours,) = (prefix / "lib").glob("python3.*")
    for python in (root / "usr/bin").glob("python3.*[0-9]"):
        theirs = prefix / "lib" / python.name
        if theirs != ours:
            theirs.symlink_to(ours.name)
    return Root(root, prefix)


@pytest.fixture(params=MATRIX)
def office(lab_prefix: Path, request: pytest.FixtureRequest) -> Iterator[Office]:
    """Yield an office behind a router, in which those whom MATRIX names are of another Debian."""
    others = MATRIX[request.param]
    roots = {name: request.getfixturevalue("other") for name in others}
    with open_office(lab_prefix, *CLIENTS, nat=True, roots=roots) as opened:
        for host in opened.lab.hosts:
            is_other = release(host.path("/")) != release(Path("/"))
            assert is_other == (host.name in others)
        opened.fill("tower")
        opened.fill("laptop", files=1, bytes_each=BIG)
        opened.set_up({"batch_window": stretched(3), "grace": "5s"})
        yield opened


def start_both(office: Office) -> dict[str, Agent]:
    """Start both agents, for one run."""
    return {name: office.start(name, "--force") for name in CLIENTS}


def check_restored(office: Office, name: str) -> None:
    """Fail unless the server's dumps are what the client has."""
    assert office.server.restore(name, DISK) == office.client(name).tree(DISK)


def back_up_both(office: Office, level: int) -> None:
    """Back both up by one run, on this level, and compare what is restored."""
    count = len(office.dumps())
    done = ends(start_both(office).values())
    assert [code for code, _ in done] == [0, 0], [*done, office.diary]
    (run,) = office.dumps()[count:]
    assert {(each.host, each.level) for each in run.verdicts} == {(name, level) for name in CLIENTS}
    for name in CLIENTS:
        check_restored(office, name)


def lose_laptop(office: Office, agents: dict[str, Agent]) -> None:
    """Pull the laptop's cable: its run dumps the tower anyway, and ends."""
    laptop = office.client("laptop")
    laptop.cut()
    ((code, words),) = ends([agents["tower"]], 90)
    assert code == 0, words + office.diary
    office.wait_idle()
    run = office.dumps()[-1]
    assert run.is_planned
    assert run.is_finished
    failures = office.failures()
    assert any(" laptop " in line for line in failures)
    assert not any(" tower " in line for line in failures), failures
    check_restored(office, "tower")
    agents["laptop"].kill()
    agents["laptop"].communicate()
    laptop.heal()


def lose_while_asked(office: Office) -> None:
    """Lose the laptop while the planner waits for its estimate."""
    laptop = office.client("laptop")
    stop_next(laptop, "sendsize")
    agents = start_both(office)
    wait_stopped(laptop, "sendsize")  # the planner asks
    lose_laptop(office, agents)


def lose_while_it_dumps(office: Office) -> None:
    """Lose the laptop in the middle of a dump."""
    laptop = office.client("laptop")
    laptop.add_tree(DISK, files=1, bytes_each=BIG)
    laptop.slow(SLOW)
    agents = start_both(office)
    office.wait_for_dump("laptop")
    lose_laptop(office, agents)


def test_backups_of_another_debian_are_whole_and_losses_stay_ones_own(office: Office) -> None:
    """Full, incremental, a client lost while it is asked and while it dumps; each restored."""
    for level in (0, 1):
        back_up_both(office, level)
        for name in CLIENTS:
            office.client(name).add_tree(DISK, files=1, bytes_each=50_000)
    for lose in (lose_while_asked, lose_while_it_dumps):
        count = len(office.dumps())
        lose(office)
        assert len(office.dumps()) == count + 1
        run = office.backup("laptop", "--force", seconds=120)
        assert run.returncode == 0, run.stderr + office.diary
        check_restored(office, "laptop")

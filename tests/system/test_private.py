"""What is remembered is for its user alone: nobody else can read it, lock it, or slip in another.

As root and as an ordinary user; and what an older version left open is closed by the next start.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncamanda.client.start.folders import make_folder
from asyncamanda.client.state.memory import write_memory
from asyncamanda.core.model import Memory
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.files import write_whole
from asyncamanda.system.locks import hold_lock
from asyncamanda.system.steps import make_step, plan_file

if TYPE_CHECKING:
    from tests.system.conftest import Rig

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LOCK_AS_ANYBODY = """\
import fcntl, os, sys
os.setresuid(65534, 65534, 65534)
try:
    fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)
except PermissionError:
    print("refused")
"""


def mode_of(path: Path) -> int:
    """Return the twelve bits of chmod."""
    return stat.S_IMODE(path.lstat().st_mode)


def try_as_anybody(path: Path) -> str:
    """Return what an account without rights says when it wants to hold the lock."""
    argv = [sys.executable, "-c", LOCK_AS_ANYBODY, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let files be made as openly as an account may have it."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_what_is_remembered_is_made_for_its_user_alone(tmp_path: Path) -> None:
    """Whatever the umask is."""
    folder = tmp_path / "state" / "asyncamanda" / "client" / "1234abcd"
    make_folder(folder)
    write_memory(folder, Memory(since=NOW))
    with hold_lock(folder / "lock", NOW):
        assert mode_of(folder / "lock") == 0o600
    assert mode_of(folder / "memory.json") == 0o600
    assert mode_of(folder) == mode_of(folder.parent) == 0o700


@pytest.mark.usefixtures("open_umask")
def test_what_an_older_version_left_open_is_closed(tmp_path: Path) -> None:
    """The folder, the one above it, and the lock, which anybody could hold."""
    folder = tmp_path / "client" / "1234abcd"
    folder.mkdir(parents=True)
    (folder / "lock").touch(0o644)
    tmp_path.chmod(0o755)
    make_folder(folder)
    with hold_lock(folder / "lock", NOW):
        pass
    assert mode_of(folder) == mode_of(folder.parent) == 0o700
    assert mode_of(folder / "lock") == 0o600
    assert mode_of(tmp_path) == 0o755


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    """Nothing is emptied in its place."""
    (tmp_path / "precious").write_text("here")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="lock"), hold_lock(tmp_path / "lock", NOW):
        pass
    assert (tmp_path / "precious").read_text() == "here"


@pytest.mark.parametrize("kind", ["symbolic", "hard", "leftover"])
def test_a_file_is_written_through_no_link(tmp_path: Path, kind: str) -> None:
    """Root writes in folders of the Amanda user's, who may have laid one."""
    precious = tmp_path / "precious"
    precious.write_text("here")
    trap = tmp_path / ".file.new"
    if kind == "symbolic":
        trap.symlink_to(precious)
    elif kind == "hard":
        trap.hardlink_to(precious)
    else:
        trap.write_text("half")
    write_whole(tmp_path / "file", "new", 0o600)
    assert precious.read_text() == "here"
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()
    assert not trap.exists()


def test_nobody_else_can_hold_the_agents_lock(rig: Rig) -> None:
    """As root's timer starts it; and the folder that an older version left open is closed."""
    rig.configure(server="backup@amanda:2222")
    rig.run("run")
    folder = rig.laptop.path(f"{rig.state}/client")
    folder.chmod(0o755)
    for each in folder.iterdir():
        each.chmod(0o644)
    lock = folder / "lock"
    argv = ["/usr/bin/python3", "-c", LOCK_AS_ANYBODY, f"{rig.state}/client/lock"]
    assert rig.laptop.start(argv).communicate()[0] == ""  # the trouble that was
    rig.run("run")
    started = rig.laptop.start(argv)
    assert started.communicate() == ("refused\n", "")
    assert {name.name: oct(mode_of(name)) for name in (folder, lock, folder / "memory.json")} == {
        "client": "0o700",
        "lock": "0o600",
        "memory.json": "0o600",
    }


def test_roots_folders_are_not_made_through_a_link(rig: Rig) -> None:
    """The Amanda user owns client/, and may have put another's file or folder there."""
    rig.configure(server="backup@amanda:2222")
    rig.run("run")
    config = "/etc/asyncamanda/other.toml"
    rig.laptop.write(config, rig.laptop.path(rig.config).read_text())
    rig.run("run", "--config", config)
    client = rig.laptop.path(f"{rig.state}/client")
    (made,) = (each for each in client.iterdir() if each.is_dir() and each.name != "ssh")
    precious = rig.laptop.path("/srv/precious")
    precious.mkdir(parents=True)
    subprocess.run(["rm", "-r", str(made)], check=True)
    made.symlink_to("/srv/precious")
    rig.run("run", "--config", config)
    assert precious.lstat().st_uid == 0
    assert not list(precious.iterdir())


def test_a_shared_lock_of_anybodys_holds_no_start(tmp_path: Path) -> None:
    """It cannot even be opened."""
    make_folder(tmp_path / "client")
    with hold_lock(tmp_path / "client" / "lock", NOW):
        pass
    assert try_as_anybody(tmp_path / "client" / "lock") == "refused"
    with hold_lock(tmp_path / "client" / "lock", NOW):
        held = os.open(tmp_path / "client" / "lock", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(held)


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_root_gives_nothing_away_through_a_link(tmp_path: Path, kind: str) -> None:
    """A second name of root's file, laid where one of the Amanda user's is to be."""
    precious = tmp_path / "precious"
    precious.write_text("here")
    trap = tmp_path / "authorized_keys"
    trap.symlink_to(precious) if kind == "symbolic" else trap.hardlink_to(precious)
    account = pwd.getpwnam("nobody")
    with pytest.raises(AsyncamandaError, match="could not be done"):
        make_step(plan_file(trap, account, 0o600))
    assert precious.stat().st_uid == os.geteuid()
    trap.unlink()
    make_step(plan_file(trap, account, 0o600))
    assert trap.stat().st_uid == account.pw_uid

"""Since when accounts are there: what the agent writes down, and what a home says."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asyncamanda.client.restore.standing import ask_age, may_reach
from asyncamanda.client.state import accounts
from asyncamanda.client.state.accounts import (
    FILE_NAME,
    LOCK_NAME,
    note_accounts,
    read_accounts,
    write_accounts,
)
from asyncamanda.core.restore.accounts import (
    SeenAccount,
    SeenAccounts,
    look_again,
    meet,
    parse_passwd,
)
from asyncamanda.core.restore.permission import Asker
from asyncamanda.errors import RefusedError

NOW = datetime(2090, 1, 1, tzinfo=UTC)  # what lies on a disk is older
UID = 3000


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a home that only root can have put where it is."""
    folder = Path(tempfile.mkdtemp(prefix="asyncamanda-home-", dir="/var/lib"))
    folder.chmod(0o755)
    own = folder / "ana"
    own.mkdir()
    os.chown(own, UID, UID)
    yield own
    shutil.rmtree(folder)


def account(home: Path | str = "/nonexistent", name: str = "ana") -> pwd.struct_passwd:
    """Return an account."""
    return pwd.struct_passwd((name, "x", UID, UID, "", str(home), "/bin/sh"))


def keep(folder: Path, since: datetime = NOW, began_at: datetime = NOW) -> None:
    """Let ana be known."""
    seen = SeenAccounts(began_at, since, (SeenAccount(UID, "ana", since, is_local=True),))
    write_accounts(folder, seen)


def read_birth(path: Path) -> datetime | None:
    """Return when a folder was made, None where its file system does not say."""
    done = subprocess.run(["stat", "-c", "%W", path], capture_output=True, text=True, check=True)
    return datetime.fromtimestamp(int(done.stdout), UTC) if int(done.stdout) else None


def test_accounts_are_written_down_for_the_amanda_user_alone(tmp_path: Path) -> None:
    """All that /etc/passwd has of persons; and again, with the time of the first look."""
    note_accounts(tmp_path, NOW)
    note_accounts(tmp_path, NOW + timedelta(days=1))
    seen = read_accounts(tmp_path)
    assert seen
    assert (seen.began_at, seen.looked_at) == (NOW, NOW + timedelta(days=1))
    assert {(one.uid, one.name) for one in seen.accounts} == parse_passwd(
        Path("/etc/passwd").read_text("utf-8")
    )
    assert {one.since for one in seen.accounts} <= {NOW}
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"began_at": 1}', "9" * 5000])
def test_what_is_damaged_begins_again(tmp_path: Path, text: str) -> None:
    """Nobody is older by that than at a first look."""
    (tmp_path / FILE_NAME).write_text(text)
    assert read_accounts(tmp_path) is None
    with pytest.raises(RefusedError):
        ask_age(tmp_path, account(), NOW)
    note_accounts(tmp_path, NOW)
    seen = read_accounts(tmp_path)
    assert seen
    assert seen.began_at == NOW


def test_a_home_that_is_older_than_the_first_look_counts(tmp_path: Path, home: Path) -> None:
    """As far as its file system says when it was made."""
    keep(tmp_path)
    assert ask_age(tmp_path, account(home), NOW) == (read_birth(home) or NOW)
    later = NOW + timedelta(days=1)
    keep(tmp_path, since=later)
    assert ask_age(tmp_path, account(home), later) == later


def test_a_home_that_others_may_have_put_there_does_not_count(tmp_path: Path, home: Path) -> None:
    """Nor one that is another's, or a link."""
    keep(tmp_path)
    os.chown(home, 3001, 3001)
    assert ask_age(tmp_path, account(home), NOW) == NOW
    os.chown(home, UID, UID)
    home.parent.chmod(0o777)
    assert ask_age(tmp_path, account(home), NOW) == NOW
    home.parent.chmod(0o755)
    os.chown(home.parent, UID, UID)
    assert ask_age(tmp_path, account(home), NOW) == NOW
    os.chown(home.parent, 0, 0)
    link = home.with_name("link")
    link.symlink_to(home)
    assert ask_age(tmp_path, account(link), NOW) == NOW


def test_whoever_is_new_is_known_from_now_on(tmp_path: Path) -> None:
    """As one of a network's directory."""
    keep(tmp_path)
    later = NOW + timedelta(days=1)
    assert ask_age(tmp_path, account(name="zoe"), later) == later
    assert ask_age(tmp_path, account(name="zoe"), later + timedelta(days=1)) == later


def test_folders_above_a_disk_have_to_be_open(home: Path) -> None:
    """All of them, by whatever links the path goes; and one that is not a path is out of reach."""
    asker = Asker(3001, "bob", (frozenset({"3001"}),))
    disk = home / "disk"
    home.chmod(0o711)
    assert may_reach(str(disk), asker)
    (home.parent / "way").symlink_to(home)
    assert may_reach(str(home.parent / "way" / "disk"), asker)
    home.chmod(0o700)
    assert not may_reach(str(disk), asker)
    assert not may_reach(str(home.parent / "way" / "disk"), asker)
    assert may_reach(str(disk), Asker(UID, "ana", (frozenset({"3000"}),)))
    assert not may_reach("disk", asker)
    assert not may_reach("/nonexistent/disk", asker)


def test_two_that_write_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """The agent, and brokers of users who come for the first time: each reads what it changes."""
    keep(tmp_path)
    names = [f"user{number}" for number in range(8)]
    children = []
    for name in names:
        child = os.fork()
        if child == 0:
            found = pwd.struct_passwd((name, "x", 4000 + names.index(name), 0, "", "/x", "/bin/sh"))
            ask_age(tmp_path, found, NOW)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    seen = read_accounts(tmp_path)
    assert seen
    assert {one.name for one in seen.accounts} == {"ana", *names}


def test_one_that_has_gone_does_not_come_back_by_who_looked_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever gets its name and uid would be as old: nobody else writes meanwhile."""
    keep(tmp_path)
    held = []

    def notice(change: Callable[..., SeenAccounts]) -> Callable[..., SeenAccounts]:
        def change_it(*words: Any) -> SeenAccounts:
            with (tmp_path / LOCK_NAME).open() as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(change.__name__)
            return change(*words)

        return change_it

    monkeypatch.setattr(accounts, "meet", notice(meet))
    monkeypatch.setattr(accounts, "look_again", notice(look_again))
    ask_age(tmp_path, account(name="zoe"), NOW)
    note_accounts(tmp_path, NOW)
    assert held == ["meet", "look_again"]
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600

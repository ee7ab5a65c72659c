"""The list of what client.toml leaves out: written before each backup, or there is no backup."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from asyncamanda.client.backup import excludes
from asyncamanda.client.backup.excludes import write_excludes
from asyncamanda.client.start.settings import Plan, plan_classic
from asyncamanda.core.agent.classic import ClassicArguments
from asyncamanda.errors import ConfigurationError, LaterError, RefusedError

WORDS = ClassicArguments(interval="1", host="amanda", command="true", amandates="/nowhere")


def plan(tmp_path: Path, *patterns: str) -> Plan:
    """Return a plan by which the list is in a folder of the test's."""
    usual = plan_classic(WORDS)
    return replace(usual, exclude=patterns, excludes_file=tmp_path / "excludes")


def test_the_list_says_what_client_toml_does(tmp_path: Path) -> None:
    """None is made where nothing is left out; one that is right stays as it is."""
    path = tmp_path / "excludes"
    write_excludes(plan(tmp_path))
    assert not path.exists()
    write_excludes(plan(tmp_path, "*.iso", "VMs"))
    assert path.read_text() == "*.iso\nVMs\n"
    before = path.stat()
    write_excludes(plan(tmp_path, "*.iso", "VMs"))
    assert path.stat().st_ino == before.st_ino
    write_excludes(plan(tmp_path))
    assert path.read_text() == ""


@pytest.mark.parametrize("kind", ["link", "pipe", "large"])
def test_whatever_else_is_there_is_replaced(tmp_path: Path, kind: str) -> None:
    """Nothing is waited for, and what a link names stays as it is."""
    path, other = tmp_path / "excludes", tmp_path / "other"
    other.write_text("*.iso\n")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("*.iso\n" * excludes.LARGEST)
    write_excludes(plan(tmp_path, "*.iso"))
    assert (path.is_symlink(), path.read_text()) == (False, "*.iso\n")
    assert other.read_text() == "*.iso\n"


@pytest.mark.parametrize("patterns", [(), ("*.iso",)])
def test_without_the_list_nothing_is_backed_up(tmp_path: Path, patterns: tuple[str, ...]) -> None:
    """Where a folder is in its place, too: it is said what to do."""
    (tmp_path / "excludes" / "full").mkdir(parents=True)
    with pytest.raises(RefusedError) as caught:
        write_excludes(plan(tmp_path, *patterns))
    assert caught.value.message == f"{tmp_path}/excludes cannot be written: Is a directory"
    assert "remove what is there" in caught.value.hint
    assert [each.name for each in tmp_path.iterdir()] == ["excludes"]


def test_a_full_disk_is_no_matter_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and nothing is backed up until then."""
    monkeypatch.setattr(excludes, "write_whole", lambda *_: Path("/dev/full").write_text("x"))
    with pytest.raises(LaterError, match="No space left"):
        write_excludes(plan(tmp_path, "*.iso"))


def test_where_amanda_reads_no_list_it_is_refused(tmp_path: Path) -> None:
    """As of a user's own configuration: that would be backed up which is meant to be left out."""
    own = replace(plan(tmp_path, "*.iso"), excludes_file=None)
    with pytest.raises(ConfigurationError, match=r"no effect but in /etc/asyncamanda/"):
        write_excludes(own)
    write_excludes(replace(own, exclude=()))

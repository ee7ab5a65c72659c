"""A restore that goes wrong half way harms no file that was there, and says what is missing."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system import restoring_gate
from tests.system.test_restore_client import (
    Rehearsed,
    Teller,
    die_after,
    gate,
    new_folder,
    wait_until,
)
from tests.system.test_untar import file, other, stream_of
from tests.system.trees import describe

from asyncamanda.client.restore import in_place, record
from asyncamanda.client.restore.delivery import InPlace, NewFolder
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.record_lines import Errand, Part
from asyncamanda.client.restore.restoring import restore_all
from asyncamanda.core.restore.image import Kind
from asyncamanda.core.restore.request import At
from asyncamanda.errors import BadDataError, LaterError, ProtocolError
from asyncamanda.system.attributes import Attributes
from asyncamanda.system.interrupts import StopRequest

__all__ = ["gate"]  # the fixture


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let this process write no file that is larger, as a file system may."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def back(gate: Rehearsed, *paths: bytes, overwrite: str = "never") -> InPlace:
    """Return the delivery of these paths to where they were."""
    return InPlace(Errand((gate.part(*paths),), b"", overwrite), is_resumed=False)


@pytest.mark.parametrize("overwrite", ["newer", "always"])
def test_half_a_file_replaces_none(gate: Rehearsed, tmp_path: Path, overwrite: str) -> None:
    """What could not be written whole is named, and the file that is there stays."""
    there = tmp_path / "tree/large"
    there.write_text("mine")
    os.utime(there, (5, 5))
    with files_up_to(1 << 20):
        outcome = gate.restore(back(gate, b"large", b"one", overwrite=overwrite))
    assert [path for path, _ in outcome.failed] == [os.fsencode(there)]
    assert there.stat().st_size == len("mine")
    assert (outcome.files, outcome.is_whole) == (1 - len(outcome.kept), False)


def test_half_a_file_does_not_pass_for_a_whole_one(gate: Rehearsed, tmp_path: Path) -> None:
    """In a new folder it is missing, as is said, rather than short."""
    with files_up_to(1 << 20):
        outcome = gate.restore(new_folder(gate, tmp_path / "out", b"large", b"one"))
    assert [path for path, _ in outcome.failed] == [os.fsencode(tmp_path / "tree/large")]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one"]


def test_what_is_missing_is_told_though_the_connection_broke_behind_the_stream(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """The server names it at the end, when all bytes are there: so it is asked once more."""
    gate.scenario |= {"late": {"listed/lost": "in no dump"}, "breaks_last": 1}
    outcome = gate.restore(new_folder(gate, tmp_path / "out", b"listed"))
    assert outcome.missing == ((os.fsencode(tmp_path / "tree/listed/lost"), "in no dump"),)
    assert gate.visits() == 2
    assert (tmp_path / "out/listed/below").read_text() == "below"


def test_a_server_that_goes_on_with_another_dump_is_left(gate: Rehearsed, tmp_path: Path) -> None:
    """Files of two dates are not mixed, whatever a server makes of a resumed request."""
    gate.scenario |= {"cuts": [1_000_000], "moves_on": True}
    with pytest.raises(ProtocolError, match="another dump"):
        gate.restore(new_folder(gate, tmp_path / "out", b""))


def test_what_took_the_hidden_folders_name_is_not_removed(gate: Rehearsed, tmp_path: Path) -> None:
    """Who owns the folder around it may rename there while root restores."""
    gate.scenario |= {"hold": str(gate.folder / "let-go"), "hold_at": 2_000_000}
    tree = tmp_path / "tree"
    child = os.fork()
    if child == 0:
        gate.restore(back(gate, b""))
        os._exit(0)
    wait_until((gate.folder / "holding").exists)
    (hidden,) = tree.glob(".asyncamanda-restoring-*")
    hidden.rename(tmp_path / "moved")
    hidden.mkdir()
    (hidden / "precious").write_text("mine")
    (gate.folder / "let-go").touch()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (hidden / "precious").read_text() == "mine"


def test_a_folder_that_somebody_made_meanwhile_stays_as_it_is(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """After a kill just before it would have been put there."""
    tree = tmp_path / "tree"
    subprocess.run(["rm", "-r", tree / "secret"], check=True)
    child = os.fork()
    if child == 0:
        die_after(0)
        gate.restore(back(gate, b"secret"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    (tree / "secret").mkdir()
    (tree / "secret").chmod(0o755)
    (tree / "secret/own").write_text("mine")
    os.utime(tree / "secret", (5, 5))
    before = (tree / "secret").stat()
    errand = Errand((gate.part(b"secret"),), b"", "never")
    assert gate.restore(InPlace(errand, is_resumed=True)).is_whole
    after = (tree / "secret").stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    assert (tree / "secret/key").read_text() == "secret"


def test_a_devices_name_leads_nowhere_else(gate: Rehearsed, tmp_path: Path) -> None:
    """The server says it; what was typed is where files go, whatever links there are."""
    tree = tmp_path / "tree"
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/tree").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "elsewhere/deep")
    (tree / "one").unlink()
    part = Part("/srv", f"{tmp_path}/way/../tree", (b"one",), At())
    gate.restore(InPlace(Errand((part,), b"", "never"), is_resumed=False))
    assert (tree / "one").read_text() == "one"
    assert [*(tmp_path / "elsewhere/tree").iterdir()] == []


def test_a_tree_that_is_there_already_is_no_matter_of_how_deep(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """All that was staged for it goes in the end."""
    path = b"/".join([b"d"] * 1200)
    folders = [other(Kind.FOLDER, path[: 2 * n + 1], mode=0o755) for n in range(1200)]
    (tmp_path / "sent").write_bytes(stream_of(*folders, file(path + b"/f")))
    gate.scenario["stream"] = str(tmp_path / "sent")
    gate.scenario["also"] = ["d"]
    try:
        for _ in range(2):
            assert gate.restore(back(gate, b"d", overwrite="always")).is_whole
        assert not [*(tmp_path / "tree").glob(".asyncamanda*")]
    finally:
        left = [*(tmp_path / "tree").glob(".asyncamanda*"), tmp_path / "tree/d"]
        subprocess.run(["rm", "-rf", *left], check=True)


def test_the_hint_names_all_that_is_still_to_come(gate: Rehearsed, tmp_path: Path) -> None:
    """Also what is of disks that come later, and how it was to be restored."""
    gate.scenario["cuts"] = [1_000_000]
    gate.reconnect_for = timedelta(0)
    first, second = gate.part(b"secret", b"large"), Part("/other", "/other", (b"x y",), At())
    again = ("--config", "/root/my own")
    delivery = InPlace(Errand((first,), b"", "newer"), is_resumed=False, again=again)
    delivery.later = (second,)
    with pytest.raises(LaterError) as caught:
        gate.restore(delivery)
    assert caught.value.hint == (
        "to go on: asyncamanda restore --resume --in-place --config '/root/my own' "
        f"{tmp_path}/tree/secret {tmp_path}/tree/large '/other/x y'"
    )


def test_a_record_says_which_files_it_is_about(gate: Rehearsed, tmp_path: Path) -> None:
    """Whatever the hidden folder is called: somebody may have renamed it."""
    gate.scenario["cuts"] = [1_000_000]
    gate.reconnect_for = timedelta(0)
    names: list[Path] = []
    for path in (b"one", b"suid"):
        with pytest.raises(LaterError):
            gate.restore(back(gate, b"secret", path, b"large", overwrite="always"))
        (name,) = {*(tmp_path / "tree").glob(".asyncamanda*")} - {*names}
        names.append(name)
        (gate.folder / "visits").unlink()
    names[0].rename(tmp_path / "kept")
    names[1].rename(names[0])
    with pytest.raises(BadDataError, match="other files"):
        InPlace(Errand((gate.part(b"secret", b"one", b"large"),), b"", "always"), is_resumed=True)


def test_a_new_folders_hint_names_the_configuration(gate: Rehearsed, tmp_path: Path) -> None:
    """One that was named has to be named again."""
    gate.scenario["cuts"] = [1_000_000]
    gate.reconnect_for = timedelta(0)
    delivery = NewFolder(
        new_folder(gate, tmp_path / "out", b"").errand, tmp_path / "out", ("--config", "/root/x")
    )
    with pytest.raises(LaterError) as caught:
        gate.restore(delivery)
    line = f"asyncamanda restore --resume --config /root/x --to {tmp_path}/out"
    assert caught.value.hint == f"to go on: {line}"


@pytest.mark.parametrize("overwrite", ["never", "always"])
def test_a_dry_run_in_place_names_what_is_there(
    gate: Rehearsed, tmp_path: Path, overwrite: str
) -> None:
    """Files that would be kept or replaced, and what is in the way; nothing is made."""
    tree = tmp_path / "tree"
    for gone in ("one", "secret/key"):
        (tree / gone).unlink()
    (tree / "nothing").unlink()
    (tree / "nothing").mkdir()
    subprocess.run(["rm", "-r", tree / "odd", tree / "listed"], check=True)
    (tree / "odd").write_text("a file now")
    before = describe(tree)
    part = gate.part(b"one", b"two", b"secret", b"nothing", b"odd", b"listed", b"closed", b"gone")
    outcome = gate.rehearse(InPlace(Errand((part,), b"", overwrite), is_resumed=False))
    top = os.fsencode(tree)
    assert outcome.existing == (top + b"/closed/within/file", top + b"/two")
    assert outcome.overwrite == overwrite
    assert outcome.failed == (
        (top + b"/nothing", in_place.IN_THE_WAY),
        (top + b"/odd", in_place.ON_THE_WAY),
    )
    assert describe(tree) == before


def test_a_dry_run_in_place_looks_nowhere_else(gate: Rehearsed, tmp_path: Path) -> None:
    """Names that were not asked for are no answer."""
    gate.scenario["listed"] = ["Ylisted/x", "Ysecret/key"]
    delivery = InPlace(Errand((gate.part(b"listed"),), b"", "never"), is_resumed=False)
    with pytest.raises(ProtocolError) as caught:
        gate.rehearse(delivery)
    assert caught.value.reference == "bad-answer"
    assert tmp_path.exists()


def test_who_has_left_a_group_since_begins_again(
    gate: Rehearsed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary user gets other files then, so that their number tells no place in the stream."""
    gate.scenario["cuts"] = [1_000_000]
    gate.reconnect_for = timedelta(0)
    monkeypatch.setattr(record, "describe_user", lambda: [3000, 100, 3000])
    with pytest.raises(LaterError):
        gate.restore(new_folder(gate, tmp_path / "out", b""))
    monkeypatch.setattr(record, "describe_user", lambda: [3000, 3000])
    assert gate.restore(NewFolder.resume(tmp_path / "out")).is_whole
    assert gate.asked()[-1]["resume"] is None
    assert describe(tmp_path / "out/tree") == describe(tmp_path / "tree")


def test_what_was_done_before_an_error_is_told(gate: Rehearsed, tmp_path: Path) -> None:
    """Of two disks the first one is in place, when the second one cannot be had."""
    (tmp_path / "tree/one").unlink()
    (tmp_path / "tree/two").unlink()
    gate.scenario["cuts"] = [1 << 30, 0]
    gate.reconnect_for = timedelta(0)
    first, second = gate.part(b"one"), gate.part(b"two")
    deliveries = [
        InPlace(Errand((part,), b"", "never"), is_resumed=False) for part in (first, second)
    ]
    with (
        closing(StopRequest()) as stop,
        closing(Gateway(gate.open_line, stop, gate.tell)) as way,
        pytest.raises(LaterError),
    ):
        restore_all(way, deliveries, Teller(gate), is_dry_run=False)
    assert (tmp_path / "tree/one").exists()
    assert any(line.startswith("restored 1 file, ") for line in gate.told)


def test_a_record_that_could_not_be_written_for_a_while_lacks_nothing(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """On a full disk a line may be cut; as soon as there is room it comes whole, as all others."""
    folder = new_folder(gate, tmp_path / "out", b"").begin(restoring_gate.DUMPED_AT)
    wanted = Attributes(1, 2, 0o750, 10**18)
    (tmp_path / "out/some").mkdir()
    place = tmp_path / ".out.asyncamanda-restore"
    folder.record.note_folder(b"some", wanted)
    folder.record.note_done()
    with files_up_to(place.stat().st_size + 10), pytest.raises(OSError, match="too large"):
        folder.record.flush()
    folder.record.flush()
    folder.close()
    with closing(NewFolder.resume(tmp_path / "out")) as again:
        assert again.folder
        assert again.folder.record.state.unfinished == {b"some": wanted}
        assert again.folder.record.state.done == 1


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_in_place_no_file_system_needs_second_names(
    gate: Rehearsed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where it has none a file is moved, and what is there is kept anyway."""
    (tmp_path / "tree/large").unlink()

    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    outcome = gate.restore(back(gate, b"large", b"one"))
    assert (outcome.failed, outcome.files) == ((), 1)
    assert outcome.kept == (os.fsencode(tmp_path / "tree/one"),)
    assert (tmp_path / "tree/large").stat().st_size == 3 << 20

"""Files back at the client: what a gate sends lands where it should, cut or not."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system import restoring_gate
from tests.system.restoring_gate import CUT
from tests.system.test_untar import file, other, stream_of
from tests.system.trees import access_list, describe, make_tree, pack
from tests.system.watching import until

from asyncamanda.client.restore import exchange, in_place
from asyncamanda.client.restore.delivery import Delivery, InPlace, NewFolder, plan_errand
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.line import Line
from asyncamanda.client.restore.record_lines import Errand, Part
from asyncamanda.client.restore.restoring import Restoring
from asyncamanda.client.restore.transfer import SessionEnd, Transfer
from asyncamanda.core.restore.image import Kind
from asyncamanda.core.restore.outcome import RestoreOutcome, RestoreOutlook
from asyncamanda.core.restore.request import At
from asyncamanda.errors import (
    AsyncamandaError,
    BadDataError,
    LaterError,
    ProtocolError,
    UsageError,
)
from asyncamanda.system.interrupts import StopRequest

WITH_ALL = ("--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", "--acls")
SCRIPT = Path(restoring_gate.__file__)


class LocalTransfer:
    """One start of the scripted gate."""

    def __init__(self, scenario: Path, request: bytes) -> None:
        environ = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/bin:/bin"}
        self._program = subprocess.Popen(
            [sys.executable, SCRIPT, scenario],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
        )
        assert self._program.stdin
        assert self._program.stdout
        assert self._program.stderr
        self._program.stdin.write(request)
        self._program.stdin.close()
        self.output = self._program.stdout.fileno()
        self.answers = self._program.stderr.fileno()
        self._ended = os.pidfd_open(self._program.pid)

    def fileno(self) -> int:
        return self._ended

    def end(self) -> SessionEnd | None:
        status = self._program.poll()
        if status is None:
            return None
        return SessionEnd(None, "cut") if status == CUT else SessionEnd(status)

    def close(self) -> None:
        for stream in (self._program.stdout, self._program.stderr):
            assert stream
            stream.close()
        self._program.kill()
        self._program.wait()
        os.close(self._ended)


@dataclass
class Rehearsed:
    """The scripted gate, and a client in this process; notes what people are told."""

    folder: Path
    scenario: dict[str, object]
    told: list[str] = field(default_factory=list)
    began: list[tuple[RestoreOutlook, ...]] = field(default_factory=list)
    lines: int = 0
    host = "amanda"
    reconnect_for = timedelta(seconds=20)

    # -- a line

    @contextmanager
    def open_line(self) -> Iterator[Line]:
        """Yield this as a line."""
        self.lines += 1
        yield self

    def begin(self, request: bytes) -> Transfer:
        """Start the gate, as the scenario is now."""
        place = self.folder / "scenario"
        place.write_text(json.dumps(self.scenario))
        return LocalTransfer(place, request)

    def prepare(self) -> None:
        """Do nothing."""

    # -- a teller

    def tell(self, text: str) -> None:
        """Note it."""
        self.told.append(text)

    def begin_told(self, outlooks: Sequence[RestoreOutlook]) -> None:
        """Note it."""
        self.began.append(tuple(outlooks))

    # -- a client

    def part(self, *paths: bytes, disk: str = "/srv") -> Part:
        """Return what is wanted of the disk."""
        disks = self.scenario["disks"]
        assert isinstance(disks, dict)
        return Part(disk, disks[disk], paths, At())

    def restore(self, delivery: Delivery, stop: StopRequest | None = None) -> RestoreOutcome:
        """Bring back what the delivery is for."""
        with closing(stop or StopRequest()) as stopping:
            gateway = Gateway(self.open_line, stopping, self.tell)
            with closing(gateway):
                return Restoring(gateway, delivery, Teller(self)).restore()

    def rehearse(self, delivery: Delivery) -> RestoreOutcome:
        """Return what would come back."""
        with closing(StopRequest()) as stopping:
            gateway = Gateway(self.open_line, stopping, self.tell)
            with closing(gateway):
                return Restoring(gateway, delivery, Teller(self)).rehearse()

    def visits(self) -> int:
        """Return how often a stream was asked for."""
        return len((self.folder / "visits").read_text())

    def asked(self) -> list[dict[str, object]]:
        """Return all requests for a stream."""
        lines = (self.folder / "asked").read_text().splitlines()
        return [value for value in map(json.loads, lines) if value["type"] == "restore"]


@dataclass
class Teller:
    """Tells a rehearsal."""

    rehearsed: Rehearsed

    def tell(self, text: str) -> None:
        self.rehearsed.tell(text)

    def begin(self, outlooks: Sequence[RestoreOutlook], place: str) -> None:
        assert place
        self.rehearsed.begin_told(outlooks)

    def progress(self, files: int, size: int) -> None:
        assert files >= 0
        assert size >= 0


@pytest.fixture
def gate(tmp_path: Path) -> Rehearsed:
    """Return a gate that has one of everything, at /srv, which is `tree` here."""
    make_tree(tmp_path / "tree")
    pack(tmp_path / "tree", tmp_path / "packed", *WITH_ALL)
    place = tmp_path / "gate"
    place.mkdir()
    return Rehearsed(
        place,
        {
            "archive": str(tmp_path / "packed"),
            "folder": str(place),
            "disks": {"/srv": str(tmp_path / "tree")},
        },
    )


def new_folder(gate: Rehearsed, to: Path, *paths: bytes) -> NewFolder:
    """Return the delivery of these paths into a new folder."""
    return NewFolder(plan_errand((gate.part(*paths),)), to)


def test_a_whole_disk_comes_back_by_its_name(gate: Rehearsed, tmp_path: Path) -> None:
    """Exactly as it was; the folder is this user's alone, and nothing is left beside it."""
    outcome = gate.restore(new_folder(gate, tmp_path / "out", b""))
    assert describe(tmp_path / "out/tree") == describe(tmp_path / "tree")
    assert describe(tmp_path / "out")[b"tree"] == describe(tmp_path)[b"tree"]
    assert (tmp_path / "out").stat().st_mode & 0o7777 == 0o700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gate", "out", "packed", "tree"]
    assert outcome.is_whole
    assert outcome.files == sum(not path.is_dir() or path.is_symlink() for path in walk(tmp_path))
    assert outcome.target == str(tmp_path / "out")
    assert [outlook.doubts for outlook in outcome.outlooks] == [("a doubt",)]
    assert gate.began == [outcome.outlooks]


def test_nothing_is_inherited_from_the_folder_around_it(gate: Rehearsed, tmp_path: Path) -> None:
    """Neither its access list nor its group: what comes back has its own or none."""
    around = tmp_path / "around"
    around.mkdir()
    os.chown(around, 0, 34)
    around.chmod(0o2775)
    os.setxattr(around, "system.posix_acl_default", access_list())
    gate.restore(new_folder(gate, around / "out", b""))
    assert describe(around / "out/tree") == describe(tmp_path / "tree")
    assert (around / "out").stat().st_mode & 0o7777 == 0o700
    assert os.listxattr(around / "out") == []


def walk(tmp_path: Path) -> list[Path]:
    """Return all that is below the tree."""
    return [*(tmp_path / "tree").rglob("*")]


def test_what_is_wanted_lies_below_the_folder_that_is_above_all_of_it(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """One file by its name alone; two files with what tells their places apart."""
    gate.restore(new_folder(gate, tmp_path / "one", b"listed/below"))
    assert [*describe(tmp_path / "one")] == [b"below"]
    gate.restore(new_folder(gate, tmp_path / "two", b"listed/below", b"secret"))
    whole = describe(tmp_path / "tree")
    names = (b"listed", b"listed/below", b"secret", b"secret/key")
    assert describe(tmp_path / "two") == {name: whole[name] for name in names}


@pytest.mark.parametrize("cuts", [[0], [700, 1_500_000], [40_000]])
def test_a_stream_that_is_cut_is_asked_for_again_and_comes_whole(
    gate: Rehearsed, tmp_path: Path, cuts: list[int]
) -> None:
    """From the member after the last that is whole, of the same dumps."""
    gate.scenario["cuts"] = cuts
    outcome = gate.restore(new_folder(gate, tmp_path / "out", b""))
    assert outcome.is_whole
    assert describe(tmp_path / "out/tree") == describe(tmp_path / "tree")
    assert (gate.visits(), gate.lines) == (len(cuts) + 1, len(cuts) + 1)
    first, *rest = gate.asked()
    assert first["resume"] is None
    assert all(each["at"] == {"before": None, "run": restoring_gate.RUN} for each in rest)
    assert [f"{line}"[-14:] for line in gate.told] == ["; trying again"] * len(cuts)


def test_after_a_kill_it_goes_on_where_it_was(gate: Rehearsed, tmp_path: Path) -> None:
    """What was half written is done again; folders are as they were, those of before as well."""
    gate.scenario |= {"hold": str(gate.folder / "let-go"), "hold_at": 2_000_000}
    child = os.fork()
    if child == 0:
        gate.restore(new_folder(gate, tmp_path / "out", b""))
        os._exit(0)
    wait_until((gate.folder / "holding").exists)
    wait_until(lambda: last_done(tmp_path / ".out.asyncamanda-restore") > 10)
    os.kill(child, 9)
    os.waitpid(child, 0)
    (gate.folder / "let-go").touch()
    done = last_done(tmp_path / ".out.asyncamanda-restore")
    outcome = gate.restore(NewFolder.resume(tmp_path / "out"))
    assert outcome.is_whole
    assert describe(tmp_path / "out/tree") == describe(tmp_path / "tree")
    again = gate.asked()[-1]
    assert again["resume"] == {
        "dumps": [restoring_gate.OLDER, restoring_gate.RUN],
        "done": done,
    }
    assert not (tmp_path / ".out.asyncamanda-restore").exists()


def last_done(record: Path) -> int:
    """Return how many members are done by the last whole line of a record that says so."""
    lines = [json.loads(line) for line in record.read_text().split("\n")[:-1]]
    return next((line["done"][1] for line in reversed(lines) if "done" in line), 0)


def wait_until(condition: Callable[[], object]) -> None:
    """Return when it holds."""
    until(condition, "the restore goes on")


def test_in_place_only_what_is_missing_comes_back_and_nothing_goes(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """Files that are there are kept; a folder that is there keeps its mode; no folder is left."""
    tree = tmp_path / "tree"
    before = describe(tree, without=("mtime", "names"))
    (tree / "one").unlink()
    (tree / "one").write_text("newer")
    (tree / "large").unlink()
    (tree / "link").unlink()
    subprocess.run(["rm", "-r", tree / "listed", tree / "odd"], check=True)
    (tree / "secret").chmod(0o750)
    (tree / "own").write_text("made since")
    outcome = gate.restore(InPlace(Errand((gate.part(b""),), b"", "never"), is_resumed=False))
    after = describe(tree, without=("mtime", "names"))
    assert after.pop(b"own")
    assert (tree / "one").read_text() == "newer"
    assert (tree / "secret").stat().st_mode & 0o777 == 0o750
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {b"one", b"secret"}
    assert before.keys() == after.keys()
    assert os.fsencode(tree / "one") in outcome.kept
    assert outcome.is_whole
    assert not [path for path in tree.iterdir() if "asyncamanda" in path.name]


def test_in_place_what_is_in_the_way_is_named_and_all_else_comes_back(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """A folder in a file's place, a link or a file in a folder's: no link is followed."""
    tree = tmp_path / "tree"
    outside = tmp_path / "outside"
    outside.mkdir()
    subprocess.run(["rm", "-r", tree / "listed", tree / "odd", tree / "empty"], check=True)
    (tree / "listed").symlink_to(outside)
    (tree / "empty").write_text("a file now")
    (tree / "large").unlink()
    (tree / "large").mkdir()
    (tree / "nothing").unlink()
    outcome = gate.restore(InPlace(Errand((gate.part(b""),), b"", "always"), is_resumed=False))
    assert outcome.failed == (
        (os.fsencode(tree / "empty"), in_place.ON_THE_WAY),
        (os.fsencode(tree / "large"), in_place.IN_THE_WAY),
        (os.fsencode(tree / "listed"), in_place.ON_THE_WAY),
    )
    assert [*outside.iterdir()] == []
    assert (tree / "empty").read_text() == "a file now"
    assert (tree / "nothing").exists()
    assert (tree / "odd/three").read_text() == "one"
    assert not [path for path in tree.iterdir() if "asyncamanda" in path.name]


@pytest.mark.parametrize(
    ("overwrite", "wanted"),
    [("never", ["old", "new"]), ("newer", ["large", "new"]), ("always", ["large", "one"])],
)
def test_in_place_files_are_replaced_as_that_is_wanted(
    gate: Rehearsed, tmp_path: Path, overwrite: str, wanted: list[str]
) -> None:
    """Never, where the backup's is newer than what is there, or always."""
    tree = tmp_path / "tree"
    large, one = (tree / "large").read_bytes(), (tree / "one").read_bytes()
    (tree / "large").write_text("old")
    os.utime(tree / "large", (5, 5))
    (tree / "one").unlink()
    (tree / "one").write_text("new")
    paths = (b"large", b"one")
    delivery = InPlace(Errand((gate.part(*paths),), b"", overwrite), is_resumed=False)
    outcome = gate.restore(delivery)
    texts = {large: "large", b"old": "old", b"new": "new", one: "one"}
    assert [texts[(tree / name).read_bytes()] for name in ("large", "one")] == wanted
    assert len(outcome.kept) == sum(name in {"old", "new"} for name in wanted)
    assert outcome.files == 2 - len(outcome.kept) == outcome.replaced


def test_in_place_after_a_kill_at_any_step_it_goes_on(gate: Rehearsed, tmp_path: Path) -> None:
    """Before what is staged is put in its place, and while that is done."""
    tree = tmp_path / "tree"
    before = describe(tree)
    subprocess.run(f"rm -r {tree}/*", shell=True, check=True)  # noqa: S602
    part = gate.part(b"")
    kills = 0
    while True:
        child = os.fork()
        if child == 0:
            die_after(kills * 3)
            errand = Errand((part,), b"", "never")
            try:
                gate.restore(InPlace(errand, is_resumed=kills > 0))
            except AsyncamandaError:
                os._exit(3)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == -9
        kills += 1
    assert kills > 3
    assert describe(tree) == before
    assert not [path for path in tree.iterdir() if "asyncamanda" in path.name]


def test_a_disk_of_all_is_known_to_be_done_until_all_are(gate: Rehearsed, tmp_path: Path) -> None:
    """Its folder is made where it is missing; after a kill at any step the same goes on."""
    before = describe(tmp_path / "tree")
    gone = tmp_path / "gone"
    (tmp_path / "tree").rename(gone)
    home = tmp_path / "above/tree"
    gate.scenario["disks"] = {"/srv": str(home)}
    errand = Errand((gate.part(b""),), b"", "never")
    kills = 0
    while True:
        child = os.fork()
        if child == 0:
            die_after(kills * 3)
            try:
                gate.restore(InPlace.one_of_all(errand, ["--all"]))
            except AsyncamandaError:
                os._exit(3)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == -9
        kills += 1
    assert kills > 1
    assert describe(home) == before
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o755
    visits = gate.visits()
    again = InPlace.one_of_all(errand, ["--all"])
    outcome = gate.restore(again)
    assert (outcome.is_whole, outcome.kept, gate.visits()) == (True, (), visits)
    again.clear()
    assert not [*home.parent.rglob("*asyncamanda*")]
    assert describe(home) == before


def die_after(count: int) -> None:
    """Let this process be killed at the rename, link or removal that comes after `count`."""
    left = [count]

    def audit(event: str, _: object) -> None:
        if event in {"os.rename", "os.link", "os.remove"}:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), 9)

    sys.addaudithook(audit)


def test_nothing_is_left_where_nothing_matched(gate: Rehearsed, tmp_path: Path) -> None:
    """And names near it are told."""
    with pytest.raises(BadDataError) as caught:
        gate.restore(new_folder(gate, tmp_path / "out", b"gone"))
    assert caught.value.reference == "nothing-matched"
    assert str(tmp_path / "tree/near") in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gate", "packed", "tree"]


def test_some_that_match_come_back_and_the_rest_is_told(gate: Rehearsed, tmp_path: Path) -> None:
    """And so are files of which the server has no bytes."""
    gate.scenario["missing"] = {"listed/lost": "in no dump"}
    outcome = gate.restore(new_folder(gate, tmp_path / "out", b"listed", b"gone"))
    assert not outcome.is_whole
    tree = os.fsencode(tmp_path / "tree")
    assert outcome.unmatched == ((tree + b"/gone", (tree + b"/near",)),)
    assert outcome.missing == ((tree + b"/listed/lost", "in no dump"),)
    assert (tmp_path / "out/listed/below").read_text() == "below"


def test_no_room_is_said_before_anything_comes(gate: Rehearsed, tmp_path: Path) -> None:
    """And nothing is left."""
    gate.scenario["told_size"] = 10**18
    with pytest.raises(LaterError, match="1000 TB would come back") as caught:
        gate.restore(new_folder(gate, tmp_path / "out", b""))
    assert caught.value.reference == "no-space"
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.asyncamanda-restore").exists()


def test_a_disk_that_fills_up_ends_it_and_it_goes_on_when_there_is_room(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """What had come stays; the error says how to go on."""
    small = tmp_path / "small"
    small.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)]
    subprocess.run(argv, check=True)
    gate.scenario["told_size"] = None
    try:
        with pytest.raises(LaterError) as caught:
            gate.restore(new_folder(gate, small / "out", b""))
        assert caught.value.reference == "no-space"
        assert caught.value.hint.endswith(f"restore --resume --to {small}/out")
        assert (small / "out/tree").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert gate.restore(NewFolder.resume(small / "out")).is_whole
        seen = describe(small / "out/tree", without=("attributes",))
        assert seen == describe(tmp_path / "tree", without=("attributes",))
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("there", ["a file", "a link", "a full folder", "an open folder"])
def test_what_is_there_is_never_restored_into(gate: Rehearsed, tmp_path: Path, there: str) -> None:
    """Unless it is an empty folder of this user's alone."""
    out = tmp_path / "out"
    match there:
        case "a file":
            out.write_text("x")
        case "a link":
            (tmp_path / "elsewhere").mkdir()
            out.symlink_to(tmp_path / "elsewhere")
        case "a full folder":
            out.mkdir()
            (out / "x").touch()
        case "an open folder":
            out.mkdir()
            out.chmod(0o777)
    before = describe(tmp_path)
    with pytest.raises(UsageError) as caught:
        gate.restore(new_folder(gate, out, b"one"))
    assert caught.value.reference == "target-exists"
    del before[b"gate"]
    assert {name: seen for name, seen in describe(tmp_path).items() if name in before} == before


def test_a_stop_keeps_what_has_come_and_says_how_to_go_on(gate: Rehearsed, tmp_path: Path) -> None:
    """And the server's program is ended."""
    gate.scenario |= {"hold": str(gate.folder / "never"), "hold_at": 1_000_000}
    stop = StopRequest()

    def stop_when_it_holds() -> None:
        wait_until((gate.folder / "holding").exists)
        os.kill(os.getppid(), 10)

    before = signal.signal(signal.SIGUSR1, lambda *_: stop.ask())
    child = os.fork()
    if child == 0:
        stop_when_it_holds()
        os._exit(0)
    try:
        with pytest.raises(LaterError) as caught:
            gate.restore(new_folder(gate, tmp_path / "out", b""), stop)
    finally:
        os.waitpid(child, 0)
        signal.signal(signal.SIGUSR1, before)
    assert "stopped by SIGTERM; " in caught.value.message
    assert caught.value.hint == f"to go on: asyncamanda restore --resume --to {tmp_path}/out"
    del gate.scenario["hold"]
    assert gate.restore(NewFolder.resume(tmp_path / "out")).is_whole
    assert describe(tmp_path / "out/tree") == describe(tmp_path / "tree")


UNASKED = {
    "a file beside what was asked for": (file(b"secret2"),),
    "a file above it": (file(b"top"),),
    "a folder beside it": (other(Kind.FOLDER, b"other"),),
    "a hard link to what was not asked for": (
        other(Kind.HARD_LINK, b"listed/x", link=b"secret/key"),
    ),
}


@pytest.mark.parametrize("what", UNASKED)
@pytest.mark.parametrize("is_in_place", [False, True])
def test_a_server_that_sends_what_was_not_asked_for_is_left(
    gate: Rehearsed, tmp_path: Path, what: str, *, is_in_place: bool
) -> None:
    """Nothing of that lands anywhere, and in place nothing at all."""
    before = describe(tmp_path / "tree", without=("mtime",))
    sent = stream_of(file(b"listed/new"), *UNASKED[what], file(b"listed/newer"))
    (tmp_path / "sent").write_bytes(sent)
    gate.scenario["stream"] = str(tmp_path / "sent")
    delivery: Delivery = new_folder(gate, tmp_path / "out", b"listed")
    if is_in_place:
        delivery = InPlace(Errand((gate.part(b"listed"),), b"", "always"), is_resumed=False)
    with pytest.raises(ProtocolError) as caught:
        gate.restore(delivery)
    assert caught.value.reference == "bad-stream"
    assert describe(tmp_path / "tree", without=("mtime",)) == before
    if not is_in_place:
        assert [*describe(tmp_path / "out")] == [b"listed", b"listed/new"]


def test_links_of_the_server_lead_nothing_out_of_the_folder(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """What would have gone over one is named, and all else comes."""
    victim = tmp_path / "victim"
    victim.mkdir()
    link = os.fsencode(victim)
    sent = stream_of(
        other(Kind.SYMLINK, b"listed/way", link=link),
        file(b"listed/way/in"),
        file(b"listed/after"),
    )
    (tmp_path / "sent").write_bytes(sent)
    gate.scenario["stream"] = str(tmp_path / "sent")
    for delivery in (
        new_folder(gate, tmp_path / "out", b"listed"),
        InPlace(Errand((gate.part(b"listed"),), b"", "always"), is_resumed=False),
    ):
        outcome = gate.restore(delivery)
        assert [path for path, _ in outcome.failed] == [
            os.fsencode(tmp_path / "tree/listed/way/in")
        ]
        assert [*victim.iterdir()] == []
    assert (tmp_path / "out/listed/after").exists()
    assert (tmp_path / "tree/listed/after").exists()


def test_a_server_that_does_not_end_is_not_waited_for(
    gate: Rehearsed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its last word all is there."""
    monkeypatch.setattr(exchange, "ENDS_WITHIN", 0.3)
    gate.scenario["lingers"] = True
    assert gate.restore(new_folder(gate, tmp_path / "out", b"one")).is_whole
    assert [*describe(tmp_path / "out")] == [b"one"]


@pytest.mark.parametrize("endless", ["answers", "words", "bytes behind the end"])
def test_a_server_that_never_stops_is_left(
    gate: Rehearsed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endless: str
) -> None:
    """Whatever it goes on with."""
    monkeypatch.setattr(exchange, "MOST_ANSWERS", 50)
    answer = json.dumps({"type": "missing", "path": "x", "reason": "y"})
    if endless == "bytes behind the end":
        (tmp_path / "sent").write_bytes(stream_of(file(b"one")) + bytes(4 << 20))
        gate.scenario |= {"stream": str(tmp_path / "sent"), "is_mute": True}
        with pytest.raises(ProtocolError, match="more than it should"):
            gate.restore(new_folder(gate, tmp_path / "out", b"one"))
        return
    gate.scenario["say"] = [answer if endless == "answers" else "words " * 100] * 200
    with pytest.raises(ProtocolError) as caught:
        gate.restore(new_folder(gate, tmp_path / "out", b"one"))
    assert caught.value.reference == "bad-answer"
    assert not (tmp_path / "out").exists()


def test_a_server_that_does_not_say_that_it_is_done_is_not_believed(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """Though its program ended well: what is missing may not have been said."""
    gate.scenario["is_mute"] = True
    with pytest.raises(ProtocolError, match="did not say how it ended"):
        gate.restore(new_folder(gate, tmp_path / "out", b"one"))


def cut_short(gate: Rehearsed, to: Path) -> Path:
    """Begin a restore that is cut and not tried again; return its record."""
    gate.scenario["cuts"] = [1_000_000]
    gate.reconnect_for = timedelta(0)
    with pytest.raises(LaterError) as caught:
        gate.restore(new_folder(gate, to, b""))
    assert caught.value.reference == "connection-lost"
    return to.parent / f".{to.name}.asyncamanda-restore"


@pytest.mark.parametrize("is_synced", [True, False])
def test_after_a_crash_of_the_machine_only_what_is_surely_on_the_disk_counts(
    gate: Rehearsed, tmp_path: Path, *, is_synced: bool
) -> None:
    """A restore that was stopped has had it written; one that was killed begins again."""
    record = cut_short(gate, tmp_path / "out")
    text = record.read_text()
    boot = json.loads(text.split("\n")[0])["boot"]
    text = text.replace(boot, "another")
    if not is_synced:
        text = text.replace('{"synced":1}\n', "")
    record.write_text(text)
    assert gate.restore(NewFolder.resume(tmp_path / "out")).is_whole
    assert (gate.asked()[-1]["resume"] is not None) == is_synced
    assert describe(tmp_path / "out/tree") == describe(tmp_path / "tree")


def test_a_line_of_the_record_that_was_cut_counts_for_nothing(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """And what is written next is on a line of its own."""
    record = cut_short(gate, tmp_path / "out")
    with record.open("a") as file:
        file.write('{"done":[0,9999,99')
    assert gate.restore(NewFolder.resume(tmp_path / "out")).is_whole
    assert describe(tmp_path / "out/tree") == describe(tmp_path / "tree")


def test_a_record_of_somebody_else_or_of_another_folder_is_not_used(
    gate: Rehearsed, tmp_path: Path
) -> None:
    """Nor one that is damaged."""
    record = cut_short(gate, tmp_path / "out")
    whole = record.read_bytes()
    for spoil in (
        lambda: os.chown(record, 33, 33),
        lambda: record.chmod(0o644),
        lambda: record.write_bytes(whole.replace(b'"target":[', b'"target":[1')),
        lambda: record.write_bytes(b"{}\n" + whole),
        lambda: record.write_bytes(b"garbage\n"),
        lambda: record.write_bytes(b""),
    ):
        record.write_bytes(whole)
        record.chmod(0o600)
        os.chown(record, 0, 0)
        spoil()
        with pytest.raises(BadDataError):
            NewFolder.resume(tmp_path / "out")
    record.unlink()
    with pytest.raises(BadDataError):
        NewFolder.resume(tmp_path / "out")

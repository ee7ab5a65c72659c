"""A drill of real dumps: it fails for what would be missed in a restore, and for nothing else."""

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from crc32c import crc32c
from tests.system.dumps import DISK, GZIPPED, HOST, PLAIN, gzip, make_image
from tests.system.test_reading import MONDAY, SUNDAY, TUESDAY, WEDNESDAY, Office
from tests.system.watching import count_descriptors

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.header import HEADER_BYTES
from asyncamanda.core.dispatch.drills import DRILLS, DueDrills
from asyncamanda.core.dispatch.records import ProofKind, ProtectionKind
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.errors import ConfigurationError
from asyncamanda.server.ledger.proofs import LastProofs
from asyncamanda.server.restore.drills import Drills, GiveWay
from asyncamanda.server.restore.dump_files import DumpFiles
from asyncamanda.server.restore.pipeline import Pipeline
from asyncamanda.server.restore.proving import SEALED, Drill, Finding, prove_disk
from asyncamanda.server.restore.source import Source
from asyncamanda.server.restore.turns import RESTORES, take_turn
from asyncamanda.system.clock import format_local_stamp

SEALED_CLAIMS = "comp N program /bin/tar crypt enc client_encrypt /usr/sbin/amcrypt"
PARTS = 20_000  # bytes
LISTED = "\n  <exclude>\n    <list>/var/lib/excludes</list>\n  </exclude>"


class Drilled(Office):
    """An office whose dumps have all that Amanda notes: sums, and what was to be dumped."""

    excludes = ""

    def dump(  # type: ignore[override]
        self,
        stamp: str,
        level: int,
        *more: str,
        taped: bool = False,
        claims: str = PLAIN,
        image: bytes | None = None,
    ) -> list[Path]:
        """Dump the tree, or an image that is given; return the files."""
        image = image if image is not None else make_image(self.tree, self._snapshot, level, *more)
        packed = gzip(image) if claims == GZIPPED else image
        dle = f"<dle>\n  <program>GNUTAR</program>\n  <diskname>/home</diskname>{self.excludes}"
        lines = ["DLE=<<ENDDLE", f"{dle}\n</dle>", "ENDDLE"]
        lines.append(f"NATIVE-CRC={crc32c(image):08x}:{len(image)}")
        if taped:
            lines.append(f"SERVER-CRC={crc32c(packed):08x}:{len(packed)}")
            labels = (f"DAILY-{stamp[6:8]}",)
            files = self.dumps.tape(
                stamp, level, packed, claims=claims, part=PARTS, labels=labels, lines=lines
            )
        else:
            files = self.dumps.hold(stamp, level, packed, claims=claims, chunk=PARTS, lines=lines)
        self.note(stamp, level, DumpState.STORED if taped else DumpState.HELD)
        return files

    def drill(self, *, is_full: bool = False) -> Finding:
        """Return what a drill finds; it leaves nothing open."""
        before = count_descriptors()
        finding = prove_disk(self.source, DISK, Drill(is_full, chance=random.Random(1)))  # noqa: S311 - no secret
        assert count_descriptors() == before
        assert finding
        return finding


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Drilled]:
    """Yield a laptop of which nothing was dumped yet."""
    made = Drilled(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def worked(office: Drilled) -> Drilled:
    """Return one with a chain of three, on a volume, compressed, and plain."""
    tree = office.tree
    (tree / "photos" / "2026").mkdir(parents=True)
    for number in range(20):
        (tree / "photos" / "2026" / f"{number}.jpg").write_bytes(os.urandom(3000))
    (tree / "letter").write_text("one")
    office.dump(SUNDAY, 0, taped=True)
    (tree / "photos" / "2026").rename(tree / "photos" / "old")
    (tree / "letter").write_text("two")
    office.dump(MONDAY, 1, claims=GZIPPED)
    (tree / "new").write_text("new")
    office.dump(TUESDAY, 2, taped=True)
    return office


def flip(path: Path, at: int) -> None:
    """Change one bit of a dump's file."""
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + at)
        (byte,) = file.read(1)
        file.seek(HEADER_BYTES + at)
        file.write(bytes([byte ^ 4]))


def files_of(office: Drilled, stamp: str) -> list[Path]:
    """Return the files of a dump, in order."""
    slot = office.dumps.files.vtapes / f"slotDAILY-{stamp[6:8]}"
    held = office.dumps.files.holding / stamp
    return sorted(held.iterdir()) if held.exists() else sorted(slot.glob("*.laptop.*"))


def is_forgiven(finding: Finding) -> bool:
    """Return whether all is well and Amanda is told nothing."""
    return finding.is_good and not finding.needs_full


@pytest.mark.parametrize("is_full", [False, True])
def test_a_chain_that_is_whole_is_proved(worked: Drilled, *, is_full: bool) -> None:
    """As it is now, and at an earlier date; with all bytes, it says how many those are."""
    finding = worked.drill(is_full=is_full)
    assert is_forgiven(finding), finding.what
    assert finding.dump.verdict.timestamp == TUESDAY
    assert "(levels 0, 1, 2)" in finding.what
    assert finding.what.count("as of") == 2
    assert "names found, 20 of them" in finding.what or "names found, 21 of them" in finding.what
    if not is_full:
        return
    whole = sum(
        path.stat().st_size - HEADER_BYTES
        for stamp in (SUNDAY, MONDAY, TUESDAY)
        for path in files_of(worked, stamp)
    )
    assert finding.size >= whole


def _flip_full(office: Drilled) -> None:
    flip(files_of(office, SUNDAY)[1], 7000)


def _flip_packed(office: Drilled) -> None:
    path = files_of(office, MONDAY)[-1]
    flip(path, path.stat().st_size - HEADER_BYTES - 6)  # of the checksum that gzip has written


def _cut(office: Drilled) -> None:
    part = files_of(office, SUNDAY)[-1]
    os.truncate(part, part.stat().st_size - 512)


def _lose_part(office: Drilled) -> None:
    files_of(office, SUNDAY)[1].unlink()


def _lose_volume(office: Drilled) -> None:
    shutil.rmtree(files_of(office, SUNDAY)[0].parent)


def _lose_held(office: Drilled) -> None:
    shutil.rmtree(office.dumps.files.holding / MONDAY)


def _lose_middle(office: Drilled) -> None:
    """The middle level is on a volume that was used again."""
    _lose_held(office)
    office.note(MONDAY, 1, DumpState.STORED, by=WEDNESDAY)


def _rename_in_header(office: Drilled) -> None:
    for path in files_of(office, SUNDAY):
        block = path.read_bytes()
        path.write_bytes(block.replace(b" /home ", b" /hame ", 1))


DAMAGES: dict[str, tuple[Callable[[Drilled], None], bool, str]] = {
    "a flipped byte": (_flip_full, True, "is not as it was written: the checksum of its files"),
    "a flipped byte of a packed dump": (_flip_packed, True, "gzip: "),
    "a cut part": (_cut, False, "bytes of it, not all"),
    "a missing part": (_lose_part, False, "DAILY-22 has no file 2"),
    "a missing volume": (_lose_volume, False, "no virtual tape is labelled DAILY-22"),
    "a dump that was removed from the holding disk": (_lose_held, False, "is gone: neither"),
    "a lost middle level": (_lose_middle, False, "is gone"),
    "a renamed disk in the header": (_rename_in_header, False, "holds something else by now"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_asks_for_a_full(worked: Drilled, damage: str) -> None:
    """With words that name the dump."""
    harm, is_full, says = DAMAGES[damage]
    harm(worked)
    finding = worked.drill(is_full=is_full)
    assert not finding.is_good
    assert says in finding.what
    assert f"{HOST}:{DISK}" in finding.what
    assert finding.needs_full


def test_what_is_set_aside_is_drilled_though_no_volume_has_it(office: Drilled) -> None:
    """It is all that a lost laptop has; one that is damaged is found, and not passed over."""
    (office.tree / "file").write_text("x")
    office.dump(SUNDAY, 0, taped=True)
    source = office.source()
    (dump,) = source.dumps_of(DISK)
    store = source.shelves.aside
    files = source.shelves.open(source.wanted(dump))
    assert isinstance(files, DumpFiles)
    store.store(source.wanted(dump), files, store.places[0])
    files.close()
    for slot in office.dumps.files.vtapes.glob("slot*"):
        shutil.rmtree(slot)
    office.dumps.rows = [""]
    assert is_forgiven(office.drill(is_full=True))
    (path, *_) = store.places[0].folder.rglob("00001")
    os.truncate(path, 100)
    assert not office.drill().is_good


def test_a_middle_level_that_the_ledger_does_not_know_is_missed(office: Drilled) -> None:
    """As after a ledger that was lost: its dumps have no chain."""
    (office.tree / "file").write_text("x")
    office.dump(SUNDAY, 0)
    make_image(office.tree, office._snapshot, 1)
    office.dump(TUESDAY, 2)
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (False, True)
    assert "the level 1 backup that" in finding.what


def test_a_disk_that_was_renamed_has_no_full(office: Drilled) -> None:
    """It has inherited the level of the old name."""
    make_image(office.tree, office._snapshot, 0)
    office.dump(MONDAY, 1)
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (False, True)
    assert "the level 0 backup that" in finding.what


def test_an_attempt_that_nobody_confirmed_is_found_in_the_chain(worked: Drilled) -> None:
    """The level above may lack what that one took."""
    stamp = "20261123230000"
    failed = DleVerdict(HOST, DISK, stamp, DumpState.FAILED, 1, has_begun=True)
    worked.note_verdict(failed)
    finding = worked.drill()
    assert (finding.is_good, finding.needs_full) == (False, True)
    assert f"the backup of run {stamp} failed in between" in finding.what


SWAPPED = "mv a x; mv b a; mv x b"


def swap(office: Drilled) -> None:
    """Let tar leave out a folder, as it does where two have taken each other's names."""
    first = "mkdir -p a/sub b/sub c; for f in a/f a/sub/f b/f b/sub/f c/f f; do echo $f >$f; done"
    for stamp, level, act in ((SUNDAY, 0, first), (MONDAY, 1, SWAPPED)):
        subprocess.run(["sh", "-ec", act], cwd=office.tree, check=True)
        office.dump(stamp, level)


def test_a_folder_that_tar_left_out_is_named(office: Drilled) -> None:
    """tar reports that dump as a success."""
    swap(office)
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (False, True)
    assert "./b" in finding.what
    assert "cannot be found in the dumps" in finding.what


def test_what_the_client_may_have_excluded_gets_a_full_without_alarm(office: Drilled) -> None:
    """What the client's own list has the server cannot know; a full makes it sure."""
    office.excludes = LISTED
    (office.tree / "file").write_text("x")
    office.dump(SUNDAY, 0)
    (office.tree / "secret").write_text("new")
    office.dump(MONDAY, 1, "--exclude=secret")
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (True, True)
    assert "1 name cannot be found in the dumps: ./secret" in finding.what
    assert "the client's own list may exclude that" in finding.what
    office.dump(TUESDAY, 0, "--exclude=secret")
    assert is_forgiven(office.drill())


@pytest.mark.parametrize("name", ["again.iso", "cache", "junk/other"])
def test_what_the_client_excludes_is_no_loss(office: Drilled, name: str) -> None:
    """Where the full has left out what is like it: by its suffix, its name, or its folder."""
    office.excludes = LISTED
    more = ("--exclude=*.iso", "--exclude=cache", "--exclude=junk/*")
    for path in ("junk", "deep", "deep/cache"):
        (office.tree / path).mkdir()
    for path in ("film.iso", "deep/cache/f", "junk/one", "file"):
        (office.tree / path).write_text(path)
    office.dump(SUNDAY, 0, *more)
    (office.tree / name).write_text("new")
    office.dump(MONDAY, 1, *more)
    assert is_forgiven(office.drill())


@pytest.mark.parametrize("is_own", [False, True])
def test_a_folder_that_is_excluded_since_the_full_is_no_loss(
    office: Drilled, *, is_own: bool
) -> None:
    """Of the dumptype's patterns that is certain; of the client's own a full makes it sure."""
    (office.tree / "cache").mkdir()
    (office.tree / "cache" / "file").write_text("x")
    office.dump(SUNDAY, 0)
    office.excludes = "\n  <exclude>\n    <file>./cache</file>\n  </exclude>"
    if is_own:
        office.excludes = LISTED
    (office.tree / "file").write_text("y")
    office.dump(MONDAY, 1, "--exclude=./cache")
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (True, is_own), finding.what
    office.dump(TUESDAY, 0, "--exclude=./cache")
    assert is_forgiven(office.drill())


def test_what_the_dumptype_excludes_is_no_loss(office: Drilled) -> None:
    """It is listed, and in no dump."""
    office.excludes = "\n  <exclude>\n    <file>*.iso</file>\n  </exclude>"
    (office.tree / "file").write_text("x")
    office.dump(SUNDAY, 0, "--exclude=*.iso")
    (office.tree / "film.iso").write_text("new")
    office.dump(MONDAY, 1, "--exclude=*.iso")
    assert is_forgiven(office.drill())


def test_subtrees_that_are_missing_from_an_image_are_named(office: Drilled) -> None:
    """Their folders are listed, and are not there; the sums are those of the image as it is."""
    lost = [f"lost{number}" for number in range(4)]
    for name in ("kept", *(f"{each}/deep" for each in lost)):
        (office.tree / name).mkdir(parents=True)
    image = make_image(office.tree, office._snapshot, 0)
    cut = office.tmp_path / "cut.tar"
    cut.write_bytes(image)
    argv = ["tar", "--delete", f"--file={cut}", *(f"./{name}/" for name in lost)]
    subprocess.run(argv, check=True)
    office.dump(SUNDAY, 0, image=cut.read_bytes())
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (False, True)
    assert "./lost0 (tar has left out the folder" in finding.what


def test_a_folder_that_was_deleted_while_tar_was_at_work_is_no_loss(office: Drilled) -> None:
    """tar lists it with its parent, and cannot look into it any more: a full makes sure."""

    def dump_without(stamp: str, level: int, name: str) -> None:
        (office.tree / name).mkdir()
        cut = office.tmp_path / "cut.tar"
        cut.write_bytes(make_image(office.tree, office._snapshot, level))
        subprocess.run(["tar", "--delete", f"--file={cut}", f"./{name}/"], check=True)
        office.dump(stamp, level, image=cut.read_bytes())

    (office.tree / "kept").mkdir()
    (office.tree / "kept" / "file").write_text("x")
    dump_without(SUNDAY, 0, "unreadable")
    assert is_forgiven(office.drill())
    (office.tree / "unreadable" / "file").write_text("x")
    dump_without(MONDAY, 1, "building")
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (True, True)
    assert "./building" in finding.what


def test_files_that_are_missing_from_an_image_are_named(office: Drilled) -> None:
    """One that was deleted meanwhile is none, and neither is a socket; most of them are a fault."""
    for number in range(10):
        (office.tree / f"{number}").write_text("x")
    image = make_image(office.tree, office._snapshot, 0)
    cut = office.tmp_path / "cut.tar"
    cut.write_bytes(image)
    subprocess.run(["tar", "--delete", f"--file={cut}", "./1", "./2"], check=True)
    office.dump(SUNDAY, 0, image=cut.read_bytes())
    assert is_forgiven(office.drill())
    rest = [f"./{number}" for number in range(3, 10)]
    subprocess.run(["tar", "--delete", f"--file={cut}", *rest], check=True)
    office.dump(MONDAY, 0, image=cut.read_bytes())
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (False, True)
    assert "9 of 10 files" in finding.what


# -- what is no fault


def forget_volume(office: Drilled, stamp: str) -> None:
    """Let a volume be used again: Amanda lists nothing of it any more."""
    label = f"DAILY-{stamp[6:8]}"
    for path in files_of(office, stamp):
        path.unlink()
    office.dumps.rows = [row for row in office.dumps.rows if label not in row]


def test_dates_of_a_volume_that_was_used_again_are_not_promised(worked: Drilled) -> None:
    """What came after it is proved; where nothing is left there is nothing to prove."""
    worked.dump(WEDNESDAY, 0, taped=True)
    forget_volume(worked, SUNDAY)
    finding = worked.drill()
    assert is_forgiven(finding), finding.what
    assert finding.what.count("as of") == 1
    shutil.rmtree(worked.dumps.files.holding / MONDAY)
    worked.note(MONDAY, 1, DumpState.STORED, by=WEDNESDAY)
    forget_volume(worked, TUESDAY)
    forget_volume(worked, WEDNESDAY)
    assert prove_disk(worked.source, DISK, Drill()) is None


def test_a_dump_without_its_full_that_is_the_newest_is_a_fault(worked: Drilled) -> None:
    """Though its own volume is there: nothing of now can be restored."""
    forget_volume(worked, SUNDAY)
    finding = worked.drill()
    assert (finding.is_good, finding.needs_full) == (False, True)


def test_an_older_date_that_is_lost_forces_no_full(worked: Drilled) -> None:
    """No later dump would bring it back; but it is told."""
    worked.dump(WEDNESDAY, 0)
    _flip_full(worked)
    finding = worked.drill(is_full=True)
    assert (finding.is_good, finding.needs_full) == (False, False)
    assert finding.dump.verdict.timestamp in {SUNDAY, MONDAY, TUESDAY}
    (_, failed), *_ = drills(worked).drill([((HOST, DISK), True)])
    assert failed
    assert not failed.is_good
    (_, again), *_ = drills(worked).drill([((HOST, DISK), True)])  # what is known is told once
    assert again
    assert again.is_good, again.what
    assert again.what.count("as of") == 1


def test_a_flush_in_the_middle_is_no_fault(office: Drilled) -> None:
    """What was held when the drill began lies on a volume when it is opened."""
    (office.tree / "file").write_text("x")
    (path,) = office.dump(SUNDAY, 0)
    image = path.read_bytes()[HEADER_BYTES:]

    class Flushing(Source):
        """Dumps that are flushed when their chain was chosen."""

        def choose(self, *args: object, **more: object) -> object:  # type: ignore[override]
            chosen = super().choose(*args, **more)  # type: ignore[arg-type]
            if path.exists():
                office.dumps.tape(SUNDAY, 0, image)
                path.unlink()
            return chosen

    source = office.source()
    source.__class__ = Flushing
    finding = prove_disk(lambda: source, DISK, Drill(is_full=True))
    assert finding
    assert is_forgiven(finding), finding.what


# -- what cannot be looked into


def test_what_the_client_has_sealed_is_proved_as_far_as_it_can_be(office: Drilled) -> None:
    """Files, headers, byte counts, and the sum of what lies there."""
    office.filters = Filters(encrypt="client", encrypt_program="/usr/sbin/amcrypt")
    image = os.urandom(3 * PARTS)
    paths = office.dump(SUNDAY, 0, claims=SEALED_CLAIMS, image=image)
    assert SEALED in office.drill().what
    finding = office.drill(is_full=True)
    assert is_forgiven(finding), finding.what
    assert SEALED in finding.what
    assert finding.size == len(image)
    flip(paths[1], 99)
    assert office.drill().is_good
    assert not office.drill(is_full=True).is_good
    os.truncate(paths[2], HEADER_BYTES + 5)
    assert not office.drill().is_good


def test_a_filter_that_may_not_run_is_told_and_no_full_is_forced(office: Drilled) -> None:
    """Another dump would be no better."""
    office.dump(SUNDAY, 0, claims="comp cust program /bin/tar server_custom_compress /bin/rot13")
    finding = office.drill()
    assert (finding.is_good, finding.needs_full) == (False, False)
    assert "/bin/rot13" in finding.what


def test_an_amanda_that_cannot_tell_proves_nothing(office: Drilled) -> None:
    """Neither that it can be restored nor that it cannot."""
    office.dump(SUNDAY, 0, taped=True)

    def ask(_config: str, _host: str) -> str:
        raise ConfigurationError("no", "it cannot tell", "ask another")

    office.dumps.find = ask  # type: ignore[method-assign]
    with pytest.raises(ConfigurationError):
        prove_disk(office.source, DISK, Drill())


# -- what follows


def drills(office: Drilled) -> Drills:
    """Return what drills the office's disk."""
    return Drills(office.ledger, "daily", lambda _: office.source(), 20)


def test_a_proof_is_recorded_and_a_failure_forces_a_full(worked: Drilled) -> None:
    """Until a run that began later has made one."""
    (_, good), *_ = drills(worked).drill([((HOST, DISK), False)])
    assert good
    assert good.is_good
    assert worked.ledger.protections.list_pending("daily") == []
    _lose_volume(worked)
    (_, failed), *_ = drills(worked).drill([((HOST, DISK), True)])
    assert failed
    last = worked.ledger.proofs.of_dles("daily", kinds=DRILLS)
    assert last == {(HOST, DISK): LastProofs(failed, good)}
    (need,) = worked.ledger.protections.list_pending("daily")
    assert (need.kind, need.level, need.timestamp) == (ProtectionKind.FORCE, 0, TUESDAY)
    worked.note(TUESDAY, 2, DumpState.STORED, by=WEDNESDAY)  # a flush of a bad dump is no full
    assert worked.ledger.protections.list_pending("daily") == [need]
    proof = worked.ledger.proofs.of_disks("daily", HOST)[DISK]
    assert proof.proved_at == good.proved_at
    assert "no virtual tape is labelled" in proof.fault
    # and a lesser drill does not make good what one of all bytes has found
    (_, again), *_ = drills(worked).drill([((HOST, DISK), False)])
    assert again
    assert again.kind is ProofKind.FULL_DRILL


def test_a_bad_full_that_is_flushed_is_still_to_be_made_anew(office: Drilled) -> None:
    """Its verdict comes once more, and only a run that begins after the drill counts."""
    (path,) = office.dump(SUNDAY, 0, image=make_image(office.tree, office._snapshot, 0))
    image = path.read_bytes()
    os.truncate(path, len(image) - 512)
    (_, failed), *_ = drills(office).drill([((HOST, DISK), False)])
    assert failed
    (need,) = office.ledger.protections.list_pending("daily")
    office.note(SUNDAY, 0, DumpState.STORED, by=WEDNESDAY)
    assert office.ledger.protections.list_pending("daily") == [need]
    later = failed.proved_at + timedelta(minutes=10)
    office.note(format_local_stamp(later), 0, DumpState.HELD)
    assert office.ledger.protections.list_pending("daily") == []


def test_a_disk_that_takes_too_long_keeps_no_other_from_its_turn(worked: Drilled) -> None:
    """It is passed over, and nothing is proved of it either way."""
    heard = []
    slow = Drills(
        worked.ledger,
        "daily",
        lambda _: worked.source(),
        20,
        hear=lambda dle, error: heard.append((dle, error.reference)),
        longest=-1.0,
    )
    assert [*slow.drill([((HOST, DISK), True), ((HOST, DISK), False)])] == []
    assert heard == [((HOST, DISK), "drill-too-long")] * 2
    assert worked.ledger.proofs.list_recent("daily", None, 9) == []


def test_a_disk_that_is_too_large_for_all_bytes_has_a_lesser_drill(
    worked: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps no other from one of all bytes."""
    made = drills(worked)
    monkeypatch.setattr("asyncamanda.server.restore.proving.sum_dump", _take_too_long)
    due = DueDrills((((HOST, DISK), True),), 1, 1)
    assert made.drill_due(due) == 1
    (proof,) = worked.ledger.proofs.list_recent("daily", None, 9)
    assert (proof.kind, proof.is_good) == (ProofKind.DRILL, True)


def _take_too_long(*_: object) -> None:
    GiveWay(longest=-1.0)()


def test_a_disk_for_which_the_server_lacks_something_keeps_no_other_away(
    worked: Drilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As processes, or room for what is open."""
    heard = []
    made = drills(worked)
    made._hear = lambda _, error: heard.append(error.reference)

    def lack(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "_start", lack)
        assert [*made.drill([((HOST, DISK), True), ((HOST, DISK), False)])] == []
    assert heard == ["not-drilled"] * 2
    assert len([*made.drill([((HOST, DISK), True)])]) == 1


def test_only_so_many_are_drilled_with_all_bytes_and_who_has_nothing_is_none(
    worked: Drilled,
) -> None:
    """Of those that are due for it."""
    nothing = (HOST, "/nothing")
    due = DueDrills(((nothing, True), ((HOST, DISK), True), ((HOST, DISK), True)), 2, 1)
    assert drills(worked).drill_due(due) == 2
    kinds = [proof.kind for proof in worked.ledger.proofs.list_recent("daily", None, 9)]
    assert kinds == [ProofKind.DRILL, ProofKind.FULL_DRILL]


def test_a_drill_waits_while_a_restore_goes_on(tmp_path: Path) -> None:
    """But not forever, and it takes no turn."""
    give_way = GiveWay(tmp_path)
    give_way._left = 2.0
    with take_turn(tmp_path, RESTORES, "laptop", lambda _: None):
        before = {path.name for path in tmp_path.iterdir()}
        give_way()
        assert give_way._left == 0
        assert {path.name for path in tmp_path.iterdir()} == before
    give_way = GiveWay(tmp_path)
    give_way()
    assert give_way._left > 0
    assert timedelta(seconds=give_way._left) >= timedelta(hours=1)

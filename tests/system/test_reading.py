"""From a disk and a date to the files: ledger, holding disk, volumes, tar, and back by tar."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.system.amandafiles import AmandaFiles
from tests.system.dump_trees import Description, describe
from tests.system.dumps import DISK, GZIPPED, HOST, PLAIN, Dumps, gzip, make_image
from tests.system.watching import count_descriptors

from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.core.restore.request import FilesRequest
from asyncamanda.errors import AsyncamandaError, BadDataError, RefusedError
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.dated import ChainFiles
from asyncamanda.server.restore.disks import DiskDumps, describe_disks
from asyncamanda.server.restore.images import ChainImages
from asyncamanda.server.restore.reading import (
    open_chain,
    plan_restore,
    write_raw,
    write_restore,
)
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.source import Source
from asyncamanda.server.restore.versions import list_versions
from asyncamanda.system.clock import parse_local_stamp

SUNDAY, MONDAY, TUESDAY = "20261122010000", "20261123010000", "20261124010000"
WEDNESDAY = "20261125010000"
DAYS = (SUNDAY, MONDAY, TUESDAY, WEDNESDAY)


class Office:
    """A laptop's /home, and the server that has its dumps."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.tree = tmp_path / "tree"
        self.tree.mkdir()
        self.dumps = Dumps(AmandaFiles(tmp_path / "amanda"))
        self.ledger = Ledger.open(str(tmp_path / "ledger.sqlite"), timedelta(seconds=1))
        self.filters: Filters | None = Filters()
        self.allow_list: tuple[str, ...] = ()
        self._snapshot = tmp_path / "snapshot"

    def image(self, level: int) -> bytes:
        """Return an image of the tree as it is now."""
        return make_image(self.tree, self._snapshot, level)

    def dump(self, stamp: str, level: int, *, taped: bool = False, claims: str = PLAIN) -> None:
        """Dump the tree, into the holding disk or to a volume, and let the ledger know."""
        image = self.image(level)
        packed = gzip(image) if claims == GZIPPED else image
        if taped:
            self.dumps.tape(stamp, level, packed, claims=claims, part=5000)
        else:
            self.dumps.hold(stamp, level, packed, claims=claims, chunk=5000)
        self.note(stamp, level, DumpState.STORED if taped else DumpState.HELD)

    def note(self, stamp: str, level: int, state: DumpState, by: str = "") -> None:
        """Let the ledger have a verdict on the dump of that timestamp, of that run or of `by`."""
        self.note_verdict(confirmed(stamp, level, state), by)

    def note_verdict(self, verdict: DleVerdict, by: str = "") -> None:
        """Let the ledger have a verdict, of its own run or of `by`."""
        stamp = verdict.timestamp
        begun = parse_local_stamp(by or stamp)
        run = self.ledger.runs.begin(RunKind.OTHER, "daily", (HOST,), (), begun)
        self.ledger.runs.note(run.id, timestamp=by or stamp)
        known = {(HOST, DISK): self.filters} if self.filters else {}
        self.ledger.runs.end(run.id, begun, RunEnd(0, is_clean=True, verdicts=(verdict,)), known)

    def source(self) -> Source:
        """Return the laptop's dumps as they are known now."""
        return Source(
            settings=self.dumps.files.settings,
            host=HOST,
            dles=[Dle(HOST, DISK, "/srv/homes", filters=self.filters), Dle("other", "/etc")],
            dumps=self.ledger.verdicts.of_host("daily", HOST),
            allow_list=self.allow_list,
            ask=self.dumps.find,
        )


def confirmed(stamp: str, level: int, state: DumpState = DumpState.HELD) -> DleVerdict:
    """Return the verdict on a dump of that run."""
    verdict = DleVerdict(HOST, DISK, stamp, state, level, has_begun=True)
    return replace(verdict, dumped_at=parse_local_stamp(stamp))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Yield a laptop of which nothing was dumped yet."""
    made = Office(tmp_path)
    yield made
    made.ledger.close()


def seen(tree: Path) -> dict[bytes, Description]:
    """Return all that is in a tree, as far as Amanda's GNUTAR keeps it."""
    return {
        path: replace(each, attributes={}, mtime_ns=each.mtime_ns // 10**9)
        for path, each in describe(tree).items()
    }


def extract(archive: Path, folder: Path) -> None:
    """Let tar extract an archive into a folder; it has nothing to say."""
    argv = ["tar", "-xp", "--delay-directory-restore", f"--file={archive}"]
    argv.append(f"--directory={folder}")
    environ = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(argv, capture_output=True, check=False, env=environ)
    assert (done.returncode, done.stderr) == (0, b"")


def restore(
    office: Office,
    paths: tuple[bytes, ...] = (b"",),
    before: datetime | None = None,
    run: str = "",
    *,
    expected: tuple[str, ...] = (),
    skip: int = 0,
) -> Path:
    """Return a new folder with what tar extracts of these; nothing may be missing."""
    folder = office.tmp_path / f"back-{len(list(office.tmp_path.iterdir()))}"
    folder.mkdir()
    missing: list[bytes] = []
    archive = folder.with_suffix(".tar")
    with (
        open_chain(office.source(), DISK, before, run, expected=expected) as chain,
        archive.open("wb") as file,
    ):
        selection = plan_restore(chain, paths)
        assert not selection.missing
        sink = Sink(file.fileno())
        write_restore(chain, selection, sink, lambda path, _: missing.append(path), skip=skip)
    extract(archive, folder)
    assert missing == []
    return folder


def refuse(office: Office, before: datetime | None = None, run: str = "") -> AsyncamandaError:
    """Return why nothing can be restored of that date; nothing is left open."""
    before_it = count_descriptors()
    with pytest.raises(AsyncamandaError) as error, open_chain(office.source(), DISK, before, run):
        pass
    assert count_descriptors() <= before_it
    return error.value


def work(office: Office) -> list[dict[bytes, Description]]:
    """Let three days pass, with a dump of each; return how the tree was at each of them.

    The full is on a volume, the others in the holding disk; one is compressed.
    """
    for name in ("holes", "deep/er", "sealed"):
        (office.tree / name).mkdir(parents=True)
    (office.tree / "deep" / "er" / "file").write_text("deep")
    (office.tree / "deep" / "link").hardlink_to(office.tree / "deep" / "er" / "file")
    (office.tree / "holes" / "all").touch()
    os.truncate(office.tree / "holes" / "all", 1 << 20)
    (office.tree / "file").write_text("file")
    (office.tree / "big").write_bytes(os.urandom(1 << 20))
    days = [seen(office.tree)]
    office.dump(SUNDAY, 0, taped=True)
    (office.tree / "file").write_text("changed")
    (office.tree / "holes").rename(office.tree / "sparse")
    days.append(seen(office.tree))
    office.dump(MONDAY, 1, claims=GZIPPED)
    (office.tree / "big").unlink()
    (office.tree / "new").write_text("new")
    days.append(seen(office.tree))
    office.dump(TUESDAY, 2)
    return days


def test_a_disk_is_restored_as_it_was_at_each_date(office: Office) -> None:
    """From a volume, the holding disk, compressed or not: all of its dumps as one."""
    days = work(office)
    assert seen(restore(office)) == days[-1]
    for stamp, day in zip(DAYS, days, strict=False):
        assert seen(restore(office, run=stamp)) == day
        at = parse_local_stamp(stamp) + timedelta(hours=5)
        assert seen(restore(office, before=at)) == day


def test_one_file_is_found_in_the_dump_that_has_it(office: Office) -> None:
    """With what is in a folder, and nothing else."""
    work(office)
    back = restore(office, (b"file", b"sparse"))
    assert (back / "file").read_text() == "changed"
    assert {path.name for path in back.iterdir()} == {"file", "sparse"}
    assert seen(back / "sparse") == seen(office.tree / "sparse")


def test_a_restore_goes_on_with_the_dumps_that_it_began_with(office: Office) -> None:
    """Though there is a newer one by now."""
    days = work(office)
    with open_chain(office.source(), DISK) as chain:
        runs = chain.chosen.runs
        selection = plan_restore(chain, [b""])
        whole = office.tmp_path / "whole"
        with whole.open("wb") as file:
            written = write_restore(chain, selection, Sink(file.fileno()), lambda *_: None)
    assert runs == (SUNDAY, MONDAY, TUESDAY)
    (office.tree / "newest").write_text("newest")
    office.dump(WEDNESDAY, 3)
    assert seen(restore(office, expected=runs)) == days[-1]
    members = written.files + written.folders
    assert seen(restore(office, expected=runs, skip=members)).keys() == {b"."}
    with (
        pytest.raises(BadDataError) as error,
        open_chain(office.source(), DISK, expected=(SUNDAY, TUESDAY)),
    ):
        pass
    assert error.value.reference == "chain-changed"


def test_a_flush_in_the_middle_changes_nothing(office: Office) -> None:
    """All is open before anything is read."""
    days = work(office)
    folder = office.tmp_path / "back"
    folder.mkdir()
    with open_chain(office.source(), DISK) as chain:
        selection = plan_restore(chain, [b""])
        for path in (
            *office.dumps.files.holding.rglob("*.*"),
            *office.dumps.files.vtapes.rglob("0*"),
        ):
            path.unlink()
        archive = office.tmp_path / "archive"
        with archive.open("wb") as file:
            write_restore(chain, selection, Sink(file.fileno()), lambda *_: None)
    extract(archive, folder)
    assert seen(folder) == days[-1]


# -- what there is


def test_a_date_before_the_first_dump_has_none(office: Office) -> None:
    """And it is said which is the oldest."""
    work(office)
    error = refuse(office, parse_local_stamp(SUNDAY) - timedelta(seconds=1))
    assert (error.reference, SUNDAY in error.hint) == ("nothing-then", True)
    assert refuse(office, run=WEDNESDAY).reference == "nothing-then"


def test_a_disk_that_nobody_has_dumped_has_nothing(office: Office) -> None:
    """Whatever other hosts have."""
    assert refuse(office).reference == "nothing-dumped"


def test_the_dump_that_is_meant_is_never_replaced_by_an_older_one(office: Office) -> None:
    """Where its volume was used again, that is said, and nothing else is given."""
    work(office)
    for path in office.dumps.files.vtapes.rglob("0*._home.0"):
        path.unlink()
    for before, run in ((None, ""), (None, SUNDAY), (parse_local_stamp(TUESDAY), "")):
        error = refuse(office, before, run)
        assert error.reference == "dump-gone"
        assert "2026-11-22 01:00:00" in error.message


def test_a_disk_of_another_case_or_host_is_another_one(office: Office) -> None:
    """No name of a client's leads to anybody else's dump."""
    work(office)
    for disk in ("/Home", "/home/", "/srv/homes", "..", "", "/etc"):
        with pytest.raises(BadDataError) as error, open_chain(office.source(), disk):
            pass
        assert error.value.reference == "nothing-dumped"


def test_what_was_dumped_while_the_clock_was_ahead_does_not_hide_the_rest(office: Office) -> None:
    """It can be had by its run; and is taken where there is nothing else."""
    work(office)
    (office.tree / "future").write_text("future")
    ahead = f"{datetime.now(UTC).year + 2}0101010000"
    office.dump(ahead, 0)
    assert not (restore(office) / "future").exists()
    assert (restore(office, run=ahead) / "future").exists()


def test_a_chain_is_of_one_machine(office: Office) -> None:
    """One that was this client before has a chain of its own; neither builds on the other's."""

    def runs(*dumps: tuple[str, int, int | None], run: str = "") -> tuple[str, ...]:
        return (
            Source(
                settings=office.dumps.files.settings,
                host=HOST,
                dles=[],
                dumps=[
                    RecordedDump(confirmed(stamp, level), machine=machine)
                    for stamp, level, machine in dumps
                ],
            )
            .choose(DISK, run=run)
            .runs
        )

    first, second, third = (SUNDAY, 0, 1), (MONDAY, 0, 2), (TUESDAY, 1, 1)
    assert runs(first, second, third) == (SUNDAY, TUESDAY)
    assert runs(first, second, third, run=MONDAY) == (MONDAY,)
    assert runs(first, second, (TUESDAY, 1, 2)) == (MONDAY, TUESDAY)
    assert runs(first, (MONDAY, 0, None), third) == (MONDAY, TUESDAY)  # Amanda's own run
    assert runs(first, second, (TUESDAY, 1, None)) == (MONDAY, TUESDAY)
    with pytest.raises(BadDataError) as error:
        runs(first, (MONDAY, 1, 2))
    assert error.value.reference == "no-chain"


# -- what it is


def test_a_program_that_only_a_header_names_is_not_run(office: Office) -> None:
    """But one that was recorded is, or that server.toml allows."""
    trace = office.tmp_path / "trace"
    program = office.tmp_path / "evil"
    program.write_text(f"#!/bin/sh\ntouch {trace}\nexec cat\n")
    program.chmod(0o755)
    (office.tree / "file").write_text("file")
    office.dump(SUNDAY, 0, claims=f"comp cust program /bin/tar client_custom_compress {program}")
    error = refuse(office)
    assert isinstance(error, RefusedError)
    assert error.reference == "filter-refused"
    assert str(program) in error.message
    assert not trace.exists()
    office.allow_list = (str(program),)
    assert (restore(office) / "file").read_text() == "file"
    office.allow_list, office.filters = (), Filters("client custom", str(program))
    assert (restore(office) / "file").read_text() == "file"


def test_what_the_client_encrypted_is_refused(office: Office) -> None:
    """Nothing is tried; it is said where it can be decrypted."""
    claims = "comp N program /bin/tar crypt enc client_encrypt /usr/sbin/amcrypt"
    office.filters = Filters("none", "", "client", "/usr/sbin/amcrypt", "-d")
    office.dump(SUNDAY, 0, claims=claims)
    error = refuse(office)
    assert (error.reference, "only the client" in error.message) == ("sealed", True)


def test_a_whole_image_can_be_had_whatever_made_it(office: Office, tmp_path: Path) -> None:
    """Unpacked, and byte for byte."""
    for claims in ("comp N program /sbin/dump", "comp .gz program APPLICATION"):
        image = os.urandom(3_000_000)
        stamp = SUNDAY if ".gz" not in claims else MONDAY
        packed = image if stamp == SUNDAY else gzip(image)
        office.dumps.hold(stamp, 0, packed, claims=claims)
        office.note(stamp, 0, DumpState.HELD)
        with (
            open_chain(office.source(), DISK, is_raw=True) as chain,
            (tmp_path / "raw").open("wb") as file,
        ):
            assert write_raw(chain.images[0], Sink(file.fileno())) == len(image)
        assert (tmp_path / "raw").read_bytes() == image


def write_image(office: Office, level: int, skip: int = 0, run: str = "") -> bytes:
    """Return what is sent of the image of a level, of the chain of a run or the newest."""
    path = office.tmp_path / "sent"
    with (
        open_chain(office.source(), DISK, run=run, is_raw=True) as chain,
        path.open("wb") as file,
    ):
        images = ChainImages(chain, "")
        size = images.write(level, skip, file.fileno(), lambda _: None)
    sent = path.read_bytes()
    assert images.counts == (1, len(sent))
    assert size == skip + len(sent)
    return sent


def test_the_images_of_a_chain_are_told_with_their_sizes(office: Office) -> None:
    """As they are written: what is compressed has the size of what is in it, if that is known."""
    dumped = [os.urandom(20_000), b"level 1" * 10_000, b"level 2"]
    lines = ["NATIVE-CRC=c24a1bdd:70000"]
    office.dumps.tape(SUNDAY, 0, dumped[0], claims="comp N program /sbin/dump", part=5000)
    office.dumps.hold(MONDAY, 1, gzip(dumped[1]), claims="comp .gz program /sbin/dump", lines=lines)
    office.dumps.hold(TUESDAY, 2, gzip(dumped[2]), claims=GZIPPED)
    for level, stamp in enumerate(DAYS[:3]):
        office.note(stamp, level, DumpState.STORED if level == 0 else DumpState.HELD)
    with open_chain(office.source(), DISK, is_raw=True) as chain:
        told = ChainImages(chain, "").plan
    assert [(one.run, one.level, one.maker, one.is_tar, one.size) for one in told.images] == [
        (SUNDAY, 0, "/sbin/dump", False, 20_000),
        (MONDAY, 1, "/sbin/dump", False, 70_000),
        (TUESDAY, 2, "/bin/tar", True, None),
    ]
    for level, image in enumerate(dumped):
        assert write_image(office, level) == image
        assert write_image(office, level, skip=3) == image[3:]
        assert write_image(office, level, skip=len(image)) == b""
    assert write_image(office, 0, run=MONDAY) == dumped[0]
    for run, level in ((MONDAY, 2), (SUNDAY, 1), ("", 3)):
        with pytest.raises(BadDataError, match="there is no dump of level"):
            write_image(office, level, run=run)


def test_an_image_of_another_size_than_was_dumped_is_no_success(office: Office) -> None:
    """Though its program has nothing to say about it."""
    claims, lines = "comp .gz program /sbin/dump", ["NATIVE-CRC=c24a1bdd:8"]
    office.dumps.hold(SUNDAY, 0, gzip(b"shorter"), claims=claims, lines=lines)
    office.note(SUNDAY, 0, DumpState.HELD)
    with pytest.raises(BadDataError, match="has 7 bytes, and had 8 when it was dumped"):
        write_image(office, 0)


def test_a_packed_image_that_is_cut_off_is_no_success(office: Office) -> None:
    """gzip knows."""
    packed = gzip(os.urandom(100_000))[:-1000]
    office.dumps.hold(SUNDAY, 0, packed, claims="comp .gz program /sbin/dump")
    office.note(SUNDAY, 0, DumpState.HELD)
    with pytest.raises(BadDataError, match="cannot be unpacked"):
        write_image(office, 0)


def test_what_tar_has_not_made_is_refused(office: Office) -> None:
    """Nobody reads it as an archive."""
    office.dump(SUNDAY, 0, claims="comp N program /sbin/dump")
    error = refuse(office)
    assert (error.reference, "/sbin/dump" in error.message) == ("no-tar-image", True)
    assert "asyncamanda restore --raw /home" in error.hint


def test_an_image_that_is_broken_at_its_beginning_is_named(office: Office) -> None:
    """By its run, and the byte."""
    office.dumps.hold(SUNDAY, 0, b"x" * 10_240)
    office.note(SUNDAY, 0, DumpState.HELD)
    with pytest.raises(BadDataError) as error, open_chain(office.source(), DISK) as chain:
        plan_restore(chain, [b""])
    assert error.value.reference == "image-broken"
    assert SUNDAY in error.value.message


# -- all disks


def only(office: Office) -> DiskDumps:
    """Return what can be restored of the one disk."""
    (disk,) = describe_disks(office.source())
    return disk


def test_a_disk_says_from_when_to_when_it_can_be_restored(office: Office) -> None:
    """With the path that it is on the client."""
    work(office)
    disk = only(office)
    assert (disk.disk, disk.device, disk.fault) == (DISK, "/srv/homes", "")
    assert disk.has_images
    assert [dump.verdict.timestamp for dump in disk.dumps] == [SUNDAY, MONDAY, TUESDAY]
    assert disk.gone_at is None


def test_a_disk_says_what_is_gone_with_which_volume(office: Office) -> None:
    """What builds on it is gone as well, though it is there."""
    work(office)
    log = FLUSHED.format(stamp=SUNDAY)
    (office.dumps.files.logdir / f"log.{SUNDAY}.0").write_text(log, "utf-8")
    for path in office.dumps.files.vtapes.rglob("0*._home.0"):
        path.unlink()
    office.image(0)
    office.dump(WEDNESDAY, 0)
    disk = only(office)
    assert [dump.verdict.timestamp for dump in disk.dumps] == [WEDNESDAY]
    assert (disk.gone_at, disk.gone_with) == (parse_local_stamp(TUESDAY), "DAILY-001")


FLUSHED = """\
INFO amflush amflush pid 266
START driver date {stamp}
START taper datestamp {stamp} "ST:daily" "POOL:daily" label DAILY-001 tape 1
PART taper "ST:daily" "POOL:daily" DAILY-001 1 laptop /home {stamp} 1/-1 0 [sec 1.0 kb 5 kps 5.0]
"""


def test_a_disk_says_why_its_files_cannot_be_had(office: Office) -> None:
    """Its whole dumps can."""
    office.dump(SUNDAY, 0, claims="comp N program APPLICATION")
    assert only(office).fault == "? makes its dumps: only the whole image can be had"
    assert only(office).has_images
    office.dump(MONDAY, 0, claims="comp N program /bin/tar crypt enc client_encrypt /e")
    assert "only the client's key opens it" in only(office).fault
    assert only(office).has_images
    assert only(office).is_sealed


def test_a_disk_that_was_never_dumped_is_there(office: Office) -> None:
    """With nothing to restore."""
    disk = only(office)
    assert (disk.disk, disk.dumps, disk.fault) == (DISK, (), "nothing of it is there")


# -- versions


def test_a_file_has_a_version_for_each_dump_that_has_it(office: Office) -> None:
    """With its size, and whether it is another than in the dump before; by its old names, too."""
    (office.tree / "a").mkdir()
    for name in ("kept", "changed", "removed"):
        (office.tree / "a" / name).write_text(name)
    office.dump(SUNDAY, 0)
    (office.tree / "a" / "changed").write_text("changed again")
    (office.tree / "a" / "removed").unlink()
    office.dump(MONDAY, 1)
    office.dump(TUESDAY, 2)
    office.dump(WEDNESDAY, 0, claims=GZIPPED)

    def versions(path: bytes) -> list[tuple[str, bytes, int | None, bool]]:
        return [
            (
                each.dump.verdict.timestamp,
                each.flag,
                each.member.size if each.member else None,
                each.is_changed,
            )
            for each in list_versions(office.source(), DISK, path)
        ]

    assert versions(b"a/kept") == [
        (SUNDAY, b"Y", 4, True),
        (MONDAY, b"N", 4, False),
        (TUESDAY, b"N", 4, False),
        (WEDNESDAY, b"Y", None, True),  # it would have to be unpacked
    ]
    assert versions(b"a/changed")[:3] == [
        (SUNDAY, b"Y", 7, True),
        (MONDAY, b"Y", 13, True),
        (TUESDAY, b"N", 13, False),
    ]
    assert versions(b"a/removed") == [(SUNDAY, b"Y", 7, True)]
    assert [flag for _, flag, _, _ in versions(b"a")] == [b"D"] * 4
    assert versions(b"nothing") == []
    with pytest.raises(BadDataError):
        list(list_versions(office.source(), "/other", b"a"))


def test_a_full_that_has_the_same_file_again_is_no_new_version(office: Office) -> None:
    """A dump that is gone is passed over."""
    (office.tree / "kept").write_text("kept")
    for stamp in (SUNDAY, MONDAY, TUESDAY):
        office.dump(stamp, 0)
    (office.dumps.files.holding / MONDAY / "laptop._home.0").unlink()
    found = list_versions(office.source(), DISK, b"kept")
    assert [(each.dump.verdict.timestamp, each.is_changed) for each in found] == [
        (SUNDAY, True),
        (TUESDAY, False),
    ]


# -- what was left out


def test_a_warning_says_that_other_files_were_left_out_since(office: Office) -> None:
    """tar lists what is excluded as unchanged, whatever became of it since."""
    for name in ("file", "log"):
        (office.tree / name).write_text(f"old {name}")
    dle = "<dle>\n  <program>GNUTAR</program>\n  <diskname>/home</diskname>{}\n</dle>"
    without = dle.format("\n  <exclude>\n    <file>./log</file>\n  </exclude>")

    def dump(stamp: str, level: int, its: str, *more: str) -> None:
        image = make_image(office.tree, office.tmp_path / "snapshot", level, *more)
        lines = ["DLE=<<ENDDLE", its, "ENDDLE"]
        office.dumps.hold(stamp, level, image, lines=lines)
        office.note(stamp, level, DumpState.HELD)

    dump(SUNDAY, 0, dle.format(""))
    (office.tree / "log").write_text("new log")
    dump(MONDAY, 1, without, "--exclude=./log")
    dump(TUESDAY, 2, without, "--exclude=./log")
    assert (restore(office) / "log").read_text() == "old log"
    request = FilesRequest(DISK, (b"log",))
    for run, doubts in ((SUNDAY, 0), (MONDAY, 1), (TUESDAY, 1)):
        with open_chain(office.source(), DISK, run=run) as chain:
            plan = ChainFiles(office.source(), request, chain).plan
        assert len(plan.doubts) == doubts
        assert all(SUNDAY in doubt and MONDAY in doubt for doubt in plan.doubts)


def test_a_warning_names_an_attempt_that_failed_in_the_run_of_a_dump(office: Office) -> None:
    """The next level may be built on that one, which nobody has."""
    office.dump(SUNDAY, 0)
    office.dump(MONDAY, 1)
    for is_doubtful in (False, True):
        dumps = [
            replace(one, verdict=replace(one.verdict, has_failed_since=is_doubtful))
            if one.verdict.timestamp == SUNDAY
            else one
            for one in office.ledger.verdicts.of_host("daily", HOST)
        ]
        source = Source(
            settings=office.dumps.files.settings,
            host=HOST,
            dles=[Dle(HOST, DISK, filters=Filters())],
            dumps=dumps,
            ask=office.dumps.find,
        )
        with open_chain(source, DISK) as chain:
            plan = ChainFiles(source, FilesRequest(DISK, (b"",)), chain).plan
        assert [SUNDAY in doubt for doubt in plan.doubts] == [True] * is_doubtful

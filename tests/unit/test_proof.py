"""Which files prove something, what it proves that one did not come back, and when it is due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.client.restore.proof_telling import fit_proof
from asyncamanda.core.model import BackupState
from asyncamanda.core.restore.image import Kind, Member
from asyncamanda.core.restore.proof import (
    LARGEST_FILE,
    MARGIN,
    MOST_BYTES,
    MOST_FILES,
    Absence,
    ClientProof,
    LiveFile,
    ProofStanding,
    changed_limit,
    choose_files,
    conclude_proof,
    find_difference,
    is_unchanged,
    judge_absence,
    judge_proofs,
    judge_refusal,
    sum_up_faults,
)
from asyncamanda.core.restore.proofs import (
    NO_PROOFS,
    WITHOUT_NAMES,
    LastProof,
    ProofMemory,
    choose_due,
    count_drills,
    hide_names,
    is_due,
    judge_proved,
    keep_disks,
    list_untold,
    note_proofs,
    note_told,
    oldest_proof,
)
from asyncamanda.core.restore.search import LEFT_OUT, NOWHERE, UNCLEAR
from asyncamanda.errors import Exit

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY
GOOD, FAILED = ProofStanding.GOOD, ProofStanding.FAILED
NOTHING, IMPOSSIBLE = ProofStanding.NOTHING, ProofStanding.IMPOSSIBLE
SECOND = 10**9
BEFORE = int((NOON - DAY).timestamp()) * SECOND + 7
FILE = LiveFile(b"a/f", 5, BEFORE, BEFORE, 0o640, 33, 34, 1)


def member(**keys: object) -> Member:
    """Return what comes back of FILE, but for `keys`."""
    whole = Member(
        0, 512, 5, 1536, Kind.FILE, b"a/f", b"", 0o640, 33, 34, b"", b"", FILE.mtime_ns, 5
    )
    return replace(whole, **keys)  # type: ignore[arg-type]


def test_only_what_changed_well_before_the_dump_proves_something() -> None:
    """By either of its times; clocks differ, and a page may be written to later than they say."""
    limit = changed_limit(NOON)
    at = int((NOON - MARGIN).timestamp()) * SECOND
    assert limit == at
    assert is_unchanged(replace(FILE, mtime_ns=at - 1, changed_ns=at - 1), limit)
    assert not is_unchanged(replace(FILE, mtime_ns=at), limit)
    assert not is_unchanged(replace(FILE, changed_ns=at), limit)


def test_a_proof_has_bounds() -> None:
    """So many files, none too large, not too much together, and each once."""
    many = [replace(FILE, path=b"%d" % number) for number in range(20)]
    assert choose_files([FILE, FILE, *many]) == (FILE, *many[: MOST_FILES - 1])
    large = [replace(each, size=LARGEST_FILE - 1) for each in many]
    assert sum(file.size for file in choose_files(large)) <= MOST_BYTES
    assert len(choose_files(large)) == MOST_BYTES // (LARGEST_FILE - 1)
    assert choose_files([replace(FILE, size=LARGEST_FILE + 1)]) == ()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, ""),
        ({"mtime_ns": BEFORE // SECOND * SECOND}, ""),  # GNU tar's own format has whole seconds
        ({"mtime_ns": BEFORE - 1}, "another time"),
        ({"mtime_ns": BEFORE // SECOND * SECOND + SECOND}, "another time"),
        ({"mode": 0o644}, "mode"),
        ({"mode": 0o100640}, ""),
        ({"uid": 0}, "belongs"),
        ({"gid": 0}, "belongs"),
        ({"size": 6}, "bytes"),
        ({"kind": Kind.SYMLINK}, "symbolic link"),
    ],
)
def test_what_differs_is_named(keys: dict[str, object], words: str) -> None:
    """Owner, mode, time, size and kind."""
    found = find_difference(FILE, member(**keys))
    assert words in found
    assert bool(found) is bool(words)


@pytest.mark.parametrize(
    ("reason", "is_excluded", "has_more", "is_settled", "is_fault"),
    [
        (LEFT_OUT, False, False, True, True),
        (NOWHERE, False, False, True, True),
        (LEFT_OUT, True, False, True, False),
        (NOWHERE, False, True, True, False),
        (UNCLEAR, True, True, True, True),
        ("the dump is broken", True, True, True, True),
        ("", False, False, True, True),
        ("", False, False, False, False),  # its folder may have had another name
        ("", True, False, True, False),
        ("", False, True, True, False),
    ],
)
def test_a_file_that_does_not_come_is_a_fault_unless_it_may_be_left_out(
    reason: str, is_excluded: bool, has_more: bool, is_settled: bool, is_fault: bool
) -> None:
    """What is excluded, or in a folder that was moved since; the rest of the reasons count."""
    fault = judge_absence(
        replace(FILE, is_settled=is_settled),
        Absence(reason),
        lambda _: is_excluded,
        has_more_excludes=has_more,
    )
    assert bool(fault) is is_fault


def test_what_the_server_refuses_proves_something_only_if_the_dumps_are_at_fault() -> None:
    """A volume that was used again as was meant is none; nor is a server without time."""
    assert judge_refusal(Exit.DATA, "dump-gone") is FAILED
    assert judge_refusal(Exit.DATA, "image-broken") is FAILED
    assert judge_refusal(Exit.DATA, "dump-overwritten") is NOTHING
    assert judge_refusal(Exit.DATA, "no-tar-image") is IMPOSSIBLE
    assert judge_refusal(Exit.LATER, "ledger-locked") is None
    assert judge_refusal(Exit.REFUSED, "no-restore") is None
    # nor does a disk that the server may not unpack keep others from their turn
    assert judge_refusal(Exit.REFUSED, "filter-refused") is NOTHING
    assert judge_refusal(Exit.CONFIGURATION, "filter-missing") is NOTHING


def test_one_fault_outweighs_what_is_well() -> None:
    """And without any file nothing is proved."""
    assert conclude_proof("/", "1", [FILE], ["x"], "why").standing is FAILED
    good = conclude_proof("/", "1", [FILE, FILE], [], "why")
    assert (good.standing, good.files, good.size, good.why) == (GOOD, 2, 10, "")
    assert conclude_proof("/", "1", [], [], "why") == ClientProof("/", NOTHING, "1", why="why")


@pytest.mark.parametrize(
    ("standings", "code"),
    [
        ([GOOD], Exit.OK),
        ([GOOD, NOTHING], Exit.OK),
        ([GOOD, FAILED], Exit.NOT_STORED),
        ([NOTHING], Exit.LATER),
        ([NOTHING, IMPOSSIBLE], Exit.OK),
        ([], Exit.OK),
    ],
)
def test_the_exit_code(standings: list[ProofStanding], code: Exit) -> None:
    """A failure counts most; if nothing could be compared it is for later."""
    assert judge_proofs([ClientProof("/", each) for each in standings]) is code


def test_some_faults_are_named_and_the_rest_counted() -> None:
    """In one line."""
    assert sum_up_faults(["a", "b"]) == "a; b"
    assert sum_up_faults(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"


# -- when


def last(
    standing: ProofStanding = GOOD, tried: datetime = NOON, good: datetime | None = NOON
) -> LastProof:
    """Return a disk's last proof."""
    faults = ("/home/ana/x: other",) if standing is FAILED else ()
    return LastProof(ClientProof("/home", standing, faults=faults), tried, good, NOON - 9 * DAY)


@pytest.mark.parametrize(
    ("known", "dumped_at", "after", "due"),
    [
        (None, NOON, timedelta(0), True),
        (last(), NOON, WEEK - timedelta(seconds=1), False),
        (last(), NOON, WEEK, True),
        (last(), NOON + DAY, DAY, False),
        (last(FAILED), NOON - DAY, timedelta(hours=3), False),
        (last(FAILED), NOON + timedelta(hours=1), timedelta(hours=3), True),
        (last(FAILED), NOON - DAY, DAY, True),
        (last(NOTHING), NOON + timedelta(hours=1), timedelta(hours=3), False),
        (last(NOTHING), NOON, DAY, True),
        (last(IMPOSSIBLE), NOON, DAY, False),
        (last(IMPOSSIBLE), NOON, WEEK, True),
        (last(), NOON, -DAY, True),  # the clock was set back
    ],
)
def test_when_a_proof_is_due(
    known: LastProof | None, dumped_at: datetime, after: timedelta, due: bool
) -> None:
    """Each week; after a failure with the next dump, or the next day."""
    assert is_due(known, dumped_at, WEEK, NOON + after) is due


def test_the_disk_that_waits_longest_is_first_and_never_means_never() -> None:
    """One that was not proved yet before all others."""
    known = ProofMemory({"/home": last(tried=NOON - WEEK), "/srv": last(tried=NOON - 2 * WEEK)}, {})
    confirmed = dict.fromkeys(["/home", "/srv", "/new"], NOON)
    assert choose_due(confirmed, known, WEEK, NOON) == ("/new", "/srv", "/home")
    assert choose_due(confirmed, known, None, NOON) == ()


def test_what_is_remembered_of_a_proof() -> None:
    """A failure does not make the last good one unknown; what the server heard of is told once."""
    good = ClientProof("/home", GOOD, "1", 2, 3)
    failed = ClientProof("/home", FAILED, "2", faults=("x",))
    first = note_proofs(NO_PROOFS, [good], NOON)
    assert list_untold(first) == (LastProof(good, NOON, NOON, NOON),)
    assert list_untold(note_told(first, ["/home"])) == ()
    then = note_proofs(note_told(first, ["/home"]), [failed], NOON + DAY)
    assert then.disks["/home"] == LastProof(failed, NOON + DAY, NOON, NOON)
    assert [one.proof for one in list_untold(then)] == [failed]
    # what proved nothing has not made it good, and nobody is told that it is
    still = note_proofs(note_told(then, ["/home"]), [ClientProof("/home", NOTHING)], NOON + WEEK)
    assert still.disks["/home"] == LastProof(failed, NOON + WEEK, NOON, NOON, is_told=True)
    assert judge_proved(still.disks.values(), WEEK, NOON + WEEK) is BackupState.FAILED
    none = note_proofs(NO_PROOFS, [ClientProof("/home", NOTHING)], NOON)
    assert list_untold(none) == ()


def test_a_disk_that_waits_for_its_first_proof_is_remembered_and_one_that_is_gone_is_not() -> None:
    """So that it is noticed if no moment is ever good."""
    known = keep_disks(note_proofs(NO_PROOFS, [ClientProof("/old", GOOD)], NOON), ["/new"], NOON)
    assert {*known.disks} == {"/new"}
    assert keep_disks(known, [], NOON) == known  # as after the memory was lost
    one = known.disks["/new"]
    assert is_due(one, NOON, WEEK, NOON)
    month = 30 * DAY
    assert judge_proved([one], WEEK, NOON + month) is BackupState.WELL
    assert judge_proved([one], WEEK, NOON + month + DAY) is BackupState.STALE


def test_people_hear_of_a_failure_and_of_none_for_a_month() -> None:
    """Of nothing else; and not of a disk that cannot be proved."""
    assert judge_proved([last(), last(FAILED)], WEEK, NOON) is BackupState.FAILED
    assert judge_proved([last()], WEEK, NOON + 31 * DAY) is BackupState.STALE
    assert judge_proved([last()], 20 * DAY, NOON + 31 * DAY) is BackupState.WELL
    assert judge_proved([last(IMPOSSIBLE, good=None)], WEEK, NOON + 99 * DAY) is BackupState.WELL
    assert judge_proved([], WEEK, NOON) is BackupState.WELL


def test_a_drill_of_the_servers_counts_as_a_proof() -> None:
    """A laptop that never has a good moment for one of its own is no reason for an alarm."""
    old, other = last(good=None), replace(last(), proof=ClientProof("/srv", GOOD))
    then = NOON + 31 * DAY
    known = count_drills([old, other], {"/home": then - DAY, "/gone": then})
    assert [one.good_at for one in known] == [then - DAY, NOON]
    assert judge_proved([old], WEEK, then) is BackupState.STALE
    assert judge_proved(known[:1], WEEK, then) is BackupState.WELL
    assert count_drills([other], {"/srv": NOON - DAY}) == (other,)


def test_all_disks_are_proved_since_the_oldest_of_their_proofs() -> None:
    """A disk that never was makes that unknown."""
    assert oldest_proof([last(), last(good=NOON - DAY)]) == NOON - DAY
    assert oldest_proof([last(), last(good=None)]) is None
    assert oldest_proof([last(), last(IMPOSSIBLE, good=None)]) == NOON
    assert oldest_proof([]) is None


def test_everybody_may_know_that_a_proof_failed_and_not_the_names() -> None:
    """They are other users' files."""
    assert hide_names(last()) == last()
    assert hide_names(last(FAILED)).proof.faults == (WITHOUT_NAMES,)


def test_a_server_that_sees_no_names_is_told_none() -> None:
    """Of a client that encrypts its dumps it hears that a proof failed, and not of which file."""
    run = "20261130120000"
    proof = ClientProof("/home", ProofStanding.FAILED, run, faults=("/home/ana/secret: is gone",))
    assert "secret" in fit_proof(proof, 0, hides_names=False).reason
    hidden = fit_proof(proof, 0, hides_names=True)
    assert "secret" not in hidden.reason
    assert hidden.reason
    assert not hidden.is_good

"""Verdicts and memories in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.amandates import parse_amandates

from asyncamanda.core.agent.due import (
    Decision,
    Disk,
    NotDue,
    Witness,
    decide_due,
    survey_disks,
)
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.dispatch.batch import Hold
from asyncamanda.core.model import (
    EPOCH,
    Attempt,
    DiskRule,
    DleVerdict,
    DumpRecord,
    DumpState,
    Outcome,
    Policy,
    Span,
)
from asyncamanda.core.protocol.messages import Queued, Running
from asyncamanda.core.values.printable import printable
from asyncamanda.report.text import (
    WAITS_FOR,
    describe_attempt,
    describe_disk,
    describe_queued,
    describe_running,
    describe_verdict,
    explain_decision,
    explain_oddities,
    format_time,
    name_disks,
    sum_up,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DAILY = Policy(DAY)
NEWEST = Policy(DAY, DiskRule.NEWEST)


def disk(name: str, ago: timedelta, level: int = 0) -> Disk:
    """Return a disk whose last dump started `ago` before now."""
    return Disk(name, DumpRecord(name, level, NOW - ago))


def explain(policy: Policy, *disks: Disk) -> str:
    """Return the verdict on `disks` in words."""
    return explain_decision(decide_due(disks, policy, NOW), policy, NOW)


def decide(*disks: Disk) -> Decision:
    """Return the verdict on `disks`."""
    return decide_due(disks, DAILY, NOW)


@pytest.mark.parametrize(
    ("policy", "disks", "words"),
    [
        (DAILY, (), "due: never backed up: amandates lists no disk"),
        (DAILY, (Disk("/"),), "due: / has no backup that counts"),
        (
            DAILY,
            (disk("/", 2 * DAY),),
            "due: / not backed up for too long (one is due every 1d)",
        ),
        (
            DAILY,
            (disk("/", 2 * DAY), Disk("/new"), disk("/ok", HOUR)),
            "due: /new has no backup that counts; / not backed up for too long (one is due every"
            " 1d)",
        ),
        (
            NEWEST,
            (disk("/", 2 * DAY + HOUR), Disk("/new")),
            "due: the newest dump of any disk is 2d 1h old, and one is due every 1d",
        ),
        (NEWEST, (Disk("/"),), "due: / has no backup that counts"),
    ],
)
def test_what_is_due_is_told_with_its_reason(
    policy: Policy, disks: tuple[Disk, ...], words: str
) -> None:
    """Nobody has to guess."""
    assert explain(policy, *disks) == words


def test_what_is_not_due_is_told_with_its_evidence() -> None:
    """How old, and due from when, in the reader's time zone."""
    until = format_time(NOW - 5 * HOUR + DAY * 0.97)
    assert explain(DAILY, disk("/", HOUR), disk("/b", 5 * HOUR)) == (
        f"not due: no disk's backup is older than 5h; the next is due at {until}"
    )
    until = format_time(NOW - HOUR + DAY * 0.97)
    assert explain(NEWEST, disk("/", HOUR), disk("/b", 5 * HOUR)) == (
        f"not due: the newest dump is 1h old; the next is due at {until}"
    )


def test_what_is_parked_is_named_beside() -> None:
    """It is neither due nor well: the server's configuration leaves it out."""
    parked = replace(disk("/old", 90 * DAY), is_parked=True)
    assert explain(DAILY, disk("/", 2 * DAY), parked).endswith(
        "(one is due every 1d); left out by the server's configuration: /old"
    )
    assert explain(DAILY, disk("/", HOUR), parked).startswith(
        "not due: no disk's backup is older than 1h; the next is due at "
    )
    assert describe_disk(decide(parked).disks[0], NOW)[1] == "parked"


def test_a_client_all_of_whose_disks_are_parked_is_never_well() -> None:
    """Nothing of it is backed up, and that is what is said."""
    decision = NotDue(decide(Disk("/old", is_parked=True)).disks, NOW + HOUR, None)
    assert explain_decision(decision, DAILY, NOW, Witness.SERVER) == (
        "not due: nothing is backed up: every disk is left out by the server's configuration "
        "(/old); "
        f"the server is asked again at {format_time(NOW + HOUR)}"
    )
    glance = sum_up(decision, DAILY, is_stale=False, now=NOW, witness=Witness.SERVER)
    assert glance.startswith("parked: nothing is backed up: every disk is left out")
    assert sum_up(decision, DAILY, is_stale=True, now=NOW).startswith("STALE: nothing is backed")
    assert explain(DAILY, Disk("/old", is_parked=True)) == (
        "due: the server has to be asked again, because every disk was left out by the server's "
        "configuration "
        "(/old)"
    )


@pytest.mark.parametrize(
    ("witness", "disks", "words"),
    [
        (Witness.NOBODY, (), "due: the server was never asked"),
        (Witness.NOBODY, (Disk("/"),), "due: the server was never asked"),
        (Witness.SERVER, (), "due: the server's disklist has no disk of this client"),
        (Witness.SERVER, (Disk("/"),), "due: / has no confirmed backup"),
        (
            Witness.SERVER,
            (disk("/", HOUR),),
            "not due: no disk's backup is older than 1h according to the server; the next is due "
            "at " + format_time(NOW - HOUR + DAY * 0.97),
        ),
    ],
)
def test_at_the_gate_it_is_told_by_whose_word(
    witness: Witness, disks: tuple[Disk, ...], words: str
) -> None:
    """The server's, once it was asked."""
    decision = decide_due(disks, DAILY, NOW)
    assert explain_decision(decision, DAILY, NOW, witness) == words
    glance = sum_up(decision, DAILY, is_stale=False, now=NOW, witness=witness)
    assert glance.split(": ", 1)[1] == words.split(": ", 1)[1]


@pytest.mark.parametrize("policy", [DAILY, NEWEST])
def test_a_dump_a_little_ahead_of_the_clock_is_just_made(policy: Policy) -> None:
    """Two clocks may differ, and nothing is older than not at all."""
    assert "0s" in explain(policy, disk("/", timedelta(minutes=-2)))


def test_many_disks_are_counted() -> None:
    """A sentence names five."""
    assert name_disks([*"abcde"]) == "a, b, c, d, e"
    assert name_disks([*"abcdefg"]) == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/srv/d 3", "/srv/d 3"),
        ("/bücher", "/bücher"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\udce9", "\\udce9"),
        ("\u202egnp", "\\u202egnp"),
    ],
)
def test_a_name_cannot_act_on_the_terminal(name: str, shown: str) -> None:
    """Escapes, line ends and direction marks are shown, not obeyed."""
    assert printable(name) == shown
    assert shown in explain(DAILY, Disk(name))


def test_what_does_not_count_is_told_with_why() -> None:
    """Times in the future, times from bad runs, forgotten disks, skipped lines."""
    future, bad = DumpRecord("/f", 0, NOW + DAY), DumpRecord("/d", 0, NOW - HOUR)
    decision = decide(
        disk("/", HOUR),
        Disk("/f", in_future=future),
        Disk("/d", distrusted=bad),
        disk("/gone", 40 * DAY),
    )
    _, rejected = parse_amandates("/ok 0 17\nbad\nworse\n")
    assert explain_oddities(decision, rejected) == [
        f"dated in the future, no evidence of a backup: /f at {format_time(NOW + DAY)}",
        f"from a failed run or for another server; not counted: /d at {format_time(NOW - HOUR)}",
        "no longer required, much older than the other disks: /gone",
        "2 lines skipped, as Amanda does; line 2: no disk name followed by a level and a time",
    ]


def test_at_the_gate_a_newer_time_in_amandates_is_told_as_what_it_is() -> None:
    """A hint, which the server has not confirmed."""
    hint = DumpRecord("/", 0, NOW - MINUTE)
    decision = decide(Disk("/", DumpRecord("/", 0, NOW - HOUR), distrusted=hint))
    assert explain_oddities(decision, Rejected(), Witness.SERVER) == [
        f"newer than what the server has confirmed: / at {format_time(NOW - MINUTE)}"
    ]


def test_a_future_time_beside_a_good_one_is_told_as_well() -> None:
    """The disk is fresh, and its clock was wrong once."""
    odd = Disk("/", DumpRecord("/", 0, NOW), in_future=DumpRecord("/", 1, NOW + DAY))
    assert len(explain_oddities(decide(odd), Rejected())) == 1


def test_more_than_five_oddities_of_a_kind_are_counted() -> None:
    """A sentence stays a sentence."""
    disks = [Disk(f"/{n}", in_future=DumpRecord(f"/{n}", 0, NOW + DAY)) for n in range(7)]
    assert explain_oddities(decide(*disks), Rejected())[0].endswith(" and 2 more")


def test_where_all_counts_there_is_nothing_to_tell() -> None:
    """No oddity, no words; a level that was never dumped is none either."""
    assert explain_oddities(decide(disk("/", HOUR)), Rejected()) == []
    never = survey_disks([("/", 0, 0)], {}, (Span(EPOCH, NOW),), NOW)
    assert explain_oddities(decide(*never), Rejected()) == []


def test_a_disk_is_a_row() -> None:
    """Name, standing, last dump, age; dashes where there is no dump."""
    fresh, never = decide(disk("/", 25 * HOUR, 2), Disk("/new")).disks
    assert describe_disk(fresh, NOW) == (
        "/",
        "overdue",
        f"{format_time(NOW - 25 * HOUR)} level 2",
        "1d 1h",
    )
    assert describe_disk(never, NOW) == ("/new", "no backup", "-", "-")


DUMPS = tuple(DumpRecord(f"/{n}", n, NOW) for n in range(6))


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (
            Attempt(NOW, NOW + HOUR, Outcome.BACKED_UP, dumps=DUMPS[:2]),
            "backed up in 1h: /0 (level 0), /1 (level 1)",
        ),
        (
            Attempt(NOW, NOW + HOUR, Outcome.BACKED_UP, "with warnings", 2, DUMPS),
            "backed up in 1h: /0 (level 0), /1 (level 1), /2 (level 2), "
            "/3 (level 3), /4 (level 4) and 1 more\n  with warnings",
        ),
        (Attempt(NOW, NOW, Outcome.FAILED, "no\x1b"), "failed: no\\x1b"),
        (Attempt(NOW, NOW, Outcome.BACKED_UP, "with \x1b"), "backed up in 0s\n  with \\x1b"),
        (Attempt(NOW, NOW, Outcome.INCOMPLETE, "why", 0, DUMPS[:1]), "incomplete: why"),
        (Attempt(NOW, NOW, Outcome.KILLED, "why", 255), "killed: why"),
        (Attempt(NOW, NOW, Outcome.UNREACHABLE, "why", times=3), "unreachable 3 times: why"),
    ],
)
def test_an_attempt_is_one_line(attempt: Attempt, words: str) -> None:
    """How it ended, how long it took, how often, and what it brought; remarks stand below it."""
    assert describe_attempt(attempt) == words


@pytest.mark.parametrize(
    ("decision", "stale", "words"),
    [
        (decide(), False, "overdue: never backed up: amandates lists no disk"),
        (decide(), True, "STALE: never backed up: amandates lists no disk"),
        (decide(Disk("/")), False, "overdue: / has no backup that counts"),
        (
            decide(disk("/", HOUR)),
            False,
            "all well: no disk's backup is older than 1h; the next is due at "
            f"{format_time(NOW - HOUR + DAY * 0.97)}",
        ),
        (
            decide(disk("/", 2 * DAY)),
            False,
            "overdue: / not backed up for too long (one is due every 1d)",
        ),
        (
            decide(disk("/", 9 * DAY)),
            True,
            "STALE: the last backup is 9d old; / not backed up for too long (one is due every 1d)",
        ),
    ],
)
def test_the_state_is_told_at_one_glance(decision: Decision, stale: bool, words: str) -> None:
    """The worst that is true comes first, then its reason."""
    assert sum_up(decision, DAILY, is_stale=stale, now=NOW) == words


@pytest.mark.parametrize(
    ("queued", "words"),
    [
        (Queued(1, 1, None, "collecting"), "queued: 1 of 1 (waits for others to join)"),
        (Queued(1, 1, None, "starting"), "queued: 1 of 1 (waits for another run to start)"),
        (Queued(1, 1, None, "no room in /x"), "queued: 1 of 1 (no room in /x)"),
        (
            Queued(2, 5, timedelta(minutes=3, seconds=0.4), "runs"),
            "queued: 2 of 5, starts in about 3m (waits for a run to end)",
        ),
        (
            Queued(2, 5, timedelta(0), "flush"),
            "queued: 2 of 5, starts in about 1s (waits for a flush to end)",
        ),
        (Queued(9, 9, None, "others"), "queued: 9 of 9 (waits for a run that others started)"),
        (Queued(1, 1, None, "new\x1b"), "queued: 1 of 1 (new\\x1b)"),
    ],
)
def test_a_request_that_waits_is_told_with_its_place(queued: Queued, words: str) -> None:
    """And for what, and how long if that is known; a reason that a newer server has is shown."""
    assert describe_queued(queued) == words


@pytest.mark.parametrize(
    ("running", "words"),
    [
        (Running("", NOW, 1), "the run is in progress on the server, for 1 client"),
        (
            Running("20261123120000\n", NOW, 3),
            "the run 20261123120000\\x0a is in progress on the server, for 3 clients",
        ),
    ],
)
def test_a_run_is_told_with_its_name(running: Running, words: str) -> None:
    """As soon as it has one."""
    assert describe_running(running) == words


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (DumpState.STORED, "", "/\\x0a: dumped, and on a volume (level 1)"),
        (DumpState.HELD, "", "/\\x0a: dumped, and in the holding disk (level 1)"),
        (DumpState.FAILED, "why\x1b", "/\\x0a: failed: why\\x1b"),
        (DumpState.MISSING, "", "/\\x0a: failed"),
        (DumpState.SKIPPED, "skip-incr", "/\\x0a: skipped: skip-incr"),
    ],
)
def test_a_verdict_is_one_line(state: DumpState, reason: str, words: str) -> None:
    """Where the dump is, or why there is none."""
    verdict = DleVerdict("laptop", "/\n", "20261123120000", state, 1, reason)
    assert describe_verdict(verdict) == words


def test_each_thing_that_is_waited_for_has_words() -> None:
    """Else a client would be shown an identifier; nobody is told about `nobody`."""
    assert WAITS_FOR.keys() == {hold.value for hold in Hold} - {Hold.NOBODY.value}

"""Gate mode: what the server said, and what follows from it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.by_command import BackedUp, NotBackedUp
from asyncamanda.core.agent.by_gate import (
    come_back_at,
    contact_at,
    decide_by_gate,
    find_end,
    find_witness,
    heed_refusal,
    heed_welcome,
    settle_unseen,
    shift_clock,
    survey_by_gate,
)
from asyncamanda.core.agent.due import (
    BackupStanding,
    Disk,
    Due,
    NotDue,
    Witness,
    force_due,
    is_all_parked,
)
from asyncamanda.core.agent.finished import NAMED, conclude, judge_finished
from asyncamanda.core.model import (
    Attempt,
    DiskRule,
    DleVerdict,
    DumpRecord,
    DumpState,
    Memory,
    Outcome,
    Policy,
)
from asyncamanda.core.protocol.messages import DleState, Finished, Refused, Welcome

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RUN, OLDER_RUN = "20261123120000", "20261122030000"
DAILY, NEWEST = Policy(DAY), Policy(DAY, DiskRule.NEWEST)


def dle(disk: str, ago: timedelta | None, level: int = 1) -> DleState:
    """Return a DLE whose newest confirmed dump is `ago` old, None for none."""
    if ago is None:
        return DleState(disk, None, None, None)
    return DleState(disk, DumpState.HELD, level, NOW - ago)


def welcome(
    *dles: DleState,
    now: datetime = NOW,
    standing: str = "idle",
    last: Finished | None = None,
) -> Welcome:
    """Return what the server says of `dles`, at `now` by its clock."""
    return Welcome(1, "asyncamanda 9", "laptop", "daily", now, 15 * SECOND, dles, standing, last)


def said(disk: str, state: DumpState = DumpState.HELD, **more: object) -> DleVerdict:
    """Return a verdict on a disk of this run."""
    return replace(DleVerdict("laptop", disk, RUN, state, 0), **more)  # type: ignore[arg-type]


def finished(*verdicts: DleVerdict, run: str = RUN, after: timedelta = MINUTE) -> Finished:
    """Return the end of a run, `after` now."""
    return Finished(run, NOW + after, verdicts)


def asked(*dles: DleState, ago: timedelta = HOUR) -> Memory:
    """Return the memory of one who asked the server `ago`, and heard of `dles`."""
    return heed_welcome(Memory(since=NOW - DAY), welcome(*dles), NOW - ago)


# -- what a Welcome does


def test_a_disk_that_is_named_twice_is_one() -> None:
    """Its last word counts."""
    after = asked(dle("/", HOUR), dle("/home", HOUR), dle("/", 2 * HOUR))
    assert after.dles == ("/", "/home")
    assert after.confirmed["/"].started_at == NOW - 2 * HOUR


@pytest.mark.parametrize(
    ("there", "at"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 6, 1, tzinfo=UTC)),
        (datetime(9998, 6, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC)),
        (NOW - 300 * DAY, datetime(9998, 6, 1, tzinfo=UTC)),
        (NOW + 300 * DAY, datetime(1970, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_time_that_no_zone_can_show_is_left_as_it_was(there: datetime, at: datetime) -> None:
    """By a clock that is far off, near the calendar's ends."""
    came = welcome(DleState("/", DumpState.HELD, 0, at), now=there, last=Finished(RUN, at, ()))
    shifted, _ = shift_clock(came, NOW)
    assert shifted.last
    assert (shifted.dles[0].confirmed_at, shifted.last.ended_at) == (at, at)


@pytest.mark.parametrize(("disks", "lines"), [(NAMED, NAMED), (NAMED + 1, NAMED + 1), (2000, 21)])
def test_of_many_disks_that_failed_some_are_named(disks: int, lines: int) -> None:
    """A mail with thousands of lines tells no more than one with twenty."""
    names = tuple(f"/{number}" for number in range(disks))
    verdicts = [said(name, DumpState.FAILED, reason="x" * 1000) for name in names]
    verdict = judge_finished(names, finished(*verdicts), {})
    assert isinstance(verdict, NotBackedUp)
    assert verdict.message.count("\n") == lines - 1
    assert verdict.message.startswith("/0: failed: x")
    assert verdict.message.endswith(f"and {disks - NAMED} more") is (disks > NAMED)


def test_of_many_remarks_some_are_named() -> None:
    """In a good run's, too."""
    strange = [said(f"/s{number}", is_strange=True) for number in range(NAMED + 3)]
    failed = [said(f"/f{number}", DumpState.FAILED) for number in range(NAMED + 4)]
    known = {"/s0": DumpRecord("/s0", 0, NOW)}
    verdict = judge_finished(("/s0",), finished(*strange, *failed), known)
    assert isinstance(verdict, BackedUp)
    assert f"/s{NAMED - 1}, 3 more (amreport" in verdict.remark
    assert f"/f{NAMED - 1}: failed; 4 more)" in verdict.remark


def test_an_end_that_nobody_saw_is_settled_within_the_bounds() -> None:
    """What is put in its place is as short as what a start would have written."""
    names = [f"/{number}" for number in range(2000)]
    verdicts = [said(name, DumpState.FAILED, reason="x" * 1000) for name in names]
    unseen = Attempt(NOW, NOW, Outcome.UNSEEN, run=RUN)
    memory = Memory(since=NOW, attempts=(unseen,))
    settled = settle_unseen(memory, welcome(last=finished(*verdicts)))
    assert settled.attempts[0].outcome is Outcome.FAILED
    assert len(settled.attempts[0].detail) == 2000


def test_what_the_server_says_replaces_what_was_remembered() -> None:
    """It knows: what it does not confirm is not confirmed, and what it lacks is not there."""
    before = Memory(
        since=NOW - DAY,
        confirmed={"/old": DumpRecord("/old", 0, NOW), "/": DumpRecord("/", 0, NOW)},
        dles=("/old",),
        not_before=NOW + HOUR,
    )
    home = replace(dle("/home", HOUR), kilobytes=36_000)
    after = heed_welcome(before, welcome(home, dle("/", None), PARKED), NOW)
    assert after.dles == ("/home", "/", "/old")
    assert after.parked == ("/old",)
    assert after.confirmed == {
        "/home": DumpRecord("/home", 1, NOW - HOUR, 36_000),
        "/old": DumpRecord("/old", 1, NOW - 90 * DAY),
    }
    assert heed_welcome(after, welcome(dle("/old", HOUR)), NOW).parked == ()
    bad = replace(PARKED, proof_fault="gone"), replace(home, proof_fault="gone too")
    assert heed_welcome(before, welcome(*bad), NOW).unproved == {home.disk: "gone too"}
    assert after.asked_at == NOW
    assert after.not_before is None
    assert after.since == before.since


@pytest.mark.parametrize("ahead", [0, 59, 60, -60, 60.4])
def test_clocks_that_differ_little_are_left_alone(ahead: float) -> None:
    """A minute changes nothing for a backup a day."""
    came = welcome(dle("/", HOUR), now=NOW + ahead * SECOND)
    shifted, skew = shift_clock(came, NOW)
    assert (shifted.dles, skew) == (came.dles, timedelta(0))


@pytest.mark.parametrize(
    ("ahead", "skew"),
    [(61 * SECOND, 61), (HOUR + 0.3 * SECOND, 3600), (-HOUR - 0.3 * SECOND, -3600)],
)
def test_times_by_another_clock_are_shifted(ahead: timedelta, skew: int) -> None:
    """A dump an hour old is one, whatever the two clocks say; and the difference is told."""
    there = NOW + ahead
    end = Finished(RUN, there - MINUTE, ())
    came = welcome(DleState("/", DumpState.HELD, 0, there - HOUR), now=there, last=end)
    shifted, told = shift_clock(came, NOW)
    assert told == skew * SECOND
    assert shifted.dles[0].confirmed_at
    assert abs(shifted.dles[0].confirmed_at - (NOW - HOUR)) < SECOND
    assert shifted.last
    assert shifted.last.ended_at == NOW - MINUTE


def test_the_end_of_a_run_is_shifted_by_the_second() -> None:
    """A run of ten seconds has ended after it began, though the server's clock is behind."""
    there = NOW - 50 * SECOND
    came = welcome(now=there, last=Finished(RUN, there - SECOND, ()))
    shifted, told = shift_clock(came, NOW)
    assert told == timedelta(0)
    assert find_end(shifted, "", NOW - 10 * SECOND) == Finished(RUN, NOW - SECOND, ())


@pytest.mark.parametrize("year", [1, 9999])
def test_times_beyond_the_calendar_stop_nobody(year: int) -> None:
    """Whatever a server's clock says; what cannot be a dump's time confirms none."""
    odd = datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, 23, 59, tzinfo=UTC)
    states = (DleState("/", DumpState.HELD, 0, odd), dle("/b", HOUR))
    for now in (odd, NOW + 2 * HOUR, NOW - 2 * HOUR):
        shifted, _ = shift_clock(welcome(*states, now=now, last=Finished("", odd, ())), NOW)
        memory = heed_welcome(Memory(since=NOW), shifted, NOW)
        decide_by_gate(memory, DAILY, (), NOW)
    assert set(heed_welcome(Memory(since=NOW), welcome(*states), NOW).confirmed) == {"/b"}


def test_since_when_a_disk_can_be_restored_is_kept_as_last_said() -> None:
    """By this machine's clock. A date to come is none, and what is not said again is not known."""
    there = NOW + 2 * HOUR
    states = (
        replace(dle("/", HOUR), restorable_since=there - 9 * HOUR),
        replace(dle("/odd", HOUR), restorable_since=there + HOUR),
        dle("/b", HOUR),
    )
    shifted, _ = shift_clock(welcome(*states, now=there), NOW)
    memory = heed_welcome(Memory(since=NOW), shifted, NOW)
    assert memory.restorable == {"/": NOW - 9 * HOUR}
    known = {disk.name: disk.restorable_since for disk in survey_by_gate(memory, (), NOW)}
    assert known == {"/": NOW - 9 * HOUR, "/odd": None, "/b": None}
    assert heed_welcome(memory, welcome(dle("/", HOUR)), NOW).restorable == {}


# -- is it due?


def test_who_never_asked_is_due() -> None:
    """Whatever amandates or an earlier direct mode knew."""
    memory = Memory(since=NOW, confirmed={"/": DumpRecord("/", 0, NOW - HOUR)})
    hints = (Disk("/", DumpRecord("/", 0, NOW - HOUR)),)
    assert decide_by_gate(memory, DAILY, hints, NOW) == Due((), (), None)
    assert find_witness(memory) is Witness.NOBODY
    assert find_witness(asked()) is Witness.SERVER


@pytest.mark.parametrize(
    ("dles", "policy", "wanted"),
    [
        ([dle("/", HOUR), dle("/home", 2 * HOUR)], DAILY, None),
        ([dle("/", HOUR), dle("/home", 2 * DAY)], DAILY, ("/home",)),
        ([dle("/", None), dle("/home", HOUR)], DAILY, ("/",)),
        ([], DAILY, ()),
        ([dle("/", HOUR), dle("/home", 2 * DAY)], Policy(DAY, disks=("/",)), None),
        ([dle("/", HOUR)], Policy(DAY, disks=("/", "/gone")), ("/gone",)),
        ([dle("/", HOUR), dle("/home", 2 * DAY)], Policy(DAY, DiskRule.NEWEST), None),
        ([dle("/", 2 * DAY), dle("/home", None)], Policy(DAY, DiskRule.NEWEST), ()),
    ],
)
def test_each_disk_of_the_server_is_judged_by_what_it_confirmed(
    dles: list[DleState], policy: Policy, wanted: tuple[str, ...] | None
) -> None:
    """`disks` and `watch` mean what they mean in direct mode; None: nothing is due."""
    decision = decide_by_gate(asked(*dles), policy, (), NOW)
    assert isinstance(decision, NotDue if wanted is None else Due)
    assert decision.wanted == (wanted or ())


PARKED, PARKED_NEW = (replace(dle("/old", ago), is_parked=True) for ago in (90 * DAY, None))


@pytest.mark.parametrize(
    ("dles", "policy", "wanted"),
    [
        ([dle("/", HOUR), PARKED], DAILY, None),
        ([dle("/", HOUR), PARKED_NEW], DAILY, None),
        ([dle("/", None), PARKED_NEW], DAILY, ("/",)),
        ([dle("/", 2 * DAY), PARKED], DAILY, ("/",)),
        ([dle("/", HOUR), PARKED], Policy(DAY, disks=("/", "/old")), None),
        ([dle("/", 2 * DAY), PARKED], Policy(DAY, disks=("/", "/old")), ("/",)),
        ([dle("/", HOUR), PARKED], Policy(DAY, DiskRule.NEWEST), None),
        ([dle("/", 2 * DAY), replace(dle("/b", HOUR), is_parked=True)], NEWEST, ()),
        ([dle("/", HOUR), PARKED], Policy(DAY, disks=("/gone", "/old")), ("/gone",)),
    ],
)
def test_a_disk_that_is_parked_is_not_waited_for(
    dles: list[DleState], policy: Policy, wanted: tuple[str, ...] | None
) -> None:
    """However old its last backup is; and a new one of it makes up for no other."""
    decision = decide_by_gate(asked(*dles), policy, (), NOW)
    assert isinstance(decision, NotDue if wanted is None else Due)
    assert decision.wanted == (wanted or ())
    assert not is_all_parked(decision)


def test_a_client_all_of_whose_disks_are_parked_asks_once_in_an_interval() -> None:
    """Nothing is due but to hear whether they still are; a run is not asked for."""
    for dles, last_at in (([PARKED, PARKED_NEW], NOW - 90 * DAY), ([PARKED_NEW], None)):
        memory = asked(*dles, ago=timedelta(0))
        decision = decide_by_gate(memory, DAILY, (), NOW)
        assert decision == NotDue(decision.disks, NOW + DAY * 0.97, last_at)
        assert is_all_parked(decision)
        assert isinstance(decide_by_gate(memory, DAILY, (), NOW + DAY * 0.97), Due)
        assert decide_by_gate(memory, DAILY, (), NOW + DAY).wanted == ()
        assert force_due(decision, DAILY).wanted == ()
    later = decide_by_gate(memory, DAILY, (), NOW - HOUR)  # the clock was wrong
    assert isinstance(later, Due)


def test_nothing_is_not_all_parked() -> None:
    """A client without a disk is no client whose disks are parked."""
    assert not is_all_parked(decide_by_gate(asked(), DAILY, (), NOW))


def test_a_disk_that_the_server_has_is_never_forgotten() -> None:
    """It fails for months beside others that go well: that must not turn into silence."""
    decision = decide_by_gate(asked(dle("/", HOUR), dle("/bad", 90 * DAY)), DAILY, (), NOW)
    assert decision.wanted == ("/bad",)


@pytest.mark.parametrize(("ahead", "counts"), [(4 * MINUTE, True), (6 * MINUTE, False)])
def test_a_confirmed_time_in_the_future_does_not_count(ahead: timedelta, counts: bool) -> None:
    """This clock was wrong when the server was asked; so it is asked again."""
    decision = decide_by_gate(asked(dle("/", -ahead)), DAILY, (), NOW)
    assert isinstance(decision, NotDue) is counts
    assert (decision.disks[0].disk.in_future is None) is counts


@pytest.mark.parametrize(
    ("hint", "is_news"),
    [(NOW - 30 * MINUTE, True), (NOW - HOUR, False), (NOW - 90 * MINUTE, False)],
)
def test_amandates_is_a_hint_and_decides_nothing(hint: datetime, is_news: bool) -> None:
    """It is shown if it is newer than the server's last word; what is older the server knows."""
    memory = asked(dle("/", 2 * DAY), ago=HOUR)
    dump = DumpRecord("/", 0, hint)
    hints = (Disk("/", dump), Disk("/elsewhere", dump))
    decision = decide_by_gate(memory, DAILY, hints, NOW)
    assert decision.wanted == ("/",)
    (verdict,) = decision.disks
    assert verdict.standing is BackupStanding.OVERDUE
    assert verdict.disk.distrusted == (dump if is_news else None)


@pytest.mark.parametrize(
    ("ahead", "waits"),
    [
        (MINUTE, True),
        (DAY, True),
        (DAY + SECOND, False),
        (timedelta(0), False),
        (-HOUR, False),
        (None, False),
    ],
)
def test_the_server_is_not_asked_before_it_wants_to_be(
    ahead: timedelta | None, waits: bool
) -> None:
    """For a day at most: what is further ahead comes of a clock that was wrong."""
    until = None if ahead is None else NOW + ahead
    memory = Memory(since=NOW, not_before=until)
    assert come_back_at(memory, NOW) == (until if waits else None)


# -- once a day


@pytest.mark.parametrize(
    ("ago", "is_due"),
    [
        (None, True),
        (timedelta(0), False),
        (DAY / 2, False),
        (DAY * 0.96, False),
        (DAY * 0.98, True),  # a start each day at the same time, give or take
        (DAY, True),
        (30 * DAY, True),
        (-timedelta(minutes=4), False),
        (-timedelta(minutes=6), True),  # a clock that was wrong, or is
        (-365 * DAY, True),
    ],
)
def test_the_server_is_greeted_once_a_day(ago: timedelta | None, is_due: bool) -> None:
    """Whatever is due, and whatever the clock was when it was asked."""
    memory = Memory(since=NOW - DAY, asked_at=None if ago is None else NOW - ago)
    assert (contact_at(memory, NOW) <= NOW) is is_due
    assert contact_at(memory, NOW) <= NOW + DAY


# -- what a run was worth

CONFIRMED = {
    disk: DumpRecord(disk, 0, NOW - age)
    for disk, age in (("/", MINUTE), ("/home", 2 * MINUTE), ("/old", 9 * DAY))
}
STORED, HELD, FAILED = DumpState.STORED, DumpState.HELD, DumpState.FAILED


@pytest.mark.parametrize(
    ("wanted", "verdicts", "dumped"),
    [
        (("/",), [said("/")], ["/"]),
        (("/",), [said("/", STORED), said("/home")], ["/", "/home"]),
        ((), [said("/home")], ["/home"]),
        ((), [said("/"), said("/home", FAILED)], ["/"]),  # any is enough
        (("/",), [said("/"), said("/home", FAILED)], ["/"]),
    ],
)
def test_a_run_that_brought_what_is_wanted_is_a_backup(
    wanted: tuple[str, ...], verdicts: list[DleVerdict], dumped: list[str]
) -> None:
    """On a volume or in the holding disk; the times are those that the server confirms."""
    verdict = judge_finished(wanted, finished(*verdicts), CONFIRMED)
    assert isinstance(verdict, BackedUp)
    assert verdict.dumps == tuple(CONFIRMED[disk] for disk in dumped)


@pytest.mark.parametrize(
    ("verdicts", "remark"),
    [
        ([said("/")], ""),
        (
            [said("/", is_strange=True)],
            "with warnings on / (amreport on the server shows them)",
        ),
        (
            [said("/"), said("/home", FAILED, reason="data\n timeout")],
            "beside others that are not due yet (/home: failed: data timeout)",
        ),
    ],
)
def test_what_was_odd_in_a_good_run_is_told(verdicts: list[DleVerdict], remark: str) -> None:
    """Strange output, and disks that were not wanted and failed."""
    assert judge_finished(("/",), finished(*verdicts), CONFIRMED) == BackedUp(
        (CONFIRMED["/"],), remark
    )


@pytest.mark.parametrize(
    ("wanted", "verdicts", "outcome", "message"),
    [
        (
            ("/", "/home"),
            [said("/"), said("/home", FAILED, reason="Connection reset")],
            Outcome.FAILED,
            "/home: failed: Connection reset",
        ),
        (
            ("/", "/home"),
            [said("/", DumpState.MISSING, timestamp=""), said("/home", FAILED)],
            Outcome.FAILED,
            "/: failed\n/home: failed",
        ),
        (
            ("/", "/gone"),
            [said("/", FAILED)],
            Outcome.FAILED,
            "/: failed\n/gone: the run ended without it",
        ),
        ((), [said("/", FAILED)], Outcome.FAILED, "/: failed"),
        (("/", "/gone"), [said("/")], Outcome.INCOMPLETE, "/gone: the run ended without it"),
        (
            ("/",),
            [said("/", DumpState.SKIPPED, reason="skip-incr")],
            Outcome.INCOMPLETE,
            "/: skipped: skip-incr",
        ),
        (
            ("/",),  # an older dump that was brought to a volume is none of this run's
            [said("/", STORED, timestamp=OLDER_RUN)],
            Outcome.INCOMPLETE,
            "/: the run ended without it",
        ),
        ((), [], Outcome.INCOMPLETE, "the run ended, and has no disk of this client"),
    ],
)
def test_a_run_that_lacks_what_is_wanted_is_none(
    wanted: tuple[str, ...], verdicts: list[DleVerdict], outcome: Outcome, message: str
) -> None:
    """A line for each disk; failed is worse than not meant to be dumped."""
    verdict = judge_finished(wanted, finished(*verdicts), CONFIRMED)
    assert isinstance(verdict, NotBackedUp)
    assert (verdict.outcome, verdict.message) == (outcome, message)


def test_a_run_that_failed_keeps_what_it_brought() -> None:
    """It is remembered beside what failed."""
    verdict = judge_finished(("/", "/home"), finished(said("/"), said("/home", FAILED)), CONFIRMED)
    assert verdict.dumps == (CONFIRMED["/"],)


@pytest.mark.parametrize("timestamp", [RUN, OLDER_RUN])
def test_a_run_without_a_name_is_judged_by_all_that_is_said(timestamp: str) -> None:
    """It ended before it had one, or nobody knows it any more."""
    for state, kind in ((FAILED, NotBackedUp), (HELD, BackedUp)):
        end = finished(said("/", state, timestamp=timestamp), run="")
        assert isinstance(judge_finished(("/",), end, CONFIRMED), kind)


def test_a_verdict_makes_an_attempt() -> None:
    """On one line, with the run that it was."""
    good = conclude(BackedUp((CONFIRMED["/"],), "well"), NOW, NOW + MINUTE, RUN)
    assert good == Attempt(
        NOW, NOW + MINUTE, Outcome.BACKED_UP, "well", None, (CONFIRMED["/"],), run=RUN
    )
    bad = conclude(NotBackedUp("r", "a\nb", "h", ()), NOW, NOW + MINUTE, RUN)
    assert (bad.outcome, bad.detail) == (Outcome.FAILED, "a; b")


# -- the end that nobody saw


@pytest.mark.parametrize(
    ("run", "last", "standing", "is_found"),
    [
        (RUN, finished(), "idle", True),
        (RUN, finished(), "queued", True),  # somebody asked again meanwhile
        (RUN, finished(run=OLDER_RUN), "idle", False),
        ("", finished(), "idle", True),
        ("", finished(after=-MINUTE), "idle", False),  # it ended before we asked
        ("", finished(), "running", False),  # that may be ours
        ("", finished(), "queued", False),
        (RUN, None, "idle", False),
    ],
)
def test_the_end_of_a_run_is_known_by_its_name_or_else_by_its_time(
    run: str, last: Finished | None, standing: str, is_found: bool
) -> None:
    """What was asked for now, and which run that became."""
    found = find_end(welcome(standing=standing, last=last), run, NOW)
    assert found == (last if is_found else None)


@pytest.mark.parametrize("outcome", [Outcome.UNSEEN, Outcome.LOST, Outcome.INTERRUPTED])
@pytest.mark.parametrize(
    ("verdict", "settled"),
    [
        (said("/"), Outcome.BACKED_UP),
        (said("/", FAILED, reason="why"), Outcome.FAILED),
        (said("/", DumpState.SKIPPED), Outcome.INCOMPLETE),
    ],
)
def test_an_attempt_whose_end_was_not_seen_gets_the_servers(
    outcome: Outcome, verdict: DleVerdict, settled: Outcome
) -> None:
    """Its outcome becomes what the server says, and when; other attempts stay."""
    unseen = Attempt(NOW, NOW + SECOND, outcome, "cut", run=RUN)
    away = Attempt(NOW + HOUR, NOW + HOUR, Outcome.UNREACHABLE)
    came = welcome(dle("/", MINUTE, 0), last=finished(verdict))
    memory = heed_welcome(Memory(since=NOW, attempts=(unseen, away)), came, NOW)
    first, second = settle_unseen(memory, came).attempts
    assert (first.outcome, first.ended_at, first.run) == (settled, NOW + MINUTE, RUN)
    assert first.dumps == ((CONFIRMED["/"],) if settled is Outcome.BACKED_UP else ())
    assert second == away


def test_a_disk_that_was_not_meant_to_be_dumped_makes_no_end_a_bad_one() -> None:
    """What that attempt wanted is not known any more."""
    unseen = Attempt(NOW, NOW, Outcome.UNSEEN, run=RUN)
    end = finished(said("/"), said("/etc", DumpState.SKIPPED))
    memory = Memory(since=NOW, confirmed=CONFIRMED, attempts=(unseen,))
    (settled,) = settle_unseen(memory, welcome(last=end)).attempts
    assert settled.outcome is Outcome.BACKED_UP


@pytest.mark.parametrize(
    "attempts",
    [
        (),
        (Attempt(NOW, NOW, Outcome.BACKED_UP, run=RUN),),
        (Attempt(NOW, NOW, Outcome.FAILED, run=RUN),),
        (Attempt(NOW, NOW, Outcome.LOST, run=OLDER_RUN),),
        (Attempt(NOW, NOW, Outcome.LOST, run=RUN), Attempt(NOW, NOW, Outcome.FAILED)),
    ],
)
def test_what_has_an_end_or_is_another_run_is_left_alone(attempts: tuple[Attempt, ...]) -> None:
    """History is not rewritten."""
    memory = Memory(since=NOW, attempts=attempts)
    assert settle_unseen(memory, welcome(last=finished(said("/")))) == memory


def test_a_ticket_is_kept_until_another_comes() -> None:
    """What the server says in the middle of a talk has none."""
    first = heed_welcome(Memory(NOW), replace(welcome(), ticket="1-a"), NOW)
    assert first.ticket == "1-a"
    assert heed_welcome(first, welcome(), NOW).ticket == "1-a"
    assert heed_welcome(first, replace(welcome(), ticket="2-b"), NOW).ticket == "2-b"


def test_where_two_machines_are_the_client_a_backup_is_due_until_it_is_welcome() -> None:
    """What the server has may be the other's. Any other no leaves all as it was."""
    served = heed_welcome(Memory(NOW), welcome(dle("/", HOUR)), NOW)
    assert isinstance(decide_by_gate(served, DAILY, (), NOW), NotDue)
    other = heed_refusal(served, Refused("too-many-sessions", "", "", 75))
    assert other == served
    doubted = heed_refusal(served, Refused("second-machine", "", "", 77))
    due = decide_by_gate(doubted, DAILY, (), NOW)
    assert isinstance(due, Due)
    assert (due.wanted, due.last_at) == (("/",), NOW - HOUR)
    assert decide_by_gate(heed_refusal(doubted, Refused("x", "", "", 77)), DAILY, (), NOW) == due
    again = heed_welcome(doubted, welcome(dle("/", HOUR)), NOW)
    assert isinstance(decide_by_gate(again, DAILY, (), NOW), NotDue)


def test_a_dump_that_is_not_confirmed_to_this_machine_is_none_of_its_backups() -> None:
    """As one that was built on what another machine of this name had."""
    ended = finished(said("/home"), said("/srv"))
    known = {"/home": DumpRecord("/home", 0, NOW)}
    verdict = judge_finished(("/home", "/srv"), ended, known)
    assert isinstance(verdict, NotBackedUp)
    assert "/srv: the server has a dump of it, which is no backup" in verdict.message
    assert isinstance(judge_finished(("/home",), ended, known), BackedUp)

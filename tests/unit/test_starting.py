"""When a start that is due backs up: a day of 96 starts for each outcome, in each mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise

import pytest

from asyncamanda.core.agent.by_command import find_moved, judge_run
from asyncamanda.core.agent.by_gate import decide_by_gate
from asyncamanda.core.agent.due import Disk, Due, NotDue, decide_due, survey_disks
from asyncamanda.core.agent.finished import conclude
from asyncamanda.core.agent.remember import (
    forget_tries,
    note_bad_run,
    note_end,
    note_start,
    note_try,
    note_unseen_end,
)
from asyncamanda.core.agent.retry import plan_retry
from asyncamanda.core.agent.starting import (
    Hindrance,
    Patience,
    Urge,
    Waits,
    WaitUntil,
    decide_start,
    heed_retry,
    survey_waits,
)
from asyncamanda.core.model import (
    END_OF_TIME,
    Attempt,
    DiskRule,
    DumpRecord,
    Memory,
    Outcome,
    Policy,
    Span,
    Started,
)

NOW = datetime(2026, 11, 23, 0, 7, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STARTS_EVERY, STARTS = 15 * MINUTE, 96
OLD = NOW - 2 * DAY
MODES = ("direct", "classic", "gate")
CHANCES = (0.0, 0.5, 1.0)
SEEN = "power=mains"

# at most so many commands (gate: requests) in the first day, and in a later one, for one disk
RUNS: dict[Outcome, dict[str, tuple[int, int]]] = {
    Outcome.BACKED_UP: {"direct": (2, 2), "classic": (2, 2), "gate": (2, 2)},
    Outcome.INCOMPLETE: {"direct": (2, 2), "classic": (2, 2), "gate": (2, 2)},
    Outcome.DOUBTFUL: {"direct": (2, 2), "classic": (2, 2), "gate": (2, 2)},
    Outcome.FAILED: {"direct": (6, 3), "classic": (6, 3), "gate": (11, 3)},
    Outcome.NOBODY: {"direct": (6, 3), "classic": (6, 3), "gate": (11, 3)},
    Outcome.KILLED: {"direct": (6, 3), "classic": (6, 3), "gate": (48, 48)},
    # at the gate these join the run that goes on, or hear of its end
    Outcome.LOST: {"direct": (6, 3), "classic": (6, 3), "gate": (48, 48)},
    Outcome.INTERRUPTED: {"direct": (6, 3), "classic": (6, 3), "gate": (48, 48)},
    Outcome.UNSEEN: {"direct": (6, 3), "classic": (6, 3), "gate": (48, 48)},
    Outcome.PAUSED: {"direct": (6, 3), "classic": (6, 3), "gate": (48, 48)},
    # what reaches no run starts none
    Outcome.UNREACHABLE: dict.fromkeys(MODES, (0, 0)),
    Outcome.REFUSED: dict.fromkeys(MODES, (0, 0)),
    Outcome.LATER: dict.fromkeys(MODES, (0, 0)),
    Outcome.STOPPED: dict.fromkeys(MODES, (0, 0)),
    Outcome.DEFERRED: dict.fromkeys(MODES, (0, 0)),
}


@dataclass
class Client:
    """A client whose starts all end alike, and what its rules let it do.

    `claims`: amandates moves at each run, whatever that comes to.
    """

    mode: str
    outcome: Outcome
    chances: Iterator[float]
    claims: bool = True
    run_takes: timedelta = 2 * MINUTE
    disks: tuple[str, ...] = ("/home",)
    lacks: tuple[str, ...] = ()
    forgets_surroundings: bool = False
    memory: Memory = field(default_factory=lambda: Memory(since=OLD))
    runs: list[datetime] = field(default_factory=list)
    tries: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.amandates = dict.fromkeys(self.disks, OLD)
        self.policy = Policy(
            DAY,
            watch=DiskRule.NEWEST if self.mode == "classic" else DiskRule.EACH,
            forget_after=90 * DAY,
        )
        self.patience = Patience(self.mode != "gate", HOUR, timedelta(0))
        if self.mode == "gate":
            self.memory = replace(self.memory, dles=self.disks, asked_at=OLD)

    def decide(self, now: datetime) -> Due | NotDue:
        """Return whether a backup is due."""
        if self.mode == "gate":
            return decide_by_gate(self.memory, self.policy, (), now)
        return decide_due(self._survey(now), self.policy, now)

    def _survey(self, now: datetime) -> tuple[Disk, ...]:
        rows = [(name, 0, int(at.timestamp())) for name, at in self.amandates.items()]
        return survey_disks(rows, self.memory.confirmed, self.memory.distrusted, now)

    def start(self, now: datetime) -> None:
        """Do what the agent does at a start: look, decide, run, remember, plan the next try."""
        if self.runs and now < self.runs[-1] + self.run_takes:  # the lock is held
            return
        self.memory = note_unseen_end(self.memory)
        decision = self.decide(now)
        waits = survey_waits(self.memory, decision, self.policy, self.patience, now)
        if decide_start(decision, waits, Urge()) is not None:
            return
        seen = "" if self.mode == "classic" else SEEN
        if heed_retry(waits, self.memory, seen, Urge()) is not None:
            return
        self.tries.append(now)
        attempt = self._try(now, decision)
        if self.outcome is Outcome.UNSEEN:
            return
        self.memory = note_end(self.memory, attempt)
        if self.mode == "classic" or self.forgets_surroundings:
            return
        if isinstance(self.decide(attempt.ended_at), NotDue):
            self.memory = forget_tries(self.memory)
        elif attempt.outcome.has_run:
            self.memory = note_bad_run(self.memory, seen)
        elif attempt.outcome is not Outcome.STOPPED:
            wait = plan_retry(self.memory.tries, HOUR, next(self.chances))
            self.memory = note_try(self.memory, attempt.ended_at + wait, seen)

    def _try(self, now: datetime, decision: Due | NotDue) -> Attempt:
        if not self.outcome.has_run:
            return Attempt(now, now + MINUTE, self.outcome)
        self.runs.append(now)
        ended_at = now + self.run_takes
        self.memory = note_start(self.memory, Started(now, ended_at, 7))
        before = self._survey(now)
        brought = [disk for disk in self.disks if disk not in self.lacks]
        if self.claims:
            self.amandates |= dict.fromkeys(brought, now + MINUTE)
        moved = find_moved(before, self._survey(ended_at))
        if self.mode == "gate":
            served = (Outcome.BACKED_UP, Outcome.INCOMPLETE, Outcome.FAILED)
            at = now + MINUTE
            kept = brought if self.outcome in served and (brought != [*self.disks]) else []
            if self.outcome is Outcome.BACKED_UP:
                kept = brought
            dumps = tuple(DumpRecord(disk, 0, at) for disk in kept)
            confirmed = {**self.memory.confirmed, **{dump.disk: dump for dump in dumps}}
            self.memory = replace(self.memory, confirmed=confirmed)
            return Attempt(now, ended_at, self.outcome, dumps=dumps, run="20261123000700")
        statuses = {Outcome.BACKED_UP: 0, Outcome.INCOMPLETE: 0, Outcome.DOUBTFUL: 5}
        statuses |= {Outcome.FAILED: 16, Outcome.KILLED: 255}
        if self.outcome in statuses:
            verdict = judge_run("amdump daily", statuses[self.outcome], decision.wanted, moved)
            attempt = conclude(verdict, now, ended_at, "")
            assert attempt.outcome is self.outcome
            return attempt
        return Attempt(now, ended_at, self.outcome)


def live(client: Client, days: int = 1, salt: int = 0) -> list[int]:
    """Let the client be started every quarter of an hour; return how many runs each day had.

    With another `salt` the waits are of other lengths, as they are for another client.
    """
    for number in range(days * STARTS):
        client.start(NOW + number * STARTS_EVERY + salt * timedelta(microseconds=1))
    which_day = [(at - NOW) // DAY for at in client.runs]
    return [which_day.count(day) for day in range(days)]


@pytest.mark.parametrize("salt", range(len(CHANCES)))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("outcome", Outcome)
def test_how_many_runs_a_day_of_starts_makes(outcome: Outcome, mode: str, salt: int) -> None:
    """Each start is due; whatever the runs come to, a day has few of them, and none has none."""
    first, later = RUNS[outcome][mode]
    client = Client(mode, outcome, cycle([CHANCES[salt]]), claims=outcome is not Outcome.INCOMPLETE)
    days = live(client, 3, salt)
    assert days[0] <= first, days
    assert max(days[1:]) <= later, days
    assert (days[0] > 0) is outcome.has_run
    longest = 2 * DAY if outcome.has_run else HOUR + STARTS_EVERY
    tries = [*client.tries, NOW + 3 * DAY]
    assert all(next_one - one <= longest for one, next_one in pairwise(tries)), "it gives up"


@pytest.mark.parametrize("mode", ["direct", "classic"])
@pytest.mark.parametrize(
    "outcome", [o for o in Outcome if o.has_run and RUNS[o]["direct"] == (6, 3)]
)
def test_waits_after_runs_grow_up_to_the_interval(outcome: Outcome, mode: str) -> None:
    """The first comes within the hour that a run may go on or be waited for, twice it then."""
    client = Client(mode, outcome, cycle([0.5]))
    live(client, 7)
    gaps = [next_one - one for one, next_one in pairwise(client.runs)]
    assert gaps[0] <= HOUR + 2 * STARTS_EVERY
    bounds = [min(DAY * 0.97, HOUR * 2**n) for n in range(len(gaps))]
    slack = client.run_takes + STARTS_EVERY
    for gap, bound in zip(gaps[1:], bounds[1:], strict=True):
        assert bound / 2 <= gap <= bound + slack


@pytest.mark.parametrize("salt", range(40))
def test_a_start_once_a_day_skips_no_day(salt: int) -> None:
    """Where a backup is wanted daily, and each run fails after half an hour."""
    client = Client("classic", Outcome.FAILED, cycle([0.5]), run_takes=HOUR / 2)
    for day in range(10):
        client.start(NOW + day * DAY + salt * timedelta(microseconds=1))
    assert len(client.runs) == 10


def test_a_run_that_takes_a_while_is_no_reason_to_make_the_next_at_once() -> None:
    """The waits count from its end."""
    client = Client("direct", Outcome.FAILED, cycle([0.5]), run_takes=5 * HOUR)
    live(client, 2)
    gaps = [next_one - one for one, next_one in pairwise(client.runs)]
    assert all(gap >= 5 * HOUR + HOUR / 2 for gap in gaps)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.KILLED, Outcome.UNSEEN])
def test_a_start_that_was_killed_before_it_planned_the_next_changes_nothing(
    outcome: Outcome,
) -> None:
    """The waits follow from what was tried, which is written with the run's end."""
    client = Client("direct", outcome, cycle([0.5]), forgets_surroundings=True)
    assert live(client)[0] <= 6


def test_no_two_clients_of_one_failure_come_back_together() -> None:
    """Their runs began at different moments, be it microseconds apart."""
    waits = set()
    for number in range(20):
        began_at = NOW + number * timedelta(microseconds=1)
        client = Client("direct", Outcome.FAILED, cycle([0.5]))
        client.start(began_at)
        decision = client.decide(began_at + 3 * MINUTE)
        args = (client.memory, decision, client.policy, client.patience)
        at = survey_waits(*args, began_at + 3 * MINUTE).run_again_at
        assert at
        waits.add(at.replace(second=0, microsecond=0))
    assert len(waits) > 10
    assert max(waits) - min(waits) > 15 * MINUTE


@pytest.mark.parametrize(
    ("outcome", "mode"),  # what a failed run dumped does not count in direct mode
    [(Outcome.INCOMPLETE, "direct"), (Outcome.INCOMPLETE, "gate"), (Outcome.FAILED, "gate")],
)
def test_a_disk_that_always_fails_does_not_hold_the_others_back(
    outcome: Outcome, mode: str
) -> None:
    """What the last run brought, and what is due again now, is tried in time."""
    client = Client(
        mode, outcome, cycle([0.5]), disks=("/home", "/srv"), lacks=("/srv",), claims=True
    )
    days = live(client, 6)
    assert max(days[1:]) <= 3, days
    assert all(b - a <= DAY + STARTS_EVERY for a, b in pairwise(client.runs))


def test_other_outcomes_between_runs_do_not_make_the_waits_short() -> None:
    """A server that is away every other time is asked for no more runs."""
    client = Client("direct", Outcome.FAILED, cycle([0.5]))
    for number in range(STARTS):
        client.outcome = Outcome.UNREACHABLE if number % 2 else Outcome.FAILED
        client.start(NOW + number * STARTS_EVERY)
    assert 2 <= len(client.runs) <= 6


def test_a_backup_that_somebody_else_made_ends_the_row() -> None:
    """The next failure is a first one again."""
    client = Client("direct", Outcome.FAILED, cycle([0.5]))
    live(client, 3)
    assert len(client.runs) > 6
    at = NOW + 3 * DAY
    client.memory = replace(client.memory, confirmed={"/home": DumpRecord("/home", 0, at)})
    client.start(at + HOUR)
    before = len(client.runs)
    for number in range(9):
        client.start(at + DAY + number * STARTS_EVERY)
    assert len(client.runs) - before == 2


# -- who does not wait


TRIED = Waits(retry_at=NOW + HOUR)
RAN = Waits(retry_at=NOW + HOUR / 2, run_again_at=NOW + HOUR)


@pytest.mark.parametrize(
    ("urge", "was", "seen", "waits"),
    [
        (Urge(), "a", "a", (TRIED, RAN)),
        (Urge(), "a", "b", ()),  # plugged in, say
        (Urge(), "", "b", (TRIED, RAN)),  # what it was is not known
        (Urge(), "", "", (TRIED, RAN)),  # the classic form looks at none
        (Urge(is_hasty=True), "a", "a", (RAN,)),  # a run is no cheaper with a network that is up
        (Urge(is_hasty=True), "a", "b", ()),
        (Urge(is_typed=True), "a", "a", ()),
        (Urge(is_forced=True), "a", "a", ()),
    ],
)
def test_a_wait_ends_early(urge: Urge, was: str, seen: str, waits: tuple[Waits, ...]) -> None:
    """By other surroundings, a hook, somebody at a terminal, or by force."""
    memory = Memory(since=NOW, seen=was)
    for each in (TRIED, RAN):
        expected = NOW + HOUR if each in waits else None
        assert heed_retry(each, memory, seen, urge) == expected
    assert heed_retry(Waits(), memory, seen, urge) is None


NOT_DUE = NotDue((), NOW + DAY, NOW)
DUE = Due((), ("/home",), None)
AT = NOW + HOUR


@pytest.mark.parametrize(
    ("waits", "urge", "hindrance"),
    [
        (Waits(), Urge(), None),
        (Waits(settles_at=AT, next_try_at=AT, come_back_at=AT), Urge(), Hindrance.UNSETTLED),
        (Waits(settles_at=AT), Urge(is_forced=True, is_typed=True), Hindrance.UNSETTLED),
        (Waits(next_try_at=AT, come_back_at=AT), Urge(), Hindrance.TRIED_LATELY),
        (Waits(next_try_at=AT), Urge(is_hasty=True), Hindrance.TRIED_LATELY),
        (Waits(next_try_at=AT), Urge(is_typed=True), None),
        (Waits(next_try_at=AT), Urge(is_forced=True), None),
        (Waits(come_back_at=AT), Urge(is_hasty=True, is_typed=True), Hindrance.PUT_OFF),
        (Waits(come_back_at=AT), Urge(is_forced=True), None),
        (RAN, Urge(), None),  # which heed_retry() looks at, with the moment
    ],
)
def test_what_a_start_that_is_due_waits_for(
    waits: Waits, urge: Urge, hindrance: Hindrance | None
) -> None:
    """A run that may go on keeps everybody waiting; the rest is ignored to force."""
    expected = None if hindrance is None else WaitUntil(hindrance, AT)
    assert decide_start(DUE, waits, urge) == expected
    assert decide_start(NOT_DUE, waits, Urge()) is NOT_DUE
    if urge.is_forced:
        assert decide_start(NOT_DUE, waits, urge) == expected


DIRECT, GATE = Patience(True, HOUR), Patience(False, HOUR)


def remember(*outcomes: Outcome, brought: tuple[str, ...] = ()) -> Memory:
    """Return the memory of such attempts, an hour apart, the last of which ended a minute ago."""
    memory = Memory(since=OLD)
    for ago, outcome in zip(reversed(range(len(outcomes))), outcomes, strict=True):
        ended_at = NOW - MINUTE - ago * HOUR
        dumps = tuple(DumpRecord(disk, 0, OLD) for disk in brought)
        memory = note_end(memory, Attempt(ended_at - MINUTE, ended_at, outcome, dumps=dumps))
    return memory


def wait_after(memory: Memory, patience: Patience) -> timedelta | None:
    """Return how long the next run waits from now on, None if it does not."""
    at = survey_waits(memory, DUE, Policy(DAY), patience, NOW).run_again_at
    return None if at is None else at - NOW


def test_what_reached_no_run_counts_for_none() -> None:
    """Neither as one of the runs, nor as their end."""
    away = Outcome.UNREACHABLE
    assert wait_after(remember(away, Outcome.STOPPED, Outcome.REFUSED), DIRECT) is None
    memory = remember(Outcome.FAILED, away)
    assert wait_after(memory, DIRECT) is None  # it failed an hour ago
    wait = wait_after(remember(Outcome.FAILED, away, Outcome.FAILED, away), DIRECT)
    assert wait is None or wait < HOUR  # two hours at most, one of which is over


@pytest.mark.parametrize("good", [Outcome.BACKED_UP, Outcome.INCOMPLETE, Outcome.DOUBTFUL])
def test_a_run_that_is_settled_for_an_interval_ends_the_row(good: Outcome) -> None:
    """The next failure is a first one."""
    failed = [Outcome.FAILED] * 5
    long, short = (
        wait_after(remember(*failed, *more, Outcome.FAILED), DIRECT) for more in ((), (good,))
    )
    assert long
    assert short
    assert long > 12 * HOUR
    assert short < HOUR


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.is_settled])
def test_at_the_gate_a_run_that_was_left_is_joined_soon(outcome: Outcome) -> None:
    """At once after the first, and within the hour after many."""
    assert wait_after(remember(outcome), GATE) is None
    wait = wait_after(remember(*[outcome] * 12), GATE)
    assert wait
    assert HOUR / 2 - 2 * MINUTE < wait < HOUR


def test_at_the_gate_a_disk_that_the_failed_run_brought_is_tried_when_it_is_due() -> None:
    """Its server has it, so the failure was another disk's."""
    failed = [Outcome.FAILED] * 9
    assert wait_after(remember(*failed, brought=("/srv",)), GATE)
    assert wait_after(remember(*failed, brought=("/srv", "/home")), GATE) is None
    assert wait_after(remember(*failed, brought=("/srv", "/home")), DIRECT)


def test_a_clock_that_was_years_ahead_keeps_no_run_waiting() -> None:
    """A run that failed in 2030, by a clock since put right, has no hold on today."""
    failed = Attempt(NOW + 1200 * DAY, NOW + 1200 * DAY, Outcome.FAILED)
    memory = note_end(Memory(since=NOW), failed)
    waits = survey_waits(memory, DUE, Policy(DAY), Patience(True, HOUR), NOW)
    assert waits == Waits()


def test_the_table_knows_every_outcome() -> None:
    """One that is new has to say how many runs it makes; what a run in doubt claims is doubted."""
    assert set(RUNS) == set(Outcome)
    memory = note_end(Memory(since=NOW), Attempt(NOW, AT, Outcome.DOUBTFUL))
    assert memory.distrusted == (Span(NOW, AT),)
    assert END_OF_TIME not in memory.distrusted[0]

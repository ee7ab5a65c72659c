"""A disk that nobody dumps any more is waited for, forgotten, and keeps nobody busy then."""

from datetime import datetime, timedelta
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.strategies import NOW

from asyncamanda.core.agent.by_command import BackedUp, NotBackedUp, find_moved, judge_run
from asyncamanda.core.agent.due import (
    TOLERANCE,
    BackupStanding,
    Disk,
    Due,
    decide_due,
    survey_disks,
)
from asyncamanda.core.agent.remember import next_try_at, note_end, note_start
from asyncamanda.core.model import Attempt, Memory, Outcome, Policy, Started

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Client:
    """A client with two disks, of which the server dumps one, and its memory."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.memory = Memory(since=NOW)
        self.amandates = {"/": NOW, "/gone": NOW}
        self.runs: list[Outcome] = []

    def survey(self, now: datetime) -> tuple[Disk, ...]:
        """Return the disks as they stand."""
        rows = [(name, 0, int(at.timestamp())) for name, at in self.amandates.items()]
        return survey_disks(rows, self.memory.confirmed, self.memory.distrusted, now)

    def start(self, now: datetime, status: int) -> None:
        """Do what a start at `now` does; a command that is run ends with `status`."""
        before = self.survey(now)
        decision = decide_due(before, self.policy, now)
        if not isinstance(decision, Due):
            return
        if next_try_at(self.memory, decision.wanted, self.policy.interval, now):
            return
        self.memory = note_start(self.memory, Started(now, now, 7))
        self.amandates["/"] = now + MINUTE
        ended_at = now + 2 * MINUTE
        moved = find_moved(before, self.survey(ended_at))
        match judge_run("amdump daily", status, decision.wanted, moved):
            case BackedUp(dumps):
                outcome = Outcome.BACKED_UP
            case NotBackedUp(dumps=dumps, outcome=outcome):
                pass
        attempt = Attempt(now, ended_at, outcome, exit_status=status, dumps=dumps)
        self.memory = note_end(self.memory, attempt)
        self.runs.append(outcome)

    def standing(self, name: str, now: datetime) -> BackupStanding:
        """Return how the disk `name` stands."""
        verdicts = decide_due(self.survey(now), self.policy, now).disks
        return next(v.standing for v in verdicts if v.disk.name == name)


@settings(max_examples=20)
@given(
    interval=st.integers(6, 7 * 24).map(lambda hours: hours * HOUR),
    forget_after=st.integers(8 * 24, 30 * 24).map(lambda hours: hours * HOUR),
    status=st.sampled_from([0, 2]),
)
def test_a_disk_that_nobody_dumps_any_more_is_forgotten(
    interval: timedelta, forget_after: timedelta, status: int
) -> None:
    """Started every hour for sixty days: while it is waited for, each run lacks it.

    From its being due to the first dump of the other disk that is `forget_after` newer one run
    is made in each interval; thereafter all is well, and a run is made when the other is due.
    """
    client = Client(Policy(interval, forget_after=forget_after))
    for hour in range(60 * 24):
        client.start(NOW + hour * HOUR, status)
    due_at, forgotten_at = ceil(interval * (1 - TOLERANCE) / HOUR), forget_after // HOUR
    waiting = ceil(forgotten_at / due_at)
    assert client.runs[:waiting] == [Outcome.INCOMPLETE] * waiting
    afterwards = client.runs[waiting:]
    assert set(afterwards) <= {Outcome.BACKED_UP}
    assert len(afterwards) <= (60 * 24 - forgotten_at) / (interval * (1 - TOLERANCE) / HOUR)
    end = NOW + 60 * 24 * HOUR
    assert client.standing("/gone", end) is BackupStanding.FORGOTTEN
    assert client.memory.distrusted == ()


def test_a_disk_that_a_failed_run_left_out_is_not_forgotten() -> None:
    """What that run dumped besides does not count, so that nothing is newer for certain."""
    client = Client(Policy(24 * HOUR, forget_after=72 * HOUR))
    for hour in range(200):
        client.start(NOW + hour * HOUR, status=4)
    assert set(client.runs) == {Outcome.FAILED}
    assert client.standing("/gone", NOW + 200 * HOUR) is BackupStanding.OVERDUE

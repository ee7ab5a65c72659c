"""Which state a client is in, and why: what the fleet's table, page, metrics and messages show.

Absence is no failure. The age of a backup counts up to when the client was seen last, so that a
laptop in a drawer alarms nobody; where its agent is too old to say anything of itself, days alone
count. PRECEDENCE is the order of the states: the first that applies is the client's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.core.dispatch.records import RequestState
from asyncamanda.core.fleet.disks import DiskStanding, DiskState, judge_disk
from asyncamanda.core.fleet.evidence import list_evidence, say_presence
from asyncamanda.core.fleet.facts import ClientFacts
from asyncamanda.core.fleet.habits import learn_return
from asyncamanda.core.fleet.policy import FleetPolicy
from asyncamanda.core.fleet.standing import ClientStanding, ClientState
from asyncamanda.core.fleet.wording import say_because, say_exposure, say_moment
from asyncamanda.core.model import EPOCH
from asyncamanda.core.values.interval import format_age, format_interval

STILL_HERE = timedelta(hours=30)  # an agent that waits for a better moment connects once a day
CHANCE = timedelta(hours=4)  # for one that comes back, to be backed up before its age alarms
ALARM_FREE = frozenset({ClientState.LOST, ClientState.RETIRED})


@dataclass(frozen=True, slots=True)
class ClientCase:
    """A client, and what its disks amount to.

    `worst` is the disk that decides, None where none counts. `backed_up_at` is when the oldest of
    the newest backups began of the disks that count, None if one has none.
    """

    facts: ClientFacts
    policy: FleetPolicy
    now: datetime
    disks: tuple[DiskStanding, ...]
    worst: DiskStanding | None
    backed_up_at: datetime | None

    def has(self, *states: DiskState) -> bool:
        """Return whether the worst disk is in one of these states."""
        return self.worst is not None and self.worst.state in states

    @property
    def is_due(self) -> bool:
        """Whether a disk that counts has to be backed up."""
        return self.worst is not None and self.worst.state is not DiskState.FRESH

    @property
    def never_since(self) -> datetime | None:
        """Since when a disk without any backup is waited for: None where nobody knows."""
        dates = [each.disk.confirmed.dumped_at for each in self.disks if each.disk.confirmed]
        return max((date for date in dates if date), default=self.facts.known_since)


def judge_client(facts: ClientFacts, policy: FleetPolicy, now: datetime) -> ClientStanding:
    """Return how a client stands; `now` is in the server's local time zone, as its sentences are.

    The first state of PRECEDENCE counts that applies.
    """
    case = make_case(facts, policy, now)
    state = next(state for state, applies in PRECEDENCE if applies(case))
    since, sentence = _SENTENCES[state](case)
    exposed = "" if state in ALARM_FREE else find_exposure(case)
    return ClientStanding(
        state,
        since,
        sentence,
        list_evidence(facts, case.disks, policy, now),
        _find_alarm(case, state, exposed),
        is_exposed=bool(exposed),
    )


def make_case(facts: ClientFacts, policy: FleetPolicy, now: datetime) -> ClientCase:
    """Return the client with what its disks amount to."""
    report = facts.report
    interval = (report and report.interval) or policy.interval
    disks = tuple(judge_disk(disk, interval, facts.sessions, now) for disk in facts.disks)
    meant = [each for each in disks if each.state is not DiskState.PARKED]
    worst = min(meant, key=lambda each: (each.state, each.since or now), default=None)
    return ClientCase(facts, policy, now, disks, worst, find_backed_up_at(facts))


def find_backed_up_at(facts: ClientFacts) -> datetime | None:
    """Return when the oldest began of the newest backups of a client's disks that count.

    None where one of them has none, or there is none that counts.
    """
    meant = [disk for disk in facts.disks if not disk.is_parked]
    known = [each.confirmed.dumped_at for each in meant if each.confirmed]
    dates = [date for date in known if date]
    return min(dates) if dates and len(dates) == len(meant) else None


# -- which state


def _is_parked(case: ClientCase) -> bool:
    return bool(case.disks) and case.worst is None


def _is_deferred(case: ClientCase) -> bool:
    report = case.facts.report
    if _is_parked(case):
        return True
    if report is None or report.deferred_at is None or case.now - report.at > STILL_HERE:
        return False
    return case.backed_up_at is None or case.backed_up_at <= report.deferred_at


def _has_request(case: ClientCase, state: RequestState) -> bool:
    return case.facts.request is not None and case.facts.request.state is state


PRECEDENCE: Sequence[tuple[ClientState, Callable[[ClientCase], bool]]] = (
    (ClientState.RETIRED, lambda case: case.facts.retired_at is not None),
    (ClientState.LOST, lambda case: case.facts.lost_at is not None),
    (ClientState.FAILING, lambda case: case.has(DiskState.FAILING)),
    (ClientState.CUT, lambda case: case.has(DiskState.CUT)),
    (ClientState.NEVER, lambda case: not case.disks or case.has(DiskState.NEVER)),
    (ClientState.PROTECTED, lambda case: case.has(DiskState.FRESH)),
    (ClientState.RUNNING, lambda case: _has_request(case, RequestState.RUNNING)),
    (ClientState.QUEUED, lambda case: case.facts.is_connected),
    (ClientState.DEFERRED, _is_deferred),
    (ClientState.UNKNOWN, lambda case: case.facts.report is None),
    (ClientState.AWAY, lambda _: True),
)


# -- whether somebody has to do something


def find_exposure(case: ClientCase) -> str:
    """Return in a few words why a client is exposed, "" if it is not.

    By use, where it has a limit by use; by days since its backup, up to when it was seen last.
    """
    facts, report = case.facts, case.facts.report
    limit = report and report.stale_after_use
    used = facts.exposure.used
    if limit and used is not None and used > limit and case.worst is not None:
        said, allowed = say_exposure(facts.exposure), format_interval(limit)
        return f"used for {said} since its last backup; {allowed} allowed"
    stale_after = (report and report.stale_after) or case.policy.stale_after
    if case.backed_up_at is None:
        return ""
    age = _seen_until(case) - case.backed_up_at
    if age <= stale_after:
        return ""
    return f"no backup for {format_age(age)}; {format_interval(stale_after)} allowed"


def _seen_until(case: ClientCase) -> datetime:
    """Return until when it counts that there was no backup: as long as there could be one.

    Who has just come back is being backed up: the time before it came is nobody's fault.
    """
    facts = case.facts
    if facts.report is None:
        return case.now
    if not facts.is_connected:
        seen = max(facts.report.at, facts.last_seen or facts.report.at)
        return min(seen, case.now)  # the clock may have been ahead
    came_at = max((each.begun_at for each in facts.sessions if each.ended_at is None), default=None)
    if came_at is None or case.now - came_at >= CHANCE:
        return case.now
    return max((each.seen_at for each in facts.sessions if each.ended_at), default=came_at)


def _find_alarm(case: ClientCase, state: ClientState, exposed: str) -> str:
    """Return why somebody has to do something, in a few words; "" if nobody has."""
    if state is ClientState.FAILING and case.worst:
        return f"failing{say_because(case.worst.reason)}"
    if state is ClientState.NEVER:
        since = case.never_since
        if since is None or case.now - since > case.policy.never_after:
            for_long = f"for {format_age(case.now - since)}" if since else "since it was enrolled"
            return f"no backup {for_long}"
    return exposed


# -- sentences

Said = tuple[datetime | None, str]  # since when, and the sentence


def _say_retired(case: ClientCase) -> Said:
    since = case.facts.retired_at
    return since, f"retired{_since(case, since)}; its dumps stay until their volumes are reused"


def _say_lost(case: ClientCase) -> Said:
    since = case.facts.lost_at
    return since, f"lost{_since(case, since)}: its key is refused, its newest backup is kept"


def _say_failing(case: ClientCase) -> Said:
    assert case.worst
    since = case.worst.since
    because = say_because(case.worst.reason) or " for a reason that nobody said"
    return since, f"{case.worst.disk.disk} is failing{_since(case, since)}{because}"


def _say_cut(case: ClientCase) -> Said:
    assert case.worst
    name, since = case.worst.disk.disk, case.worst.since
    return since, f"the last dump of {name} was broken off{_since(case, since)}{_going(case)}"


def _say_never(case: ClientCase) -> Said:
    since = case.never_since
    if not case.disks:
        return since, "no backup: Amanda's disklist has no disk of this client"
    assert case.worst
    names = [each.disk.disk for each in case.disks if each.state is DiskState.NEVER]
    which = "" if len(names) == len(case.disks) else f" of {', '.join(names)}"
    return since, f"no backup{which} yet; {say_presence(case.facts, case.now)}{_going(case)}"


def _say_protected(case: ClientCase) -> Said:
    assert case.backed_up_at
    age = format_age(case.now - case.backed_up_at)
    return case.backed_up_at, f"protected: its last backup began {age} ago{_going(case)}"


def _say_running(case: ClientCase) -> Said:
    assert case.facts.request
    since = case.facts.request.submitted_at
    return since, f"due and here: its backup is running, asked for {say_moment(since, case.now)}"


def _say_queued(case: ClientCase) -> Said:
    request = case.facts.request
    if request is None or not request.state.is_open:
        return _due_since(case), "due and here: it is connected, and has not asked for a backup yet"
    place = f" for {case.facts.place}" if case.facts.place else ""
    since = request.submitted_at
    return since, f"due and here: it waits{place}, since {say_moment(since, case.now)}"


def _say_deferred(case: ClientCase) -> Said:
    if _is_parked(case):
        return None, "deferred because the server's configuration leaves all its disks out"
    report = case.facts.report
    assert report
    because = say_because(report.deferred_reason)
    return report.deferred_at, f"deferred{_since(case, report.deferred_at)}{because}"


def _say_unknown(case: ClientCase) -> Said:
    due = _due_since(case)
    words = "its agent is too old to say whether a backup is due"
    return due, f"{words}; {say_presence(case.facts, case.now)}"


def _say_away(case: ClientCase) -> Said:
    seen = case.facts.last_seen
    if seen is None:
        return _due_since(case), "due, and away: it was never connected"
    habit = learn_return(case.facts.sessions, case.now)
    usual = f" (usually back {habit})" if habit else ""
    return seen, f"due, and away since {say_moment(seen, case.now)}{usual}"


def _since(case: ClientCase, since: datetime | None) -> str:
    return f" since {say_moment(since, case.now)}" if since and since > EPOCH else ""


def _due_since(case: ClientCase) -> datetime | None:
    return case.worst.since if case.worst else None


def _going(case: ClientCase) -> str:
    """Return that its next backup is under way, "" if it is not."""
    if _has_request(case, RequestState.RUNNING):
        return "; a run is in progress"
    return "; it waits for a run" if _has_request(case, RequestState.QUEUED) else ""


_SENTENCES: dict[ClientState, Callable[[ClientCase], Said]] = {
    ClientState.RETIRED: _say_retired,
    ClientState.LOST: _say_lost,
    ClientState.FAILING: _say_failing,
    ClientState.CUT: _say_cut,
    ClientState.NEVER: _say_never,
    ClientState.PROTECTED: _say_protected,
    ClientState.RUNNING: _say_running,
    ClientState.QUEUED: _say_queued,
    ClientState.DEFERRED: _say_deferred,
    ClientState.UNKNOWN: _say_unknown,
    ClientState.AWAY: _say_away,
}

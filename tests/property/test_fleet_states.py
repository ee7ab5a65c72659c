"""Whatever is known of a client, it is in one state, with its evidence, and alarms as is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.dispatch.records import RequestRow, RequestState
from asyncamanda.core.exposure.values import Exposure
from asyncamanda.core.fleet.facts import ClientFacts, ClientReport, DiskFacts, SessionFacts
from asyncamanda.core.fleet.judging import ALARM_FREE, PRECEDENCE, judge_client, make_case
from asyncamanda.core.fleet.policy import FleetPolicy
from asyncamanda.core.fleet.standing import ClientState
from asyncamanda.core.model import DleVerdict, DumpState

NOW = datetime(2026, 12, 1, 13, tzinfo=ZoneInfo("Europe/Berlin"))
POLICY = FleetPolicy()

spans = st.integers(0, 60 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
moments = spans.map(lambda span: NOW - span)
reasons = st.sampled_from(["", "no space left on device", "[missing size line from sendbackup]"])
maybe = st.one_of(st.none(), moments)


def make_verdict(at: datetime, state: DumpState, reason: str) -> DleVerdict:
    """Return a verdict on a dump of that time."""
    return DleVerdict("a", "/x", f"{at:%Y%m%d%H%M%S}", state, 0, reason, dumped_at=at)


verdicts = st.builds(make_verdict, moments, st.sampled_from(DumpState), reasons)
backups = st.builds(make_verdict, moments, st.just(DumpState.STORED), st.just(""))
disks = st.builds(
    DiskFacts,
    st.sampled_from(["/home", "/srv"]),
    st.one_of(st.none(), backups),
    st.one_of(st.none(), verdicts),
    st.just(DiskProof()),
    st.booleans(),
    maybe,
)
requests = st.builds(
    RequestRow, st.just(1), st.just("a"), st.just("daily"), moments, st.sampled_from(RequestState)
)
reports = st.builds(
    ClientReport,
    moments,
    st.just("asyncamanda 1"),
    st.one_of(st.none(), spans),
    st.one_of(st.none(), spans),
    st.one_of(st.none(), spans),
    maybe,
    reasons,
)
sessions = st.builds(
    lambda at, how: SessionFacts(at, at, at, how), moments, st.sampled_from(["left", "silent"])
)
clients = st.builds(
    ClientFacts,
    st.just("a"),
    st.just("daily"),
    maybe,
    maybe,
    maybe,
    st.booleans(),
    maybe,
    st.one_of(st.none(), requests),
    st.sampled_from(["", "a batch"]),
    st.lists(disks, max_size=3).map(tuple),
    st.one_of(st.none(), reports),
    st.builds(Exposure, st.one_of(st.none(), spans), st.booleans(), maybe),
    st.lists(sessions, max_size=8).map(tuple),
)


@given(clients)
def test_one_state_with_evidence(facts: ClientFacts) -> None:
    """There is always a state that applies, a sentence, and evidence."""
    standing = judge_client(facts, POLICY, NOW)
    case = make_case(facts, POLICY, NOW)
    assert standing.state is next(state for state, applies in PRECEDENCE if applies(case))
    assert standing.sentence
    assert len(standing.evidence) >= max(len(facts.disks), 1) + 1
    assert all(standing.evidence)


@given(clients)
def test_who_alarms(facts: ClientFacts) -> None:
    """The failing, the exposed, and those without any backup after a grace: nobody else."""
    standing = judge_client(facts, POLICY, NOW)
    if standing.state in ALARM_FREE:
        assert not standing.alarm
        assert not standing.is_exposed
    elif standing.state is not ClientState.NEVER:
        assert bool(standing.alarm) is (
            standing.is_exposed or standing.state is ClientState.FAILING
        )
    elif standing.alarm and not standing.is_exposed:
        since = make_case(facts, POLICY, NOW).never_since
        assert since is None or NOW - since > POLICY.never_after


@given(clients, spans)
def test_absence_alone_never_alarms(facts: ClientFacts, gone: timedelta) -> None:
    """Of a client whose agent says something of itself: what alarms does so when it goes."""
    if facts.report is None or facts.is_connected or not facts.disks:
        return
    if judge_client(facts, POLICY, NOW).state in {ClientState.NEVER, ClientState.CUT}:
        return
    before = judge_client(facts, POLICY, NOW)
    after = judge_client(facts, POLICY, NOW + gone)
    assert bool(before.alarm) is bool(after.alarm)


@given(clients)
def test_a_parked_disk_changes_no_alarm(facts: ClientFacts) -> None:
    """Whatever became of it."""
    parked = DiskFacts(
        "/parked",
        None,
        make_verdict(NOW, DumpState.FAILED, "gone"),
        DiskProof(),
        is_parked=True,
    )
    wanted = tuple(disk for disk in facts.disks if not disk.is_parked)
    if wanted:
        one = judge_client(replace(facts, disks=wanted), POLICY, NOW)
        other = judge_client(replace(facts, disks=(*wanted, parked)), POLICY, NOW)
        assert (one.state, one.alarm) == (other.state, other.alarm)

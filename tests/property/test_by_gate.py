"""Gate mode: only what the server confirms counts."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW, few_names, levels, moments, policies

from asyncamanda.core.agent.by_command import BackedUp
from asyncamanda.core.agent.by_gate import (
    decide_by_gate,
    heed_welcome,
    shift_clock,
)
from asyncamanda.core.agent.due import BackupStanding, Disk, Due, NotDue, force_due
from asyncamanda.core.agent.finished import judge_finished
from asyncamanda.core.agent.reconnect import plan_reconnect
from asyncamanda.core.model import (
    DiskRule,
    DleVerdict,
    DumpRecord,
    DumpState,
    Memory,
    Policy,
)
from asyncamanda.core.protocol.messages import DleState, Finished, Welcome

RUNS = ("", "20261123120000", "20261122120000")

states = st.builds(
    DleState,
    few_names,
    st.sampled_from(DumpState),
    levels,
    st.none() | moments,
    st.booleans(),
)
dles = st.lists(states, max_size=4, unique_by=lambda dle: dle.disk).map(tuple)
verdicts = st.lists(
    st.builds(
        DleVerdict,
        host=st.just("laptop"),
        disk=few_names,
        timestamp=st.sampled_from(RUNS),
        state=st.sampled_from(DumpState),
    ),
    max_size=5,
).map(tuple)
ends = st.builds(Finished, st.sampled_from(RUNS), moments, verdicts)
skews = st.integers(-3 * 10**8, 3 * 10**8).map(lambda s: timedelta(seconds=s))


def welcome(states: tuple[DleState, ...], now: datetime) -> Welcome:
    """Return a Welcome with these DLEs, at `now` by the server's clock."""
    beat = timedelta(seconds=15)
    return Welcome(1, "a", "laptop", "daily", now, beat, states, "idle", None)


@given(dles, policies)
def test_nothing_is_fresh_that_the_server_has_not_confirmed(
    states: tuple[DleState, ...], policy: Policy
) -> None:
    """Whatever was remembered before, each disk that is fresh has its word."""
    before = Memory(since=NOW, confirmed={"/": DumpRecord("/", 0, NOW)})
    decision = decide_by_gate(heed_welcome(before, welcome(states, NOW), NOW), policy, (), NOW)
    said = {dle.disk: dle.confirmed_at for dle in states}
    for verdict in decision.disks:
        if verdict.fresh_until:
            assert verdict.disk.last
            assert verdict.disk.last.started_at == said[verdict.disk.name]
    if isinstance(decision, NotDue) and policy.watch is DiskRule.EACH:
        parked = {dle.disk for dle in states if dle.is_parked}
        assert all(said.get(disk) for disk in policy.disks or said if disk not in parked)


@given(dles, policies, moments)
def test_what_is_parked_is_never_due(
    states: tuple[DleState, ...], policy: Policy, now: datetime
) -> None:
    """Nor wanted, nor fresh; and it changes nothing for the others."""
    parked = {dle.disk for dle in states if dle.is_parked}
    memory = heed_welcome(Memory(since=NOW), welcome(states, NOW), NOW)
    decision = decide_by_gate(memory, policy, (), now)
    forced = force_due(decision, policy)
    assert not parked & {*decision.wanted, *forced.wanted}
    for verdict in decision.disks:
        if verdict.disk.name in parked:
            assert (verdict.standing, verdict.fresh_until) == (BackupStanding.PARKED, None)
    others = tuple(dle for dle in states if not dle.is_parked)
    if others and not parked & {*policy.disks}:
        without = heed_welcome(Memory(since=NOW), welcome(others, NOW), NOW)
        alone = decide_by_gate(without, policy, (), now)
        assert (type(alone), alone.wanted) == (type(decision), decision.wanted)
        assert alone.last_at == decision.last_at


@given(dles, policies, st.lists(st.tuples(few_names, moments), max_size=4))
def test_amandates_never_changes_the_verdict(
    states: tuple[DleState, ...], policy: Policy, hinted: list[tuple[str, datetime]]
) -> None:
    """It is shown, and no more."""
    memory = heed_welcome(Memory(since=NOW), welcome(states, NOW), NOW - timedelta(hours=1))
    hints = tuple(Disk(name, DumpRecord(name, 0, at)) for name, at in hinted)
    plain, shown = (decide_by_gate(memory, policy, each, NOW) for each in ((), hints))
    assert (type(plain), plain.wanted) == (type(shown), shown.wanted)
    assert [v.standing for v in plain.disks] == [v.standing for v in shown.disks]


@given(dles, policies, skews)
def test_a_clock_that_is_off_changes_no_verdict(
    states: tuple[DleState, ...], policy: Policy, skew: timedelta
) -> None:
    """By hours or years: the same dumps are as old, to the second."""
    there = tuple(
        replace(dle, confirmed_at=dle.confirmed_at and dle.confirmed_at + skew) for dle in states
    )
    if abs(skew) <= timedelta(minutes=1):
        return
    shifted, told = shift_clock(welcome(there, NOW + skew), NOW)
    assert told == skew
    assert shifted.dles == states
    ours = heed_welcome(Memory(since=NOW), welcome(states, NOW), NOW)
    theirs = heed_welcome(Memory(since=NOW), shifted, NOW)
    assert decide_by_gate(theirs, policy, (), NOW) == decide_by_gate(ours, policy, (), NOW)


@given(st.lists(few_names, max_size=3, unique=True).map(tuple), ends)
def test_no_backup_without_the_servers_word_on_each_wanted_disk(
    wanted: tuple[str, ...], end: Finished
) -> None:
    """A verdict of this run, stored or held, for every one; where any will do, for one."""
    confirmed = {name: DumpRecord(name, 0, NOW) for name in ("/", "/home", "/srv", "")}
    verdict = judge_finished(wanted, end, confirmed)
    stored = {
        each.disk
        for each in end.verdicts
        if each.state.is_confirmed and (not end.run or each.timestamp in {"", end.run})
    }
    assert {dump.disk for dump in verdict.dumps} <= stored
    if isinstance(verdict, BackedUp):
        assert stored.issuperset(wanted)
        assert stored


@given(st.integers(0, 900), st.lists(st.integers(-3600, 3600), max_size=60))
def test_reconnecting_ends(patience: int, steps: list[int]) -> None:
    """Whatever the clock does, each try is a second away at least, or the last moment."""
    now, broken = NOW, None
    for step in steps:
        broken, next_at = plan_reconnect(broken, timedelta(seconds=patience), now)
        if next_at is None:
            assert now - broken.since >= timedelta(seconds=patience)
            return
        assert now < next_at <= now + timedelta(seconds=15)
        assert next_at <= broken.since + timedelta(seconds=patience)
        now = next_at + timedelta(seconds=step)


@given(policies)
def test_who_never_asked_asks(policy: Policy) -> None:
    """Whatever is wanted."""
    assert isinstance(decide_by_gate(Memory(since=NOW), policy, (), NOW), Due)

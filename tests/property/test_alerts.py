"""Whatever happens, in whatever order: people are told once for each change of state."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.core.agent.alerts import AlertKind, decide_alert, judge_state
from asyncamanda.core.model import BackupState, Outcome

looks = st.lists(st.tuples(st.none() | st.sampled_from(Outcome), st.booleans()), max_size=30)


@given(looks)
def test_nobody_is_told_the_same_twice(looks: list[tuple[Outcome | None, bool]]) -> None:
    """And of a recovery only after a failure or a stale backup; an alarm is never delayed."""
    told = BackupState.WELL
    alerts: list[AlertKind] = []
    for outcome, is_stale in looks:
        now_is = judge_state(outcome, is_stale=is_stale, told=told)
        if kind := decide_alert(told, now_is):
            alerts.append(kind)
            told = now_is
        if is_stale and outcome is not Outcome.BACKED_UP:
            assert told is BackupState.STALE
        if outcome is Outcome.FAILED:
            assert told is not BackupState.WELL
        if outcome is Outcome.BACKED_UP:
            assert told is BackupState.WELL
    assert all(one is not other for one, other in pairwise(alerts))
    for before, kind in zip([AlertKind.RECOVERED, *alerts], alerts, strict=False):
        assert kind is not AlertKind.RECOVERED or before.is_alarm
        assert kind is not AlertKind.FAILED or before is AlertKind.RECOVERED

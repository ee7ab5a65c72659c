"""What the agent remembers: distrust is never lost."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW

from asyncamanda.core.agent.remember import KEPT_ATTEMPTS, KEPT_SPANS, note_end, note_start
from asyncamanda.core.model import Attempt, Memory, Outcome, Started

steps = st.lists(
    st.tuples(st.sampled_from(Outcome), st.integers(0, 7_200), st.integers(1, 86_400)),
    max_size=120,
)


@given(steps)
def test_no_time_of_a_bad_run_is_ever_trusted_again(
    each: list[tuple[Outcome, int, int]],
) -> None:
    """However many attempts there were, and in whatever order they went well or badly."""
    memory, now, bad = Memory(since=NOW), NOW, []
    for outcome, took, pause in each:
        attempt = Attempt(now, now + timedelta(seconds=took), outcome)
        if outcome.has_run:
            memory = note_start(memory, Started(now, now, 7))
        memory = note_end(memory, attempt)
        now = attempt.ended_at + timedelta(seconds=pause)
        if outcome.has_run and outcome not in {Outcome.BACKED_UP, Outcome.INCOMPLETE}:
            bad.append(attempt)
    for attempt in bad:
        for moment in (attempt.started_at, attempt.ended_at):
            assert any(moment in span for span in memory.distrusted)
    assert len(memory.distrusted) <= KEPT_SPANS
    assert len(memory.attempts) <= KEPT_ATTEMPTS

"""Whatever a client says of its use, its exposure is within bounds."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.core.exposure.reported import UseBase, UseTotal, heed_total, judge_total

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
uses = st.floats(0, 3.2e8)
spans = st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds))


@given(uses, st.lists(st.tuples(spans, uses, st.integers(0, 9)), max_size=9))
def test_what_a_client_says_never_counts_too_much_or_less_than_before(
    begun: float, said: list[tuple[timedelta, float, int]]
) -> None:
    """Without a confirmed backup it never falls, and it is never above wall time."""
    base: UseBase | None = UseBase(NOON, begun)
    known, exposed = UseTotal(NOON, begun), 0.0
    for later, used, gaps in said:
        total = UseTotal(known.at + later, used, gaps)
        base = heed_total(known, base, total)
        now = judge_total(total, base).used
        assert now is not None
        assert exposed - 0.001 <= now.total_seconds() <= (total.at - NOON).total_seconds()
        known, exposed = total, now.total_seconds()

"""How often a client may ask: however it asks, and whatever its clock does."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW

from asyncamanda.core.dispatch.rate_limit import Allowance, Bucket, fill, take

pers = st.integers(1, 10**12).map(lambda us: timedelta(microseconds=us))
allowances = st.builds(Allowance, pers, st.integers(1, 20))
# in thousandths of what one more takes
pauses = st.lists(st.integers(0, 3_000), max_size=100)


@given(allowances, pauses)
def test_nobody_is_granted_more_than_the_allowance(allowance: Allowance, each: list[int]) -> None:
    """A burst, and one more for each time that passed."""
    bucket, now, granted = fill(allowance, NOW), NOW, 0
    for pause in each:
        now += allowance.per * pause / 1_000
        bucket, wait = take(bucket, allowance, now)
        granted += wait is None
        assert 0 <= bucket.tokens <= allowance.burst
    assert granted <= allowance.burst + (now - NOW) / allowance.per + 1e-6


@given(allowances, st.floats(0, 20), st.integers(-(10**9), 10**9))
def test_who_waits_as_long_as_told_is_granted(
    allowance: Allowance, left: float, since: int
) -> None:
    """Whatever was left, and however far the clock was set back or forward."""
    now = NOW + timedelta(seconds=since)
    bucket, wait = take(Bucket(min(left, allowance.burst), NOW), allowance, now)
    if wait is not None:
        assert timedelta(0) < wait <= allowance.per + 2 * timedelta.resolution
        _, again = take(bucket, allowance, now + wait)
        assert again is None

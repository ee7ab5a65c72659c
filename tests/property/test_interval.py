"""Intervals: what is written is read, and any text is a span or refused."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import texts

from asyncamanda.core.values.interval import (
    LONGEST,
    format_age,
    format_interval,
    parse_interval,
)

whole_seconds = st.integers(1, int(LONGEST.total_seconds())).map(lambda s: timedelta(seconds=s))
near_spans = st.lists(
    st.sampled_from([*"0123456789.-+,pPtTdDhHmMsSwW ", "day", "weeks", "min"]), max_size=12
).map("".join)


@given(whole_seconds)
def test_what_is_written_is_read(span: timedelta) -> None:
    """The form for people is one that people may use, spaced or not."""
    assert parse_interval(format_interval(span)) == span
    assert parse_interval(format_interval(span).replace(" ", "")) == span


@given(whole_seconds)
def test_an_age_is_the_span_cut_off(span: timedelta) -> None:
    """Never more than it is, and less by under its second unit or so."""
    assert timedelta(0) <= span - parse_interval(format_age(span)) < timedelta(hours=1)


@given(st.one_of(texts, near_spans))
def test_any_text_is_a_span_or_refused(text: str) -> None:
    """Within the limits, or ValueError."""
    try:
        span = parse_interval(text)
    except ValueError:
        return
    assert timedelta(0) < span <= LONGEST

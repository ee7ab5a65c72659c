"""Once due, always due."""

from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW, confirmed, policies, rows, spans

from asyncamanda.core.agent.due import Due, NotDue, decide_due, survey_disks
from asyncamanda.core.amanda.amandates import Row
from asyncamanda.core.model import DumpRecord, Policy, Span

ages = st.integers(0, 30 * 86_400).map(lambda s: timedelta(seconds=s))
waits = st.one_of(st.integers(0, 120), st.integers(0, 10_000 * 86_400)).map(
    lambda s: timedelta(seconds=s)
)


@given(
    st.lists(rows, max_size=8),
    confirmed,
    st.lists(spans, max_size=3).map(tuple),
    policies,
    ages,
    waits,
)
def test_what_is_due_stays_due_as_time_goes_on(
    each: list[Row],
    known: dict[str, DumpRecord],
    distrusted: tuple[Span, ...],
    policy: Policy,
    written_ago: timedelta,
    wait: timedelta,
) -> None:
    """Nobody is told "due" now and "not due" later by time alone; `until` is when it turns."""
    written_at = NOW - written_ago

    def decide(wait: timedelta) -> Due | NotDue:
        now = NOW + wait
        disks = survey_disks(each, known, distrusted, min(now, written_at))
        return decide_due(disks, policy, now)

    first, later = decide(timedelta(0)), decide(wait)
    if isinstance(first, Due):
        assert isinstance(later, Due)
    else:
        assert first.until > NOW
        assert isinstance(later, NotDue) is (NOW + wait < first.until)


@given(st.lists(rows, max_size=8), st.lists(spans, max_size=3).map(tuple), st.randoms())
def test_the_order_of_lines_does_not_matter(
    each: list[Row], distrusted: tuple[Span, ...], random: Random
) -> None:
    """A disk's standing hangs on its times alone."""
    shuffled = list(each)
    random.shuffle(shuffled)

    def times(order: list[Row]) -> list[object]:
        return [
            (
                disk.name,
                disk.last and disk.last.started_at,
                disk.in_future and disk.in_future.started_at,
                disk.distrusted and disk.distrusted.started_at,
            )
            for disk in survey_disks(order, {}, distrusted, NOW)
        ]

    assert times(shuffled) == times(each)


@given(st.lists(rows, max_size=8), st.lists(spans, max_size=3).map(tuple))
def test_no_doubtful_time_counts(each: list[Row], distrusted: tuple[Span, ...]) -> None:
    """Neither the future nor a distrusted span is evidence, and nothing good is overlooked."""
    horizon = NOW + timedelta(minutes=5)
    for disk in survey_disks(each, {}, distrusted, NOW):
        good = [
            seconds
            for name, _, seconds in each
            if name == disk.name
            and 0 < seconds <= horizon.timestamp()
            and not any(
                span.start.timestamp() <= seconds <= span.end.timestamp() for span in distrusted
            )
        ]
        last = disk.last and int(disk.last.started_at.timestamp())
        assert last == max(good, default=None)

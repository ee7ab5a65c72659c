"""Whether the other side is still there: for any looks, and any step of a clock."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW

from asyncamanda.core.protocol.heartbeat import Beat, beat, hear, start_pulse

EVERY = timedelta(seconds=15)
A_LOOK = EVERY / 3
MOST = timedelta(seconds=60)

gaps = st.integers(1, 5_000).map(lambda ms: timedelta(milliseconds=ms))
silences = st.lists(gaps, min_size=10, max_size=200)
steps = st.integers(-400 * 86_400, 400 * 86_400).map(lambda s: timedelta(seconds=s))


def silent_until(looks: list[timedelta], step: timedelta, stepped_after: int) -> timedelta | None:
    """Return after how long a silence was noticed, by a clock that took a step; None if never."""
    pulse, passed, off = start_pulse(EVERY, NOW), timedelta(0), timedelta(0)
    for number, gap in enumerate(looks):
        passed += gap
        off = step if number >= stepped_after else off
        pulse, what = beat(pulse, NOW + passed + off)
        if what is Beat.GONE:
            return passed
    return None


@given(silences)
def test_a_silence_is_noticed_within_a_minute_and_not_too_early(looks: list[timedelta]) -> None:
    """However often one looks, as long as it is thrice a beat."""
    looks = [*looks, *[A_LOOK] * 13]
    noticed = silent_until(looks, timedelta(0), len(looks))
    assert noticed is not None
    assert 3 * EVERY <= noticed <= MOST


@given(silences, steps, st.integers(0, 60))
def test_no_step_of_a_clock_keeps_a_dead_line_for_long(
    looks: list[timedelta], step: timedelta, stepped_after: int
) -> None:
    """Set forward, it costs a beat more at most; set back, no more than a look."""
    looks = [*looks, *[A_LOOK] * 20]
    noticed = silent_until(looks, step, stepped_after)
    assert noticed is not None
    assert noticed <= (4 * EVERY + 2 * A_LOOK if step > timedelta(0) else 3 * EVERY + 2 * A_LOOK)


@given(silences, steps.filter(lambda step: step < timedelta(0) or step > EVERY), st.data())
def test_no_step_of_a_clock_ends_a_line_that_lives(
    looks: list[timedelta], step: timedelta, chosen: st.DataObject
) -> None:
    """Whose other side answers each Ping before the next look but one, or says a word itself."""
    pulse, now = start_pulse(EVERY, NOW), NOW
    stepped_after = chosen.draw(st.integers(0, len(looks)))
    was_asked = False
    for number, gap in enumerate(looks):
        now += gap + (step if number == stepped_after else timedelta(0))
        if was_asked:
            pulse = hear(pulse, now)
        pulse, what = beat(pulse, now)
        assert what is not Beat.GONE
        was_asked = what is Beat.PING


@given(st.lists(st.tuples(gaps, st.booleans()), max_size=200))
def test_a_line_with_a_word_each_beat_is_never_asked_twice_nor_given_up(
    looks: list[tuple[timedelta, bool]],
) -> None:
    """While the clock is steady; a word that is due comes just before the look."""
    pulse, now, heard_at = start_pulse(EVERY, NOW), NOW, NOW
    for gap, speaks in looks:
        now += gap
        if speaks or now + A_LOOK > heard_at + EVERY:
            pulse, heard_at = hear(pulse, now), now
        pulse, what = beat(pulse, now)
        assert what is Beat.QUIET

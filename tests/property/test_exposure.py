"""Exposure is never above wall time, never falls without a backup, and does not grow in sleep."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.core.exposure.record import Sighting, begin_use, count_use, expose, note_dumps

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
BEGUN = begin_use(Sighting("0", NOON, 3600.0), NOON.date())
spans = st.integers(0, 300_000)
# awake and asleep for so long; is the system started again before, is all seen, is there a dump
stretches = st.lists(
    st.tuples(spans, spans, st.booleans(), st.booleans(), st.booleans()), max_size=12
)


@given(stretches)
def test_exposure_keeps_within_its_bounds(
    life: list[tuple[int, int, bool, bool, bool]],
) -> None:
    """Whatever a machine's life is; the last word of each stretch is whether a dump begins."""
    record, at, boot, awake = BEGUN, NOON, 0, 3600.0
    dumped_at, before = NOON, 0.0
    record = note_dumps(record, [NOON])
    for used, slept, is_new, is_whole, has_dump in life:
        sightings = []
        if is_new:
            boot, awake = boot + 1, 0.0
            sightings = [Sighting(f"{boot}", at, awake)]
        awake += used
        at += timedelta(seconds=used + slept)
        sightings.append(Sighting(f"{boot}", at, awake))
        record = count_use(record, sightings, UTC, is_whole=is_whole or not is_new)
        exposure = expose(record, dumped_at)
        assert exposure.used is not None
        seconds = exposure.used.total_seconds()
        assert before - 0.001 <= seconds <= (at - dumped_at).total_seconds() + 0.001
        assert seconds <= before + used + 0.001  # sleep is no use
        assert all(day is None or 0 <= day <= 86_400.001 for day in record.days.values())
        known = sum(day for day in record.days.values() if day is not None)
        assert known <= record.used + 0.001
        before = seconds
        if has_dump:
            dumped_at, before = at, 0.0
            record = note_dumps(record, [at])

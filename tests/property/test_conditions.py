"""What holds a backup back: never forever, whatever is configured and found."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.property.strategies import NOW

from asyncamanda.core.agent.retry import FIRST, TOLERANCE, plan_retry, retry_at, spread_offset
from asyncamanda.core.conditions.judge import (
    Conditions,
    Deferred,
    Go,
    decide_moment,
    decide_pause,
    explain_deferred,
    is_critical,
    survey_conditions,
)
from asyncamanda.core.conditions.surroundings import LinkKind, Network, Surroundings
from asyncamanda.core.conditions.windows import (
    Window,
    format_window,
    is_open,
    next_opening,
    parse_window,
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

zones = st.sampled_from(
    [None]
    + [
        ZoneInfo(name)
        for name in (
            "Europe/Berlin",
            "America/New_York",
            "America/Santiago",  # its clocks change at midnight
            "Australia/Sydney",
            "Australia/Lord_Howe",  # by half an hour
            "Asia/Kathmandu",
        )
    ]
)
# most of them near the days on which clocks change
CHANGES = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-04", "2026-10-25")
moments = st.builds(
    lambda day, offset: datetime.fromisoformat(day).replace(tzinfo=UTC) + offset,
    st.sampled_from([*CHANGES, "2026-11-01", "2026-11-23"]),
    st.timedeltas(timedelta(days=-3), timedelta(days=2)),
)
windows = st.builds(
    Window, st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(0, 1440)
).filter(lambda window: window.start != window.end)
names = st.one_of(st.sampled_from(["home", "office", "Phone", "wlan0"]), st.text(max_size=8))
patterns = st.lists(
    st.one_of(names, st.sampled_from(["*", "vpn", "off*", "[", "[!a]?"])), max_size=3
).map(tuple)
networks = st.builds(Network, names, st.sampled_from(LinkKind), st.none() | names)
surroundings = st.builds(
    Surroundings,
    st.none() | st.booleans(),
    st.none() | st.floats(0, 105),
    st.none() | st.booleans(),
    st.none() | st.lists(networks, max_size=3).map(tuple),
    st.none() | st.floats(0, 500),
)
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=3650))
conditions = st.builds(
    Conditions,
    battery_from=st.none() | st.floats(0, 101),
    is_metered_allowed=st.booleans(),
    networks=patterns,
    not_networks=patterns,
    windows=st.lists(windows, max_size=3).map(tuple),
    max_load=st.none() | st.floats(0, 100),
    is_unknown_allowed=st.booleans(),
    relax_after=spans,
)


@given(conditions, surroundings, moments, spans, zones)
def test_a_stale_backup_is_never_deferred_for_ever(
    wanted: Conditions, found: Surroundings, since: datetime, more: timedelta, zone: ZoneInfo | None
) -> None:
    """From twice `relax_after` on nothing but an empty battery holds it back, or stops it."""
    assume(not is_critical(found))
    assert wanted.relax_after is not None
    due = since + 2 * wanted.relax_after
    for now in (due, due + timedelta.resolution, due + more):
        assert isinstance(decide_moment(found, wanted, since, now, zone), Go)
        assert decide_pause(found, wanted, since, now) is None


@given(conditions, surroundings, moments, moments, zones)
def test_a_clock_gone_wrong_holds_nothing_back(
    wanted: Conditions, found: Surroundings, since: datetime, now: datetime, zone: ZoneInfo | None
) -> None:
    """A backup from the future counts as none, however far ahead it is."""
    assume(since > now + TOLERANCE and not is_critical(found))
    assert isinstance(decide_moment(found, wanted, since, now, zone), Go)


@given(conditions, surroundings, moments, spans, spans, zones)
def test_what_has_given_in_never_holds_back_again(
    wanted: Conditions,
    found: Surroundings,
    since: datetime,
    age: timedelta,
    more: timedelta,
    zone: ZoneInfo | None,
) -> None:
    """As time goes on in the same surroundings, only a window that closes can be a new reason."""
    early = survey_conditions(found, wanted, since, since + age, zone)
    late = survey_conditions(found, wanted, since, since + age + more, zone)
    for before, after in zip(early, late, strict=True):
        assert before.condition is after.condition
        assert before.relaxes_at == after.relaxes_at
        assert after.is_relaxed or not before.is_relaxed
        assert before.holds == after.holds or before.condition.value == "windows"


@given(conditions, surroundings, moments, spans, st.booleans(), zones)
def test_the_clock_alone_does_not_end_a_deferral_earlier(
    wanted: Conditions,
    found: Surroundings,
    since: datetime,
    age: timedelta,
    is_stubborn: bool,
    zone: ZoneInfo | None,
) -> None:
    """Until `until`, one reason or another still stands."""
    if is_stubborn:
        wanted = Conditions(windows=wanted.windows, relax_after=None)
    now = since + age
    moment = decide_moment(found, wanted, since, now, zone)
    if isinstance(moment, Deferred):
        assert moment.reasons
        assert explain_deferred(moment).isprintable()
        until = moment.until or now + 100 * DAY
        assert until > now
        for then in (now + (until - now) // 4, until - timedelta.resolution):
            assert isinstance(decide_moment(found, wanted, since, then, zone), Deferred)


@given(st.lists(windows, min_size=1, max_size=3).map(tuple), moments, zones)
def test_the_next_opening_is_the_first(
    some: tuple[Window, ...], moment: datetime, zone: ZoneInfo | None
) -> None:
    """It is open then, and at no minute before."""
    opening = next_opening(some, moment, zone)
    if is_open(some, moment, zone):
        assert opening is None
        return
    assert opening is not None
    assert opening > moment
    assert is_open(some, opening, zone)
    assert not is_open(some, opening - timedelta.resolution, zone)
    minutes = (opening - moment) // MINUTE
    stride = max(minutes // 500, 1)  # a week has ten thousand
    for step in range(0, minutes, stride):
        assert not is_open(some, moment + step * MINUTE, zone)


@given(windows)
def test_a_window_that_is_shown_is_read_as_the_same(window: Window) -> None:
    """Whatever its days."""
    assert parse_window(format_window(window)) == window


@given(st.text(st.sampled_from("MonTueSat.,-*: 0123456789"), max_size=24))
def test_a_text_is_a_window_or_refused(text: str) -> None:
    """With a ValueError, and nothing else."""
    try:
        window = parse_window(text)
    except ValueError:
        return
    assert window.days
    assert window.start != window.end


@given(st.text(max_size=20), st.timedeltas(MINUTE / 60_000_000, 400 * DAY))
def test_an_offset_lies_within_its_spread(identity: str, spread: timedelta) -> None:
    """And is the same each time."""
    offset = spread_offset(identity, spread)
    assert timedelta(0) <= offset < spread
    assert spread_offset(identity, spread) == offset


def test_a_fleet_is_spread_evenly() -> None:
    """Of a thousand clients with like names, each tenth of the hour gets about a tenth."""
    counts = [0] * 10
    for number in range(1_000):
        counts[spread_offset(f"client{number}", 60 * MINUTE) // (6 * MINUTE)] += 1
    assert 70 <= min(counts) <= max(counts) <= 130


@given(st.integers(0, 10**30), st.timedeltas(MINUTE, 400 * DAY), st.floats(0, 1))
def test_a_wait_stays_within_its_limit(tries: int, within: timedelta, chance: float) -> None:
    """It never outgrows it, however often it failed; and what is planned is waited for."""
    wait = plan_retry(tries, within, chance)
    assert timedelta(0) <= wait <= min(within, FIRST * 2 ** min(tries, 20))
    assert plan_retry(tries + 1, within, chance) >= wait
    assert retry_at(NOW + wait, NOW, within) == (NOW + wait if wait else None)

"""When a client usually comes back is learned from its sessions, and said only where that held."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from asyncamanda.core.fleet.facts import SessionFacts
from asyncamanda.core.fleet.habits import learn_return

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
MONDAY = date(2026, 10, 5)


def come(days: Iterable[date], at: str = "09:00", hours: float = 8) -> list[SessionFacts]:
    """Return a session on each of these days, from that local time on."""
    begun = [datetime.combine(day, time.fromisoformat(at), BERLIN).astimezone(UTC) for day in days]
    spans = [(each, each + timedelta(hours=hours)) for each in begun]
    return [SessionFacts(begin, end, end, "left") for begin, end in spans]


def weeks(count: int, first: date = MONDAY) -> list[date]:
    """Return the same weekday of so many weeks."""
    return [first + 7 * week * DAY for week in range(count)]


def usual(sessions: list[SessionFacts], day: date, at: str = "20:00") -> str:
    """Return when the client usually comes next, by what was known then; "" where nobody knows."""
    now = datetime.combine(day, time.fromisoformat(at), BERLIN)
    return str(learn_return(sessions, now) or "")


def test_once_a_week() -> None:
    """On Mondays, asked on a Thursday; four weeks and not two."""
    assert usual(come(weeks(4)), weeks(4)[-1] + 3 * DAY) == "Mon 09:00"
    assert usual(come(weeks(2)), weeks(2)[-1] + 3 * DAY) == ""


def test_each_working_day() -> None:
    """The next one counts: over the weekend that is Monday, in the night the next morning."""
    days = [day + more * DAY for day in weeks(4) for more in range(5)]
    friday = days[-1]
    assert usual(come(days), friday) == "Mon 09:00"
    assert usual(come(days), friday + 2 * DAY) == "Mon 09:00"
    assert usual(come(days[:-1]), friday, "07:00") == "Fri 09:00"
    assert usual(come(days[:-1]), friday, "12:00") == "Mon 09:00"


def test_one_holiday_does_not_break_it() -> None:
    """Three Mondays of four are often enough, two are not."""
    mondays = weeks(4)
    tuesday = mondays[-1] + DAY
    assert usual(come([mondays[0], *mondays[2:]]), tuesday) == "Mon 09:00"
    assert usual(come(mondays[2:]), tuesday) == ""


def test_what_is_irregular_is_not_said() -> None:
    """The same weekday at any time of day is no habit."""
    sessions = [
        each
        for day, at in zip(weeks(4), ("07:00", "12:00", "16:00", "21:00"), strict=True)
        for each in come([day], at, 1)
    ]
    assert usual(sessions, weeks(4)[-1] + 2 * DAY) == ""
    assert usual([], MONDAY) == ""


def test_summer_time_does_not_move_it() -> None:
    """It ended on 25 October; by the local clock it is nine each time."""
    mondays = [date(2026, 10, 12), date(2026, 10, 19), date(2026, 10, 26), date(2026, 11, 2)]
    sessions = come(mondays)
    assert len({each.begun_at.time() for each in sessions}) == 2
    assert usual(sessions, date(2026, 11, 4)) == "Mon 09:00"


def test_a_reconnection_is_no_arrival() -> None:
    """A client that was there all night, and whose line broke in the morning, did not come then."""
    sessions = come(weeks(4), "22:00", 10)
    broken = [SessionFacts(each.seen_at + DAY / 240, each.seen_at + DAY / 24) for each in sessions]
    tuesday = weeks(4)[-1] + 8 * DAY
    assert usual(sessions + broken, tuesday, "07:00") == "Mon 22:00"


def test_after_long_nobody_knows() -> None:
    """Whoever was away for months may come on any day."""
    assert usual(come(weeks(4)), weeks(4)[-1] + 60 * DAY) == ""

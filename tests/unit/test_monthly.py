"""The sentence of a month: which days count, which are protected, and when it is told."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncamanda.core.agent.alerts import AlertKind
from asyncamanda.core.agent.monthly import (
    MonthlyReport,
    find_backups,
    judge_month,
    month_to_tell,
    word_month,
)
from asyncamanda.core.agent.remember import KEPT_ATTEMPTS
from asyncamanda.core.model import Attempt, DumpRecord, Memory, Outcome

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOVEMBER = date(2026, 11, 1)
DECEMBER = datetime(2026, 12, 1, 9, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
USED = 6 * 3600.0


def at(day: int, hour: int = 10) -> datetime:
    """That day of November."""
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def memory(*backups: datetime, since: datetime = LONG_AGO, **more: object) -> Memory:
    """Return the memory of these backups."""
    attempts = tuple(Attempt(begun, begun + HOUR, Outcome.BACKED_UP) for begun in backups)
    return Memory(since, attempts=attempts, **more)  # type: ignore[arg-type]


def judge(
    use: dict[int, float | None], kept: Memory, interval: timedelta = DAY
) -> tuple[int, int, int]:
    """Return working, protected and unknown days; of all days but those in `use` it had none."""
    days = {NOVEMBER + (day - 1) * DAY: use.get(day, 0.0) for day in range(1, 31)}
    report = judge_month(days, kept, NOVEMBER, interval, UTC)
    return report.working_days, report.protected_days, report.unknown_days


@pytest.mark.parametrize(
    ("use", "kept", "counted"),
    [
        ({}, memory(), (0, 0, 0)),
        ({2: USED, 3: USED}, memory(at(2), at(3)), (2, 2, 0)),
        ({2: USED, 3: USED}, memory(at(2)), (2, 1, 0)),  # the third's work is in no backup
        ({2: USED}, memory(at(2, 0)), (1, 1, 0)),
        ({2: USED}, memory(at(1, 23)), (1, 0, 0)),
        ({6: USED, 9: USED}, memory(at(6, 18)), (2, 1, 0)),  # a weekend lies between
        ({2: 599.0, 3: 600.0}, memory(), (1, 0, 0)),  # on the second it only woke up
        ({2: None, 3: None, 4: USED}, memory(at(4)), (1, 1, 2)),
        ({1: USED, 30: USED}, memory(at(1), at(30, 23)), (2, 2, 0)),
    ],
)
def test_a_working_day_is_protected_by_a_backup_of_that_day(
    use: dict[int, float | None], kept: Memory, counted: tuple[int, int, int]
) -> None:
    """A day without use needs none, and one of which nothing is known is not counted."""
    assert judge(use, kept) == counted


def test_a_longer_interval_lets_a_backup_last_longer() -> None:
    """A week's backup protects the week."""
    use: dict[int, float | None] = dict.fromkeys(range(1, 31), USED)
    assert judge(use, memory(at(1), at(8)), 7 * DAY) == (30, 14, 0)
    assert judge(use, memory(at(1), at(8)), HOUR) == (30, 2, 0)


def test_days_before_anything_is_remembered_are_left_out() -> None:
    """Before the first start, and where so many attempts were made that the oldest are gone."""
    use: dict[int, float | None] = dict.fromkeys(range(1, 31), USED)
    assert judge(use, memory(at(20), since=at(16))) == (15, 1, 0)
    many = memory(*[at(21) + n * HOUR for n in range(KEPT_ATTEMPTS)])
    assert judge(use, many) == (10, 4 + 1, 0)


def test_another_run_s_backup_counts() -> None:
    """As far as it is remembered: the newest, of all disks."""
    dumps = {name: DumpRecord(name, 1, begun) for name, begun in (("a", at(5)), ("b", at(6)))}
    kept = memory(at(2), confirmed=dumps)
    assert sorted(find_backups(kept)) == [at(2), at(5)]


def test_a_day_is_the_machine_s_own() -> None:
    """At 23:30 UTC it is the next day in Berlin."""
    use = {date(2026, 11, 3): USED}
    kept = memory(at(2, 23))
    for zone, protected in ((ZoneInfo("Europe/Berlin"), 1), (UTC, 0)):
        report = judge_month(use, kept, NOVEMBER, DAY, zone)
        assert (report.working_days, report.protected_days) == (1, protected)


@pytest.mark.parametrize(
    ("now", "told", "month"),
    [
        (DECEMBER, "", NOVEMBER),
        (DECEMBER, "2026-10", NOVEMBER),
        (DECEMBER, "2026-11", None),
        (DECEMBER + 30 * DAY, "2026-11", None),
        (DECEMBER + 31 * DAY, "2026-11", date(2026, 12, 1)),
        (DECEMBER + 93 * DAY, "2026-11", date(2027, 2, 1)),  # it lay in a drawer: one sentence
        (DECEMBER, "2031-01", None),  # by a clock that was wrong
        (DECEMBER, "garbage", None),
    ],
)
def test_a_month_is_told_once_when_it_is_over(now: datetime, told: str, month: date | None) -> None:
    """However rare starts are."""
    assert month_to_tell(now, told) == month


@pytest.mark.parametrize(
    ("report", "summary", "detail"),
    [
        (
            MonthlyReport(NOVEMBER, 21, 19, 0, at(28)),
            "November: protected on 19 of 21 working days; "
            "last proof that files come back: 2026-11-28",
            "",
        ),
        (
            MonthlyReport(NOVEMBER, 1, 1, 3),
            "November: protected on 1 of 1 working day; no proof yet that files come back",
            "Not known is the use of 3 more days.",
        ),
    ],
)
def test_it_is_one_sentence(report: MonthlyReport, summary: str, detail: str) -> None:
    """With what is not known, if there is anything."""
    alert = word_month(report, "laptop", DECEMBER)
    assert alert
    assert (alert.kind, alert.summary, alert.detail) == (AlertKind.MONTHLY, summary, detail)
    assert not alert.kind.is_alarm


def test_where_no_use_is_known_nothing_is_said() -> None:
    """Unknown is not nought of nought."""
    assert word_month(MonthlyReport(NOVEMBER, 0, 0, 30), "laptop", DECEMBER) is None

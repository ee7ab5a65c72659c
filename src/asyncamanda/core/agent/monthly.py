"""One sentence a month for who uses a machine: on how many of its working days it was protected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from asyncamanda.core.agent.alerts import Alert, AlertKind
from asyncamanda.core.agent.remember import KEPT_ATTEMPTS
from asyncamanda.core.model import Memory, Outcome

DAY = timedelta(days=1)
LEAST_USE = 600.0  # seconds: a day on which a machine only woke up is no working day


@dataclass(frozen=True, slots=True)
class MonthlyReport:
    """How well a machine was protected in the month that begins with `month`.

    `working_days` are those on which it was used, as far as that is known; of `unknown_days` it
    is not. On `protected_days` of the working days it had a backup that was no older than its
    interval. `proved_at` is when a disk was last proved restorable, None if that never was.
    """

    month: date
    working_days: int
    protected_days: int
    unknown_days: int
    proved_at: datetime | None = None


def month_to_tell(now: datetime, told: str) -> date | None:
    """Return the first day of the month that is over and to be told, None if that was `told`.

    `now` is in the machine's zone, and `told` is a month as name_month() writes it, "" for none.
    One that was told later than that, by a clock that was wrong, is not told, either.
    """
    month = (now.date().replace(day=1) - DAY).replace(day=1)
    return month if name_month(month) > told else None


def name_month(month: date) -> str:
    """Return the month so that later ones sort later."""
    return f"{month:%Y-%m}"


def judge_month(
    use: Mapping[date, float | None],
    memory: Memory,
    month: date,
    interval: timedelta,
    zone: tzinfo | None,
) -> MonthlyReport:
    """Return how well the machine was protected in that month, by what is remembered.

    `use` has the seconds of use of each day, None where that is not known; `zone` is the
    machine's, None for the system's. Days of which the memory knows nothing are left out.
    """
    backups = find_backups(memory)
    known_since = _known_since(memory).astimezone(zone).date()
    within = max(interval, DAY)
    working = protected = unknown = 0
    for day in _days_of(month):
        if day < known_since:
            continue
        used = use.get(day)
        if used is None:
            unknown += 1
        elif used >= LEAST_USE:
            working += 1
            end = _begin_of(day + DAY, zone)
            protected += any(end - within <= begun < end for begun in backups)
    proved_at = max(memory.proved.values(), default=None)
    return MonthlyReport(month, working, protected, unknown, proved_at)


def find_backups(memory: Memory) -> Sequence[datetime]:
    """Return when backups began, of all disks that are wanted, as far as that is remembered."""
    found = [
        attempt.started_at for attempt in memory.attempts if attempt.outcome is Outcome.BACKED_UP
    ]
    if memory.confirmed:  # and some other run's may have been the last one
        found.append(min(dump.started_at for dump in memory.confirmed.values()))
    return found


def word_month(report: MonthlyReport, client: str, at: datetime) -> Alert | None:
    """Return the sentence, None where no working day is known; `at` is in the machine's zone."""
    if report.working_days == 0:
        return None
    days = "day" if report.working_days == 1 else "days"
    proof = "no proof yet that files come back"
    if report.proved_at:
        proof = (
            f"last proof that files come back: {report.proved_at.astimezone(at.tzinfo):%Y-%m-%d}"
        )
    detail = ""
    if report.unknown_days:
        detail = f"Not known is the use of {report.unknown_days} more days."
    return Alert(
        AlertKind.MONTHLY,
        client,
        at,
        f"{report.month:%B}: protected on {report.protected_days} of {report.working_days} "
        f"working {days}; {proof}",
        detail,
    )


def _known_since(memory: Memory) -> datetime:
    """Return since when attempts are remembered: of very many the oldest are forgotten."""
    if len(memory.attempts) < KEPT_ATTEMPTS:
        return memory.since
    return max(memory.since, memory.attempts[0].started_at)


def _days_of(month: date) -> Sequence[date]:
    days = [month + number * DAY for number in range(31)]
    return [day for day in days if day.month == month.month]


def _begin_of(day: date, zone: tzinfo | None) -> datetime:
    if zone is None:
        return datetime.combine(day, time()).astimezone()
    return datetime.combine(day, time(), zone)

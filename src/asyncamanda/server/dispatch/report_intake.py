"""What clients say of themselves: their settings, what they put off, and how much they are used.

A client may lie about itself, and about nobody else.
"""

from datetime import date, datetime, timedelta

from asyncamanda.core.dispatch.rate_limit import Allowance, Bucket, fill, take
from asyncamanda.core.fleet.facts import ClientReport
from asyncamanda.core.protocol.messages import DleState, Later, Report
from asyncamanda.errors import Exit
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.system.clock import now as read_clock

REPORTS = Allowance(timedelta(minutes=1), 60)  # of one client


class ReportIntake:
    """Takes in the reports of all clients."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._buckets: dict[str, Bucket] = {}

    def hear(self, session: ClientSession, site: Site, report: Report) -> None:
        """Write down what a client says; a probe may be another machine's, unless it is known."""
        if session.is_probe and not session.is_known:
            return
        now = read_clock()
        bucket = self._buckets.get(session.client) or fill(REPORTS, now)
        self._buckets[session.client], wait = take(bucket, REPORTS, now)
        if wait:
            session.finish(Later(wait, "this client has reported too often"), Exit.LATER)
            return
        self._background.start(self._note(session, site, report, now))

    async def _note(
        self, session: ClientSession, site: Site, report: Report, now: datetime
    ) -> None:
        said = describe_report(report, session.software, now)
        used = None if report.used is None else report.used.total_seconds()
        await site.access.write(
            lambda ledger: ledger.reports.record(session.client, said, used, report.gaps)
        )


async def note_backup(session: ClientSession, site: Site, dles: tuple[DleState, ...]) -> None:
    """Write down since when the client has a confirmed backup of all its disks, if it has."""
    began_at = find_backup(dles)
    if began_at:
        await site.access.write(lambda ledger: ledger.reports.note_backup(session.client, began_at))


def find_backup(dles: tuple[DleState, ...]) -> datetime | None:
    """Return when the oldest of the disks' newest dumps began; None if a disk has none."""
    began = [dle.confirmed_at for dle in dles if not dle.is_parked]
    if not began or None in began:
        return None
    return min(at for at in began if at)


def describe_report(report: Report, software: str, now: datetime) -> ClientReport:
    """Return what is written down of what a client said at `now`."""
    deferred = report.deferred_for
    return ClientReport(
        at=now,
        software=software,
        interval=report.interval,
        stale_after=report.stale_after,
        stale_after_use=report.stale_after_use,
        deferred_at=None if deferred is None else now - deferred,
        deferred_reason=report.deferred_reason if deferred is not None else "",
        use=_read_days(report),
    )


def _read_days(report: Report) -> dict[date, float | None]:
    """Return the use of each day; nothing where the client's calendar has no such days."""
    try:
        newest = date.fromisoformat(report.day)
        return {
            newest - timedelta(days=before): None if seconds is None else float(seconds)
            for before, seconds in enumerate(report.use_days)
        }
    except (ValueError, OverflowError):
        return {}

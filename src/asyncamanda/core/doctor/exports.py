"""Whether what the server knows would be there if the server was lost."""

from datetime import datetime, timedelta

from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.export.daily import LastExport
from asyncamanda.core.values.interval import format_interval

NAME = "export"
OLD = timedelta(days=2)
WHY = "if this server is lost, what it knows since then is lost"


def judge_export(
    folder: str,
    last: LastExport | None,
    ended_at: datetime | None,
    now: datetime,
    *,
    is_there: bool,
) -> Check:
    """Return whether the newest export is as new as it should be.

    `folder` is where they are made, `ended_at` when the last run ended, and `is_there` whether the
    file of the last one is.
    """
    if last is None:
        if ended_at is None or now - ended_at < OLD:
            return well(NAME, f"none in {folder} yet: the first is made when a run has ended")
        fix = f"what does /var/lib/asyncamanda/server/export.log say? {_try()}"
        return Check(NAME, Health.BAD, f"none was ever made in {folder}", WHY, fix)
    age = format_interval(max(now - last.begun_at, timedelta()))
    if last.fault:
        return Check(NAME, Health.BAD, f"failed {age} ago: {last.fault}", WHY, _try())
    if not is_there:
        return Check(NAME, Health.BAD, f"{last.path} is not there any more", WHY, _try())
    if ended_at and ended_at - last.begun_at > OLD:
        return Check(NAME, Health.BAD, f"the newest is {age} old: {last.path}", WHY, _try())
    return well(NAME, f"{age} old: {last.path}")


def _try() -> str:
    return "as root: asyncamanda server export /root/server.tar.gz"

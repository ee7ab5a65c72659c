"""What the agent says of its machine after its hello: settings, a put-off backup, and its use."""

from datetime import datetime, timedelta

from asyncamanda.client.gate.session import GateSession
from asyncamanda.client.state.use import refresh_use
from asyncamanda.core.exposure.record import UseRecord
from asyncamanda.core.exposure.values import KEPT_DAYS
from asyncamanda.core.model import Policy
from asyncamanda.core.protocol.messages import Report, Welcome
from asyncamanda.system.clock import local_zone
from asyncamanda.system.clock import now as read_clock


class Reporter:
    """Tells a server that takes it, in each session once, how this machine is used."""

    def __init__(self, policy: Policy, use: UseRecord | None) -> None:
        self._policy = policy
        self._use = use
        self._is_heard = False

    def hear(self, session: GateSession, welcome: Welcome) -> None:
        """Answer the server's Welcome with a report."""
        self._is_heard = welcome.takes_reports
        self._say(session, None, "")

    def put_off(self, session: GateSession, why: str) -> None:
        """Say that a backup, which is due, is put off from now on, and why."""
        self._say(session, timedelta(0), why)

    def _say(self, session: GateSession, deferred_for: timedelta | None, why: str) -> None:
        if self._is_heard:
            use = refresh_use(self._use) if self._use else None
            session.say(make_report(self._policy, use, deferred_for, why, read_clock()))


def make_report(
    policy: Policy, use: UseRecord | None, deferred_for: timedelta | None, why: str, now: datetime
) -> Report:
    """Return what the server is told; `deferred_for` is None if no due backup is put off."""
    newest = now.astimezone(local_zone()).date()
    days = [use.days.get(newest - timedelta(days=n)) for n in range(KEPT_DAYS)] if use else []
    while days and days[-1] is None:  # what is not known need not be said
        days.pop()
    return Report(
        interval=policy.interval,
        stale_after=policy.stale_after,
        stale_after_use=policy.stale_after_use,
        deferred_for=deferred_for,
        deferred_reason=why,
        used=timedelta(seconds=use.used) if use else None,
        gaps=use.gaps if use else 0,
        day=f"{newest}",
        use_days=tuple(None if seconds is None else round(seconds) for seconds in days),
    )

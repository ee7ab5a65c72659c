"""Gate mode: ask the server for a backup, stay connected, and report its verdict."""

import select

from asyncamanda.client.backup.request import BackupRequest
from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.client.gate.gatefaults import explain_lost
from asyncamanda.client.gate.session import Closed, GateSession
from asyncamanda.client.gate.streams import Streams, ending
from asyncamanda.client.moments.moment import Guard
from asyncamanda.client.start.settings import find_password, warn_of_password
from asyncamanda.client.state.context import StartContext
from asyncamanda.core.agent.due import NotDue
from asyncamanda.core.agent.reconnect import Break, plan_reconnect
from asyncamanda.core.model import Attempt, Outcome
from asyncamanda.core.protocol.authority import ALLOWED
from asyncamanda.core.values.interval import format_interval
from asyncamanda.errors import LaterError
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.endings import CANNOT_BE_ENDED
from asyncamanda.system.ssh import NotConnected, connect

LONGEST_NAP = 1.0  # seconds: then the wall clock is read again


def back_up(start: StartContext, guard: Guard, *, force: bool) -> Attempt | NotDue:
    """Ask the server's gate for a backup, and return how it went.

    NotDue if the server has one that this machine did not know of. A broken connection is
    retried. Raises what agent.back_up() raises.
    """
    plan, stop = start.plan, start.stop
    target = find_password(plan)
    warn_of_password(plan, start.narrator)
    start.narrator.note(f"connecting to {target}")
    request = BackupRequest(start, guard, force=force)
    reconnection = _Reconnection(start, request)
    while True:
        result: Attempt | NotDue | Closed | None = None
        try:
            with (
                connect(target, plan.options, stop, plan.state) as connection,
                connection.talk(ALLOWED) as ssh_session,
                ending(
                    Streams(connection, plan.amandad, guard.throttle), start.narrator.tell
                ) as streams,
            ):
                result = request.talk(GateSession(ssh_session, streams, stop))
        except NotConnected as failure:
            result = reconnection.heed_failure(failure)
        except LaterError as error:
            if error.reference != CANNOT_BE_ENDED:
                raise
            if not isinstance(result, Attempt | NotDue):
                request.fail(Outcome.UNREACHABLE, error)
            start.narrator.tell(f"warning: {error.message}")
        if not isinstance(result, Closed):
            return result
        reconnection.wait(result)


class _Reconnection:
    """Since when there is no connection, and when the next one is tried."""

    def __init__(self, start: StartContext, request: BackupRequest) -> None:
        self._start = start
        self._request = request
        self._break: Break | None = None

    def heed_failure(self, failure: NotConnected) -> Closed:
        """Return the failure as the end of one more session, if there was one; else raise it."""
        if self._start.stop.signal and self._break:
            self._request.stop_here(None, self._start.stop.signal.name)
        outcome, error = explain_not_connected(
            failure.fault, self._start.plan.target, has_gate=True
        )
        if self._break is None or not isinstance(error, LaterError):
            self._request.fail(outcome, error)
        return Closed(error.message)

    def wait(self, closed: Closed) -> None:
        """Wait for the time of the next connection; raise once it is too late for one."""
        now, stop = read_clock(), self._start.stop
        stood = self._request.end_session(now)
        self._break, next_at = plan_reconnect(
            self._break, self._start.plan.reconnect_for, now, stood
        )
        if next_at is None:
            error = explain_lost(closed, self._request.standing, self._start.plan.target)
            self._request.fail(Outcome.UNREACHABLE, error)
        self._start.narrator.note(
            f"{closed.words}; connecting again in {format_interval(next_at - now)}"
        )
        while now <= (at := read_clock()) < next_at:  # a clock that is set back ends it as well
            if stop.signal:
                self._request.stop_here(None, stop.signal.name)
            self._request.watch()
            select.select([stop], [], [], min((next_at - at).total_seconds(), LONGEST_NAP))

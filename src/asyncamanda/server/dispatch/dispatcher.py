"""The dispatcher: the one process that knows who is there, and turns requests into runs.

It owns the queue and the ledger, so nothing needs distributed locking. Gates hand it their
clients' descriptors; a client is present as long as its gate's connection stands, which the
kernel ends with the process. It starts on demand and ends when it has been idle for a while;
whatever kills it, the gates fetch a new one, which finds requests and runs in the ledger.
"""

import asyncio
import contextlib
import logging
import os
import resource
import signal
from datetime import datetime, timedelta
from functools import partial

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.records import RequestRow, RunRow
from asyncamanda.server.background.tasks import (
    Background,
    Rhythm,
    run_to_end,
    write_log,
)
from asyncamanda.server.background.upgrade import Code
from asyncamanda.server.dispatch.admission import Admission
from asyncamanda.server.dispatch.callers import Callers
from asyncamanda.server.dispatch.client_messages import ClientMessages
from asyncamanda.server.dispatch.coordinators import Coordinators
from asyncamanda.server.dispatch.ledger_care import LedgerCare, open_ledger_soon
from asyncamanda.server.dispatch.listener import Listener
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.dispatch.reception import Reception
from asyncamanda.server.dispatch.refreshes import Refreshes
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.gate.stuck_dispatcher import MARK_SECONDS, mark_life
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.relay.relay import Relay
from asyncamanda.system.clock import now as read_clock

TICK = 0.1  # seconds
LONGEST_TICK = timedelta(seconds=2)  # more is sleep, or a step of the clock
LOOKS = 4  # at each session in a heartbeat: a pause of a whole one is taken for sleep
MARK_EVERY = timedelta(seconds=MARK_SECONDS)
CODE_EVERY = timedelta(seconds=10)
LEDGER_EVERY = timedelta(seconds=2)
FORGET_EVERY = timedelta(days=1)
ENROLLED_EVERY = timedelta(seconds=1)
KEPT = timedelta(days=180)  # requests and sessions that are over; verdicts stay


class Dispatcher:
    """The loop: what is done all the time, and when it ends."""

    def __init__(self, config: ServerConfig, ledger: Ledger, registry: Registry) -> None:
        self._config = config
        self._access = LedgerAccess(ledger)
        self._registry = registry
        self._relay = Relay(config.grace)
        self._busy_at = self._ticked_at = self._steady = read_clock()
        self._rhythm = Rhythm()
        self._code, self._is_outdated = Code(), False
        self._stop = asyncio.Event()
        self._background = Background(self._give_up)
        self._coordinators = Coordinators(
            config, self._access, self._background, partial(ClientReach, self._relay, registry)
        )
        self._admission = Admission(
            config.limits, registry, self._relay, self._access, self._background
        )
        reception = Reception(self._access, self._admission.of)
        messages = ClientMessages(
            self._coordinators, self._admission, reception, self._relay, self._background
        )
        callers = Callers(
            config, self._coordinators, self._admission, messages, registry, self._relay
        )
        self._listener = Listener(self._background, callers.hear)
        self._ledger_care = LedgerCare(
            config,
            self._access,
            self._coordinators.by_name.values,
            self._admission.sessions,
        )
        self._refreshes = Refreshes(config, self._background, is_urgent=config.keeps_fleet_fresh)
        self.has_failed = False

    def _give_up(self) -> None:
        """End because of a bug: another dispatcher begins from what is written down."""
        self.has_failed = True
        self._stop.set()

    async def serve(self) -> None:
        """Serve until nothing is left to do for `idle_exit`, or a signal says stop.

        Raises LedgerUnavailable or LedgerBusy if the ledger cannot be written to begin with.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        live, requests = await self._access.unless_troubled(self._read_what_is_open())
        self._listener.listen()
        awaited = {host for run in live for host in run.hosts}
        awaited |= {request.client for request in requests}
        self._relay.start(awaited & {*self._registry.last_relayed()})
        self._expect_enrolled(read_clock())
        for name in [run.amanda_config for run in live] + [one.amanda_config for one in requests]:
            self._coordinators.get(name)
        write_log("the dispatcher is ready")
        try:
            while not self._stop.is_set():
                self._tick(read_clock())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), TICK)
        finally:
            self._leave()

    async def _read_what_is_open(self) -> tuple[list[RunRow], list[RequestRow]]:
        """Return what another dispatcher has left behind; its sessions are over."""
        access, why = self._access, "the dispatcher ended"
        await access.write(lambda ledger: ledger.sessions.end_all(read_clock(), why))
        for words in await access.write(lambda ledger: ledger.set_bad_rows_aside(read_clock())):
            write_log(words, logging.WARNING)
        live = await access.read(lambda ledger: ledger.runs.list_live())
        return live, await access.read(lambda ledger: ledger.requests.list_open())

    def close(self) -> None:
        """Close the ledger."""
        self._access.ledger.close()

    def _leave(self) -> None:
        """End and tell nobody: runs go on, and gates fetch the next dispatcher."""
        self._listener.close()
        self._relay.close()
        write_log("the dispatcher ends")

    # -- what is done all the time

    def _tick(self, now: datetime) -> None:
        if not self._listener.is_listening():
            self._listener.listen()
        if self._rhythm.is_due("mark", MARK_EVERY, now):
            mark_life()
        if self._rhythm.is_due("beat", self._config.heartbeat / LOOKS, now):
            for session in list(self._admission.sessions):
                session.beat(now)
        self._steady += min(max(now - self._ticked_at, timedelta(0)), LONGEST_TICK)
        self._ticked_at = now
        self._expect_enrolled(now)
        self._relay.beat(self._steady)
        if self._rhythm.is_due("ledger", LEDGER_EVERY, now) and self._ledger_care.is_lost():
            self._background.start(self._ledger_care.replace())
        if self._ledger_care.is_check_due(now):
            self._background.start(self._ledger_care.check(now))
        if self._rhythm.is_due("forget", FORGET_EVERY, now):
            self._background.start(self._access.write(lambda ledger: ledger.forget(now - KEPT)))
        self._rest(now)
        if not self._stop.is_set():  # else nothing is begun any more
            self._coordinators.pump()
            self._refreshes.look(self._access.changes, now)

    def _rest(self, now: datetime) -> None:
        """End when nothing has been to do for a while, or for newer code when nothing is just now.

        To clients that are only connected then it is as if this one had died: gates fetch the next.
        """
        is_busy = self._relay.is_busy or not self._coordinators.are_idle
        if is_busy or self._admission.sessions:
            self._busy_at = now
        self._busy_at = min(self._busy_at, now)  # the clock may be set back
        if now - self._busy_at > self._config.idle_exit:
            self._stop.set()
        if self._rhythm.is_due("code", CODE_EVERY, now):
            self._is_outdated = self._code.is_newer()
        if self._is_outdated and not is_busy:
            write_log("asyncamanda was updated: this dispatcher ends, and a new one takes over")
            self._stop.set()

    def _expect_enrolled(self, now: datetime) -> None:
        if self._rhythm.is_due("enrolled", ENROLLED_EVERY, now):
            self._relay.expect(self._registry.last_relayed())


def dispatch(config: ServerConfig, registry: Registry) -> bool:
    """Run the dispatcher, to its end; return whether a bug was that end.

    Whoever calls this holds the dispatcher's lock. Raises LedgerUnavailable or LedgerBusy if the
    ledger cannot be used, after a few tries.
    """
    os.umask(0o077)
    os.chdir("/")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # four for each client

    async def serve() -> bool:
        ledger = await open_ledger_soon(config)
        dispatcher = Dispatcher(config, ledger, registry)
        try:
            await dispatcher.serve()
        finally:
            dispatcher.close()
        return dispatcher.has_failed

    return run_to_end(serve())

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
import socket
from datetime import datetime, timedelta

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.rate_limit import Allowance
from asyncamanda.core.dispatch.records import RequestRow, RunRow
from asyncamanda.core.protocol.authority import Identity, check_amanda_config_name
from asyncamanda.core.protocol.messages import (
    BadLine,
    Bye,
    ClientMessage,
    Hello,
    Later,
    Refused,
    Shut,
    Submit,
)
from asyncamanda.core.protocol.versions import choose_protocol, refuse_protocol
from asyncamanda.errors import AsyncamandaError, Exit, LaterError, error_value
from asyncamanda.server.background.tasks import (
    Background,
    Rhythm,
    run_to_end,
    write_log,
    write_trouble,
)
from asyncamanda.server.background.upgrade import Code
from asyncamanda.server.dispatch.admission import Admission, find_connection
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.listener import Listener
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.dispatch.reception import Reception
from asyncamanda.server.dispatch.takeon import take_on
from asyncamanda.server.enrol.registry import Registry, relayed_clients
from asyncamanda.server.gate import ipc as switchboard
from asyncamanda.server.gate.ipc_server import peer_of
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.gate.stuck_dispatcher import ALIVE, MARK_SECONDS, mark_life
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.ledger import Ledger, LedgerBusy, LedgerUnavailable
from asyncamanda.server.relay.relay import Relay
from asyncamanda.system.clock import now as read_clock

TICK = 0.1  # seconds
LONGEST_TICK = timedelta(seconds=2)  # more is sleep, or a step of the clock
LOOKS = 4  # at each line in a heartbeat: a pause of a whole one is taken for sleep
MARK_EVERY = timedelta(seconds=MARK_SECONDS)
CODE_EVERY = timedelta(seconds=10)
LEDGER_EVERY = timedelta(seconds=2)
LEDGER_PATIENCE = timedelta(milliseconds=200)  # everybody waits meanwhile, so it is tried again
HOUR = timedelta(hours=1)
SSHD = frozenset({"sshd", "sshd-session"})  # the latter since OpenSSH 9.8
FORGET_EVERY = timedelta(days=1)
ENROLLED_EVERY = timedelta(seconds=1)
KEPT = timedelta(days=180)  # requests and sessions that are over; verdicts stay
BURST_SECONDS = 10  # so many seconds' messages may come at once
OPEN_TRIES, OPEN_AGAIN_SECONDS = 4, 1.0
OPENS_WITHIN = 5.0  # seconds: who asks for a flush waits for an answer no longer than twice that
OPEN_SECONDS = 15.0  # after so many it is not tried again: a gate waits for forty


class Dispatcher:
    """Owns the socket, the lines, and a coordinator for each Amanda configuration."""

    def __init__(self, config: ServerConfig, ledger: Ledger, registry: Registry) -> None:
        self._config = config
        self._record = LedgerAccess(ledger)
        self._registry = registry
        self._relay = Relay(config.grace)
        self._coordinators: dict[str, Coordinator] = {}
        self._faults: dict[str, str] = {}  # why one could not be opened when it last was tried
        self._busy_at = self._ticked_at = self._steady = read_clock()
        self._rhythm = Rhythm()
        self._code, self._is_outdated = Code(), False
        self._stop = asyncio.Event()
        self._background = Background(self._give_up)
        self._listener = Listener(self._background, self._hear_caller)
        self._admission = Admission(
            config.limits, registry, self._relay, self._record, self._background
        )
        self._reception = Reception(self._record, self._admission.of)
        self.has_failed = False

    def _give_up(self) -> None:
        """End because of a bug of ours: another dispatcher begins from what is written down."""
        self.has_failed = True
        self._stop.set()

    async def serve(self) -> None:
        """Serve until nothing is left to do for `idle_exit`, or a signal says stop.

        Raises LedgerUnavailable or LedgerBusy if the ledger cannot be written to begin with.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        live, requests = await self._record.unless_troubled(self._read_what_is_open())
        self._listener.listen()
        awaited = {host for run in live for host in run.hosts}
        awaited |= {request.client for request in requests}
        self._relay.start(awaited & {*relayed_clients(self._registry.last_known())})
        self._expect_enrolled(read_clock())
        for name in [run.amanda_config for run in live] + [one.amanda_config for one in requests]:
            self._coordinator(name)
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
        record, why = self._record, "the dispatcher ended"
        await record.write(lambda ledger: ledger.end_all_sessions(read_clock(), why))
        for words in await record.write(lambda ledger: ledger.set_bad_rows_aside(read_clock())):
            write_log(words, logging.WARNING)
        live = await record.read(lambda ledger: ledger.live_runs())
        return live, await record.read(lambda ledger: ledger.open_requests())

    def close(self) -> None:
        """Let go of the ledger."""
        self._record.ledger.close()

    def _leave(self) -> None:
        """End without a word to anybody: runs go on, and gates fetch the next dispatcher."""
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
            for line in list(self._admission.sessions):
                line.beat(now)
        self._steady += min(max(now - self._ticked_at, timedelta(0)), LONGEST_TICK)
        self._ticked_at = now
        self._expect_enrolled(now)
        self._relay.beat(self._steady)
        if self._rhythm.is_due("ledger", LEDGER_EVERY, now) and self._is_ledger_lost():
            self._background.start(self._replace_ledger())
        if self._rhythm.is_due("forget", FORGET_EVERY, now):
            self._background.start(self._record.write(lambda ledger: ledger.forget(now - KEPT)))
        self._rest(now)
        if not self._stop.is_set():  # else nothing is begun any more
            self._pump_coordinators()

    def _rest(self, now: datetime) -> None:
        """End when nothing has been to do for a while, or for newer code when nothing is just now.

        To clients that are only connected then it is as if this one had died: gates fetch the next.
        """
        is_busy = self._relay.is_busy or not all(
            coordinator.is_idle for coordinator in self._coordinators.values()
        )
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

    def _pump_coordinators(self) -> None:
        for name, coordinator in list(self._coordinators.items()):
            if coordinator.fault:
                del self._coordinators[name]  # the next client tries anew
                self._faults[name] = str(coordinator.fault)
                write_log(f"{name}: {coordinator.fault}", logging.WARNING)
            else:
                if coordinator.is_open:
                    self._faults.pop(name, None)
                coordinator.pump()

    def _expect_enrolled(self, now: datetime) -> None:
        if self._rhythm.is_due("enrolled", ENROLLED_EVERY, now):
            self._relay.expect(relayed_clients(self._registry.last_known()))

    def _is_ledger_lost(self) -> bool:
        return self._record.is_damaged or self._record.ledger.is_gone()

    async def _replace_ledger(self) -> None:
        try:
            fresh = open_ledger(self._config)
        except LedgerUnavailable as error:
            write_log(error.message)
            return
        coordinators = list(self._coordinators.values())
        try:
            taken = take_on(
                fresh,
                [row for coordinator in coordinators for row in coordinator.batches.open_rows()],
                [row for coordinator in coordinators for row in coordinator.queue.open_rows()],
            )
        except (LedgerUnavailable, LedgerBusy) as error:
            fresh.close()
            write_log(error.message)
            return
        write_log("the ledger was lost; a new one is made from Amanda's logs")
        self._record.ledger.close()
        self._record.ledger, self._record.is_damaged = fresh, False
        for coordinator in coordinators:
            coordinator.batches.go_on_as(taken.runs)
            coordinator.queue.go_on_as(taken.requests)
        for line in self._admission.sessions:
            line.session_id = None  # a number of the old one
        for coordinator in coordinators:
            await coordinator.refresh()

    # -- who connects

    async def _hear_caller(
        self, caller: socket.socket, words: list[str], descriptors: list[int]
    ) -> object | None:
        """Do what a caller's first word says; return the answer, None if the caller is kept."""
        match words:
            case ["talk", client, amanda_config, attempt] if len(descriptors) == 2:
                ends = descriptors[0], descriptors[1]
                line = self._make_line(Identity(client, amanda_config), caller, ends, attempt)
                self._admission.admit(line, peer_of(caller)[0])
                return None
            case [("attach" | "attached") as word, client, amanda_config, token]:
                self._carry(word, Identity(client, amanda_config), token, caller)
                return None
            case words:
                return await self._answer(words)

    def _carry(self, word: str, identity: Identity, token: str, carrier: socket.socket) -> None:
        """Let a process carry a stream of its client's, or go on with one."""
        pid, _ = peer_of(carrier)
        place = identity.client, find_connection(pid)
        try:
            is_enrolled = self._registry.contains(identity)
        except LaterError as error:
            write_trouble(error)
            is_enrolled = word == "attached"  # it was, when its stream began
        if not is_enrolled:
            with carrier, contextlib.suppress(OSError):
                carrier.send(switchboard.pack("stop"))
        elif word == "attached" or self._relay.attach(place, identity, token, carrier):
            self._relay.watch(place, token, carrier, pid)
        else:
            carrier.close()

    async def _answer(self, words: list[str]) -> object:
        """Return the answer to somebody at the server who is no gate."""
        match words:
            case ["drop", client]:
                return {"dropped": self._drop(client)}
            case ["view"]:
                coordinators = [
                    coordinator.view()
                    for coordinator in self._coordinators.values()
                    if coordinator.is_open
                ]
                connected = sorted({line.client for line in self._admission.sessions})
                reachable = self._relay.reachable()
                faults = [
                    {"amanda_config": name, "reason": why} for name, why in self._faults.items()
                ]
                view = {"connected": connected, "reachable": reachable, "configs": coordinators}
                return {**view, "faults": faults}
            case ["flush", name]:
                return await self._flush(name)
            case [word] if word == ALIVE:
                return {"alive": True}
            case _:
                return {"error": "not understood"}

    async def _flush(self, name: str) -> object:
        try:
            check_amanda_config_name(name)
        except ValueError as error:
            return {"error": str(error)}
        coordinator = self._coordinator(name)
        await asyncio.wait({coordinator.opened}, timeout=OPENS_WITHIN)
        if not coordinator.opened.done():
            return {"flush": "opening"}
        try:
            coordinator.opened.result()
            await coordinator.site.read_anew()
            return {"flush": "asked for" if await coordinator.flushes.ask() else "nothing is held"}
        except AsyncamandaError as error:
            return {"fault": error_value(error)}

    # -- lines

    def _make_line(
        self, identity: Identity, gate: socket.socket, descriptors: tuple[int, int], attempt: str
    ) -> ClientSession:
        per_second = self._config.limits.messages_per_second
        return ClientSession(
            identity,
            gate=gate,
            descriptors=descriptors,
            is_resumed=attempt == "again",
            heartbeat=self._config.heartbeat,
            messages=Allowance(timedelta(seconds=1) / per_second, BURST_SECONDS * per_second),
            on_message=self._hear,
            on_end=self._end,
        )

    def _hear(self, line: ClientSession, message: ClientMessage | BadLine) -> None:
        """Do what a client says."""
        coordinator = self._coordinator(line.identity.amanda_config)
        match message:
            case Hello() if not line.has_said_hello:
                line.has_said_hello = True
                if choose_protocol(message.protocols) is None:
                    line.refuse(refuse_protocol(message.protocols))
                    return
                line.is_watching, line.is_probe = message.is_watching, message.is_probe
                self._background.start(self._welcome(coordinator, line, message))
            case Shut() if line.is_greeted or line.is_resumed:
                self._relay.shut(line, message)
            case _ if not line.is_greeted:
                if not line.is_resumed:
                    line.refuse(NO_HELLO)
            case Submit():
                self._submit(line, coordinator)
            case Bye():
                self._background.start(self._reception.note_written(line))
                self._relay.leave(line, is_lost=False)
                coordinator.queue.leave(line, is_withdrawn=True)
                line.drop("left", Exit.OK)
            case BadLine(reason):
                line.refuse(_not_understood(reason))
            case Hello():
                line.refuse(_not_understood("a second hello"))

    async def _welcome(self, coordinator: Coordinator, line: ClientSession, hello: Hello) -> None:
        """Greet a client, which Amanda may call from then on."""

        async def receive() -> Refused | None:
            if not line.is_open:  # it has left meanwhile, and would not hear of its ticket
                return None
            dles = (
                line.identity.amanda_config,
                [dle.disk for dle in coordinator.site.dles(line.client)],
            )
            refused = await self._reception.receive(line, hello, dles)
            if refused and not hello.is_probe:
                self._turn_away(line.client, refused, coordinator)
            return refused

        await coordinator.welcome(line, receive)
        is_there = line.is_greeted and line in self._admission.sessions
        if is_there and line.is_relayed and not line.is_probe:
            self._relay.arrive(line)

    def _turn_away(self, client: str, refused: Refused, coordinator: Coordinator) -> None:
        """Serve neither of a client's two machines; a dump that is under way goes on to its end."""
        coordinator.queue.withdraw(client, "two machines use its key")
        entry = coordinator.queue.entries.get(client)
        for line in self._admission.of(client):
            if line.ticket and not (entry and line in entry.lines):
                line.refuse(refused)

    def _submit(self, line: ClientSession, coordinator: Coordinator) -> None:
        if line.is_probe:
            line.refuse(_not_understood("a probe asks for no backup"))
            return
        self._background.start(self._reception.note_written(line))
        is_new = line.client not in coordinator.queue.entries
        if is_new and (wait := self._admission.count_request(line.client, read_clock())):
            line.finish(Later(wait, "this client has asked too often"), Exit.LATER)
            return
        coordinator.submit(line)

    def _end(self, line: ClientSession, why: str) -> None:
        """Note that a line has ended."""
        self._admission.leave(line, why)
        if coordinator := self._coordinators.get(line.identity.amanda_config):
            coordinator.queue.leave(line, is_withdrawn=False)

    def _drop(self, client: str) -> int:
        """End the sessions of a client that was revoked or enrolled again; return how many."""
        count = self._admission.drop(client)
        for coordinator in self._coordinators.values():
            coordinator.queue.withdraw(client, "revoked")
        return count

    def _coordinator(self, name: str) -> Coordinator:
        """Return the coordinator of an Amanda configuration, opened if it is not."""
        if name not in self._coordinators:
            reach = ClientReach(self._relay, self._registry, name)
            self._coordinators[name] = Coordinator(
                name, self._config, self._record, self._background, reach
            )
        return self._coordinators[name]


def open_ledger(config: ServerConfig) -> Ledger:
    """Return the ledger. Raises LedgerUnavailable."""
    ledger = Ledger.open(config.ledger, LEDGER_PATIENCE)
    if ledger.remark:
        write_log(ledger.remark)
    return ledger


def dispatch(config: ServerConfig, registry: Registry) -> bool:
    """Be the dispatcher, to the end; return whether a bug was that end.

    Whoever calls this holds the dispatcher's lock. Raises LedgerUnavailable or LedgerBusy if the
    ledger cannot be used, after a few tries.
    """
    os.umask(0o077)
    os.chdir("/")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # four for each client

    async def serve() -> bool:
        ledger = await _open_ledger_soon(config)
        dispatcher = Dispatcher(config, ledger, registry)
        try:
            await dispatcher.serve()
        finally:
            dispatcher.close()
        return dispatcher.has_failed

    return run_to_end(serve())


async def _open_ledger_soon(config: ServerConfig) -> Ledger:
    """Return the ledger; it may be locked, or without room, for a moment. Raises LedgerUnavailable.

    Clients wait meanwhile, and whoever started this is to hear the reason.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + OPEN_SECONDS
    for _ in range(OPEN_TRIES - 1):
        if loop.time() > give_up_at:
            break
        with contextlib.suppress(LedgerUnavailable):
            return open_ledger(config)
        await asyncio.sleep(OPEN_AGAIN_SECONDS)
    return open_ledger(config)


def _not_understood(reason: str) -> Refused:
    return Refused(
        "not-understood",
        f"the client sent an invalid message: {reason}",
        "is it asyncamanda's agent that uses this key?",
        int(Exit.PROTOCOL),
    )


NO_HELLO = Refused(
    "no-hello",
    "the client did not begin with a hello",
    "is it asyncamanda's agent that uses this key?",
    int(Exit.PROTOCOL),
)

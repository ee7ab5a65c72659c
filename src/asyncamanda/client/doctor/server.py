"""The server, contacted as the agent contacts it, and left politely."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from signal import SIGINT
from threading import Timer

from asyncamanda.client.doctor.case import Case
from asyncamanda.client.doctor.devices import check_devices
from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.client.gate.gatefaults import explain_closed, explain_garbled, explain_refused
from asyncamanda.client.gate.handshake import Answer, greet_gate
from asyncamanda.client.gate.session import Closed, Garbled
from asyncamanda.client.start.settings import find_password
from asyncamanda.client.state.assessment import find_holder
from asyncamanda.client.state.takeover import note_refusal, take_over
from asyncamanda.core.doctor import server
from asyncamanda.core.doctor.findings import Check, Health, not_needed, well
from asyncamanda.core.protocol.messages import Later, Refused, Welcome
from asyncamanda.core.ssh.fault import ConnectFault, Fault
from asyncamanda.errors import AsyncamandaError, ConfigurationError, EverydayError, LaterError
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest, catch_stop
from asyncamanda.system.ssh import Connection, NotConnected, connect

CONNECT_WITHIN = timedelta(seconds=3)
GIVE_UP = 3.5  # seconds, for what ssh's own limit does not cover: a name server that is silent
WELCOME_WITHIN = timedelta(seconds=20)  # a dispatcher may have to start
# after these, something at the server's address has answered
_ANSWERED = {
    Fault.HOST_KEY_CHANGED,
    Fault.HOST_KEY_REVOKED,
    Fault.HOST_KEY_UNKNOWN,
    Fault.PERMISSION_DENIED,
    Fault.NOTHING_COMMON,
}
_UNREACHED = "without the server there is no backup"
_NOT_LET_IN = "the server has to accept this machine's key"
_BY_GATE = ("gate", "disks", "devices", "clock")
_OF_THE_SERVER = "nothing on this machine is wrong with it, and no client is backed up until then"
_NO_GATE = "the gate is where a client asks for its backups"


def call(case: Case) -> Iterator[Check]:
    """Yield `server`, `login` and those of the gate, up to what the rest depends on.

    A signal to stop ends it early with what it was at.
    """
    timeout = min(case.plan.options.connect_timeout, CONNECT_WITHIN)
    options = replace(case.plan.options, connect_timeout=timeout)
    with ExitStack() as stack:
        stop = stack.enter_context(catch_stop())
        try:
            # an agent that runs at the same time has its sockets elsewhere
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="asyncamanda-"))
            target = find_password(case.plan)
            with _limit(stop):
                connection = stack.enter_context(connect(target, options, stop, Path(folder)))
        except NotConnected as failure:
            if stop.signal is SIGINT:
                raise KeyboardInterrupt from failure
            yield from _bear(failure.fault, case, stop)
            return
        except AsyncamandaError as error:
            yield server.judge_error("server", error, _UNREACHED)
            return
        except OSError as error:
            no_room = LaterError("no-room", f"no sockets: {error.strerror}", "make room in /tmp")
            yield server.judge_error("server", no_room, _UNREACHED)
            return
        yield well("server", f"{target.host} is reachable")
        yield well("login", f"as {target.user}" if target.user else "accepted")
        yield from _ask_gate(connection, case, stop)


@contextmanager
def _limit(stop: StopRequest) -> Iterator[None]:
    timer = Timer(GIVE_UP, stop.ask)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _bear(fault: ConnectFault | None, case: Case, stop: StopRequest) -> Iterator[Check]:
    """Yield the checks of the connection; a gate's refusal of the login is remembered."""
    host = case.plan.target.host
    if fault is None:
        words = f"{host} has not answered within {GIVE_UP:g} seconds"
        hint = "is this machine away from its network, or is its name server not answering?"
        yield server.judge_error("server", EverydayError("unreachable", words, hint), _UNREACHED)
        return
    has_gate = not case.is_by_command
    _, error = explain_not_connected(fault, case.plan.target, has_gate=has_gate)
    # by then ssh has verified the host key; by command, only a backup would end what is noted
    if has_gate and fault.fault is Fault.PERMISSION_DENIED:
        note_refusal(case.plan, error, stop)
    if fault.fault not in _ANSWERED:
        yield server.judge_error("server", error, _UNREACHED)
        return
    yield well("server", f"{host} is reachable")
    yield server.judge_error("login", error, _NOT_LET_IN)


# -- the gate


def _ask_gate(connection: Connection, case: Case, stop: StopRequest) -> Iterator[Check]:
    if case.is_by_command:
        yield from (not_needed(name, "there is a `command`") for name in _BY_GATE)
        return
    if holder := find_holder(case.plan):
        # Amanda's requests for this client would go to the newest session
        pid = f" (pid {holder.pid})" if holder.pid else ""
        words = f"not asked while an agent{pid} is connected to it"
        yield from (Check(name, Health.SKIPPED, words) for name in _BY_GATE)
        return
    heard = greet_gate(connection, case.plan, stop, WELCOME_WITHIN)
    if not isinstance(heard, Welcome):
        error = _explain(heard, case)
        is_servers = isinstance(error, ConfigurationError)  # the gate has read nothing of this one
        yield server.judge_error("gate", error, _OF_THE_SERVER if is_servers else _NO_GATE)
        return
    ahead = heard.now - read_clock()
    take_over(case.plan, heard, stop)
    moments = case.plan.moments
    yield server.judge_welcome(heard, has_rate=bool(moments and moments.rate))
    yield server.judge_disks(heard, case.plan.policy.disks)
    try:
        yield check_devices(heard)
    except (OSError, ValueError) as error:  # a disk's name may be no path
        yield Check("devices", Health.SKIPPED, f"not known: {error}")
    yield server.judge_clock(ahead)


def _explain(heard: Answer, case: Case) -> AsyncamandaError:
    target = case.plan.target
    match heard:
        case Refused():
            return explain_refused(heard)
        case Garbled():
            return explain_garbled(heard, target)
        case Closed():
            return explain_closed(heard, target)
        case Later():
            words = f"{target.host} says: not now ({heard.reason})"
            return LaterError("come-back", words, "ask again later")
    return LaterError("stopped", "stopped before the gate answered", "start it again")

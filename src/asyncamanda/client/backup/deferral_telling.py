"""The server is told that a due backup waits: in a short session, in which nothing is asked for.

Nothing here changes how a start ends, and nobody hears of it if the server cannot be told.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Timer

from asyncamanda.client.gate.handshake import make_hello
from asyncamanda.client.gate.reporting import make_report
from asyncamanda.client.gate.session import GateSession
from asyncamanda.client.gate.streams import Streams
from asyncamanda.client.start.settings import find_password
from asyncamanda.client.state.context import StartContext
from asyncamanda.client.state.memory import read_memory
from asyncamanda.client.state.stored import read_text, read_time
from asyncamanda.client.state.use import UNDECODABLE, refresh_use
from asyncamanda.core.agent.deferral import DeferralTold, decide_telling
from asyncamanda.core.conditions.judge import Deferred, explain_deferred, may_talk
from asyncamanda.core.conditions.surroundings import Surroundings
from asyncamanda.core.protocol.authority import ALLOWED
from asyncamanda.core.protocol.messages import Again, Hello, Report, Welcome
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import AsyncamandaError
from asyncamanda.report.json import time_value
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.files import read_regular, write_whole
from asyncamanda.system.interrupts import StopRequest, catch_stop
from asyncamanda.system.ssh import NotConnected, connect

FILE_NAME = "deferral-told"
LARGEST = 4096  # bytes
WITHIN = timedelta(seconds=10)  # for all of it, from connecting on
MOST_RESTARTS = 3


def tell_deferral(start: StartContext, deferred: Deferred, surroundings: Surroundings) -> None:
    """Tell the server why its client's backup waits, if it is time to and a network is right.

    That it is told is written down first: where nothing can be, each start would tell it.
    """
    plan, now = start.plan, read_clock()
    if plan.command is not None or plan.moments is None:
        return
    if not may_talk(surroundings, plan.moments.conditions):
        return
    memory, _ = read_memory(plan.state, now)
    telling = decide_telling(_read(plan.state), memory, deferred, now)
    if telling is None or not _write(plan.state, telling):
        return
    use = refresh_use(start.assessment.use) if start.assessment.use else None
    put_off_for = now - telling.since
    report = make_report(plan.policy, use, put_off_for, explain_deferred(deferred), now)
    with suppress(AsyncamandaError, NotConnected, OSError):
        if _report(start, make_hello(memory.ticket, is_probe=True), report):
            _write(plan.state, replace(telling, is_heard=True))


def _report(start: StartContext, hello: Hello, report: Report) -> bool:
    """Report in a session of its own; return whether the server was there to hear it.

    Raises NotConnected, AsyncamandaError and OSError.
    """
    plan = start.plan
    options = replace(plan.options, connect_timeout=min(plan.options.connect_timeout, WITHIN))
    start.narrator.note(f"telling {plan.target.host} that its backup waits")
    with (
        catch_stop() as stop,
        _limited(stop),
        connect(find_password(plan), options, stop, plan.state) as connection,
        connection.talk(ALLOWED) as ssh_session,
        closing(Streams(connection, plan.amandad)) as streams,
    ):
        return _talk(GateSession(ssh_session, streams, stop), hello, report)


@contextmanager
def _limited(stop: StopRequest) -> Iterator[None]:
    """End what waits for `stop` as soon as the time is over."""
    timer = Timer(WITHIN.total_seconds(), stop.ask)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _talk(session: GateSession, hello: Hello, report: Report) -> bool:
    restarts = 0
    session.greet(hello, WITHIN)
    for heard in session.listen(lambda: None):
        match heard:
            case Again() if restarts < MOST_RESTARTS:
                restarts += 1
                session.greet(hello, WITHIN)
            case Welcome():
                session.welcome(heard.heartbeat)
                if heard.takes_reports:
                    session.say(report)
                session.leave()
                return True
            case _:
                return False
    raise AssertionError("the last event of a session is how it ended")


def _read(folder: Path) -> DeferralTold | None:
    """Return what was told last; None for nothing, or if nobody can read it."""
    try:
        value = parse_json(read_regular(folder / FILE_NAME, LARGEST))
        at, since = read_time(value["at"]), read_time(value["since"])
        return DeferralTold(at, since, read_text(value["why"]), value["is_heard"] is True)
    except (OSError, *UNDECODABLE):
        return None


def _write(folder: Path, told: DeferralTold) -> bool:
    value = {
        "at": time_value(told.at),
        "since": time_value(told.since),
        "why": told.why,
        "is_heard": told.is_heard,
    }
    try:
        write_whole(folder / FILE_NAME, json.dumps(value) + "\n", 0o600)
    except OSError:
        return False
    return True

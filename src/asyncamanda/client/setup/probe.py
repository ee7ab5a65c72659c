"""Probe the server's gate: does it know this machine's key, and as whom?"""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_never

from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.client.gate.gatefaults import explain_closed, explain_garbled, explain_refused
from asyncamanda.client.gate.handshake import Answer, greet_gate
from asyncamanda.client.gate.session import Closed, Garbled
from asyncamanda.client.start.folders import prepare_state
from asyncamanda.client.start.settings import Plan, find_password, plan_configured
from asyncamanda.client.state.assessment import assess
from asyncamanda.client.state.takeover import take_over
from asyncamanda.config.client import SYSTEM_FILE
from asyncamanda.core.agent.due import Due
from asyncamanda.core.protocol.messages import NOT_ENROLLED, Later, Refused, Welcome
from asyncamanda.core.ssh.fault import Fault
from asyncamanda.core.ssh.probe_rate import ProbeReception
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import AsyncamandaError, LaterError, error_value, parse_error
from asyncamanda.report.text import explain_decision
from asyncamanda.system.account import ask_as
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest, catch_stop
from asyncamanda.system.ssh import NotConnected, Stopped, connect

WELCOME_WITHIN = timedelta(seconds=60)
_RECEPTIONS = {  # HEARD where it is no other
    Fault.DROPPED: ProbeReception.SHUT_OUT,
    Fault.UNRESOLVED: ProbeReception.NOT_REACHED,
    Fault.CONNECTION_REFUSED: ProbeReception.NOT_REACHED,
    Fault.UNREACHABLE: ProbeReception.NOT_REACHED,
}


@dataclass(frozen=True, slots=True)
class Ready:
    """The gate knows this machine: as which client, for which configuration, with what disks."""

    client: str
    amanda_config: str
    disks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotYet:
    """The gate does not accept this machine yet: why. `is_denied`: it does not know the key.

    `reception`: whether the server was reached, and let it log in.
    """

    words: str
    is_denied: bool
    reception: ProbeReception = ProbeReception.HEARD


def probe(user: str) -> Ready | NotYet:
    """Return what the gate that client.toml names says to the Amanda user's key, as root.

    What it says is remembered. Raises the error for what waiting does not fix: a wrong host key, or
    a wrong program.
    """
    prepare_state(SYSTEM_FILE, user)
    answer = parse_json(ask_as(user, _probe_as_user))
    match answer.pop("kind"):
        case "ready":
            return Ready(answer["client"], answer["amanda_config"], tuple(answer["disks"]))
        case "not yet":
            return NotYet(**answer | {"reception": ProbeReception(answer["reception"])})
    raise parse_error(answer)


@dataclass(frozen=True, slots=True)
class FirstStanding:
    """Whether a backup is due, and why, in a sentence.

    `is_first`: none that counts was ever made by this machine.
    """

    is_due: bool
    reason: str
    is_first: bool


def ask_standing(user: str) -> FirstStanding:
    """Return what is remembered of the backup."""
    is_due, reason, is_first = parse_json(ask_as(user, _assess_as_user))
    return FirstStanding(bool(is_due), str(reason), bool(is_first))


def _assess_as_user() -> str:
    plan = plan_configured(str(SYSTEM_FILE))
    assessment = assess(plan, read_clock())
    reason = explain_decision(assessment.decision, plan.policy, assessment.now, assessment.witness)
    decision = assessment.decision
    return json.dumps([isinstance(decision, Due), reason, decision.last_at is None])


def wait_for(  # noqa: PLR0913, PLR0917 - all of the outside world
    ask: Callable[[], Ready | NotYet],
    is_enough: Callable[[Ready], bool],
    now: Callable[[], datetime],
    until: datetime,
    nap: Callable[[float], None],
    plan: Callable[[int, ProbeReception], float],
    *,
    is_gentle: bool,
) -> Iterator[Ready | NotYet]:
    """Yield what each probe finds; the last is Ready and enough, or what it was `until` then.

    Each comes after the nap that `plan` wants: of how many there were, and how the last one was
    received. A clock that is set back ends it as well. Where the server punishes (`is_gentle`) the
    last one is the last that was planned: those that began together would all probe at `until`.
    """
    began, probes, last = now(), 0, ProbeReception.HEARD
    while True:
        seconds, left = plan(probes, last), (until - now()).total_seconds()
        if is_gentle and probes and seconds > left:
            return
        nap(max(0.0, min(seconds, left)))
        answer = ask()
        yield answer
        if (isinstance(answer, Ready) and is_enough(answer)) or not began <= now() < until:
            return
        probes += 1
        last = answer.reception if isinstance(answer, NotYet) else ProbeReception.HEARD


def _probe_as_user() -> str:
    try:
        return _encode(_probe(plan_configured(str(SYSTEM_FILE))))
    except AsyncamandaError as error:
        return json.dumps({"kind": "error", **error_value(error)})


def _encode(answer: Ready | NotYet) -> str:
    kind = "ready" if isinstance(answer, Ready) else "not yet"
    return json.dumps({"kind": kind, **asdict(answer)})


def _probe(plan: Plan) -> Ready | NotYet:
    target = find_password(plan)
    # an agent that runs at the same time has its sockets elsewhere
    with tempfile.TemporaryDirectory(prefix="asyncamanda-") as folder, catch_stop() as stop:
        try:
            with connect(target, plan.options, stop, Path(folder)) as connection:
                return _judge(greet_gate(connection, plan, stop, WELCOME_WITHIN), plan, stop)
        except NotConnected as failure:
            return _bear(failure, plan)


def _judge(heard: Answer, plan: Plan, stop: StopRequest) -> Ready | NotYet:
    """Return what follows from the gate's answer. Raises its errors."""
    match heard:
        case Welcome():
            take_over(plan, heard, stop)
            return Ready(heard.client, heard.amanda_config, tuple(dle.disk for dle in heard.dles))
        case Refused():
            return judge_refused(heard)
        case Garbled():
            raise explain_garbled(heard, plan.target)
        case Closed():
            return _later_or_raise(explain_closed(heard, plan.target))
        case Later():
            return NotYet(f"{plan.target.host} says: not now ({heard.reason})", is_denied=False)
        case Stopped():
            return NotYet("stopped", is_denied=False)
        case _:
            assert_never(heard)


def judge_refused(refused: Refused) -> NotYet:
    """Return what a gate's refusal means to a set-up that waits. Raises the error that it is.

    A gate that no longer knows its own client was started by a key that is being changed just now:
    by a rename, or another key.
    """
    if refused.reference == NOT_ENROLLED:
        return NotYet(refused.message, is_denied=True)
    return _later_or_raise(explain_refused(refused))


def _bear(failure: NotConnected, plan: Plan) -> NotYet:
    _, error = explain_not_connected(failure.fault, plan.target, has_gate=True)
    fault = failure.fault.fault if failure.fault else Fault.OTHER
    reception = _RECEPTIONS.get(fault, ProbeReception.HEARD)
    if fault is Fault.PERMISSION_DENIED:
        return NotYet(f"{plan.target.host} does not know this machine's key", is_denied=True)
    if fault is Fault.DROPPED:
        return NotYet(f"{error.message}; {error.hint}", is_denied=False, reception=reception)
    return replace(_later_or_raise(error), reception=reception)


def _later_or_raise(error: AsyncamandaError) -> NotYet:
    if isinstance(error, LaterError):
        return NotYet(error.message, is_denied=False)
    raise error

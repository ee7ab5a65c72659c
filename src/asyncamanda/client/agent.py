"""One start of the agent: lock, look, decide, and back up by whichever way the plan says."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from asyncamanda.client import direct, gate
from asyncamanda.client.aftermath import Aftermath
from asyncamanda.client.look import LOCK_NAME, Look, look_around
from asyncamanda.client.memory import make_folder, set_aside, unwritable, write_memory
from asyncamanda.client.moment import Guard, judge_moment
from asyncamanda.client.narrator import Narrator
from asyncamanda.client.plan import Moments, Plan
from asyncamanda.client.start import Start
from asyncamanda.core.conditions import Deferred, Go, explain_deferred
from asyncamanda.core.due import NotDue, force_due
from asyncamanda.core.interval import format_age
from asyncamanda.core.model import Attempt, Outcome
from asyncamanda.core.remember import last_run, note_end
from asyncamanda.core.retry import fingerprint
from asyncamanda.errors import EverydayError, LaterError, NotStoredError
from asyncamanda.report.text import (
    describe_attempt,
    explain_differences,
    format_time,
    name_disks,
)
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import catch_stop
from asyncamanda.system.locks import Held, Holder, hold_lock


@dataclass(frozen=True, slots=True)
class Deferral:
    """Why there was no backup; `is_news` where that was not remembered already."""

    because: Deferred
    is_news: bool


@dataclass(frozen=True, slots=True)
class Urge:
    """How much a start wants to back up: though nothing is due, and at once, whatever waits."""

    is_forced: bool = False
    is_hasty: bool = False


def back_up(plan: Plan, narrator: Narrator, urge: Urge) -> Attempt | NotDue | Deferral:
    """Back up, if that is due or forced and the moment is good, and return how it went.

    Raises LaterError (running already, unreachable, put off by the server, the end not seen),
    RefusedError, ProtocolError, and NotStoredError if the run ended and a wanted disk is not
    backed up; what happened is remembered, and told, by then.
    """
    with ExitStack() as stack:
        _lock(stack, plan)
        stop = stack.enter_context(catch_stop())
        look = look_around(plan, read_clock(), stop)
        if look.damage:
            aside = set_aside(plan.state, look.memory, look.now)
            narrator.tell(
                f"warning: {look.damage}; it is set aside as {aside.name}. Whether the last "
                "backup was good is forgotten with it, so a new one is due"
            )
        if look.differences:
            narrator.tell(explain_differences(look.differences))
        start = Start(plan, look, narrator, stop)
        aftermath = Aftermath(start)
        try:
            return _decide(start, urge, aftermath)
        except NotStoredError as error:
            aftermath.failure = error.message
            raise
        finally:
            aftermath.settle()


def _decide(start: Start, urge: Urge, aftermath: Aftermath) -> Attempt | NotDue | Deferral:
    """Back up, unless something speaks against it."""
    plan, look = start.plan, start.look
    if isinstance(look.decision, NotDue) and not urge.is_forced:
        return _greet(start, look.decision, urge) if look.is_contact_due else look.decision
    if look.settles_at:
        raise _unsettled(last_run(look.memory), look.settles_at)
    if not urge.is_forced:
        _refuse_too_early(plan, look)
        if deferral := _find_hindrance(plan, look, urge, aftermath):
            return deferral
    with Guard(start) as guard:
        if plan.command is None:
            return gate.back_up(start, guard, force=urge.is_forced)
        if urge.is_forced:
            look = replace(look, decision=force_due(look.decision, plan.policy))
        return direct.back_up(replace(start, look=look), guard)


def _greet(start: Start, decision: NotDue, urge: Urge) -> Attempt | NotDue:
    """Hear what the gate's server says by now, and back up if that is due by it.

    Nothing is due by what is known, so a bad moment, and a server that cannot be reached or has no
    time, concern nobody. Raises what back_up() raises of all else.
    """
    plan, look = start.plan, start.look
    if look.come_back_at or (plan.moments and not _is_good_moment(plan.moments, look, urge)):
        return decision
    try:
        with Guard(start) as guard:
            return gate.back_up(start, guard, force=False)
    except LaterError:
        after = look_around(plan, read_clock(), start.stop)
        if start.stop.signal or not isinstance(after.decision, NotDue):
            raise
        return after.decision


def _is_good_moment(moments: Moments, look: Look, urge: Urge) -> bool:
    """Return whether no condition, and no wait, speaks against greeting the server now."""
    surroundings, moment = judge_moment(moments, look)
    waits = look.retry_at and fingerprint(surroundings) == look.memory.seen and not urge.is_hasty
    return isinstance(moment, Go) and not waits


def _find_hindrance(plan: Plan, look: Look, urge: Urge, aftermath: Aftermath) -> Deferral | None:
    """Return why the moment is not a good one, remembered; None if it is.

    Raises EverydayError if the last try came to nothing lately, and nothing has changed since.
    """
    if plan.moments is None:
        return None
    surroundings, moment = judge_moment(plan.moments, look)
    is_the_same = fingerprint(surroundings) == look.memory.seen
    waits_until = look.retry_at if is_the_same and not urge.is_hasty else None
    if isinstance(moment, Deferred):
        if waits_until is None:
            attempt = Attempt(look.now, look.now, Outcome.DEFERRED, explain_deferred(moment))
            aftermath.deferred = moment
            write_memory(plan.state, note_end(look.memory, attempt))
        return Deferral(moment, is_news=waits_until is None)
    if waits_until:
        raise _waiting(look, waits_until)
    return None


def _waiting(look: Look, until: datetime) -> EverydayError:
    last = look.memory.attempts[-1] if look.memory.attempts else None
    why = f"the last try ended with: {describe_attempt(last)}" if last else "tried lately"
    return EverydayError(
        "waits",
        f"{why}; the next try is at {format_time(until)}, or as soon as power or network change",
        "--force tries now",
    )


def _lock(stack: ExitStack, plan: Plan) -> None:
    try:
        make_folder(plan.state)
        stack.enter_context(hold_lock(plan.state / LOCK_NAME, read_clock()))
    except Held as held:
        raise already_running(held.holder, read_clock()) from None
    except OSError as error:
        raise unwritable(plan.state, error) from error


def already_running(holder: Holder, now: datetime) -> LaterError:
    """Return the error that names who runs, and since when."""
    who = f"pid {holder.pid}" if holder.pid else "another asyncamanda"
    since = ""
    if holder.since:
        since = f" since {format_time(holder.since)} ({format_age(now - holder.since)} ago)"
    return EverydayError(
        "already-running",
        f"a backup is running already: {who}{since}",
        "one at a time is enough; the next start looks again",
    )


def _unsettled(last: Attempt | None, settles_at: datetime) -> LaterError:
    assert last  # or nothing would have to settle
    return LaterError(
        "run-unsettled",
        f"the run of {format_time(last.started_at)} may still go on at the server "
        f"({last.detail}); no second one is started before {format_time(settles_at)}",
        "`settle` in client.toml says how long that is (classic form: one hour); amstatus on "
        "the server shows whether it runs",
    )


def _refuse_too_early(plan: Plan, look: Look) -> None:
    """Raise EverydayError if a try now would come to nothing, or the server wants none yet."""
    if until := look.next_try_at:
        raise EverydayError(
            "tried-lately",
            f"the last run went well and did not dump {name_disks(look.decision.wanted)}; "
            f"the next try is at {format_time(until)}",
            "--force tries now; `disks` in client.toml names the disks that matter",
        )
    if until := look.come_back_at:
        raise EverydayError(
            "come-back",
            f"{plan.target.host} said to come back at {format_time(until)}",
            "the first start after that asks again; --force asks now",
        )

"""One start of the agent: lock, assess, decide, and back up in the way that the plan says."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from asyncamanda.client.backup import by_command, by_gate
from asyncamanda.client.backup.aftermath import Aftermath
from asyncamanda.client.backup.deferral_telling import tell_deferral
from asyncamanda.client.backup.excludes import write_excludes
from asyncamanda.client.moments.moment import Guard, judge_moment
from asyncamanda.client.start.folders import make_folder, unwritable
from asyncamanda.client.start.narrator import StartNarrator
from asyncamanda.client.start.settings import Moments, Plan
from asyncamanda.client.state.accounts import note_accounts
from asyncamanda.client.state.assessment import LOCK_NAME, Assessment, assess
from asyncamanda.client.state.context import StartContext
from asyncamanda.client.state.memory import set_aside, write_memory
from asyncamanda.client.state.use import keep_use
from asyncamanda.core.agent.due import NotDue, force_due
from asyncamanda.core.agent.hanging import explain_state, is_excuse
from asyncamanda.core.agent.remember import last_run, note_end
from asyncamanda.core.agent.retry import fingerprint
from asyncamanda.core.agent.starting import Hindrance, Urge, WaitUntil, decide_start, heed_retry
from asyncamanda.core.conditions.judge import Deferred, Go, explain_deferred
from asyncamanda.core.model import Attempt, Outcome
from asyncamanda.core.values.interval import format_age
from asyncamanda.errors import AsyncamandaError, EverydayError, HeldError, LaterError
from asyncamanda.report.text import (
    describe_attempt,
    explain_differences,
    format_time,
    name_disks,
)
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import catch_stop
from asyncamanda.system.locks import Held, Holder, hold_lock
from asyncamanda.system.processes import describe_process

LONGEST_COMMAND = 4  # words of a command line


@dataclass(frozen=True, slots=True)
class Deferral:
    """Why there was no backup; `is_news` where that was not remembered already."""

    because: Deferred
    is_news: bool


def back_up(plan: Plan, narrator: StartNarrator, urge: Urge) -> Attempt | NotDue | Deferral:
    """Back up, if that is due or forced and the moment is good, and return how it went.

    Raises LaterError (running already, unreachable, put off by the server, the end not seen),
    RefusedError, ProtocolError, and NotStoredError if the run ended and a wanted disk is not
    backed up; what happened is remembered, and told, by then.
    """
    with ExitStack() as stack:
        _lock(stack, plan)
        stop = stack.enter_context(catch_stop())
        assessment = assess(plan, read_clock(), stop)
        if assessment.damage:
            aside = set_aside(plan.state, assessment.memory, assessment.now)
            narrator.tell(
                f"warning: {assessment.damage}; it was moved to {aside.name}. "
                "The result of the last backup is lost with it, so a new one is due"
            )
        if plan.command is None:
            note_accounts(plan.state, assessment.now)
        keep_use(plan, assessment.use)
        if assessment.differences:
            narrator.tell(explain_differences(assessment.differences))
        start = StartContext(plan, assessment, narrator, stop)
        aftermath = Aftermath(start)
        try:
            return _decide(start, urge, aftermath)
        except AsyncamandaError as error:
            aftermath.error = error
            raise
        finally:
            aftermath.settle()


def _decide(start: StartContext, urge: Urge, aftermath: Aftermath) -> Attempt | NotDue | Deferral:
    """Back up, unless something speaks against it."""
    plan, assessment = start.plan, start.assessment
    match decide_start(assessment.decision, assessment.waits, urge):
        case NotDue() as not_due:
            return _greet(start, not_due, urge) if assessment.is_contact_due else not_due
        case WaitUntil() as wait:
            raise _explain_wait(plan, assessment, wait)
    if not urge.is_forced and (deferral := _find_hindrance(start, urge, aftermath)):
        return deferral
    write_excludes(plan)
    with Guard(start) as guard:
        if plan.command is None:
            return by_gate.back_up(start, guard, force=urge.is_forced)
        if urge.is_forced:
            assessment = replace(assessment, decision=force_due(assessment.decision, plan.policy))
        return by_command.back_up(replace(start, assessment=assessment), guard)


def _greet(start: StartContext, decision: NotDue, urge: Urge) -> Attempt | NotDue:
    """Ask the gate's server for its state, and back up if that shows that a backup is due.

    Nothing is due by what is known, so a bad moment, or a server that cannot be reached or is busy,
    is not reported. Raises what back_up() raises of all else.
    """
    plan, assessment = start.plan, start.assessment
    if assessment.come_back_at or (
        plan.moments and not _is_good_moment(plan.moments, assessment, urge)
    ):
        return decision
    try:
        write_excludes(plan)
        with Guard(start) as guard:
            return by_gate.back_up(start, guard, force=False)
    except LaterError:
        after = assess(plan, read_clock(), start.stop)
        if start.stop.signal or not isinstance(after.decision, NotDue):
            raise
        return after.decision


def _is_good_moment(moments: Moments, assessment: Assessment, urge: Urge) -> bool:
    """Return whether no condition, and no wait, speaks against greeting the server now."""
    surroundings, moment = judge_moment(moments, assessment)
    waits = (
        assessment.retry_at
        and fingerprint(surroundings) == assessment.memory.seen
        and not urge.is_hasty
    )
    return isinstance(moment, Go) and not waits


def _find_hindrance(start: StartContext, urge: Urge, aftermath: Aftermath) -> Deferral | None:
    """Return why the moment is not a good one, remembered and told the server; None if it is.

    Raises EverydayError if the last attempt was unsuccessful lately, and nothing has changed since.
    """
    plan, assessment = start.plan, start.assessment
    if plan.moments is None:  # the classic form has no conditions
        if waits_until := heed_retry(assessment.waits, assessment.memory, "", urge):
            raise _waiting(plan, assessment, waits_until)
        return None
    surroundings, moment = judge_moment(plan.moments, assessment)
    waits_until = heed_retry(assessment.waits, assessment.memory, fingerprint(surroundings), urge)
    if isinstance(moment, Deferred):
        if waits_until is None:
            attempt = Attempt(
                assessment.now, assessment.now, Outcome.DEFERRED, explain_deferred(moment)
            )
            aftermath.deferred = moment
            write_memory(plan.state, note_end(assessment.memory, attempt))
        tell_deferral(start, moment, surroundings)
        return Deferral(moment, is_news=waits_until is None)
    if waits_until:
        raise _waiting(plan, assessment, waits_until)
    return None


def _waiting(plan: Plan, assessment: Assessment, until: datetime) -> EverydayError:
    last = assessment.memory.attempts[-1] if assessment.memory.attempts else None
    why = f"the last try ended with: {describe_attempt(last)}" if last else "tried recently"
    sooner = ", or when power or network changes" if plan.moments else ""
    words = f"{why}; the next try is at {format_time(until)}{sooner}"
    return EverydayError("waits", words, _now_hint(plan))


def _now_hint(plan: Plan) -> str:
    """Return how to try at once. The classic form has no --force."""
    return "--force tries at once" if plan.moments else "run on a terminal, it tries at once"


def _lock(stack: ExitStack, plan: Plan) -> None:
    try:
        make_folder(plan.state)
        stack.enter_context(hold_lock(plan.state / LOCK_NAME, read_clock()))
    except Held as held:
        raise already_running(held.holder, read_clock()) from None
    except OSError as error:
        raise unwritable(plan.state, error) from error


def already_running(holder: Holder, now: datetime) -> HeldError:
    """Return the error that names who runs, and since when; after a day, that it hangs."""
    who = f"pid {holder.pid}" if holder.pid else "another asyncamanda"
    since = ""
    if holder.since:
        since = f" since {format_time(holder.since)} ({format_age(now - holder.since)} ago)"
    if is_excuse(holder.since, now):
        return HeldError(
            "already-running",
            f"a backup is running already: {who}{since}",
            "only one runs at a time; the next start checks again",
        )
    seen = describe_process(holder.pid) if holder.pid else None
    command = f" ({' '.join(seen.argv[-LONGEST_COMMAND:])})" if seen and seen.argv else ""
    state = explain_state(seen.state) if seen else ""
    error = HeldError(
        "start-hangs",
        f"a start hangs: {who}{command}{since}{state}",
        f"`kill {holder.pid}` ends it, and the next start backs up"
        if holder.pid
        else "`fuser -v` on the file `lock` in the state folder names who",
    )
    error.is_excuse = False
    return error


def _unsettled(last: Attempt | None, settles_at: datetime) -> LaterError:
    assert last  # or nothing would have to settle
    return LaterError(
        "run-unsettled",
        f"the run of {format_time(last.started_at)} may still be running on the server "
        f"({last.detail}); no second one is started before {format_time(settles_at)}",
        "`settle` in client.toml says how long that is (classic form: one hour); amstatus on "
        "the server shows whether it runs",
    )


def _explain_wait(plan: Plan, assessment: Assessment, wait: WaitUntil) -> LaterError:
    """Return the error for a start that is due, and that is not to be tried yet."""
    match wait.hindrance:
        case Hindrance.UNSETTLED:
            return _unsettled(last_run(assessment.memory), wait.until)
        case Hindrance.PUT_OFF:
            return EverydayError(
                "come-back",
                f"{plan.target.host} said to come back at {format_time(wait.until)}",
                "the first start after that asks again; --force asks now",
            )
        case Hindrance.TRIED_LATELY:
            return _tried_lately(plan, assessment, wait.until)
        case _:
            assert_never(wait.hindrance)


def _tried_lately(plan: Plan, assessment: Assessment, until: datetime) -> EverydayError:
    last = last_run(assessment.memory)
    assert last  # or nothing would have been tried
    named = name_disks(assessment.decision.wanted) or "any disk of this client"
    did = f"succeeded but did not dump {named}"
    if last.outcome is Outcome.DOUBTFUL:
        did = "is doubtful: a dump failed, and it is not known of which client"
    return EverydayError(
        "tried-lately",
        f"the last run {did}; the next try is at {format_time(until)}",
        _now_hint(plan)
        + ("; set `disks` in client.toml to the disks to watch" if plan.moments else ""),
    )

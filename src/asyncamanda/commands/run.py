"""asyncamanda run: check, and back up if due. Started by the timer, and by the classic form."""

import argparse
import socket
import sys
from dataclasses import dataclass, replace

from asyncamanda.client.backup import agent
from asyncamanda.client.backup.aftermath import report_trouble
from asyncamanda.client.backup.agent import Deferral
from asyncamanda.client.moments.moment import await_turn, find_hindrance
from asyncamanda.client.moments.stale_watch import tell_stale
from asyncamanda.client.start.settings import Plan, plan_configured
from asyncamanda.client.state import skip_note
from asyncamanda.client.state.assessment import Assessment, assess
from asyncamanda.client.state.summary import show_standing
from asyncamanda.client.state.use import look_back
from asyncamanda.commands.options import add_common
from asyncamanda.core.agent.due import NotDue
from asyncamanda.core.agent.starting import Urge
from asyncamanda.core.conditions.judge import explain_deferred
from asyncamanda.core.model import Attempt
from asyncamanda.core.values.interval import format_age
from asyncamanda.errors import (
    AsyncamandaError,
    BadDataError,
    ConfigurationError,
    Exit,
    HeldError,
    LaterError,
    ProtocolError,
    RefusedError,
    StaleError,
    StaleWaitError,
)
from asyncamanda.report.json import (
    attempt_value,
    decision_value,
    deferred_value,
    render_event,
    render_json,
)
from asyncamanda.report.narrator import Narrator, is_watched
from asyncamanda.report.page import print_folded
from asyncamanda.report.text import (
    describe_attempt,
    explain_decision,
    explain_oddities,
    format_time,
)
from asyncamanda.system.clock import now as read_clock

WAITING = {"waits", "come-back", "tried-lately"}  # nothing was tried: no reason to say it again


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run: forced, after a network came up, as a dry run, and its output.

    `stream`: its JSON is an event a line, as they come.
    """

    force: bool = False
    nudged: bool = False
    dry_run: bool = False
    json: bool = False
    stream: bool = False
    verbose: bool = False
    note_place: tuple[str, str] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--force", action="store_true", help="back up even if nothing is due")
    parser.add_argument(
        "--nudged",
        action="store_true",
        help="for network hooks: wait for the network and a random delay, then try at once",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="print everything, even without a terminal"
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Check, and back up when due."""
    options = RunOptions(
        force=arguments.force,
        nudged=arguments.nudged,
        dry_run=arguments.dry_run,
        json=arguments.json,
        verbose=arguments.verbose,
        note_place=arguments.note_place,
    )
    plan = plan_configured(arguments.config, to_write=not options.dry_run, look_back=look_back)
    return run_plan(plan, options)


def run_plan(plan: Plan, options: RunOptions) -> Exit:
    """Check, and back up when due, as `plan` says.

    Raises what the agent raises; LaterError as StaleError if the last backup is too old.
    """
    try:
        return _check_and_run(plan, options)
    except (BadDataError, ConfigurationError, ProtocolError, RefusedError) as error:
        if not options.dry_run and not error.is_told:
            report_trouble(plan, error)
        raise


def _check_and_run(plan: Plan, options: RunOptions) -> Exit:
    now = read_clock()
    is_talkative = options.verbose or is_watched()
    options = replace(options, stream=options.json and plan.command is None)
    narrator = Narrator(
        socket.gethostname(),
        f"{now:%Y%m%dT%H%M%SZ}",
        is_talkative=is_talkative,
        is_streaming=options.stream,
    )
    assessment = assess(plan, now)
    reason = explain_decision(assessment.decision, plan.policy, now, assessment.witness)
    # what people were notified about may be over, and so may a wait
    is_over = not (assessment.memory.told or assessment.memory.tries or assessment.is_contact_due)
    if isinstance(assessment.decision, NotDue) and is_over and not options.force:
        if not options.dry_run:
            show_standing(plan, assessment)
            skip_note.leave_note(assessment, options.note_place)
        return _say_not_due(assessment, reason, options, is_talkative=is_talkative)
    if is_talkative:
        for oddity in explain_oddities(
            assessment.decision, assessment.rejected, assessment.witness
        ):
            narrator.tell(f"amandates: {oddity}")
    if options.dry_run:
        return _rehearse(plan, assessment, reason, options)
    narrator.note(reason)
    return _back_up(plan, assessment, narrator, options, is_talkative=is_talkative)


def _back_up(
    plan: Plan,
    assessment: Assessment,
    narrator: Narrator,
    options: RunOptions,
    *,
    is_talkative: bool,
) -> Exit:
    """Let the agent back up, and say how that went. Raises what run_plan() raises."""
    if options.nudged and plan.moments:
        await_turn(plan.moments, narrator)
    urge = Urge(options.force, is_hasty=options.nudged, is_typed=sys.stderr.isatty())
    try:
        with narrator.live():
            result = agent.back_up(plan, narrator, urge)
    except LaterError as error:
        if plan.command is None:  # the server may have said how old the last backup is
            assessment = assess(plan, read_clock())
        if isinstance(error, HeldError):
            raise _judge_held(plan, assessment, error) from error
        raise _stale_if(assessment, error) from error
    if isinstance(result, Deferral):
        return _say_deferred(plan, assessment, result, options, is_talkative=is_talkative)
    if isinstance(result, NotDue):  # another start was quicker, or a run of the server's own
        if plan.command is None:
            assessment = assess(plan, assessment.now)
        assessment = replace(assessment, decision=result)
        reason = explain_decision(result, plan.policy, assessment.now, assessment.witness)
        return _say_not_due(assessment, reason, options, is_talkative=is_talkative)
    _say_result(result, options)
    return Exit.OK


def _say_not_due(
    assessment: Assessment, reason: str, options: RunOptions, *, is_talkative: bool
) -> Exit:
    if options.json:
        value = {
            "outcome": "not due",
            **decision_value(assessment.decision, assessment.rejected, reason),
        }
        print(_render_answer(value, options))
    elif is_talkative:
        print_folded(reason)
        for oddity in explain_oddities(
            assessment.decision, assessment.rejected, assessment.witness
        ):
            print_folded(oddity, "  ")
    return Exit.OK


def _say_deferred(
    plan: Plan,
    assessment: Assessment,
    deferral: Deferral,
    options: RunOptions,
    *,
    is_talkative: bool,
) -> Exit:
    """Say why the moment is not a good one. Raises StaleError if the last backup is too old."""
    why = explain_deferred(deferral.because)
    hint = "`asyncamanda check` shows each condition; --force backs up anyway"
    if assessment.is_stale:
        raise _stale_if(
            assessment, LaterError("deferred" if deferral.is_news else "waits", why, hint)
        )
    if options.json:
        value = {"outcome": "deferred", **deferred_value(deferral.because)}
        reason = explain_decision(
            assessment.decision, plan.policy, assessment.now, assessment.witness
        )
        value |= decision_value(assessment.decision, assessment.rejected, reason)
        print(_render_answer(value, options))
    elif is_talkative:
        print_folded(why)
        print_folded(hint, "  ")
    return Exit.LATER


def _render_answer(value: dict[str, object], options: RunOptions) -> str:
    """Return the answer: the last event of a stream, or the one JSON text."""
    return render_event("finished", value) if options.stream else render_json(value)


def _rehearse(plan: Plan, assessment: Assessment, reason: str, options: RunOptions) -> Exit:
    if options.json:
        value = {
            "outcome": "dry run",
            **decision_value(assessment.decision, assessment.rejected, reason),
        }
        print(render_json(value))
        return Exit.OK
    print_folded(reason)
    if isinstance(assessment.decision, NotDue) and not options.force:
        if assessment.is_contact_due:
            print_folded(
                f"would contact {plan.target} for the daily check, and back up if it has a new disk"
            )
        return Exit.OK
    is_wanted_now = options.force or sys.stderr.isatty()  # see Urge
    if assessment.settles_at:
        until = format_time(assessment.settles_at)
        print(f"would wait until {until}: a run may still be in progress")
    elif assessment.next_try_at and not is_wanted_now:
        until = format_time(assessment.next_try_at)
        print(f"would wait until {until}: the last run did not include it")
    elif assessment.come_back_at and not options.force:
        print(f"would wait until {format_time(assessment.come_back_at)}: the server said so")
    elif assessment.retry_at and not is_wanted_now:
        until = format_time(assessment.retry_at)
        print(f"would wait until {until}: the last attempt was unsuccessful")
    elif (
        plan.moments
        and not options.force
        and (hindrance := find_hindrance(plan.moments, assessment))
    ):
        print(f"would wait: {explain_deferred(hindrance)}")
    elif plan.command is None:
        print(f"would connect to {plan.target} and ask for a backup")
    else:
        print(f"would connect to {plan.target} and run: {plan.command}")
    return Exit.OK


def _say_result(attempt: Attempt, options: RunOptions) -> None:
    if options.json:
        print(_render_answer(attempt_value(attempt), options))
    else:
        print_folded(describe_attempt(attempt))


def _judge_held(plan: Plan, assessment: Assessment, error: HeldError) -> AsyncamandaError:
    """Return the exit code for a lock that another start holds; say so where that is news."""
    if error.is_excuse or not assessment.is_stale:
        return error
    return _stale_if(assessment, error, is_known=not tell_stale(plan, assessment, error.message))


def _stale_if(
    assessment: Assessment, error: LaterError, *, is_known: bool = False
) -> AsyncamandaError:
    """Return `error`, or what polite waiting must not hide."""
    if not assessment.is_stale:
        return error
    age = format_age(assessment.now - assessment.since)
    words = (
        f"the last backup is {age} old"
        if assessment.decision.last_at
        else f"no backup since this client was set up {age} ago"
    )
    kind = StaleWaitError if error.reference in WAITING or is_known else StaleError
    return kind(
        "stale",
        f"{words}; last attempt: {error.message}",
        error.hint,
    )

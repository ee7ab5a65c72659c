"""asyncamanda status: show the state of the backup, for every user."""

import argparse
from dataclasses import dataclass, replace
from datetime import datetime

from asyncamanda.client.schedule.install import look_at_schedule
from asyncamanda.client.start.settings import find_summary, may_remember, plan_configured
from asyncamanda.client.state.assessment import Assessment, assess, find_holder
from asyncamanda.client.state.summary import read_summary, summarize_assessment
from asyncamanda.client.state.use import look_back, refresh_use
from asyncamanda.commands.options import add_common
from asyncamanda.commands.show import print_oddities
from asyncamanda.core.agent.due import Witness
from asyncamanda.core.agent.summary import Status, Summary, judge_summary
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.values.interval import format_age
from asyncamanda.errors import Exit, NotYoursError
from asyncamanda.report.exposure import describe_exposure
from asyncamanda.report.json import render_json, time_value
from asyncamanda.report.page import print_folded
from asyncamanda.report.proof import describe_proved, last_proof_value
from asyncamanda.report.status import (
    advise,
    describe_disks,
    describe_excludes,
    describe_reach,
    describe_waits,
    format_ago,
    format_when,
    status_value,
    tell_state,
)
from asyncamanda.report.table import print_glance
from asyncamanda.report.text import describe_attempt, explain_oddities
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.locks import Holder


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known; without an `assessment` it is what the agent's last start published."""

    summary: Summary
    assessment: Assessment | None = None
    holder: Holder | None = None
    exclude: tuple[str, ...] = ()
    is_exclude_read: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print the state of the backup, a current run, and the result of the last attempt.

    Raises what plan_configured(), assess() and read_summary() raise, but for NotYoursError
    where there is a summary.
    """
    now = read_clock()
    seen = _look(arguments.config, now)
    status = judge_summary(seen.summary, now)
    next_start_at = look_at_schedule().next_at
    if arguments.json:
        print(render_json(_value(seen, status, next_start_at, now)))
    else:
        _print_worst(seen, status, now)
        _print_rest(seen, status, next_start_at, now)
    return status.exit


def _look(config: str | None, now: datetime) -> _Seen:
    """Return what this user may know."""
    try:
        plan = plan_configured(config, look_back=look_back)
        assessment = assess(plan, now, with_hints=True)
        own = summarize_assessment(plan, assessment)
        is_read = plan.excludes_file is not None
        return _Seen(own, assessment, find_holder(plan), plan.exclude, is_read)
    except NotYoursError as error:
        place = None if may_remember(config) else find_summary(config)
        if place is None:  # what this user's own starts cannot read is what is wrong
            raise
        summary = read_summary(place)
        if summary is None:
            raise NotYoursError(
                "no-summary",
                f"{error.message}; and the agent has not published its state yet",
                "once the agent has run, every user may ask; now, as root: asyncamanda status",
            ) from error
        return _Seen(replace(summary, use=summary.use and refresh_use(summary.use)))


def _print_worst(seen: _Seen, status: Status, now: datetime) -> None:
    if seen.assessment and seen.assessment.damage:
        print_folded(f"memory: {seen.assessment.damage}; what was known of backups is lost with it")
    print_glance(tell_state(seen.summary, status, now))
    if advice := advise(status):
        print_folded(f"what to do: {advice}", "  ")
    if seen.assessment is None:
        written_at = seen.summary.written_at
        print_folded(
            f"as of the agent's last start, {format_ago(written_at, now)}, "
            f"{format_when(written_at, now)}"
        )
    if seen.holder:
        since = f", for {format_age(now - seen.holder.since)}" if seen.holder.since else ""
        print(f"a backup is running: pid {seen.holder.pid}{since}")


def _print_rest(seen: _Seen, status: Status, next_start_at: datetime | None, now: datetime) -> None:
    """Print a line for each disk, and whatever else matters."""
    summary, last = seen.summary, status.last
    for line in describe_disks(status, summary.policy, now):
        print_folded(line)
    print_folded(describe_exposure(summary, status))
    if last and last is not status.failure:  # which was told first
        print_folded(f"last try {format_when(last.ended_at, now)}: {describe_attempt(last)}")
    for line in describe_waits(status, now):
        print_folded(line)
    if left_out := describe_excludes(seen.exclude, is_read=seen.is_exclude_read):
        print_folded(left_out)
    _print_reach(seen, status, now)
    if next_start_at:
        print(f"next start by the timer: {format_when(next_start_at, now)}")
    if summary.witness is Witness.SERVER and summary.asked_at:
        print(f"the server was last asked {format_ago(summary.asked_at, now)}")
    if seen.assessment:
        print_oddities(replace(seen.assessment, damage=None))  # which was told first
    else:
        for oddity in explain_oddities(status.decision, Rejected(), summary.witness):
            print_folded(f"amandates: {oddity}")


def _print_reach(seen: _Seen, status: Status, now: datetime) -> None:
    """Print what can be had back, and when that was last proved."""
    reach = describe_reach(status, seen.summary.asked_at, now)
    for line in ([reach] if reach else []) + describe_proved(status, seen.summary.proofs, now):
        print_folded(line)


def _value(
    seen: _Seen, status: Status, next_start_at: datetime | None, now: datetime
) -> dict[str, object]:
    rejected = seen.assessment.rejected if seen.assessment else Rejected()
    holder = seen.holder
    return {
        **status_value(seen.summary, status, rejected, now),
        "proofs": [last_proof_value(one) for one in seen.summary.proofs],
        "running": holder and {"pid": holder.pid, "since": time_value(holder.since)},
        "next_start_at": time_value(next_start_at),
        "exclude": list(seen.exclude) if seen.assessment else None,
        "written_at": None if seen.assessment else time_value(seen.summary.written_at),
    }

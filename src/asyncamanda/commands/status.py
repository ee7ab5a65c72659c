"""asyncamanda status: one glance, then a row for each disk."""

import argparse
from datetime import datetime

from asyncamanda.client.look import Look, find_holder, look_around
from asyncamanda.client.plan import Plan, plan_configured
from asyncamanda.client.schedule import look_at_schedule
from asyncamanda.commands.options import add_common
from asyncamanda.commands.show import print_disks, print_oddities, print_waits
from asyncamanda.core.due import Witness
from asyncamanda.core.interval import format_age
from asyncamanda.errors import Exit
from asyncamanda.report.json import attempt_value, decision_value, render_json, time_value
from asyncamanda.report.page import print_folded
from asyncamanda.report.table import print_glance
from asyncamanda.report.text import describe_attempt, explain_decision, format_time, sum_up
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.locks import Holder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print how the backup stands, what runs, and how the last attempt went."""
    plan = plan_configured(arguments.config)
    look = look_around(plan, read_clock(), with_hints=True)
    holder = find_holder(plan)
    next_start_at = look_at_schedule().next_at
    if arguments.json:
        print(render_json(_status_value(plan, look, holder, next_start_at)))
        return Exit.OK
    print_glance(
        sum_up(
            look.decision,
            plan.policy,
            is_stale=look.is_stale,
            now=look.now,
            witness=look.witness,
        )
    )
    if holder:
        since = f", for {format_age(look.now - holder.since)}" if holder.since else ""
        print(f"running: pid {holder.pid}{since}")
    if look.memory.attempts:
        last = look.memory.attempts[-1]
        print_folded(f"last try {format_time(last.ended_at)}: {describe_attempt(last)}")
    print_waits(look)
    if next_start_at:
        print(f"the timer starts it next at {format_time(next_start_at)}")
    print_disks(look)
    if look.witness is Witness.SERVER and look.memory.asked_at:
        print(f"the server was last asked {format_age(look.now - look.memory.asked_at)} ago")
    print_oddities(look)
    return Exit.OK


def _status_value(
    plan: Plan, look: Look, holder: Holder | None, next_start_at: datetime | None
) -> dict[str, object]:
    reason = explain_decision(look.decision, plan.policy, look.now, look.witness)
    attempts = look.memory.attempts
    return {
        **decision_value(look.decision, look.rejected, reason),
        "stale": look.is_stale,
        "running": holder and {"pid": holder.pid, "since": time_value(holder.since)},
        "settles_at": time_value(look.settles_at),
        "asked_at": time_value(look.memory.asked_at),
        "come_back_at": time_value(look.come_back_at),
        "retry_at": time_value(look.retry_at),
        "next_start_at": time_value(next_start_at),
        "last_attempt": attempt_value(attempts[-1]) if attempts else None,
    }

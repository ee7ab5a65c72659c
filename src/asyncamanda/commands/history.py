"""asyncamanda history: a row for each attempt, the newest last."""

import argparse

from asyncamanda.client.start.settings import plan_configured
from asyncamanda.client.state.assessment import find_holder
from asyncamanda.client.state.memory import read_memory
from asyncamanda.commands.options import add_common
from asyncamanda.core.agent.remember import note_unseen_end
from asyncamanda.core.model import Attempt
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import Exit
from asyncamanda.report.json import attempt_value, render_json
from asyncamanda.report.table import print_table
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print every attempt that is remembered."""
    plan = plan_configured(arguments.config)
    memory, damage = read_memory(plan.state, read_clock())
    if not find_holder(plan):
        memory = note_unseen_end(memory)
    attempts = (*memory.past, *memory.attempts)
    if arguments.json:
        print(render_json([attempt_value(attempt) for attempt in attempts]))
        return Exit.OK
    if damage:
        print(f"memory: {damage}")
    if not attempts:
        print("no attempts yet")
        return Exit.OK
    print_table(("started", "took", "outcome", "what"), [_row(a) for a in attempts])
    return Exit.OK


def _row(attempt: Attempt) -> tuple[str, str, str, str]:
    outcome = attempt.outcome.value + (f", {attempt.times} times" if attempt.times > 1 else "")
    dumps = [f"{dump.disk} (level {dump.level})" for dump in attempt.dumps]
    detail = attempt.detail.removeprefix("deferred, because ")  # the outcome says so
    what = printable(detail) or name_disks(dumps)
    span = format_age(attempt.ended_at - attempt.started_at)
    took = span if attempt.times == 1 else f"over {span}"
    return format_time(attempt.started_at), took, outcome, what

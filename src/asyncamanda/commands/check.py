"""asyncamanda check: what is due, and why. Changes nothing."""

import argparse

from asyncamanda.client.look import look_around
from asyncamanda.client.plan import plan_configured
from asyncamanda.commands.options import add_config, add_json
from asyncamanda.errors import Exit
from asyncamanda.report.json import decision_value, render_json
from asyncamanda.report.table import print_table
from asyncamanda.report.text import describe_disk, explain_decision, explain_oddities
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_json(parser)
    add_config(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print the verdict, its reason and its evidence."""
    plan = plan_configured(arguments.config)
    look = look_around(plan, read_clock())
    reason = explain_decision(look.decision, plan.policy, look.now)
    if arguments.json:
        print(render_json(decision_value(look.decision, look.rejected, reason)))
        return Exit.OK
    print(reason)
    if look.decision.disks:
        rows = [describe_disk(verdict, look.now) for verdict in look.decision.disks]
        print()
        print_table(("disk", "state", "last dump", "age"), rows)
    for oddity in explain_oddities(look.decision, look.rejected):
        print(f"amandates: {oddity}")
    if look.damage:
        print(f"memory: {look.damage}")
    if look.settles_at:
        print(f"waits until {look.settles_at.astimezone():%H:%M:%S}: a run may still go on")
    return Exit.OK

"""asyncamanda check: what is due, and why. Changes nothing."""

import argparse

from asyncamanda.client.look import look_around
from asyncamanda.client.plan import plan_configured
from asyncamanda.commands.options import add_common
from asyncamanda.commands.show import print_disks, print_remarks
from asyncamanda.errors import Exit
from asyncamanda.report.json import decision_value, render_json
from asyncamanda.report.text import explain_decision
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print the verdict, its reason and its evidence."""
    plan = plan_configured(arguments.config)
    look = look_around(plan, read_clock(), with_hints=True)
    reason = explain_decision(look.decision, plan.policy, look.now, look.witness)
    if arguments.json:
        print(render_json(decision_value(look.decision, look.rejected, reason)))
        return Exit.OK
    print(reason)
    print_disks(look)
    print_remarks(look)
    return Exit.OK

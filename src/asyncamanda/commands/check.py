"""asyncamanda check: show what is due and why, without changing anything."""

import argparse

from asyncamanda.client.moments.moment import survey
from asyncamanda.client.start.settings import plan_configured
from asyncamanda.client.state.assessment import assess
from asyncamanda.commands.options import add_common
from asyncamanda.commands.show import print_conditions, print_disks, print_oddities, print_waits
from asyncamanda.errors import Exit
from asyncamanda.report.json import decision_value, finding_value, render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.text import explain_decision
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print the verdict, its reason and its evidence."""
    plan = plan_configured(arguments.config)
    assessment = assess(plan, read_clock(), with_hints=True)
    reason = explain_decision(assessment.decision, plan.policy, assessment.now, assessment.witness)
    findings = survey(plan.moments, assessment) if plan.moments else ()
    if arguments.json:
        value = decision_value(assessment.decision, assessment.rejected, reason)
        print(render_json(value | {"conditions": [finding_value(each) for each in findings]}))
        return Exit.OK
    print_folded(reason)
    print_disks(assessment)
    print_conditions(assessment, findings)
    print_oddities(assessment)
    print_waits(assessment)
    return Exit.OK

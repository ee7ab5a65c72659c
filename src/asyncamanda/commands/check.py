"""asyncamanda check: show what is due and why, without changing anything."""

import argparse
from functools import partial

from asyncamanda.client.moments.moment import survey
from asyncamanda.client.start.settings import plan_configured
from asyncamanda.client.state.assessment import assess
from asyncamanda.commands.options import add_common
from asyncamanda.commands.plugin import add_plugin_options, answer_plugin, read_limits
from asyncamanda.commands.show import print_conditions, print_disks, print_oddities, print_waits
from asyncamanda.commands.status import look
from asyncamanda.core.agent.checking import check_status
from asyncamanda.core.agent.summary import judge_summary
from asyncamanda.core.values.plugin import CheckLimits, PluginAnswer
from asyncamanda.errors import Exit, UsageError
from asyncamanda.report.json import decision_value, finding_value, render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.status import tell_state
from asyncamanda.report.text import explain_decision
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)
    parser.add_argument(
        "--nagios",
        action="store_true",
        help="answer as a plugin of Nagios or Icinga: a line, numbers, exit code 0 to 3",
    )
    add_plugin_options(parser, "exposure", "proof")


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict, its reason and its evidence, or answer as a plugin.

    Raises UsageError for a plugin's options without `--nagios`, and for that with `--json`.
    """
    if arguments.nagios:
        if arguments.json:
            raise UsageError("two-forms", "a plugin has a form of its own", "leave --json out")
        return answer_plugin(arguments, partial(_look, arguments.config))
    if arguments.timeout or read_limits(arguments):
        raise UsageError(
            "not-a-plugin",
            "limits and a timeout are a plugin's",
            "--nagios answers as one",
        )
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


def _look(config: str | None, limits: CheckLimits) -> PluginAnswer:
    """Return what a plugin says, from what this user may know. Raises what look() raises."""
    now = read_clock()
    summary = look(config, now).summary
    status = judge_summary(summary, now)
    return check_status(summary, status, tell_state(summary, status, now), limits, now)

"""What several commands print of an assessment."""

from asyncamanda.client.state.assessment import Assessment
from asyncamanda.core.agent.due import Due, Witness
from asyncamanda.core.conditions.judge import ConditionFinding
from asyncamanda.core.values.printable import printable
from asyncamanda.report.page import print_folded
from asyncamanda.report.table import print_table
from asyncamanda.report.text import (
    describe_disk,
    describe_finding,
    explain_differences,
    explain_oddities,
    format_time,
)


def print_disks(assessment: Assessment) -> None:
    """Print a row for each disk, if there is one."""
    if assessment.decision.disks:
        rows = [describe_disk(verdict, assessment.now) for verdict in assessment.decision.disks]
        print()
        last = "last dump" if assessment.witness is Witness.AMANDATES else "last confirmed"
        print_table(("disk", "state", last, "age"), rows)
        print()


def print_conditions(assessment: Assessment, findings: tuple[ConditionFinding, ...]) -> None:
    """Print a row for each condition that is set, in the order in which they stop applying."""
    if findings:
        if not assessment.decision.disks:
            print()
        rows = [describe_finding(finding, assessment.now) for finding in findings]
        print_table(("condition", "found", "verdict", "ignored from"), rows)
        print()


def print_oddities(assessment: Assessment) -> None:
    """Print a line for whatever is odd."""
    for oddity in explain_oddities(assessment.decision, assessment.rejected, assessment.witness):
        print_folded(f"amandates: {oddity}")
    for line in assessment.rejected.lines[1:]:
        print_folded(f"  line {line.number}: {line.fault}: {printable(line.text)}")
    if assessment.damage:
        print_folded(f"memory: {assessment.damage}")
    if assessment.differences:
        print_folded(f"memory: {explain_differences(assessment.differences)}")


def print_waits(assessment: Assessment) -> None:
    """Print a line for whatever keeps a run waiting."""
    for until, why in (
        (assessment.next_try_at, "the last run did not include it"),
        (assessment.settles_at, "a run may still be in progress"),
        (assessment.come_back_at, "the server said so"),
    ):
        if until:
            print_folded(f"waiting until {format_time(until)}: {why}")
    if assessment.retry_at and isinstance(assessment.decision, Due):
        when = format_time(assessment.retry_at)
        print_folded(f"next try: at the first start after {when}, or when power or network changes")

"""What several commands print of a look."""

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


def print_disks(look: Assessment) -> None:
    """Print a row for each disk, if there is one."""
    if look.decision.disks:
        rows = [describe_disk(verdict, look.now) for verdict in look.decision.disks]
        print()
        last = "last dump" if look.witness is Witness.AMANDATES else "last confirmed"
        print_table(("disk", "state", last, "age"), rows)
        print()


def print_conditions(look: Assessment, findings: tuple[ConditionFinding, ...]) -> None:
    """Print a row for each condition that is set, in the order in which they stop applying."""
    if findings:
        if not look.decision.disks:
            print()
        rows = [describe_finding(finding, look.now) for finding in findings]
        print_table(("condition", "found", "verdict", "ignored from"), rows)
        print()


def print_oddities(look: Assessment) -> None:
    """Print a line for whatever is odd."""
    for oddity in explain_oddities(look.decision, look.rejected, look.witness):
        print_folded(f"amandates: {oddity}")
    for line in look.rejected.lines[1:]:
        print_folded(f"  line {line.number}: {line.fault}: {printable(line.text)}")
    if look.damage:
        print_folded(f"memory: {look.damage}")
    if look.differences:
        print_folded(f"memory: {explain_differences(look.differences)}")


def print_waits(look: Assessment) -> None:
    """Print a line for whatever keeps a run waiting."""
    for until, why in (
        (look.next_try_at, "the last run did not include it"),
        (look.settles_at, "a run may still be in progress"),
        (look.come_back_at, "the server said so"),
    ):
        if until:
            print_folded(f"waiting until {format_time(until)}: {why}")
    if look.retry_at and isinstance(look.decision, Due):
        when = format_time(look.retry_at)
        print_folded(f"next try: at the first start after {when}, or when power or network changes")

"""What several commands print of a look."""

from asyncamanda.client.look import Look
from asyncamanda.core.due import Witness
from asyncamanda.report.table import print_table
from asyncamanda.report.text import describe_disk, explain_oddities, format_time, printable


def print_disks(look: Look) -> None:
    """Print a row for each disk, if there is one."""
    if look.decision.disks:
        rows = [describe_disk(verdict, look.now) for verdict in look.decision.disks]
        print()
        last = "last dump" if look.witness is Witness.AMANDATES else "last confirmed"
        print_table(("disk", "state", last, "age"), rows)
        print()


def print_remarks(look: Look) -> None:
    """Print a line for whatever is odd, and for what keeps a run waiting."""
    for oddity in explain_oddities(look.decision, look.rejected, look.witness):
        print(f"amandates: {oddity}")
    for line in look.rejected.lines[1:]:
        print(f"  line {line.number}: {line.fault}: {printable(line.text)}")
    if look.damage:
        print(f"memory: {look.damage}")
    if look.next_try_at:
        print(f"waits until {format_time(look.next_try_at)}: the last run went well without it")
    if look.settles_at:
        print(f"waits until {format_time(look.settles_at)}: a run may still go on")
    if look.come_back_at:
        print(f"waits until {format_time(look.come_back_at)}: the server said so")

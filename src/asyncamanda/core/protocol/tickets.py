"""Is it still the same machine? Decided by the ticket that it was given last.

A copy of a machine has all that it had: key, memory, the machine's id. So each welcome brings a
new ticket, and a machine says it at its next hello. Of two copies the one that comes later has
an older ticket, and is found out.

A ticket is `NUMBER-RANDOM`. Its number is the time of its making in seconds, or one more than
the last one's: of two tickets it says which is the older, also after a ledger was lost or put
back to an earlier state.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from asyncamanda.core.protocol.messages import Refused
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import Exit

SECOND_MACHINE = "second-machine"  # by which either side knows that refusal
LONGEST_HOST_NAME = 200  # characters, as codec.py reads them
_TICKET = re.compile(r"(?P<number>[0-9]{1,15})-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a client is, as the ledger has it.

    `lineage` counts the machines that have been this client. `ticket` is the newest that it was
    given, "" until the first comes; `previous` is the one that it came with then, and
    `is_written` says that it has shown since that the newest one is written down at its end.
    `host_name` is what it calls itself. Once a second machine has come, `disputed_at` says when,
    and `other_host_name` what that one calls itself. `noted` is what was last said of it.
    """

    client: str
    lineage: int
    ticket: str
    previous: str
    is_written: bool
    host_name: str
    seen_at: datetime
    disputed_at: datetime | None = None
    other_host_name: str = ""
    noted: str = ""


class Claim(NamedTuple):
    """Who says hello: with which ticket, and what it calls itself."""

    ticket: str
    host_name: str


class MachineFinding(Enum):
    """What a hello's ticket says about the machine; the value is how the log puts it."""

    SAME = ""
    FIRST = "is new here"
    CUT = "came with the ticket before its last: that one never arrived"
    LOST = "came without a ticket: its memory was lost, or removed"
    UNKNOWN = "came with a ticket that the ledger does not know: the ledger is new, or an older one"
    SECOND = "two machines use its key"
    ASK = "it has to be checked first whether it is connected elsewhere"

    @property
    def is_served(self) -> bool:
        """Whether such a machine is accepted as the client."""
        return self not in {MachineFinding.SECOND, MachineFinding.ASK}


def decide_machine(
    known: Machine | None, ticket: str, *, is_elsewhere: bool | None = False
) -> MachineFinding:
    """Return who it is that comes with `ticket`.

    `is_elsewhere` says whether a machine that is this client has another live session meanwhile.
    None: there is such a session, and nobody has asked yet, which makes it ASK where it matters.
    """
    if known is None:
        return MachineFinding.UNKNOWN if ticket else MachineFinding.FIRST
    if known.disputed_at:
        return MachineFinding.SECOND
    if not known.ticket:
        return MachineFinding.FIRST
    if ticket == known.ticket:
        return MachineFinding.SAME
    found = _explain_other(known, ticket)
    if is_elsewhere and found.is_served:
        return MachineFinding.SECOND
    return MachineFinding.ASK if is_elsewhere is None and found.is_served else found


def _explain_other(known: Machine, ticket: str) -> MachineFinding:
    """Return what a ticket means that is not the newest one."""
    if not ticket:
        return MachineFinding.LOST
    if ticket == known.previous and not known.is_written:
        return MachineFinding.CUT
    return (
        MachineFinding.UNKNOWN
        if read_number(ticket) > read_number(known.ticket)
        else MachineFinding.SECOND
    )


def read_number(ticket: str) -> int:
    """Return a ticket's number, -1 if no server made it."""
    found = _TICKET.fullmatch(ticket)
    return int(found["number"]) if found else -1


def make_ticket(before: tuple[str, ...], at: datetime, random: str) -> str:
    """Return the ticket that comes after all those `before`; `random` is 32 hexadecimal digits."""
    number = max([int(at.timestamp()), *(read_number(ticket) + 1 for ticket in before)])
    return f"{number}-{random}"


def take_in(  # noqa: PLR0913, PLR0917 (all that a row is made of)
    known: Machine | None,
    client: str,
    claim: Claim,
    finding: MachineFinding,
    at: datetime,
    random: str,
) -> Machine:
    """Return the machine as the ledger has it once it is served, with its new ticket."""
    before = (claim.ticket, known.ticket if known else "")
    return Machine(
        client=client,
        lineage=known.lineage if known else 1,
        ticket=make_ticket(before, at, random),
        previous=claim.ticket,
        is_written=False,
        host_name=claim.host_name,
        seen_at=at,
        noted=finding.value,
    )


def dispute(known: Machine, host_name: str, at: datetime) -> Machine:
    """Return the machine as the ledger has it once a second one has come; the first one counts."""
    if known.disputed_at:
        return known
    noted = MachineFinding.SECOND.value
    return replace(known, disputed_at=at, other_host_name=host_name, noted=noted)


def renew(known: Machine) -> Machine:
    """Return the machine once it is open again who the client is: the next that comes is it."""
    return replace(
        known,
        lineage=known.lineage + 1,
        ticket="",
        previous="",
        is_written=False,
        disputed_at=None,
        other_host_name="",
        noted="",
    )


def describe_dispute(machine: Machine) -> str:
    """Return a sentence on the two machines of a client."""
    came = "has come since"
    if machine.disputed_at:
        came = f"came {_format_time(machine.disputed_at)}"
    return (
        f"two machines use the key of {machine.client}: {_name(machine.host_name)} (last here "
        f"{_format_time(machine.seen_at)}) and {_name(machine.other_host_name)} ({came})"
    )


def refuse_second(machine: Machine) -> Refused:
    """Return the server's answer to either of two machines with one key."""
    return Refused(
        SECOND_MACHINE,
        f"{describe_dispute(machine)}; neither is backed up until it is settled which of them "
        "this client is",
        "if this machine is a copy, make it a client of its own, as root: asyncamanda setup SERVER "
        "--name ANOTHER-NAME --new-key. If it is the right one, ask the server's administrator "
        "to run there: asyncamanda"
        f" server enroll {machine.client} (then start this one first)",
        int(Exit.REFUSED),
    )


def clean_host_name(name: str) -> str:
    """Return a host's name so that it can be shown."""
    return printable(name)[:LONGEST_HOST_NAME]


def _name(host_name: str) -> str:
    return host_name or "one without a name"


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

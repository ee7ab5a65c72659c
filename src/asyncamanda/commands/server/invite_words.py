"""What `server invite` and `server rekey --invite` are told, and what they print."""

import argparse
from collections.abc import Sequence
from datetime import timedelta

from asyncamanda.commands.printing import tell
from asyncamanda.core.values.interval import ALLOWED, format_interval, parse_interval
from asyncamanda.errors import UsageError
from asyncamanda.report.json import render_json, time_value
from asyncamanda.report.page import print_folded
from asyncamanda.report.table import print_table
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.server.enrol.invitation import DEFAULT_SPAN, LONGEST_SPAN, Invitation
from asyncamanda.server.enrol.invitations import Invited
from asyncamanda.system.clock import now as read_clock

HEADS = ("invitation", "for", "state", "joined", "expires", "disks")


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Let the command line say how long a code counts, and how clients call this server."""
    parser.add_argument(
        "--expires",
        metavar="SPAN",
        help=f"how long the code can be used (default: {format_interval(DEFAULT_SPAN)})",
    )
    parser.add_argument(
        "--server",
        metavar="SERVER",
        help="this server as its clients reach it, [user@]host[:port] (default: its host name)",
    )


def read_span(text: str | None) -> timedelta:
    """Return how long a code is to count. Raises UsageError."""
    if text is None:
        return DEFAULT_SPAN
    try:
        span = parse_interval(text)
    except ValueError as error:
        raise UsageError("bad-span", f"--expires: {error}", f"allowed: {ALLOWED}") from error
    if span > LONGEST_SPAN:
        raise UsageError("bad-span", "--expires: a year is the longest", "such as: --expires 7d")
    return span


def invited_value(invited: Invited) -> dict[str, object]:
    """Return what --json says of a new invitation."""
    value = {"outcome": "invited", **invitation_value(invited.invitation)}
    return {**value, "code": invited.code, "command": invited.command}


def invitation_value(one: Invitation) -> dict[str, object]:
    """Return what --json says of an invitation."""
    return {
        "invitation": one.invitation,
        "names": one.names,
        "state": one.state(read_clock()),
        "again": one.is_again,
        "count": one.count,
        "left": one.left,
        "amanda_config": one.amanda_config,
        "disks": list(one.disks),
        "made_at": time_value(one.made_at),
        "expires_at": time_value(one.expires_at),
        "withdrawn_at": time_value(one.withdrawn_at),
        "joined": [
            {
                "client": use.client,
                "fingerprint": use.fingerprint,
                "at": time_value(use.at),
                "done": use.is_done,
            }
            for use in one.uses
        ],
        "refusals": one.refusals,
        "refused_at": time_value(one.refused_at),
        "refused": one.refused,
    }


def say_invited(invited: Invited, *, is_json: bool) -> None:
    """Print the line for the client, which is shown this once, and what it is good for."""
    one = invited.invitation
    if is_json:
        print(render_json(invited_value(invited)))
        return
    who = f"{one.count} new clients named {one.names}" if one.is_pattern else one.names
    whom = "the machine that replaces it" if one.is_again else "the machine"
    tell(f"On {'each machine' if one.count > 1 else whom}, as root:")
    print(f"\n{invited.command}\n", flush=True)
    how = "the code can be used" if one.is_pattern else "the code can be used once,"
    print_folded(f"  {how} until {format_time(one.expires_at)}, for {who}; it is shown only here")
    if one.is_again:
        print_folded(
            f"  whoever joins with it is {one.names} from then on: name, disks and backups are "
            "its own, and the key that was is worth nothing"
        )
    elif one.disks:
        print_folded(f"  disks: {name_disks(one.disks)}")
    else:
        print_folded("  disks: those that the machine's setup names, by --disk")
    print_folded(f"  to take it back: asyncamanda server invite --withdraw {one.invitation}")


def say_invitations(invitations: Sequence[Invitation], *, is_json: bool) -> None:
    """Print a row for each invitation, and what was refused."""
    if is_json:
        print(render_json([invitation_value(one) for one in invitations]))
        return
    if not invitations:
        print("there are no invitations; see `asyncamanda server invite --help`")
        return
    print_table(HEADS, [_describe(one) for one in invitations])
    for one in invitations:
        if one.refused_at:
            times = "once" if one.refusals == 1 else f"{one.refusals} times"
            print_folded(
                f"{one.invitation} was refused {times}, last at {format_time(one.refused_at)}, to "
                f"{one.refused}"
            )


def _describe(one: Invitation) -> tuple[str, ...]:
    joined = ", ".join(use.client + ("" if use.is_done else " (not done)") for use in one.uses)
    if one.is_pattern:
        joined = f"{len(one.uses)} of {one.count}" + (f": {joined}" if joined else "")
    names = f"{one.names} again" if one.is_again else one.names
    disks = " ".join(one.disks)
    state = one.state(read_clock())
    return (one.invitation, names, state, joined or "-", format_time(one.expires_at), disks or "-")

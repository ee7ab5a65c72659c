"""Arguments that `list` and `restore` share: as of when, and of which disk."""

import argparse

from asyncamanda.core.restore.request import At
from asyncamanda.core.restore.when import parse_when
from asyncamanda.errors import UsageError
from asyncamanda.system.clock import local_zone
from asyncamanda.system.clock import now as read_clock


def add_date(parser: argparse.ArgumentParser) -> None:
    """Let the command line say as of when, and name a disk."""
    parser.add_argument(
        "--at",
        metavar="WHEN",
        help='as of when: yesterday, "3 days ago", 2026-11-20, "2026-11-20 14:00", a run, or '
        "latest (the default)",
    )
    parser.add_argument(
        "--disk",
        metavar="DISK",
        help="the disk, as `asyncamanda list` names it (default: the one that PATH is on)",
    )


def parse_date(text: str | None) -> At:
    """Return the date that was asked for. Raises UsageError if it is none."""
    if text is None:
        return At()
    try:
        when = parse_when(text, read_clock().astimezone(local_zone()))
    except ValueError as error:
        raise UsageError(
            "bad-date", f"--at: {error}", "`asyncamanda list` shows from when to when there is what"
        ) from error
    return At(when.before, when.run or "")

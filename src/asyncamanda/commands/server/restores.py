"""asyncamanda server restores: list what was restored: when, by whom, which files."""

import argparse

from asyncamanda.commands.server.options import (
    add_common,
    load_as_amanda_user,
    open_ledger_to_read,
)
from asyncamanda.commands.server.runs import SHOWN, read_count
from asyncamanda.core.dispatch.records import RestoreRow
from asyncamanda.errors import Exit
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.restores import describe_restore, restore_value
from asyncamanda.system.processes import read_boot_id, read_process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("client", metavar="CLIENT", nargs="?", help="list only this client's")
    parser.add_argument(
        "-n",
        metavar="COUNT",
        dest="count",
        type=read_count,
        default=SHOWN,
        help=f"number of restores to list (default: {SHOWN})",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print two lines for each of the last restores, the newest last.

    Raises what options.open_ledger_to_read() raises.
    """
    rows = _read(arguments)
    if arguments.json:
        print(render_json([restore_value(row, is_alive=_is_alive(row)) for row in rows]))
    elif not rows:
        print("nothing was restored yet")
    else:
        for row in rows:
            head, what = describe_restore(row, is_alive=_is_alive(row))
            print_folded(head)
            print_folded(what, "  ")
    return Exit.OK


def _read(arguments: argparse.Namespace) -> list[RestoreRow]:
    """Return the restores that are meant, the oldest first."""
    ledger = open_ledger_to_read(load_as_amanda_user(arguments))
    if ledger is None:
        return []
    try:
        return ledger.restores.list_recent(arguments.client, arguments.count)[::-1]
    finally:
        ledger.close()


def _is_alive(row: RestoreRow) -> bool:
    """Return whether the process that serves it is still there."""
    if row.ended_at is not None or row.boot_id != read_boot_id():
        return False
    process = read_process(row.pid)
    return process is not None and process.started == row.pid_started

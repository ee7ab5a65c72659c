"""asyncamanda server page: write the page of all clients, for a browser."""

import argparse
import socket
from contextlib import closing, nullcontext
from pathlib import Path

from asyncamanda.commands.server.options import (
    add_common,
    load_as_amanda_user,
    open_ledger_to_read,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.errors import Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.restore import count_things
from asyncamanda.server.fleet.gathering import gather_fleet
from asyncamanda.server.fleet.page_folder import WrittenPage, write_page
from asyncamanda.system.clock import now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--to",
        metavar="DIR",
        help="the folder to write it into (default: [page] folder of server.toml)",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Write the page, and say where it is.

    Raises UsageError if nobody says where to, and what gather_fleet() and write_page() raise.
    """
    named = Path(arguments.to).absolute() if arguments.to else None
    config = load_as_amanda_user(arguments)
    if named is None and not config.page.folder:
        raise UsageError(
            "no-folder",
            "it is not said where the page is to be",
            "--to names a folder; so does `folder` below [page] in server.toml",
        )
    folder = named or Path(config.page.folder)
    written = write_page(folder, _look(config), socket.gethostname())
    _tell(arguments, folder, written)
    return Exit.OK


def _look(config: ServerConfig) -> FleetView:
    ledger = open_ledger_to_read(config)
    with closing(ledger) if ledger else nullcontext():
        return gather_fleet(config, ledger, now())


def _tell(arguments: argparse.Namespace, folder: Path, written: WrittenPage) -> None:
    page = str(folder / "index.html")
    if arguments.json:
        value = {
            "page": page,
            "clients": written.clients,
            "written": written.written,
            "removed": written.removed,
        }
        print(render_json(value))
        return
    changed = f"{count_things(written.written, 'file')} written" if written.written else "unchanged"
    gone = f", {written.removed} removed" if written.removed else ""
    print(f"{page}: {count_things(written.clients, 'client')}, {changed}{gone}")

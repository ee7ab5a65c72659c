"""asyncamanda list: what can be restored: disks, files as they were at a date, their versions."""

import argparse
import contextlib
import os
import sys
from functools import partial

from asyncamanda.client.restore.exchange import Interrupted
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.listing import NOTHING_MATCHED, Listed, list_names
from asyncamanda.client.restore.seeking import FindNames, Seeker, absolute_names, name_here
from asyncamanda.client.restore.way import OpenWay, open_line
from asyncamanda.commands.dates import add_date, parse_date
from asyncamanda.commands.hints import adapt_hint, name_options, naming, settle_paths
from asyncamanda.commands.listed_names import JsonNamePrinter, ListedFolder, NamePrinter
from asyncamanda.commands.options import add_common
from asyncamanda.core.restore.answer import DiskAnswer
from asyncamanda.core.restore.request import At, ListRequest
from asyncamanda.core.restore.whereabouts import folder_of, join
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.narrator import write_line
from asyncamanda.report.page import fold, fold_hint
from asyncamanda.report.restore import (
    GET_IMAGES,
    disk_remarks,
    disk_rows,
    disk_value,
    show,
    text_of,
    version_rows,
    version_value,
)
from asyncamanda.report.table import print_table
from asyncamanda.system.interrupts import catch_stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_listing(parser)
    add_common(parser)


def add_listing(parser: argparse.ArgumentParser) -> None:
    """Let the command line say what is listed, and how."""
    parser.add_argument("path", nargs="?", metavar="PATH", help="a file or folder (default: disks)")
    add_date(parser)
    parser.add_argument(
        "--versions", action="store_true", help="show every version of PATH that can be restored"
    )
    parser.add_argument(
        "--find", metavar="GLOB", help="show all below PATH that matches, such as '*.odt'"
    )
    parser.add_argument("-R", "--recursive", action="store_true", help="show all below PATH")
    parser.add_argument(
        "-0", "--null", action="store_true", help="end each name with a NUL, and escape nothing"
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Print what there is. Raises what run_over() raises."""
    options = name_options(config=arguments.config)
    typed = settle_paths(arguments.typed, [arguments.path or ""], name_here())
    with naming(options, typed=typed):
        get_images = adapt_hint(GET_IMAGES, options)
        return run_over(arguments, partial(open_line, arguments.config), get_images=get_images)


def run_over(
    arguments: argparse.Namespace,
    open_way: OpenWay,
    find_names: FindNames = absolute_names,
    get_images: str = GET_IMAGES,
) -> Exit:
    """Print what there is at the other end of the line that `open_way` yields.

    `get_images` is the command for whole images, with {} for the disk. Raises what Gateway.ask()
    raises, and BadDataError for nothing.
    """
    at = parse_date(arguments.at)
    _check(arguments)
    with catch_stop() as stop:
        gateway = Gateway(partial(open_way, stop), stop, _tell)
        with contextlib.closing(gateway):
            try:
                if arguments.path is None and arguments.find is None:
                    _print_disks(gateway.ask_disks(), get_images, is_json=arguments.json)
                    return Exit.OK
                return _run(arguments, gateway, at, find_names)
            except Interrupted:
                raise gateway.explain_stop() from None


def _check(arguments: argparse.Namespace) -> None:
    alone = arguments.path is None and arguments.find is None
    wrong = ""
    if alone and (arguments.at or arguments.versions or arguments.recursive or arguments.null):
        wrong = "--at, --versions, --recursive and -0 need a PATH"
    elif arguments.versions and (arguments.find or arguments.recursive or arguments.null):
        wrong = "--versions shows one PATH, not with --find, --recursive or -0"
    elif arguments.json and arguments.null:
        wrong = "--json and -0 are two forms of one answer"
    if wrong:
        raise UsageError("usage", wrong, "asyncamanda list --help lists the options")


def _run(arguments: argparse.Namespace, gateway: Gateway, at: At, find_names: FindNames) -> Exit:
    disks = gateway.ask_disks(asks_on=True)
    seeker = Seeker(gateway, disks, arguments.disk, find_names)
    if arguments.path is None:
        wanted = [
            ListedFolder(disk, b"", folder_of(disk) or os.fsencode(disk.disk))
            for disk in disks
            if disk.is_listable and arguments.disk in {None, disk.disk}
        ]
    else:
        disk, path = seeker.find(arguments.path, at)
        typed = os.fsencode(arguments.path)
        wanted = [ListedFolder(disk, path, typed.rstrip(b"/") or b"/")]
    if arguments.versions:
        return _print_versions(gateway, wanted[0], is_json=arguments.json)
    printer = JsonNamePrinter() if arguments.json else NamePrinter(is_raw=arguments.null)
    return _print_names(arguments, gateway, wanted, at, printer)


def _print_names(
    arguments: argparse.Namespace,
    gateway: Gateway,
    wanted: list[ListedFolder],
    at: At,
    printer: NamePrinter | JsonNamePrinter,
) -> Exit:
    """Print what each of `wanted` has; of several at least one has to have something."""
    glob = os.fsencode(arguments.find) if arguments.find is not None else b""
    is_deep = bool(glob) or arguments.recursive
    unmatched: BadDataError | None = None
    for folder in wanted:
        listed = Listed()
        request = ListRequest(folder.disk.disk, folder.path, at, glob, is_deep=is_deep)
        try:
            for records in list_names(gateway, request, listed, folder.top):
                printer.take(folder, records)
        except BadDataError as error:
            if error.reference != NOTHING_MATCHED:
                raise
            unmatched = error
        printer.note(folder, listed)
    if unmatched and not printer.count:
        raise unmatched
    printer.end()
    return Exit.OK


def _print_versions(gateway: Gateway, folder: ListedFolder, *, is_json: bool) -> Exit:
    listed = Listed()
    request = ListRequest(folder.disk.disk, folder.path, is_every_version=True)
    for _ in list_names(gateway, request, listed, folder.top):
        pass
    path = join(folder.top, folder.path)
    if is_json:
        versions = [version_value(each) for each in listed.versions]
        value = {"path": text_of(path), "disk": folder.disk.disk, "versions": versions}
        print(render_json(value))
        return Exit.OK
    print(show(path))
    if listed.versions:
        heads = ("as of", "run", "size", "modified", "contents")
        print_table(heads, version_rows(listed.versions))
    return Exit.OK


def _print_disks(disks: list[DiskAnswer], get_images: str, *, is_json: bool) -> None:
    if is_json:
        print(render_json([disk_value(disk) for disk in disks]))
        return
    if not disks:
        print("nothing of this client can be restored yet")
        return
    print_table(("disk", "from", "to", "dumps"), disk_rows(disks))
    for line in disk_remarks(disks, get_images):
        print(fold_hint(line, sys.stdout))


def _tell(text: str) -> None:
    write_line(sys.stderr, fold(text, sys.stderr))

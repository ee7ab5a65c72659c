"""asyncamanda list: what can be restored: disks, files as they were at a date, their versions."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from asyncamanda.client.restore.exchange import Interrupted
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.listing import FOLDER, NOTHING_MATCHED, Listed, list_names
from asyncamanda.client.restore.seeking import FindNames, Seeker, absolute_names
from asyncamanda.client.restore.way import OpenWay, open_line
from asyncamanda.commands.dates import add_date, parse_date
from asyncamanda.commands.hints import adapt_hint, name_options, naming
from asyncamanda.commands.options import add_common
from asyncamanda.core.restore.answer import DiskAnswer
from asyncamanda.core.restore.request import At, ListRequest
from asyncamanda.core.restore.whereabouts import folder_of, join
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import BadDataError, Exit, ProtocolError, UsageError
from asyncamanda.report.json import render_json, time_value
from asyncamanda.report.narrator import is_watched, write_line
from asyncamanda.report.page import fold, fold_hint
from asyncamanda.report.restore import (
    GET_IMAGES,
    count_things,
    disk_remarks,
    disk_rows,
    disk_value,
    show,
    text_of,
    version_rows,
    version_value,
)
from asyncamanda.report.stream import styled
from asyncamanda.report.table import print_table
from asyncamanda.report.text import format_time
from asyncamanda.system.interrupts import catch_stop

Names = Iterator[list[bytes]]


@dataclass(frozen=True, slots=True)
class _Folder:
    """What is listed: below which path of a disk, and how that was typed (b"" for nothing)."""

    disk: DiskAnswer
    path: bytes
    typed: bytes

    @property
    def top(self) -> bytes:
        """The disk's folder."""
        return folder_of(self.disk) or b"/"

    def name(self, path: bytes) -> bytes:
        """Return a path of the disk as it is shown: as what was typed goes on."""
        tail = path[len(self.path) :].lstrip(b"/")
        is_below = path == self.path or path.startswith(self.path and self.path + b"/")
        leads_out = b".." in path and b".." in path.split(b"/")
        if not is_below or leads_out or not (self.typed or tail):
            raise ProtocolError(
                "bad-answer", "the server lists what was not asked for", "is it your server?"
            )
        if self.typed == b".":
            return tail or b"."
        return join(self.typed, tail) if self.typed else tail


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
    with naming(options, typed=arguments.typed):
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
            _Folder(disk, b"", folder_of(disk) or os.fsencode(disk.disk))
            for disk in disks
            if disk.is_listable and arguments.disk in {None, disk.disk}
        ]
    else:
        disk, path = seeker.find(arguments.path, at)
        typed = os.fsencode(arguments.path)
        wanted = [_Folder(disk, path, typed.rstrip(b"/") or b"/")]
    if arguments.versions:
        return _print_versions(gateway, wanted[0], is_json=arguments.json)
    printer = _JsonPrinter() if arguments.json else _Printer(is_raw=arguments.null)
    return _print_names(arguments, gateway, wanted, at, printer)


def _print_names(
    arguments: argparse.Namespace,
    gateway: Gateway,
    wanted: list[_Folder],
    at: At,
    printer: "_Printer | _JsonPrinter",
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


class _Printer:
    """Names as lines, or each with a NUL."""

    def __init__(self, *, is_raw: bool) -> None:
        self.count = 0
        self._is_raw = is_raw
        self._notes: list[str] = []
        self._stream = styled(sys.stdout)

    def take(self, folder: _Folder, records: list[bytes]) -> None:
        """Print names."""
        self.count += len(records)
        if self._is_raw:
            names = [folder.name(record[1:]) for record in records]
            self._stream.buffer.write(b"\0".join([*names, b""]))
            return
        names = [
            folder.name(record[1:]) + (b"/" if record[:1] == FOLDER else b"") for record in records
        ]
        text = b"\n".join(names).decode("utf-8", "surrogateescape")
        if text.count("\n") >= len(names) or not text.replace("\n", "").isprintable():
            text = "\n".join(map(show, names))
        self._stream.write(f"{text}\n")

    def note(self, folder: _Folder, listed: Listed) -> None:
        """Note of when the names are."""
        if listed.plan:
            when = format_time(listed.plan.dumped_at)
            self._notes.append(f"{printable(folder.disk.disk)} at {when} (run {listed.plan.run})")
            self._notes += [f"warning: {printable(doubt)}" for doubt in listed.plan.doubts]

    def end(self) -> None:
        """Say, to somebody who reads it, what was listed."""
        self._stream.flush()
        if is_watched() and self._notes:
            words = f"{count_things(self.count, 'name')} of {'; '.join(self._notes)}"
            write_line(sys.stderr, fold(words, sys.stderr))


class _JsonPrinter:
    """One JSON text, written as it comes."""

    def __init__(self) -> None:
        self.count = 0
        self._stream = styled(sys.stdout)
        self._disks: list[dict[str, object]] = []

    def take(self, folder: _Folder, records: list[bytes]) -> None:
        """Print names."""
        for record in records:
            folder.name(record[1:])  # which refuses what was not asked for
            entry = {
                "path": text_of(join(folder.top, record[1:])),
                "disk": folder.disk.disk,
                "is_folder": record[:1] == FOLDER,
            }
            self._stream.write(
                f'{{"entries": [\n{json.dumps(entry)}'
                if not self.count
                else f",\n{json.dumps(entry)}"
            )
            self.count += 1

    def note(self, folder: _Folder, listed: Listed) -> None:
        """Note of when the names are."""
        if listed.plan:
            self._disks.append(
                {
                    "disk": folder.disk.disk,
                    "run": listed.plan.run,
                    "dumped_at": time_value(listed.plan.dumped_at),
                    "doubts": list(listed.plan.doubts),
                }
            )

    def end(self) -> None:
        """Print the end of the text."""
        begin = "\n" if self.count else '{"entries": ['
        self._stream.write(f'{begin}], "disks": {json.dumps(self._disks)}}}\n')


def _print_versions(gateway: Gateway, folder: _Folder, *, is_json: bool) -> Exit:
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

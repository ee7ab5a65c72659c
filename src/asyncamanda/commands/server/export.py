"""asyncamanda server export: write all that this server knows into one file, for a new server."""

import argparse
import os
import sys
from pathlib import Path

from asyncamanda.commands.server.options import add_common, warn
from asyncamanda.config.server import SERVER_FILE, load_server_config
from asyncamanda.core.export.manifest import ExportHead
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import Exit, RefusedError, UsageError
from asyncamanda.report.exports import head_value
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.restore import count_things
from asyncamanda.server.export.exporting import MadeExport, export, export_to
from asyncamanda.server.export.output import unwritable
from asyncamanda.server.export.sources import ServerSources, find_places, read_host_keys
from asyncamanda.system.clock import now

STDOUT = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="the file to write, or - for standard output")
    parser.add_argument(
        "--host-keys",
        action="store_true",
        help="with this machine's ssh host keys, so that clients take a new server for it",
    )
    parser.add_argument(
        "--heads",
        action="store_true",
        help="with kept heads and Amanda's indexes, which are in the dumps as well, and large",
    )
    parser.add_argument(
        "--encrypt-to",
        metavar="RECIPIENT",
        action="append",
        default=[],
        help="encrypt by age, to a public key (age1..., ssh-...) or a file of them; repeatable",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Export, and say what was exported.

    Raises UsageError, RefusedError, LaterError and ConfigurationError.
    """
    at = now()
    is_stdout = arguments.file == STDOUT
    if is_stdout and (arguments.json or sys.stdout.isatty()):
        raise UsageError("usage", "an export is no text", "name a file, or send it into a pipe")
    if arguments.host_keys and os.geteuid() != 0:
        raise RefusedError("not-root", "host keys are root's", "run it as root")
    path, config = load_server_config(arguments.config)
    sources = ServerSources(
        config,
        find_places(config.user),
        read_host_keys() if arguments.host_keys else {},
        arguments.heads,
        path or SERVER_FILE,
    )
    recipients = [_find_recipient(each) for each in arguments.encrypt_to]
    if is_stdout:
        try:
            export(sys.stdout.fileno(), sources, recipients, at)
        except OSError as error:
            raise unwritable(Path("/dev/stdout"), error) from error
        return Exit.OK
    file = Path(arguments.file)
    made = export_to(file, sources, recipients, at)
    if arguments.host_keys and not recipients:
        warn(f"{file} holds the secret host keys, unencrypted: keep it where nobody reads it")
    _tell(arguments, file, made)
    return Exit.OK


def _find_recipient(word: str) -> str:
    """Return a recipient, a file's as its whole path."""
    return word if word.startswith(("age1", "ssh-")) else str(Path(word).absolute())


def _tell(arguments: argparse.Namespace, file: Path, made: MadeExport) -> None:
    size = file.stat().st_size
    head: ExportHead = made.head
    if arguments.json:
        value = {"file": str(file.absolute()), "bytes": size, **head_value(head, made.files)}
        print(render_json(value))
        return
    print_folded(
        f"{file}: {format_size(size)}, with {made.files} files: "
        f"{count_things(len(head.clients), 'client')}, "
        f"{', '.join(c.name for c in head.configs) or 'no Amanda'}"
    )
    print("on a new server, with the volumes in their place:")
    print(f"  asyncamanda server import {quote_word(file.name)}")

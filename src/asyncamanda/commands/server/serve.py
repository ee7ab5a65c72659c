"""asyncamanda server serve: answer one client that asks for files. The gate calls it, nobody else.

The question is on stdin, the answer on stdout and stderr, as docs/protocol.md says.
"""

import argparse
from pathlib import Path

from asyncamanda.commands.server.options import add_config, load_as_amanda_user
from asyncamanda.core.protocol.authority import (
    Identity,
    check_amanda_config_name,
    check_client_name,
)
from asyncamanda.errors import Exit, UsageError
from asyncamanda.server.background.log import close_log, open_own_log
from asyncamanda.server.enrol.registry import Registry, registry_path
from asyncamanda.server.gate import ipc
from asyncamanda.server.restore.recording import CLIENT
from asyncamanda.server.restore.service import RestoreCaller, RestoreService
from asyncamanda.server.restore.serving import AnswerStreams

TURNS = "restores"  # a folder in the server's own


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("client", metavar="CLIENT", help="whose dumps are asked for")
    parser.add_argument("amanda_config", metavar="NAME", help="the Amanda configuration")
    parser.add_argument("--who", default=CLIENT, help=argparse.SUPPRESS)
    add_config(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Answer; what goes wrong is a part of the answer. Raises UsageError for invalid names."""
    identity = Identity(arguments.client, arguments.amanda_config)
    try:
        check_client_name(identity.client)
        check_amanda_config_name(identity.amanda_config)
    except ValueError as error:
        raise UsageError("usage", str(error), "the gate calls this by itself") from error
    config = load_as_amanda_user(arguments)
    open_own_log(Path(ipc.STATE, "restore.log"))
    from asyncamanda.server.restore.holdings import open_holdings  # noqa: PLC0415 - loads much

    try:
        caller = RestoreCaller(identity, Registry(registry_path(config.user)), arguments.who)
        service = RestoreService(config, Path(ipc.STATE, TURNS), open_holdings)
        return service.serve(caller, 0, AnswerStreams(1, 2))
    finally:
        close_log()

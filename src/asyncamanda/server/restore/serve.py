"""asyncamanda server serve: answer one client that asks for files.

The gate calls it, and `server restore`; it is no command for people, and reads its arguments by
itself: who waits for a small file waits for all that is loaded here.

    CLIENT AMANDA_CONFIG [--who admin:USER] [--config FILE]

The question is on stdin, the answer on stdout and stderr, as docs/protocol.md says.
"""

import os
import resource
from pathlib import Path

from asyncamanda.config.server import load_server_config
from asyncamanda.core.protocol.authority import (
    Identity,
    check_amanda_config_name,
    check_client_name,
)
from asyncamanda.errors import AsyncamandaError, Exit, UsageError
from asyncamanda.server.background.log import close_log, open_own_log
from asyncamanda.server.enrol.registry import Registry, registry_path
from asyncamanda.server.gate import ipc
from asyncamanda.server.restore.answer_streams import AnswerStreams
from asyncamanda.server.restore.holdings import open_holdings
from asyncamanda.server.restore.recording import CLIENT
from asyncamanda.server.restore.service import RestoreCaller, RestoreService, fail
from asyncamanda.system.account import become_user

LEAST_MEMORY = 1 << 30  # bytes; some 200 are needed for each name of a whole disk's
SHARE = 8  # of this machine's memory

TURNS = "restores"  # a folder in the server's own
LOG = "restore.log"


def main(argv: list[str]) -> int:
    """Answer, and return the exit code; what goes wrong is a part of the answer."""
    streams = AnswerStreams(1, 2)
    try:
        return _serve(argv, streams)
    except AsyncamandaError as error:
        return fail(streams, error)
    finally:
        close_log()


def _serve(argv: list[str], streams: AnswerStreams) -> Exit:
    identity, options = parse_arguments(argv)
    bound_memory()
    _, config = load_server_config(options.get("--config"))
    if os.geteuid() == 0:
        become_user(config.user)
    open_own_log(Path(ipc.STATE, LOG))
    registry = Registry(registry_path(config.user))
    caller = RestoreCaller(identity, registry, options.get("--who", CLIENT))
    return RestoreService(config, Path(ipc.STATE, TURNS), open_holdings).serve(caller, 0, streams)


def bound_memory() -> None:
    """Let this process, and those that it starts, have a share of the memory at most.

    How much it wants is up to the client, whose images are lists of any length.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = max(LEAST_MEMORY, memory // SHARE)
    _, highest = resource.getrlimit(resource.RLIMIT_AS)
    if highest == resource.RLIM_INFINITY or most < highest:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def parse_arguments(argv: list[str]) -> tuple[Identity, dict[str, str]]:
    """Return whose dumps are asked for, and the options. Raises UsageError."""
    hint = "this is for other programs; `asyncamanda server restore` is for people"
    names, rest = argv[:2], argv[2:]
    options = dict(zip(rest[::2], rest[1::2], strict=False))
    if len(names) != 2 or len(rest) % 2 or not options.keys() <= {"--who", "--config"}:
        raise UsageError("usage", "the arguments are not CLIENT AMANDA_CONFIG", hint)
    identity = Identity(*names)
    try:
        check_client_name(identity.client)
        check_amanda_config_name(identity.amanda_config)
    except ValueError as error:
        raise UsageError("usage", str(error), hint) from error
    return identity, options

"""asyncamanda server join: enroll a machine that has come by a code; no command for people.

The forced command of an invitation's one-time key, `asyncamanda gate join ID`, is this. What the
machine says is a line on stdin, and what it hears a line on stdout (core/protocol/joining.py).
"""

import argparse
import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from asyncamanda.commands.server.options import (
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
    open_ledger_to_read,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.joining import (
    JOIN,
    LONGEST_LINE,
    JoinRequest,
    encode_join,
    parse_join_request,
)
from asyncamanda.errors import Exit, LaterError, ProtocolError, RefusedError
from asyncamanda.server.background.log import LOG, close_log, open_own_log
from asyncamanda.server.enrol.joining import JoinSite, join
from asyncamanda.server.enrol.registry import registry_path
from asyncamanda.server.gate import ipc
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.locks import Held, hold_lock

SAID_WITHIN = 30.0  # seconds
AT_ONCE = 8  # machines; the others are told to come again
TURN_WITHIN = 5.0  # seconds
_POLL = 0.1  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("invitation", metavar="ID", help="the invitation's name")
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Hear what the machine wants, enroll it, and answer.

    Raises RefusedError for anything else than that, ProtocolError for a line that is not
    understood, LaterError where too many want it at once, and what join() raises.
    """
    config = load_as_amanda_user(arguments)
    open_own_log(Path(ipc.STATE, "dispatcher.log"), largest=0)
    try:
        if os.environ.get("SSH_ORIGINAL_COMMAND") != JOIN:
            raise RefusedError(
                "code-no-shell",
                "this key opens no shell: it lets one machine join",
                "on that machine, as root: asyncamanda setup SERVER --code CODE",
            )
        request = _hear()
        with _take_turn():
            joined = join(_make_site(config), arguments.invitation, request)
        print(encode_join(joined), end="", flush=True)
    finally:
        close_log()
    return Exit.OK


def _make_site(config: ServerConfig) -> JoinSite:
    return JoinSite(
        path=registry_path(config.user),
        user=config.user,
        was_seen=lambda client: _was_seen(config, client),
        open_anew=lambda client: open_client_anew(config, client, is_settling=False),
        end_sessions=end_sessions,
    )


def _was_seen(config: ServerConfig, client: str) -> bool:
    ledger = open_ledger_to_read(config)
    if ledger is None:
        return False
    with contextlib.closing(ledger):
        return client.lower() in {name.lower() for name in ledger.sessions.last_seen()}


def _hear() -> JoinRequest:
    """Return what the machine says. Raises ProtocolError if that is not understood."""
    give_up_at, line = time.monotonic() + SAID_WITHIN, b""
    while not line.endswith(b"\n") and len(line) <= LONGEST_LINE:
        left = give_up_at - time.monotonic()
        if left <= 0 or not select.select([0], [], [], left)[0]:
            raise ProtocolError("join-silent", "no request came", "run the same command again")
        piece = os.read(0, LONGEST_LINE)
        if not piece:
            break
        line += piece
    try:
        return parse_join_request(line)
    except ValueError as error:
        LOG.warning("what a machine with an invitation says is not understood: %s", error)
        raise ProtocolError(
            "join-not-understood",
            f"the server does not understand the request: {error}",
            "is asyncamanda of about the same age on both machines?",
        ) from error


@contextlib.contextmanager
def _take_turn() -> Iterator[None]:
    """Be one of the few that may join at a time. Raises LaterError if it does not come to that."""
    give_up_at = time.monotonic() + TURN_WITHIN
    with contextlib.ExitStack() as stack:
        while not any(_try(stack, number) for number in range(AT_ONCE)):
            if time.monotonic() > give_up_at:
                raise LaterError(
                    "join-busy",
                    "the server is enrolling other machines just now",
                    "run the same command again in a moment",
                )
            time.sleep(_POLL)
        yield


def _try(stack: contextlib.ExitStack, number: int) -> bool:
    try:
        stack.enter_context(hold_lock(Path(ipc.STATE, f"join-{number}.lock"), read_clock()))
    except Held:
        return False
    except OSError as error:
        raise LaterError(
            "no-room", f"the server cannot work: {error.strerror}", "try again later"
        ) from error
    return True

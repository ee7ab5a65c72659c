"""asyncamanda unseal: answer one request from dumps that this machine has encrypted; as root.

client/restore/openers.py starts it: the question is on stdin, the answer on stdout and stderr, as
docs/protocol.md says of a server's.
"""

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from asyncamanda.client.restore.exchange import Interrupted
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.line import open_own_line
from asyncamanda.commands.sealed.dumps import Drawer
from asyncamanda.commands.sealed.heads import BeginningStore
from asyncamanda.commands.sealed.holdings import SealedHoldings
from asyncamanda.core.amanda.sealing import IDENTITY
from asyncamanda.core.restore.answer import RestoreFailed
from asyncamanda.core.restore.request import (
    LARGEST_REQUEST,
    FilesRequest,
    RawRequest,
    RestoreRequest,
    parse_request,
)
from asyncamanda.errors import AsyncamandaError, Exit, LaterError, ProtocolError, RefusedError
from asyncamanda.server.restore.answer_streams import AnswerStreams
from asyncamanda.server.restore.serving import answer_request
from asyncamanda.system.interrupts import catch_stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", metavar="FILE", help="the client's configuration")


def run(arguments: argparse.Namespace) -> Exit:
    """Answer, and return the exit code; what goes wrong is a part of the answer."""
    streams = AnswerStreams(1, 2)
    try:
        return _answer(arguments.config, streams)
    except (BrokenPipeError, Interrupted):  # nobody reads it any more
        return Exit.LATER
    except Exception as error:
        said = _explain(error)
        with contextlib.suppress(OSError):
            streams.say(RestoreFailed(int(said.exit), said.reference, said.message, said.hint))
        return said.exit


def check_identity(path: Path) -> None:
    """Raise RefusedError unless the key is there, and this process may read it."""
    if os.access(path, os.R_OK):
        return
    if os.geteuid() != 0:
        raise RefusedError("sealed", f"the key {path} is root's alone", "run it as root")
    raise RefusedError(
        "no-identity",
        f"this machine's dumps are encrypted, and the key {path} is not here",
        "asyncamanda setup SERVER --encrypt asks for the recovery key",
    )


def _answer(config: str | None, streams: AnswerStreams) -> Exit:
    request = _read_request()
    check_identity(Path(IDENTITY))
    with catch_stop() as stop:
        gateway = Gateway(partial(open_own_line, config, stop), stop, _ignore)
        with contextlib.closing(gateway):
            holdings = SealedHoldings(Drawer(gateway, _ignore), Path(IDENTITY), BeginningStore())
            answer_request(request, holdings, streams, _NoRecord())
    return Exit.OK


def _read_request() -> RestoreRequest:
    line = sys.stdin.buffer.readline(LARGEST_REQUEST + 2)
    try:
        return parse_request(line)
    except ValueError as error:
        raise ProtocolError(
            "not-understood", str(error), "is asyncamanda being upgraded?"
        ) from None


def _explain(error: Exception) -> AsyncamandaError:
    match error:
        case AsyncamandaError():
            return error
        case OSError():
            words = f"this machine cannot read what it needs: {error.strerror}"
            return LaterError("opening-failed", words, "try again")
        case MemoryError():
            words = "the backup has more files than this machine's memory is for"
            return LaterError("too-large", words, "ask for less at once")
        case _:
            sys.stderr.write("".join(traceback.format_exception(error)))
            words = "asyncamanda has failed, by a bug of its own"
            return AsyncamandaError("internal", words, "please report it")


def _ignore(_: str) -> None:
    """Say nothing: whoever asked hears of the end."""


class _NoRecord:
    """The server writes down what it sends, and nobody else need."""

    def begin(
        self, request: FilesRequest | RawRequest, run: str, counts: Callable[[], tuple[int, int]]
    ) -> None:
        pass

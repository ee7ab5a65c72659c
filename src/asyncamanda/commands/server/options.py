"""What all subcommands of `server` share."""

import argparse
import difflib
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import BadDataError, LaterError, ProtocolError, RefusedError
from asyncamanda.report.narrator import write_line
from asyncamanda.server.gate import ipc
from asyncamanda.system.account import become_user

if TYPE_CHECKING:
    from asyncamanda.server.ledger.ledger import Ledger

LEDGER_PATIENCE = timedelta(seconds=5)  # with a ledger that is being written


def add_common(parser: argparse.ArgumentParser) -> None:
    """Let the command line name the configuration file, and ask for JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)


def add_client(parser: argparse.ArgumentParser) -> None:
    """Let the command line name the client."""
    parser.add_argument(
        "client",
        metavar="CLIENT",
        help="the client's name as `asyncamanda server clients` lists it",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Let the command line name the configuration file."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration file (default: /etc/asyncamanda/server.toml, if there is one)",
    )


def load_as_amanda_user(arguments: argparse.Namespace) -> ServerConfig:
    """Return the server's configuration, and become the Amanda user if root started this.

    Raises ConfigurationError for every mistake in the file, or if there is no such user.
    """
    _, config = load_server_config(arguments.config)
    if os.geteuid() == 0:
        become_user(config.user)
    return config


def open_ledger_to_read(config: ServerConfig) -> "Ledger | None":
    """Return the ledger, in which nothing is changed; None if there is none yet.

    Raises LedgerUnavailable if it cannot be read, RefusedError to a user who may not enter its
    folder.
    """
    from asyncamanda.server.ledger.ledger import Ledger, LedgerUnavailable  # noqa: PLC0415 - loads much

    place = config.ledger
    try:
        if place.startswith("/"):
            Path(place).stat()
        return Ledger.open(place, LEDGER_PATIENCE, is_owner=False)
    except PermissionError as error:
        raise refuse_stranger(place, config.user) from error
    except (FileNotFoundError, NotADirectoryError):
        return None
    except LedgerUnavailable as error:
        if error.reference != "ledger-missing":
            raise
        return None


def ask_dispatcher(user: str, *words: str) -> dict[str, Any] | None:
    """Return what the dispatcher answers to `words`; None if no dispatcher runs.

    Raises RefusedError to a user who may not enter its folder (`user` owns it), LaterError if it
    does not answer, ProtocolError if its answer is invalid.
    """
    try:
        text = ipc.ask_dispatcher(*words)
        answer = None if text is None else parse_json(text)
    except PermissionError as error:
        raise refuse_stranger(ipc.STATE, user) from error
    except OSError as error:
        raise LaterError(
            "dispatcher-silent",
            f"the dispatcher does not answer: {error}",
            f"{ipc.STATE}/dispatcher.log may say why; try again in a moment",
        ) from error
    except ValueError as error:
        raise not_understood() from error
    if answer is not None and (not isinstance(answer, dict) or "error" in answer):
        raise not_understood()
    return answer


def open_client_anew(config: ServerConfig, client: str, *, is_settling: bool) -> bool:
    """Let the next machine with the client's key be the client; return whether that is news.

    `is_settling`: only if two machines were said to be it. Raises LedgerUnavailable or LedgerBusy
    if that cannot be written down, RefusedError to a user who may not read the ledger.
    """
    ledger = open_ledger_to_read(config)
    if ledger is None:
        return False
    from asyncamanda.server.ledger.machines import open_anew  # noqa: PLC0415 - loads much

    try:
        return open_anew(ledger, client, is_settling=is_settling)
    finally:
        ledger.close()


def refuse_stranger(place: str, user: str) -> RefusedError:
    """Return the error for a user who may not read `place`, which is the Amanda user's."""
    return RefusedError(
        "not-amanda-user",
        f"this account cannot access {place}",
        f"run the same command as root or as {user}",
    )


def unknown_client(client: str, known: Iterable[str], *, of_backups: bool = False) -> BadDataError:
    """Return the error for a client that is not enrolled; `known` are those that are.

    `of_backups`: it is asked for what it has on the server, which is there still after it was
    renamed or retired.
    """
    enrolled = list(known)
    close = difflib.get_close_matches(client, enrolled, 3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    if of_backups:
        hint += "for one that was renamed or retired, add --amanda-config NAME; "
    elif not enrolled:
        hint += "`asyncamanda server enroll` enrolls one; "
    return BadDataError(
        "no-such-client",
        f"no client {printable(client)} is enrolled",
        f"{hint}`asyncamanda server clients` lists all",
    )


def not_understood() -> ProtocolError:
    """Return the error for an answer of the dispatcher's that is invalid."""
    return ProtocolError(
        "not-understood",
        "the dispatcher's answer is not understood",
        "was asyncamanda updated while it was running? the dispatcher ends by itself when it is "
        "idle",
    )


def end_sessions(client: str) -> int:
    """Make the dispatcher end the client's connections; return how many it ended.

    If that fails, a warning says so.
    """
    try:
        answer = ipc.ask_dispatcher("drop", client)
        ended = parse_json(answer)["dropped"] if answer else 0
    except (OSError, ValueError, KeyError) as error:
        warn(f"the dispatcher did not end the connections of {client}: {error}")
        return 0
    return ended if isinstance(ended, int) else 0


def warn(text: str) -> None:
    """Write a warning, which changes nothing about how the command ends."""
    write_line(sys.stderr, f"warning: {text.rstrip()}")

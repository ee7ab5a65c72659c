"""asyncamanda server flush: flush the holding disk as soon as no run is active."""

import argparse
import time
from datetime import timedelta

from asyncamanda.commands.server.options import (
    add_common,
    ask_dispatcher,
    load_as_amanda_user,
    not_understood,
    refuse_stranger,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import check_amanda_config_name
from asyncamanda.core.values.shellwords import as_user, quote_word
from asyncamanda.errors import (
    AsyncamandaError,
    Exit,
    LaterError,
    RefusedError,
    UsageError,
    parse_error,
)
from asyncamanda.report.json import render_json
from asyncamanda.server.enrol.amanda_configs import choose_amanda_config
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.start_dispatcher import NoDispatcher, fetch_dispatcher
from asyncamanda.system.clock import now as read_clock

OPENS_WITHIN = timedelta(seconds=30)  # the Amanda configuration, which the dispatcher has to read
POLL = 0.2  # seconds

_WORDS = {
    "asked for": "requested: it starts as soon as no run is active",
    "nothing is held": "nothing is held",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="the Amanda configuration (default: the only one)",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Ask the dispatcher, started if there is none, for a flush.

    Raises UsageError or BadDataError for a name that no Amanda configuration has, RefusedError to
    another user or if the state folder cannot be used, LaterError if no dispatcher starts, the
    reason why the dispatcher cannot use the configuration, and what ask_dispatcher() raises.
    """
    config = load_as_amanda_user(arguments)
    name = _check_name(arguments.name)
    answer = _ask_for_flush(name, config)
    if answer not in _WORDS:
        raise not_understood()
    print(render_json({"flush": answer}) if arguments.json else _WORDS[answer])
    return Exit.OK


def _check_name(name: str | None) -> str:
    try:
        if name is not None:
            check_amanda_config_name(name)
    except ValueError as error:
        raise UsageError("bad-name", f"NAME: {error}", "such as: daily") from error
    return choose_amanda_config(name, "asyncamanda server flush NAME")


def _ask_for_flush(name: str, config: ServerConfig) -> str:
    """Return the dispatcher's answer, as soon as it has opened the configuration."""
    give_up_at = read_clock() + OPENS_WITHIN
    while True:
        answer = ask_dispatcher(config.user, "flush", name)
        if answer is None:
            _start_dispatcher(config)
        elif "fault" in answer:
            raise _parse_fault(answer["fault"])
        elif answer.get("flush") != "opening":
            return str(answer.get("flush"))
        if read_clock() > give_up_at:
            raise LaterError(
                "amanda-config-not-opened",
                f"the dispatcher has not opened {name} within {OPENS_WITHIN.seconds} s",
                f"{ipc.STATE}/dispatcher.log says why; does this pass, "
                + as_user(config.user, f"amcheck -s {quote_word(name)}"),
            )
        time.sleep(POLL)


def _parse_fault(fault: object) -> AsyncamandaError:
    """Return why there can be no flush, in the dispatcher's words. Raises ProtocolError."""
    try:
        if isinstance(fault, dict):
            return parse_error(fault)
    except (KeyError, TypeError, ValueError) as error:
        raise not_understood() from error
    raise not_understood()


def _start_dispatcher(config: ServerConfig) -> None:
    try:
        line = fetch_dispatcher()
    except PermissionError as error:
        raise refuse_stranger(ipc.STATE, config.user) from error
    except OSError as error:
        raise RefusedError(
            "state-not-writable",
            f"{ipc.STATE} cannot be used: {error.strerror}",
            "as root, `asyncamanda server setup` creates it",
        ) from error
    except NoDispatcher as error:
        raise LaterError(
            "dispatcher-not-started",
            error.reason,
            f"{ipc.STATE}/dispatcher.log may say more",
        ) from error
    line.close()

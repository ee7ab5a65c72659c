"""asyncamanda server dispatch: run the dispatcher in the foreground, such as for a service."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from asyncamanda.commands.server.options import add_config, load_as_amanda_user
from asyncamanda.errors import AsyncamandaError, Exit, LaterError, RefusedError
from asyncamanda.server.background.log import close_log, open_log
from asyncamanda.server.background.tasks import write_trouble
from asyncamanda.server.enrol.registry import Registry, registry_path
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.start_dispatcher import HELD
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.locks import Held, hold_lock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--on-demand", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--take-over-ledger",
        action="store_true",
        help="first make this server the owner of a ledger in PostgreSQL that another server used",
    )
    add_config(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Serve until nothing is left to do, or a signal says stop.

    Raises LaterError if another dispatcher runs; one that a gate started just ends then. Such a one
    says on stdout, to the gate, why it ends.
    """
    open_log(Path(ipc.STATE, "dispatcher.log") if arguments.on_demand else None)
    try:
        return _serve(arguments)
    except AsyncamandaError as error:
        if not arguments.on_demand:
            raise
        print(" ".join(f"{error.message} ({error.hint})".split()), flush=True)
        write_trouble(error)
        return error.exit
    finally:
        close_log()


def _serve(arguments: argparse.Namespace) -> Exit:
    config = load_as_amanda_user(arguments)
    with ExitStack() as stack:
        if not _lock(stack, is_on_demand=arguments.on_demand):
            print(HELD, flush=True)
            return Exit.OK
        from asyncamanda.server.dispatch.dispatcher import dispatch  # noqa: PLC0415 - loads SQLAlchemy

        if arguments.take_over_ledger:
            from asyncamanda.server.dispatch.ledger_care import take_over_ledger  # noqa: PLC0415 - as above

            take_over_ledger(config)
        has_failed = dispatch(config, Registry(registry_path(config.user)))
    return Exit.INTERNAL if has_failed else Exit.OK


def _lock(stack: ExitStack, *, is_on_demand: bool) -> bool:
    """Lock out other dispatchers until `stack` ends; return False if a wanted one is running."""
    try:
        lock = hold_lock(Path(ipc.STATE, "dispatcher.lock"), read_clock())
        stack.enter_context(lock)
    except Held as held:
        if is_on_demand:
            return False
        raise LaterError(
            "already-running",
            f"a dispatcher is already running: pid {held.holder.pid}",
            "one serves all clients; it ends by itself when it has been idle for a while",
        ) from None
    except OSError as error:
        raise RefusedError(
            "state-not-writable",
            f"{ipc.STATE} cannot be used: {error.strerror}",
            "as root, `asyncamanda server setup` creates it",
        ) from error
    return True

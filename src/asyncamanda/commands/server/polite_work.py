"""What the commands share that the dispatcher starts after runs (server/dispatch/polite.py)."""

import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from asyncamanda.core.protocol.authority import check_amanda_config_name
from asyncamanda.errors import AsyncamandaError, Exit, UsageError
from asyncamanda.server.background.log import LOG, close_log, open_own_log
from asyncamanda.server.gate import ipc
from asyncamanda.system.clock import now
from asyncamanda.system.locks import Held, hold_lock

MEMORY = 1 << 30  # bytes


class Order(Protocol):
    """What such a command is told on stdin: at least for which Amanda configuration."""

    @property
    def amanda_config(self) -> str:
        """The configuration's name."""


OrderT = TypeVar("OrderT", bound=Order)


def read_order(parse: Callable[[str], OrderT]) -> OrderT:
    """Return what is on stdin, and bound this process's memory. Raises UsageError."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        order = parse(sys.stdin.read())
        check_amanda_config_name(order.amanda_config)
    except ValueError as error:
        raise UsageError("usage", str(error), "the dispatcher calls this by itself") from error
    return order


def do_alone(
    log: str, folder: Path, amanda_config: str, fault: str, doing: Callable[[], None]
) -> Exit:
    """Do it, unless another process does that for the configuration already; return OK.

    The lock is in `folder`, which is made. The file `log` in the state folder has what was in the
    way; `fault` says what is not so then.
    """
    open_own_log(Path(ipc.STATE, log))
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(Held), hold_lock(folder / f"{amanda_config}.lock", now()):
            doing()
    except (OSError, AsyncamandaError) as error:
        LOG.warning("%s: %s: %s", amanda_config, fault, error)
    finally:
        close_log()
    return Exit.OK

"""By which way this user's requests reach the gate."""

import contextlib
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from enum import Enum

from asyncamanda.client.restore.line import Line, OwnLine, open_own_line
from asyncamanda.client.restore.local_line import open_broker
from asyncamanda.client.restore.openers import hold_openers
from asyncamanda.client.start.sealing import is_sealing
from asyncamanda.config.client import candidate_files, is_own, load_client_config
from asyncamanda.errors import NotYoursError
from asyncamanda.system.interrupts import StopRequest

OpenWay = Callable[[StopRequest], AbstractContextManager[Line]]  # a signal may say stop


class Way(Enum):
    """How requests reach the gate."""

    OWN = "a connection of this user's"
    BROKER = "the broker of this machine"


def choose_way(named: str | None) -> Way:
    """Return the way for this user; `named` is the configuration file, None for the usual one.

    Root, the Amanda user, and who has a configuration of their own connect themselves. Raises
    ConfigurationError if there is no configuration, or a wrong one; NotYoursError for one that was
    named and is another's.
    """
    try:
        path, settings = load_client_config(candidate_files(dict(os.environ), named))
    except NotYoursError:
        if named is not None:  # the broker knows one configuration
            raise
        return Way.BROKER
    with contextlib.suppress(KeyError):
        if pwd.getpwnam(settings.user).pw_uid == os.geteuid():
            return Way.OWN
    return Way.OWN if os.geteuid() == 0 or is_own(path) else Way.BROKER


@contextlib.contextmanager
def open_line(named: str | None, stop: StopRequest) -> Iterator[Line]:
    """Yield a line to the gate by this user's way, closed with the block.

    Raises what open_own_line() and open_broker() raise.
    """
    is_own_way = choose_way(named) is Way.OWN
    with open_gate(named, stop) if is_own_way else open_broker() as line:
        yield line


def open_gate(named: str | None, stop: StopRequest) -> AbstractContextManager[OwnLine]:
    """Return a line to what answers for the gate: to the gate, or to what opens sealed dumps.

    The latter is root's, on a machine that encrypts its dumps: it has the key, answers what the
    gate would that could read them, and is asked alike. Raises what open_own_line() raises.
    """
    if is_sealing() and os.geteuid() == 0:
        return open_own_line(named, stop, hold_openers)
    return open_own_line(named, stop)

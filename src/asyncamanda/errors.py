"""The ways a start of asyncamanda can end, and the errors that end it early.

Expected outcomes (not due, deferred) are values, not errors. Only cli.py turns an
error into an exit.
"""

from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; each one's meaning is its `meaning`, from which the docs are made."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "Exit":
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "done, or nothing due; `status`: nothing fails and nothing is stale"
    USAGE = 64, "usage: the command line is wrong"
    DATA = 65, "bad data: a file that was read is invalid"
    INTERNAL = 70, "a bug in asyncamanda"
    LATER = 75, "later: unreachable, deferred, queued elsewhere, or already running"
    PROTOCOL = 76, "the two sides do not understand each other"
    REFUSED = 77, "refused: the key, the host key, or a permission"
    CONFIGURATION = 78, "the configuration is wrong"
    NOT_STORED = (
        100,
        "not all that was asked for was done: a wanted disk is not backed up, a file was not "
        "restored; `status`: it is failing",
    )
    STALE = 101, "no backup for longer than `stale_after` (`run`: instead of 75)"


class AsyncamandaError(Exception):
    """An end that the user should hear of.

    `reference` is a stable kebab-case name of the kind of trouble, `message` says what is wrong,
    `hint` says what to do next, `exit` is the code that the process ends with. `is_told` says that
    the watchdog was told already.
    """

    exit: Exit = Exit.INTERNAL
    is_told: bool = False

    def __init__(self, reference: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.reference = reference
        self.message = message
        self.hint = hint


class UsageError(AsyncamandaError):
    """The command line is wrong."""

    exit = Exit.USAGE


class BadDataError(AsyncamandaError):
    """A file that was read is invalid, or cannot be read."""

    exit = Exit.DATA


class LaterError(AsyncamandaError):
    """It does not work now, and probably will later."""

    exit = Exit.LATER


class ProtocolError(AsyncamandaError):
    """The two sides do not understand each other."""

    exit = Exit.PROTOCOL


class EverydayError(LaterError):
    """The same, and so ordinary that it is reported on a terminal only."""


class HeldError(EverydayError):
    """Another start holds what this one needs; `is_excuse`: it may well do the work."""

    is_excuse: bool = True


class RefusedError(AsyncamandaError):
    """Something was refused: by a server, a host key check, the file system."""

    exit = Exit.REFUSED


class NotYoursError(RefusedError):
    """What was asked for is only for root and the Amanda user to see."""


class ConfigurationError(AsyncamandaError):
    """The configuration is wrong."""

    exit = Exit.CONFIGURATION


class NotStoredError(AsyncamandaError):
    """Not all that was asked for was done."""

    exit = Exit.NOT_STORED


class StaleError(AsyncamandaError):
    """It does not work now, and the last backup is alarmingly old."""

    exit = Exit.STALE


class StaleWaitError(StaleError, EverydayError):
    """The same where nothing was tried, so that it is reported again on a terminal only."""


_BY_EXIT = {
    int(kind.exit): kind
    for kind in (
        UsageError,
        BadDataError,
        LaterError,
        ProtocolError,
        RefusedError,
        ConfigurationError,
        NotStoredError,
    )
}


def kind_by_exit(
    status: int, otherwise: type[AsyncamandaError] = AsyncamandaError
) -> type[AsyncamandaError]:
    """Return the kind of error that ends a process with `status`."""
    return _BY_EXIT.get(status, otherwise)


def error_value(error: AsyncamandaError) -> dict[str, object]:
    """Return an error as a value that another process can read; parse_error() is the way back."""
    return {
        "exit": int(error.exit),
        "reference": error.reference,
        "message": error.message,
        "hint": error.hint,
    }


def parse_error(value: Mapping[str, object]) -> AsyncamandaError:
    """Return the error that another process had. Raises KeyError, TypeError or ValueError."""
    status = value["exit"]
    if not isinstance(status, int):
        raise TypeError("an exit code is a number")
    words = (str(value[name]) for name in ("reference", "message", "hint"))
    return kind_by_exit(status)(*words)

"""The system bus, queried synchronously and never for long.

The messages are jeepney's. Its own connection is not used: it waits for the bus's first reply
without a limit, and leaves received descriptors to every child.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jeepney import (
    DBusAddress,
    FileDescriptor,
    HeaderFields,
    Message,
    MessageFlag,
    MessageType,
    Parser,
    Properties,
    message_bus,
    new_method_call,
)
from jeepney.auth import BEGIN, Authenticator
from jeepney.bus import get_connectable_addresses
from jeepney.fds import fds_buf_size

CALL_SECONDS = 1.0
LOOK_SECONDS = 2.0

_ADDRESS = "unix:path=/run/dbus/system_bus_socket"
_LARGEST_MESSAGE = 1 << 20  # of what is asked here, a thousand times more than any
_LARGEST_READ = 1 << 16


class Unavailable(Exception):  # noqa: N818 - an expected outcome, not an error
    """The bus, or what was asked for on it, is not there or does not answer: says why."""


class BusRefused(Unavailable):
    """The bus or the service answered with an error: `name` is D-Bus's for it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message or name)
        self.name = name


class Bus:
    """A connection to a bus; made by open_bus() or open_system_bus()."""

    def __init__(self, line: socket.socket, give_up_at: float) -> None:
        self._line = line
        self._give_up_at = give_up_at
        self._parser = Parser()
        self._serial = 0

    def properties(self, service: str, path: str, interface: str) -> dict[str, object]:
        """Return all properties of an object by their names; a service is not started for it.

        Raises Refused, and Unavailable if there is no answer within a second.
        """
        with _OrUnavailable():
            message = Properties(DBusAddress(path, service, interface)).get_all()
            message.header.flags |= MessageFlag.no_auto_start
            (found,) = self._ask(message, CALL_SECONDS)
            if not isinstance(found, dict):
                raise Unavailable(f"{service} answered without properties")
            return {str(name): value for name, (_, value) in found.items()}

    def call(  # noqa: PLR0913, PLR0917 - what makes a call
        self,
        service: str,
        path: str,
        interface: str,
        method: str,
        signature: str | None = None,
        words: tuple[object, ...] = (),
        seconds: float = CALL_SECONDS,
    ) -> tuple[object, ...]:
        """Return what a method returns.

        Raises Refused, and Unavailable if there is no answer within `seconds`.
        """
        with _OrUnavailable():
            address = DBusAddress(path, service, interface)
            return self._ask(new_method_call(address, method, signature, words), seconds)

    def call_for_descriptor(  # noqa: PLR0913, PLR0917 - as above
        self,
        service: str,
        path: str,
        interface: str,
        method: str,
        signature: str,
        words: tuple[object, ...],
        seconds: float = CALL_SECONDS,
    ) -> int:
        """Return the descriptor that a method returns; the caller closes it, no child has it.

        Raises Refused, and Unavailable if there is no answer within `seconds`, or no descriptor.
        """
        answer = self.call(service, path, interface, method, signature, words, seconds)
        if len(answer) != 1 or not isinstance(answer[0], FileDescriptor):
            raise Unavailable(f"{service} answered without a descriptor")
        return int(answer[0].to_raw_fd())

    def greet(self) -> None:
        """Say Hello, which the bus wants first of all. Raises Unavailable."""
        with _OrUnavailable():
            self._ask(message_bus.Hello(), CALL_SECONDS)

    def _ask(self, message: Message, seconds: float) -> tuple[object, ...]:
        until = min(self._give_up_at, time.monotonic() + seconds)
        self._serial += 1
        _limit(self._line, until)
        self._line.sendall(message.serialise(serial=self._serial))
        while True:
            answer = self._receive(until)
            fields = answer.header.fields
            if fields.get(HeaderFields.reply_serial) != self._serial:
                continue  # a signal, or what came too late
            if answer.header.message_type is MessageType.error:
                text = answer.body[0] if answer.body and isinstance(answer.body[0], str) else ""
                raise BusRefused(str(fields.get(HeaderFields.error_name)), text)
            return tuple(answer.body)

    def _receive(self, until: float) -> Message:
        while (message := self._parser.get_next_message()) is None:
            wanted = self._parser.bytes_desired()
            if wanted > _LARGEST_MESSAGE:
                raise Unavailable("the bus sends what is no message")
            _limit(self._line, until)
            # one message at a time: descriptors belong to the one that they come with
            piece, extra, _, _ = self._line.recvmsg(
                min(wanted, _LARGEST_READ), fds_buf_size(), socket.MSG_CMSG_CLOEXEC
            )
            self._parser.add_data(_some(piece), fds=FileDescriptor.from_ancdata(extra))
        return message


@contextmanager
def open_system_bus(
    seconds: float = LOOK_SECONDS, *, with_descriptors: bool = False
) -> Iterator[Bus]:
    """Yield the system bus, for `seconds` in all; what is asked later is not answered.

    `with_descriptors`: methods may return them. Raises Unavailable if there is no bus.
    """
    address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or _ADDRESS
    with open_bus(address, seconds, with_descriptors=with_descriptors) as bus:
        yield bus


@contextmanager
def open_bus(
    address: str, seconds: float = LOOK_SECONDS, *, with_descriptors: bool = False
) -> Iterator[Bus]:
    """Yield the bus at `address`, which may be a user's own, as open_system_bus() does."""
    give_up_at = time.monotonic() + seconds
    line = _connect(address, min(give_up_at, time.monotonic() + CALL_SECONDS), with_descriptors)
    with line:
        bus = Bus(line, give_up_at)
        bus.greet()
        yield bus


def _connect(addresses: str, until: float, with_descriptors: bool) -> socket.socket:
    """Return a socket on which the bus takes messages. Raises Unavailable."""
    with _OrUnavailable():
        address, *others = get_connectable_addresses(addresses)
        try:
            return _log_in(address, until, with_descriptors)
        except OSError:
            if not others:
                raise
            return _log_in(others[0], until, with_descriptors)


def _log_in(address: str, until: float, with_descriptors: bool) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    try:
        _limit(line, until)
        line.connect(address)
        talk = Authenticator(enable_fds=with_descriptors)
        for words in talk:
            _limit(line, until)
            line.sendall(words)
            talk.feed(_some(line.recv(1024)))
        line.sendall(BEGIN)
    except BaseException:
        line.close()
        raise
    return line


def _some(piece: bytes) -> bytes:
    if not piece:
        raise Unavailable("the bus hung up")
    return piece


def _limit(line: socket.socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    line.settimeout(left)


class _OrUnavailable:
    """Turns whatever goes wrong into Unavailable."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # jeepney meets foreign bytes with whatever they lead to: KeyError, struct.error, ...
        if isinstance(error, Exception) and not isinstance(error, Unavailable):
            raise Unavailable(_explain(error)) from error


def _explain(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"not understood: {error!r}"

"""Messages as they go between agent and gate: one line of JSON each."""

import json
from typing import Generic, NoReturn, TypeVar, get_args

from asyncamanda.core.protocol.codec import fit_record, read_record, write_record, write_value
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_CLIENT,
    LARGEST_FROM_SERVER,
    BadLine,
    ClientMessage,
    ServerMessage,
)
from asyncamanda.core.values.foreign import parse_json

M = TypeVar("M", ClientMessage, ServerMessage)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """Return `message` as one line, its end included. Times have to be aware.

    What is longer or larger than the other side will take is brought within its bounds. Raises
    ValueError where that cannot be, as for a name (fitting.py handles that).
    """
    value = {"type": _name(type(message)), **write_record(fit_record(message))}
    line = json.dumps(value, default=write_value, separators=(",", ":"), allow_nan=False)
    return line.encode("ascii") + b"\n"


class MessageDecoder(Generic[M]):
    """Bytes of one direction into its messages; client_decoder() and server_decoder() make one.

    It keeps at most one unfinished line.
    """

    def __init__(self, kinds: tuple[type[M], ...], largest: int) -> None:
        self._kinds: dict[str, type[M]] = {_name(kind): kind for kind in kinds}
        self._largest = largest
        self._kept = bytearray()
        self._is_skipping = False

    def feed(self, received: bytes) -> list[M | BadLine]:
        """Return what `received` completes, in order. Accepts any bytes, and never raises.

        A line that is too long is one BadLine as soon as that is seen, and is not kept. Blank lines
        and messages of an unknown type are skipped.
        """
        found: list[M | BadLine] = []
        for index, piece in enumerate(received.split(b"\n")):
            if index:
                found += self._end_line()
            if self._is_skipping:
                continue
            if len(self._kept) + len(piece) > self._largest:
                self._is_skipping = True
                self._kept.clear()
                found.append(BadLine("too long"))
            else:
                self._kept += piece
        return found

    def _end_line(self) -> list[M | BadLine]:
        line = bytes(self._kept)
        self._kept.clear()
        self._is_skipping = False
        if not line.strip():
            return []
        try:
            message = self._read(line)
        except ValueError as error:
            return [BadLine(str(error))]
        return [] if message is None else [message]

    def _read(self, line: bytes) -> M | None:
        """Return the message in `line`, None for an unknown type. Raises ValueError."""
        try:
            value: object = parse_json(line.decode("utf-8"), constant=_refuse_constant)
        except ValueError as error:
            raise ValueError("not JSON") from error
        name = value.get("type") if isinstance(value, dict) else None
        if not isinstance(name, str):
            raise ValueError("no object with a type")  # noqa: TRY004 - as in codec.py
        kind = self._kinds.get(name)
        return read_record(kind, value) if kind else None


def client_decoder() -> MessageDecoder[ClientMessage]:
    """Return a decoder for what one client sends."""
    return MessageDecoder(get_args(ClientMessage), LARGEST_FROM_CLIENT)


def server_decoder() -> MessageDecoder[ServerMessage]:
    """Return a decoder for what the server sends to one client."""
    return MessageDecoder(get_args(ServerMessage), LARGEST_FROM_SERVER)


def _name(kind: type) -> str:
    return kind.__name__.lower()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")

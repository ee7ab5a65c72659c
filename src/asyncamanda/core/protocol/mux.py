"""OpenSSH's multiplexing protocol: as the listener on a ControlPath and its callers speak it.

A packet is its length and then its fields, all numbers four bytes, the greatest first
(OpenSSH's PROTOCOL.mux, version 4). An ssh that finds such a socket says HELLO, asks whether
the other side lives, asks for a session, and then sends its stdin, stdout and stderr, each
with one byte of its own (mm_send_fd() in monitor_fdpass.c). It stays until the socket is
closed, and ends with the status of the EXIT_MESSAGE that it got before.

Each stream's process imports this, so it imports next to nothing.
"""

VERSION = 4
LARGEST = 65_536  # bytes of a packet; ssh's own are far smaller
DESCRIPTORS = 3  # that follow a NEW_SESSION
MOST_PACKETS = 16  # of one caller: ssh sends three

HELLO = 0x00000001
NEW_SESSION = 0x10000002
ALIVE_CHECK = 0x10000004
PERMISSION_DENIED = 0x80000002
FAILURE = 0x80000003
EXIT_MESSAGE = 0x80000004
SESSION_OPENED = 0x80000006
_ALIVE = 0x80000005
_NO_ESCAPE = 0xFFFFFFFF


class Packet:
    """What an ssh said: `kind`, and the number of its request (with HELLO: the version).

    `command` is what a NEW_SESSION is to run; None with every other kind, and where the session
    is to be a subsystem's, or one with a terminal.
    """

    __slots__ = ("command", "kind", "request")

    def __init__(self, kind: int, request: int, command: str | None = None) -> None:
        self.kind = kind
        self.request = request
        self.command = command

    def __repr__(self) -> str:
        return f"Packet({self.kind:#x}, {self.request}, {self.command!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class MuxDecoder:
    """Bytes of one ssh into its packets."""

    def __init__(self) -> None:
        self._kept = b""
        self._count = 0
        self._carriers = 0  # bytes to come that do nothing but carry a descriptor

    @property
    def is_complete(self) -> bool:
        """Whether all bytes of the last packet's descriptors have come."""
        return not self._carriers

    def feed(self, received: bytes) -> list[Packet]:
        """Return what `received` completes. Raises ValueError where it is not the protocol."""
        self._kept += received
        found: list[Packet] = []
        while True:
            carried = min(self._carriers, len(self._kept))
            self._carriers -= carried
            self._kept = self._kept[carried:]
            if self._carriers:
                return found
            body, self._kept = _take_packet(self._kept)
            if body is None:
                return found
            found.append(self._read(body))

    def _read(self, body: bytes) -> Packet:
        self._count += 1
        if self._count > MOST_PACKETS:
            raise ValueError("too many packets")
        kind, request = _number(body, 0), _number(body, 4)
        if kind != NEW_SESSION:
            return Packet(kind, request)
        self._carriers = DESCRIPTORS
        # reserved; terminal, X11, agent, subsystem, escape character; terminal's type; command
        _, at = _string(body, 8)
        wants_terminal, is_subsystem = _number(body, at), _number(body, at + 12)
        _, at = _string(body, at + 20)
        command, _ = _string(body, at)
        if wants_terminal or is_subsystem:
            return Packet(kind, request)
        return Packet(kind, request, command.decode("utf-8", "surrogateescape"))


class Reply:
    """What a master said: `kind`, and the number that it is about.

    That is the request's, or the session's with EXIT_MESSAGE. `number` is the session's with
    SESSION_OPENED, the exit status with EXIT_MESSAGE; `reason` is why something was refused.
    """

    __slots__ = ("about", "kind", "number", "reason")

    def __init__(self, kind: int, about: int, number: int = 0, reason: str = "") -> None:
        self.kind = kind
        self.about = about
        self.number = number
        self.reason = reason


class ReplyDecoder:
    """Bytes of a master into its replies."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, received: bytes) -> list[Reply]:
        """Return what `received` completes. Raises ValueError where it is not the protocol."""
        self._kept += received
        found: list[Reply] = []
        while True:
            body, self._kept = _take_packet(self._kept)
            if body is None:
                return found
            kind, about = _number(body, 0), _number(body, 4)
            if kind in {SESSION_OPENED, EXIT_MESSAGE}:
                found.append(Reply(kind, about, number=_number(body, 8)))
            elif kind in {FAILURE, PERMISSION_DENIED}:
                reason, _ = _string(body, 8)
                found.append(Reply(kind, about, reason=reason.decode("utf-8", "replace")))
            else:
                found.append(Reply(kind, about))


def new_session(request: int, command: str) -> bytes:
    """Return the request for a session without a terminal; DESCRIPTORS descriptors follow it."""
    no_terminal = no_x11 = no_agent = no_subsystem = 0
    flags = (no_terminal, no_x11, no_agent, no_subsystem)
    return _pack(NEW_SESSION, request, "", *flags, _NO_ESCAPE, "", command)


def hello() -> bytes:
    """Return the greeting."""
    return _pack(HELLO, VERSION)


def alive(request: int, pid: int) -> bytes:
    """Return the answer to ALIVE_CHECK."""
    return _pack(_ALIVE, request, pid)


def session_opened(request: int, session: int) -> bytes:
    """Return the message that a session has begun; `session` is its number from then on."""
    return _pack(SESSION_OPENED, request, session)


def permission_denied(request: int, reason: str) -> bytes:
    """Return the answer to a request that is refused; ssh prints the reason."""
    return _pack(PERMISSION_DENIED, request, reason)


def failure(request: int, reason: str) -> bytes:
    """Return the answer to a request that is not known; ssh prints the reason."""
    return _pack(FAILURE, request, reason)


def exit_message(session: int, status: int) -> bytes:
    """Return the last message of a session; ssh ends with `status` as soon as it is closed, too."""
    return _pack(EXIT_MESSAGE, session, status)


def _take_packet(received: bytes) -> tuple[bytes | None, bytes]:
    """Return the body of the first packet, None if that is not whole yet, and what follows it.

    Raises ValueError where it is none.
    """
    if len(received) < 4:
        return None, received
    end = 4 + _number(received, 0)
    if not 12 <= end <= 4 + LARGEST:
        raise ValueError(f"a packet of {end - 4} bytes")
    return (received[4:end], received[end:]) if len(received) >= end else (None, received)


def _pack(*fields: int | str) -> bytes:
    body = b"".join(map(_field, fields))
    return _field(len(body)) + body


def _field(value: int | str) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(4, "big")
    text = value.encode("utf-8", "surrogateescape")
    return len(text).to_bytes(4, "big") + text


def _number(body: bytes, at: int) -> int:
    if at + 4 > len(body):
        raise ValueError("a packet that is cut off")
    return int.from_bytes(body[at : at + 4], "big")


def _string(body: bytes, at: int) -> tuple[bytes, int]:
    """Return the string at `at`, and where the next field begins."""
    end = at + 4 + _number(body, at)
    if end > len(body):
        raise ValueError("a packet that is cut off")
    return body[at + 4 : end], end

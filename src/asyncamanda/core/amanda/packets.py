"""Amanda's packets on a connection of `auth "ssh"`, as far as asyncamanda's answers need them.

A packet is its length and its handle, four bytes each, the greatest first, and then a byte for its
kind, a text and a NUL (tcpm_send_token() and stream_sendpkt() in Amanda's security-util.c;
amanda-facts, "The network"). Ending a connection on which Amanda waits for an answer kills the
planner of Amanda 3.5.4; so all that is open is refused first, as amandad would.

Each stream's process imports this, so it imports next to nothing.
"""

REQ, REP, PREP, ACK, NAK = range(5)
LARGEST = 1 << 22  # bytes: 128 of Amanda's network blocks, and it takes no more
LONGEST_REASON = 400  # bytes; a refusal is written at once (PIPE_BUF is 4096)
MOST_OPEN = 32  # requests at a time; Amanda has one or two
_HEADER = 8
_KEPT = 64  # bytes of what Amanda sends: the service's name is among them
_STREAMING = b"SERVICE sendbackup\n"
_HAS_STREAMS = b"CONNECT "


class Conversation:
    """What is open between Amanda and a client's amandad, until a dump's data begins to come.

    Amanda's bytes go on as they are. The client's go on in whole packets, so that an answer of
    asyncamanda's fits between any two. `is_over` says that there is nothing to refuse any more and
    never will be: all bytes are to go on unseen then, those of rest() first.
    """

    def __init__(self) -> None:
        self.is_over = False
        self.fault = ""  # why nothing more of the client's goes on, if it is not the protocol
        self._amanda = _Heads()
        self._client = b""
        self._missing = 0  # bytes, until there is more to see of the client's packet
        self._pieces: list[bytes] = []
        self._open: dict[int, bool] = {}  # handles, and whether streams may follow the answer

    def hear_amanda(self, received: bytes) -> None:
        """Note what Amanda asks. What is not understood ends it: Amanda's bytes may not wait."""
        if self.is_over:
            return
        for handle, size, body in self._amanda.feed(received):
            if size == 0:  # Amanda has given it up
                self._open.pop(handle, None)
            elif body[:1] == bytes([REQ]):
                self._open[handle] = body[1:].startswith(_STREAMING)
            if size > LARGEST or len(self._open) > MOST_OPEN:
                self._open, self.is_over = {}, True
                return

    def hear_client(self, received: bytes) -> bytes:
        """Return the packets that `received` completes, for Amanda.

        An open request whose end comes without an answer gets a refusal instead.
        """
        if self.is_over:
            return received
        if self.fault:
            return b""
        self._pieces.append(received)
        self._missing -= len(received)
        if self._missing > 0:
            return b""
        self._client = b"".join((self._client, *self._pieces))
        self._pieces = []
        found = []
        at = 0
        while not self.is_over and (size := self._whole(at)):
            found.append(self._pass(self._client[at : at + size]))
            at += size
        self._client = self._client[at:]
        return b"".join(found)

    def rest(self) -> bytes:
        """Return the client's bytes that were kept, once, when it is over."""
        held = b"".join((self._client, *self._pieces))
        self._client, self._pieces = b"", []
        return held

    def refuse(self, reason: str) -> bytes:
        """Return refusals for all that is open, which then is open no longer."""
        refusals = [refusal(handle, reason) for handle in self._open]
        self._open = {}
        return b"".join(refusals)

    def _whole(self, at: int) -> int:
        """Return how many bytes the packet at `at` has, 0 if it is not whole."""
        has = len(self._client) - at
        size = _HEADER
        if has >= _HEADER:
            size += int.from_bytes(self._client[at : at + 4], "big")
        if size > _HEADER + LARGEST:
            self.fault = f"what it sent is not Amanda's: {self._client[at : at + _HEADER]!r}"
            return 0
        if has < size or has < _HEADER:
            self._missing = size - has
            return 0
        return size

    def _pass(self, packet: bytes) -> bytes:
        """Return what Amanda is to get for one of the client's packets."""
        handle = int.from_bytes(packet[4:_HEADER], "big")
        if handle not in self._open:
            return packet
        if len(packet) == _HEADER:
            del self._open[handle]
            return refusal(handle, "the client's amandad ended the request without an answer")
        if packet[_HEADER] in {REP, NAK}:
            has_streams = self._open.pop(handle)
            body = packet[_HEADER + 1 :]
            self.is_over = has_streams and body.startswith(_HAS_STREAMS) and not self._open
        return packet


class _Heads:
    """Bytes of packets into (handle, length, first bytes) of each; the rest is not kept."""

    def __init__(self) -> None:
        self._kept = b""
        self._passed = 0  # bytes to come that belong to a packet whose head was seen

    def feed(self, received: bytes) -> list[tuple[int, int, bytes]]:
        """Return the heads that `received` completes."""
        found: list[tuple[int, int, bytes]] = []
        while True:
            passed = min(self._passed, len(received))
            self._passed -= passed
            received = received[passed:]
            if self._passed or not received:
                return found
            taken = self._wanted() - len(self._kept)
            self._kept += received[:taken]
            received = received[taken:]
            if len(self._kept) >= _HEADER and len(self._kept) == self._wanted():
                handle, size = self._number(4), self._number(0)
                found.append((handle, size, self._kept[_HEADER:]))
                self._passed = size - (len(self._kept) - _HEADER)
                self._kept = b""

    def _wanted(self) -> int:
        if len(self._kept) < _HEADER or self._number(0) > LARGEST:
            return _HEADER
        return _HEADER + min(self._number(0), _KEPT)

    def _number(self, at: int) -> int:
        return int.from_bytes(self._kept[at : at + 4], "big")


def packet(handle: int, kind: int, text: str) -> bytes:
    """Return a packet; `kind` is one of REQ to NAK."""
    body = bytes([kind]) + text.encode("utf-8", "replace") + b"\0"
    return end(handle, len(body)) + body


def end(handle: int, size: int = 0) -> bytes:
    """Return the head of a packet of `size` bytes; with none of them it is its handle's end."""
    return size.to_bytes(4, "big") + handle.to_bytes(4, "big")


def refusal(handle: int, reason: str) -> bytes:
    """Return the NAK that ends a request; Amanda's log has `asyncamanda: REASON` then.

    Amanda reads the first line, after `ERROR ` (planner.c, dumper.c and amcheck.c).
    """
    shown = reason.encode("utf-8", "replace")[:LONGEST_REASON].decode("utf-8", "ignore")
    return packet(handle, NAK, f"ERROR asyncamanda: {shown}\n")

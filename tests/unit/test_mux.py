"""OpenSSH's multiplexing protocol, by the bytes that its own ssh and master send."""

import struct

import pytest

from asyncamanda.core.protocol import mux
from asyncamanda.core.protocol.mux import MuxDecoder, Packet, Reply, ReplyDecoder

# as mux.c of OpenSSH 9.2 builds them: mux_client_hello_exchange(), mux_client_request_alive() and
# mux_client_request_session()
HELLO = bytes.fromhex("00000008 00000001 00000004")
ALIVE_CHECK = bytes.fromhex("00000008 10000004 00000000")


def text(value: bytes) -> bytes:
    """Return a string as the protocol has it."""
    return struct.pack(">I", len(value)) + value


def packet(*numbers: int, rest: bytes = b"") -> bytes:
    """Return a packet of numbers and whatever else."""
    return text(b"".join(struct.pack(">I", number) for number in numbers) + rest)


def session(
    command: bytes, *, terminal: int = 0, subsystem: int = 0, environ: tuple[bytes, ...] = ()
) -> bytes:
    """Return the request for a session: with X11, agent and escape character as ssh fills them."""
    body = struct.pack(">II", 0x10000002, 1) + text(b"")
    body += struct.pack(">IIIII", terminal, 1, 1, subsystem, ord("~"))
    body += text(b"xterm-256color") + text(command) + b"".join(map(text, environ))
    return text(body)


def test_an_ssh_is_understood() -> None:
    """Its three packets, and the bytes that carry its descriptors."""
    decoder = MuxDecoder()
    stream = HELLO + ALIVE_CHECK + session(b"/usr/lib/amanda/amandad -auth=ssh")
    assert decoder.feed(stream) == [
        Packet(mux.HELLO, 4),
        Packet(mux.ALIVE_CHECK, 0),
        Packet(mux.NEW_SESSION, 1, "/usr/lib/amanda/amandad -auth=ssh"),
    ]
    assert not decoder.is_complete
    for is_complete in (False, False, True):
        assert decoder.feed(b"\0") == []
        assert decoder.is_complete is is_complete
    assert decoder.feed(ALIVE_CHECK) == [Packet(mux.ALIVE_CHECK, 0)]


def test_bytes_that_carry_descriptors_say_nothing() -> None:
    """Whatever they are, and though the next packet comes with them."""
    decoder = MuxDecoder()
    assert decoder.feed(session(b"x") + b"\xff\xff") == [Packet(mux.NEW_SESSION, 1, "x")]
    assert decoder.feed(b"\xff" + HELLO) == [Packet(mux.HELLO, 4)]
    assert decoder.is_complete


def test_a_command_is_taken_as_it_is() -> None:
    """Bytes that are not UTF-8, line ends, and none at all; the environment is nothing to us."""
    for command, said in [(b"", ""), (b"a\xe9\nb\0", "a\udce9\nb\0"), ("é".encode(), "é")]:
        (found,) = MuxDecoder().feed(session(command, environ=(b"LANG=C", b"LC_ALL=C")))
        assert found == Packet(mux.NEW_SESSION, 1, said)


@pytest.mark.parametrize(("terminal", "subsystem"), [(1, 0), (0, 1), (1, 1), (2, 0)])
def test_a_terminal_and_a_subsystem_are_no_command(terminal: int, subsystem: int) -> None:
    """Whatever would run in it."""
    (found,) = MuxDecoder().feed(session(b"x", terminal=terminal, subsystem=subsystem))
    assert found == Packet(mux.NEW_SESSION, 1)


def test_a_request_that_is_not_known_is_still_told() -> None:
    """As for a forwarding: with its number, so that it can be answered."""
    stream = packet(0x10000006, 7, 1, rest=text(b"localhost"))
    assert MuxDecoder().feed(stream) == [Packet(0x10000006, 7)]
    assert MuxDecoder().feed(packet(1, 4, rest=text(b"ext") + text(b""))) == [Packet(mux.HELLO, 4)]


WHOLE = session(b"x")[4:]


@pytest.mark.parametrize(
    "stream",
    [
        packet(),
        packet(1),
        text(b"1234567"),
        struct.pack(">I", mux.LARGEST + 1),
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        *(text(WHOLE[:size]) for size in range(len(WHOLE))),
        text(WHOLE.replace(text(b"x"), struct.pack(">I", 0xFFFFFFFF) + b"x")),
        text(WHOLE[:8] + b"\x7f\xff\xff\xff" + WHOLE[12:]),
    ],
)
def test_what_is_no_packet_is_an_error(stream: bytes) -> None:
    """Too short, too long, or cut off within."""
    with pytest.raises(ValueError, match="packet"):
        MuxDecoder().feed(stream)


def test_a_packet_has_bounds() -> None:
    """The longest is understood."""
    longest = packet(mux.ALIVE_CHECK, 5, rest=bytes(mux.LARGEST - 8))
    assert MuxDecoder().feed(longest) == [Packet(mux.ALIVE_CHECK, 5)]
    assert MuxDecoder().feed(longest[:-1]) == []


def test_nobody_sends_packets_for_ever() -> None:
    """An ssh has three to send."""
    decoder = MuxDecoder()
    assert len(decoder.feed(ALIVE_CHECK * mux.MOST_PACKETS)) == mux.MOST_PACKETS
    with pytest.raises(ValueError, match="too many"):
        decoder.feed(ALIVE_CHECK)


def test_what_is_said_to_an_ssh() -> None:
    """As its master says it (mux.c)."""
    for said, expected in [
        (mux.hello(), HELLO),
        (mux.alive(5, 4711), packet(0x80000005, 5, 4711)),
        (mux.session_opened(6, 1), packet(0x80000006, 6, 1)),
        (mux.exit_message(1, 255), packet(0x80000004, 1, 255)),
        (mux.permission_denied(6, "né"), packet(0x80000002, 6, rest=text("né".encode()))),
        (mux.failure(6, ""), packet(0x80000003, 6, rest=text(b""))),
    ]:
        assert said == expected


def test_what_is_asked_of_a_master() -> None:
    """A session without a terminal, X11, agent, subsystem or escape character; as ssh -T has it."""
    body = struct.pack(">II", 0x10000002, 3) + text(b"")
    body += struct.pack(">IIIII", 0, 0, 0, 0, 0xFFFFFFFF) + text(b"") + text(b"asyncamanda gate")
    assert mux.new_session(3, "asyncamanda gate") == text(body)


def test_what_a_master_answers() -> None:
    """The number of a session, its end, and why there is none."""
    stream = (
        mux.hello()
        + mux.session_opened(1, 9)
        + mux.exit_message(9, 77)
        + mux.permission_denied(2, "no\tway")
        + packet(0x80000003, 3, rest=text(b"\xff"))
        + packet(0x10000008, 9)
    )
    found = [(one.kind, one.about, one.number, one.reason) for one in ReplyDecoder().feed(stream)]
    assert found == [
        (mux.HELLO, 4, 0, ""),
        (mux.SESSION_OPENED, 1, 9, ""),
        (mux.EXIT_MESSAGE, 9, 77, ""),
        (mux.PERMISSION_DENIED, 2, 0, "no\tway"),
        (mux.FAILURE, 3, 0, "\N{REPLACEMENT CHARACTER}"),
        (0x10000008, 9, 0, ""),  # MUX_S_TTY_ALLOC_FAIL
    ]
    assert isinstance(ReplyDecoder().feed(HELLO)[0], Reply)


@pytest.mark.parametrize(
    "stream",
    [
        packet(mux.EXIT_MESSAGE, 1),
        packet(mux.SESSION_OPENED, 1),
        packet(mux.FAILURE, 1),
        packet(mux.FAILURE, 1, 5, rest=b"four"),
        packet(mux.HELLO),
        b"\xff\xff\xff\xff",
    ],
)
def test_what_is_no_reply_is_an_error(stream: bytes) -> None:
    """Whoever listens there is no master."""
    with pytest.raises(ValueError, match="packet"):
        ReplyDecoder().feed(stream)

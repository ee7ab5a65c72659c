"""The multiplexing protocol: whatever the pieces, whatever the bytes."""

import tracemalloc
from contextlib import suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import decoded_texts

from asyncamanda.core.protocol import mux
from asyncamanda.core.protocol.mux import MuxDecoder, Packet, Reply, ReplyDecoder

numbers = st.integers(0, 2**32 - 1)
some_bytes = st.binary(max_size=12)
replies = st.one_of(
    st.just(mux.hello()),
    st.builds(mux.alive, numbers, numbers),
    st.builds(mux.session_opened, numbers, numbers),
    st.builds(mux.exit_message, numbers, numbers),
    st.builds(mux.failure, numbers, decoded_texts),
)
packets = st.one_of(
    replies,
    st.builds(mux.new_session, numbers, decoded_texts).map(lambda said: said + b"\0\0\0"),
)
streams = st.lists(packets, max_size=mux.MOST_PACKETS).map(b"".join)
# nearly a stream: something in it is another
near_streams = st.one_of(
    st.binary(max_size=100),
    st.tuples(streams, st.integers(0, 200), some_bytes, st.integers(0, 4)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + parts[3] :]
    ),
)


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return `stream` in pieces."""
    bounds = [0, *sorted(min(each, len(stream)) for each in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(bounds)]


def show(reply: Reply) -> tuple[int, int, int, str]:
    """Return what a reply says."""
    return reply.kind, reply.about, reply.number, reply.reason


@given(streams, st.lists(st.integers(0, 3000), max_size=8))
def test_the_pieces_in_which_bytes_come_make_no_difference(stream: bytes, cuts: list[int]) -> None:
    """Packets that carry descriptors among them."""
    whole, pieces = MuxDecoder(), MuxDecoder()
    assert [one for piece in cut(stream, cuts) for one in pieces.feed(piece)] == whole.feed(stream)
    assert pieces.is_complete


@given(st.lists(replies, max_size=8).map(b"".join), st.lists(st.integers(0, 300), max_size=8))
def test_the_pieces_of_a_masters_bytes_make_no_difference(stream: bytes, cuts: list[int]) -> None:
    """Nor how many replies come at once."""
    decoder = ReplyDecoder()
    expected = [show(one) for one in ReplyDecoder().feed(stream)]
    assert [show(one) for piece in cut(stream, cuts) for one in decoder.feed(piece)] == expected


@given(numbers, decoded_texts)
def test_a_session_that_is_asked_for_is_understood(request: int, command: str) -> None:
    """Whatever the command's bytes are."""
    decoder = MuxDecoder()
    assert decoder.feed(mux.new_session(request, command)) == [
        Packet(mux.NEW_SESSION, request, command)
    ]
    assert not decoder.is_complete


@given(numbers, numbers, decoded_texts)
def test_what_a_master_says_is_understood(about: int, number: int, reason: str) -> None:
    """Whatever the numbers are; a reason that is not UTF-8 is shown as well as it can be."""
    said = mux.session_opened(about, number) + mux.exit_message(about, number)
    said += mux.permission_denied(about, reason)
    opened, ended, denied = ReplyDecoder().feed(said)
    assert show(opened) == (mux.SESSION_OPENED, about, number, "")
    assert show(ended) == (mux.EXIT_MESSAGE, about, number, "")
    assert denied.reason == reason.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@given(near_streams, st.lists(st.integers(0, 300), max_size=4))
def test_any_bytes_are_packets_or_an_error(stream: bytes, cuts: list[int]) -> None:
    """And the error is of one kind."""
    for decoder in (MuxDecoder(), ReplyDecoder()):
        with suppress(ValueError):
            for piece in cut(stream, cuts):
                decoder.feed(piece)


def test_a_packet_without_end_takes_no_memory() -> None:
    """Nor do packets without end, though nobody stops listening."""
    for decoder in (MuxDecoder(), ReplyDecoder()):
        tracemalloc.start()
        refused = 0
        for piece in [b"\0\0\xff\xff", *[b"\xff" * 4096] * 200]:
            try:
                decoder.feed(piece)
            except ValueError:
                refused += 1
                break
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert refused
        assert peak < 8 * mux.LARGEST

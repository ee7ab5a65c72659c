"""The talk between agent and gate: all that is said is understood, and no bytes do harm."""

import json
from dataclasses import fields, replace
from datetime import timedelta
from itertools import pairwise
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import any_moments, levels, texts

from asyncamanda.core.model import DleProgress, DleVerdict, DumpState
from asyncamanda.core.protocol.bounds import LATEST, PHASES
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_CLIENT,
    Again,
    BadLine,
    Bye,
    ClientMessage,
    DleState,
    Finished,
    Hello,
    Later,
    Noted,
    Open,
    Ping,
    Pong,
    Progress,
    Proof,
    Queued,
    Refused,
    Report,
    Running,
    ServerMessage,
    Shut,
    Submit,
    Welcome,
)
from asyncamanda.core.protocol.versions import choose_protocol, refuse_protocol
from asyncamanda.core.protocol.wire import client_decoder, encode, server_decoder

counts = st.integers(0, 10**9)
places = st.integers(1, 10**9)
sizes = st.integers(0, 10**15)
tokens = st.text("0123456789abcdef", min_size=32, max_size=32)
protocols = st.lists(counts, max_size=5).map(tuple)
labels = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=200)
names = st.text("abcXYZ019_-", min_size=1, max_size=40).filter(lambda name: name[0] != "-")
stamps = st.just("") | st.text("0123456789", min_size=8, max_size=14)
references = st.sampled_from(["no", "too-fast", "disk-failed-2"])
phases = st.sampled_from(PHASES)
wire_moments = any_moments.filter(lambda moment: moment < LATEST)
beats = st.integers(0, 3600 * 10**6).map(lambda us: timedelta(microseconds=us))
tickets = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=100)
some_spans = st.integers(0, 3650 * 86_400 * 10**6).map(lambda us: timedelta(microseconds=us))
states = st.sampled_from(DumpState)
verdicts = st.builds(
    DleVerdict, names, texts, stamps, states, st.none() | levels, texts, sizes, st.booleans()
)
progress = st.builds(DleProgress, names, texts, levels, phases, sizes, sizes)
finished = st.builds(Finished, stamps, wire_moments, st.lists(verdicts, max_size=3).map(tuple))
dle_states = st.builds(
    DleState,
    texts,
    st.none() | states,
    st.none() | levels,
    st.none() | wire_moments,
    counts,
    st.booleans(),
    st.none() | wire_moments,
    labels,
    texts,
)
welcomes = st.builds(
    Welcome,
    protocol=counts,
    software=labels,
    client=names,
    amanda_config=names,
    now=wire_moments,
    heartbeat=beats,
    dles=st.lists(dle_states, max_size=3).map(tuple),
    standing=st.sampled_from(["idle", "queued", "running"]),
    last=st.none() | finished,
    ticket=tickets,
    is_direct=st.booleans(),
    takes_proofs=st.booleans(),
    takes_reports=st.booleans(),
)
uses = st.lists(st.none() | st.integers(0, 90_000), max_size=90).map(tuple)
client_reports = st.builds(
    Report,
    some_spans,
    some_spans,
    st.none() | some_spans,
    st.none() | some_spans,
    labels.filter(str.isprintable),
    st.none() | some_spans,
    counts,
    st.dates().map(str),
    uses,
)
reasons = texts.map(lambda text: text[:300])  # a line of a client's has its bound
client_messages: st.SearchStrategy[ClientMessage] = st.one_of(
    st.builds(Hello, protocols, labels, st.booleans(), tickets, labels, st.booleans()),
    st.sampled_from([Submit(), Ping(), Pong(), Bye()]),
    st.builds(Proof, st.integers(0, 2000), stamps, st.booleans(), counts, sizes, reasons),
    st.builds(Shut, tokens, st.integers(0, 255), texts, st.booleans()),
    client_reports,
)
server_messages: st.SearchStrategy[ServerMessage] = st.one_of(
    welcomes,
    st.builds(Queued, places, places, st.none() | some_spans, texts),
    st.builds(Later, some_spans, texts),
    st.builds(Running, stamps, wire_moments, counts),
    st.builds(Progress, stamps, st.lists(progress, max_size=3).map(tuple)),
    finished,
    st.builds(Refused, references, texts, texts, st.integers(0, 255)),
    st.sampled_from([Again(), Ping(), Pong()]),
    st.builds(Open, tokens),
    st.builds(Noted, st.integers(0, 2000)),
)

# JSON that is nearly a message, and bytes that are nearly JSON
keys = st.sampled_from(
    ["type", "protocols", "software", "is_watching", "is_forced", "client", "ticket", "is_probe"]
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        texts,
        st.sampled_from(["hello", "submit", "ping", "pong", "bye", "welcome", "finished"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | texts, inner, max_size=4),
    max_leaves=8,
)
near_lines = st.one_of(
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    client_messages.map(encode),
    server_messages.map(encode),
    st.tuples(client_messages.map(encode), st.integers(0, 80), st.binary(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
    ),
    st.integers(LARGEST_FROM_CLIENT - 1, 3 * LARGEST_FROM_CLIENT).map(lambda size: b" " * size),
)
streams = st.lists(near_lines, max_size=6).map(b"\n".join)


@given(st.lists(client_messages, max_size=4), st.lists(server_messages, max_size=4))
def test_what_is_said_is_what_is_heard(
    asked: list[ClientMessage], answered: list[ServerMessage]
) -> None:
    """Every message of either side, whatever the names in it, and to the microsecond."""
    client, server = client_decoder(), server_decoder()
    assert client.feed(b"".join(map(encode, asked))) == asked
    assert server.feed(b"".join(map(encode, answered))) == answered


@given(st.one_of(client_messages, server_messages))
def test_a_message_is_one_line_of_ascii(message: ClientMessage | ServerMessage) -> None:
    """Whatever the names in it."""
    line = encode(message)
    assert line.isascii()
    assert line.find(b"\n") == len(line) - 1


@given(streams)
def test_no_bytes_of_a_client_name_anybody(stream: bytes) -> None:
    """Whatever it sends is one of its own messages, a bad line, or nothing."""
    found = client_decoder().feed(stream + b"\n")
    assert all(isinstance(each, (*get_args(ClientMessage), BadLine)) for each in found)
    assert len(found) <= stream.count(b"\n") + 1
    for each in found:
        if isinstance(each, BadLine):
            assert each.reason.isascii()
            assert each.reason.isprintable()
            assert len(each.reason) < 100


def test_no_message_of_a_client_has_room_for_a_name() -> None:
    """Of a client, a host, a configuration, a path or a command: the key says who it is."""
    room = {field.name: field.type for kind in get_args(ClientMessage) for field in fields(kind)}
    assert room == {
        "protocols": tuple[int, ...],
        "software": str,  # shown, and nothing else
        "is_watching": bool,
        "ticket": str,  # one that the server gave, compared with what it gave
        "host_name": str,  # shown, and nothing else
        "is_probe": bool,
        "token": str,  # one that the server gave: hexadecimal digits
        "status": int,
        "reason": str,  # shown, and nothing else
        "is_refused": bool,
        "disk_number": int,  # the place of one that the server has told
        "run": str,  # digits alone
        "is_good": bool,
        "files": int,
        "size": int,
        "interval": timedelta,
        "stale_after": timedelta,
        "stale_after_use": timedelta | None,
        "deferred_for": timedelta | None,
        "deferred_reason": str,  # shown, and nothing else
        "used": timedelta | None,
        "gaps": int,
        "day": str,  # digits alone
        "use_days": tuple[int | None, ...],
    }


@given(client_reports)
def test_a_report_of_90_days_fits_into_a_line(report: Report) -> None:
    """Whatever the reason is written in."""
    long = replace(report, deferred_reason="\U0001f50b" * 300, use_days=(90_000,) * 90)
    assert len(encode(long)) <= LARGEST_FROM_CLIENT
    assert len(client_decoder().feed(encode(long))) == 1


@given(streams, st.lists(st.integers(0, 20_000), max_size=8))
def test_the_pieces_in_which_bytes_come_make_no_difference(stream: bytes, cuts: list[int]) -> None:
    """Of either side."""
    stream += b"\n"
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(bounds)]
    client, server = client_decoder(), server_decoder()
    assert [each for piece in pieces for each in client.feed(piece)] == (
        client_decoder().feed(stream)
    )
    assert [each for piece in pieces for each in server.feed(piece)] == (
        server_decoder().feed(stream)
    )


@given(streams, client_messages)
def test_after_any_line_the_next_is_understood(stream: bytes, message: ClientMessage) -> None:
    """Nothing that was sent before spoils it."""
    assert client_decoder().feed(stream + b"\n" + encode(message))[-1:] == [message]


@given(protocols, st.lists(counts, min_size=1, max_size=5).map(tuple))
def test_a_protocol_is_in_common_or_the_refusal_can_be_sent(
    theirs: tuple[int, ...], ours: tuple[int, ...]
) -> None:
    """Whatever a client says that it speaks."""
    chosen = choose_protocol(theirs, ours)
    if chosen is None:
        refusal = refuse_protocol(theirs, ours)
        assert server_decoder().feed(encode(refusal)) == [refusal]
        assert not set(theirs) & set(ours)
    else:
        assert chosen in theirs
        assert chosen in ours

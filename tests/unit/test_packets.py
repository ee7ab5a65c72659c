"""Amanda's packets: what is open, and how it is refused."""

import pytest

from asyncamanda.core.amanda.packets import (
    ACK,
    LARGEST,
    MOST_OPEN,
    NAK,
    PREP,
    REP,
    REQ,
    Conversation,
    end,
    packet,
)

NOOP = "SERVICE noop\nOPTIONS features=ff;\n"
SENDSIZE = "SERVICE sendsize\nOPTIONS features=ff;\n"
SENDBACKUP = "SERVICE sendbackup\nOPTIONS features=ff;\n"
CONNECT = "CONNECT DATA 499999 MESG 499998 INDEX 499997\n\nOPTIONS ;\n"
REFUSAL = "ERROR asyncamanda: gone\n"


def asked(*texts: str) -> Conversation:
    """Return a conversation in which Amanda has asked these, with handles from 1 on."""
    talk = Conversation()
    for handle, text in enumerate(texts, 1):
        talk.hear_amanda(packet(handle, REQ, text))
    return talk


def test_a_packet_is_spelled_as_amanda_spells_it() -> None:
    """Length, handle, kind, text, NUL: as tests/e2e sees the real one take it."""
    assert packet(7, NAK, "ERROR x\n") == b"\0\0\0\x0a\0\0\0\7\4ERROR x\n\0"
    assert end(7) == b"\0\0\0\0\0\0\0\7"


def test_what_is_open_is_refused_once() -> None:
    """Each by its own handle; asked again it is open again."""
    talk = asked(NOOP, SENDSIZE)
    assert talk.refuse("gone") == packet(1, NAK, REFUSAL) + packet(2, NAK, REFUSAL)
    assert talk.refuse("gone") == b""
    talk.hear_amanda(packet(2, REQ, SENDSIZE))
    assert talk.refuse("gone") == packet(2, NAK, REFUSAL)


@pytest.mark.parametrize("kind", [REP, NAK])
def test_what_is_answered_is_open_no_more(kind: int) -> None:
    """And the answer goes on as it is."""
    talk = asked(NOOP)
    answer = packet(1, kind, "ERROR no\n")
    assert talk.hear_client(answer) == answer
    assert talk.refuse("gone") == b""


@pytest.mark.parametrize("kind", [ACK, PREP])
def test_what_is_half_answered_is_open(kind: int) -> None:
    """Amanda waits for the rest of it."""
    talk = asked(SENDSIZE)
    talk.hear_client(packet(1, kind, "/srv 0 SIZE 10\n"))
    assert talk.refuse("gone") == packet(1, NAK, REFUSAL)


def test_what_amanda_has_given_up_is_open_no_more() -> None:
    """It says so by an end."""
    talk = asked(NOOP)
    talk.hear_amanda(packet(1, ACK, "") + end(1))
    assert talk.refuse("gone") == b""


def test_an_end_without_an_answer_is_a_refusal() -> None:
    """Of a request; other ends go on as they are."""
    talk = asked(NOOP)
    given = talk.hear_client(end(1) + end(1) + end(2))
    refusal = packet(
        1, NAK, "ERROR asyncamanda: the client's amandad ended the request without an answer\n"
    )
    assert given == refusal + end(1) + end(2)
    assert talk.refuse("gone") == b""


def test_half_an_answer_never_reaches_amanda() -> None:
    """A refusal takes its place."""
    talk = asked(SENDSIZE)
    answer = packet(1, REP, "/srv 0 SIZE 10\n")
    assert talk.hear_client(answer[:-1]) == b""
    assert talk.refuse("gone") == packet(1, NAK, REFUSAL)


def test_it_is_over_when_a_dumps_data_begins() -> None:
    """What came behind the answer, whole or not, goes on with it."""
    talk = asked(SENDBACKUP)
    answer = packet(1, REP, CONNECT)
    assert talk.hear_client(answer + end(499999, 32768) + b"half") == answer
    assert talk.is_over
    assert talk.rest() == end(499999, 32768) + b"half"
    assert talk.rest() == b""
    talk.hear_amanda(b"anything")
    assert talk.hear_client(b"anything") == b"anything"


@pytest.mark.parametrize(
    ("asks", "answers"),
    [(NOOP, CONNECT), (SENDSIZE, CONNECT), (SENDBACKUP, "ERROR no such disk\n")],
)
def test_no_client_ends_it_by_its_word_alone(asks: str, answers: str) -> None:
    """Only a dump that Amanda has asked for has streams, and only if it was granted."""
    talk = asked(asks)
    talk.hear_client(packet(499999, REP, CONNECT) + packet(1, REP, answers))
    assert not talk.is_over


def test_a_client_that_says_something_else_is_told_of() -> None:
    """Its first words are shown, without what a terminal would act on; no more of it goes on."""
    talk = asked(NOOP)
    ack = packet(1, ACK, "")
    assert talk.hear_client(ack + b"bash:\x1b \n amandad: not found\n") == ack
    assert talk.fault == r"what it sent is not Amanda's: b'bash:\x1b \n'"
    assert talk.hear_client(packet(1, REP, "")) == b""
    assert talk.refuse("gone") == packet(1, NAK, REFUSAL)


def test_a_packet_as_large_as_amanda_takes_is_passed_on() -> None:
    """And one that is larger is none."""
    talk = asked(SENDSIZE)
    body = bytes(LARGEST)
    assert talk.hear_client(end(9, LARGEST) + body) == end(9, LARGEST) + body
    assert talk.hear_client(end(9, LARGEST + 1)) == b""
    assert talk.fault


def test_what_is_not_understood_of_amandas_ends_it() -> None:
    """Another Amanda may speak otherwise: what was delayed goes on."""
    talk = asked(NOOP)
    talk.hear_client(b"\0\0")
    talk.hear_amanda(end(1, LARGEST + 1) + bytes(100))
    assert (talk.is_over, talk.rest()) == (True, b"\0\0")
    talk = Conversation()
    talk.hear_amanda(b"what")
    assert not talk.is_over
    talk.hear_amanda(b" it says")
    assert talk.is_over
    assert asked(*[NOOP] * (MOST_OPEN + 2)).is_over


def test_a_reason_is_one_line_of_bearable_length() -> None:
    """Whatever it is."""
    refusal = asked(NOOP).refuse("\N{EURO SIGN}" * 1000)
    assert len(refusal) < 500
    assert refusal.endswith("\N{EURO SIGN}\n\0".encode())

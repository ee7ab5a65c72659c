"""Amanda's packets: however they are cut into pieces, the same comes of them."""

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.core.amanda.packets import LARGEST, Conversation, end, packet

HANDLES = st.sampled_from([1, 2, 3, 499_999])
TEXTS = st.sampled_from(
    [
        "",
        "SERVICE noop\n",
        "SERVICE sendsize\n" + 200 * "x",
        "SERVICE sendbackup\n",
        "CONNECT DATA 1",
    ]
)
PACKETS = st.builds(packet, HANDLES, st.integers(0, 6), TEXTS) | st.builds(end, HANDLES)
ODD = st.binary(max_size=20) | st.just(end(1, LARGEST + 1))
BYTES = st.lists(PACKETS | ODD, max_size=12).map(b"".join)
WHOLE = st.lists(PACKETS, max_size=12)
CUTS = st.lists(st.integers(1, 40), max_size=60)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return `data` in pieces of these sizes, and what is left."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


def tell(asks: list[bytes], answers: list[bytes]) -> tuple[bytes, str, bool, bytes]:
    """Return all that comes of what Amanda asks and a client answers, in these pieces."""
    talk = Conversation()
    for piece in asks:
        talk.hear_amanda(piece)
    given = b"".join(talk.hear_client(piece) for piece in answers)
    held = talk.rest() if talk.is_over else b""
    return given + held, talk.fault, talk.is_over, talk.refuse("gone")


@given(BYTES, BYTES, CUTS, CUTS)
def test_any_pieces_come_to_the_same(
    asks: bytes, answers: bytes, ask_sizes: list[int], answer_sizes: list[int]
) -> None:
    """What goes on, what is open, and whether it is over."""
    in_pieces = tell(cut(asks, ask_sizes), cut(answers, answer_sizes))
    assert in_pieces == tell([asks], [answers])


@given(WHOLE, WHOLE, CUTS)
def test_nothing_of_a_clients_is_lost(
    asks: list[bytes], answers: list[bytes], sizes: list[int]
) -> None:
    """Its packets go on as they are, in order; an end may be a refusal."""
    talk = Conversation()
    for one in asks:
        talk.hear_amanda(one)
    given = b"".join(talk.hear_client(piece) for piece in cut(b"".join(answers), sizes))
    given += talk.rest()
    for one in answers:
        if given.startswith(one):
            given = given[len(one) :]
        else:
            assert len(one) == 8
            given = given[8 + int.from_bytes(given[:4], "big") :]
    assert given == b""

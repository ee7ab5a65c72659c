"""A memory is one server's and one client's: of another's nothing is believed."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW, memories, peers, policies, texts

from asyncamanda.core.agent.by_gate import come_back_at, contact_at, decide_by_gate
from asyncamanda.core.agent.due import Due
from asyncamanda.core.agent.peer import be_named, own
from asyncamanda.core.model import Memory, Peer, Policy


@given(memories, peers, policies)
def test_what_another_said_is_never_fresh(memory: Memory, peer: Peer, policy: Policy) -> None:
    """Either it is the same server and client, and all of it stays, or the server is asked."""
    owned, differences = own(memory, peer, NOW)
    assert owned.peer
    if memory.peer and differences:
        assert isinstance(decide_by_gate(owned, policy, (), NOW), Due)
        assert contact_at(owned, NOW) <= NOW
        assert come_back_at(owned, NOW) is None
        assert (owned.attempts, owned.confirmed, owned.dles) == ((), {}, None)
    else:
        assert (owned.dles, owned.confirmed, owned.asked_at) == (
            memory.dles,
            memory.confirmed,
            memory.asked_at,
        )
        assert (owned.since, owned.attempts, owned.past) == (
            memory.since,
            memory.attempts,
            memory.past,
        )


@given(memories, peers)
def test_what_is_owned_stays_owned(memory: Memory, peer: Peer) -> None:
    """The next look of the same machine finds nothing that differs."""
    owned, _ = own(memory, peer, NOW)
    assert own(owned, peer, NOW + timedelta(hours=1)) == (owned, ())


@given(memories, st.lists(st.tuples(peers, texts), min_size=1, max_size=5))
def test_moves_without_a_backup_hide_nothing(memory: Memory, moves: list[tuple[Peer, str]]) -> None:
    """However many they are, they make the time without a backup no shorter."""
    owned = replace(memory, confirmed={})
    for number, (peer, client) in enumerate(moves):
        at = NOW + timedelta(days=number)
        owned = be_named(own(owned, peer, at)[0], client, "daily", at)
        assert (owned.since, owned.told) == (memory.since, memory.told)

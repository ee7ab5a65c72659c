"""The agent's memory: what is remembered is read back."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import memories, texts

from asyncamanda.client.state.memory import decode_memory, encode_memory
from asyncamanda.core.model import Memory

# what read_memory() takes for damage
REFUSALS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@given(memories)
def test_any_memory_is_read_back(memory: Memory) -> None:
    """Names, times, outcomes, all of it."""
    assert decode_memory(encode_memory(memory)) == memory


@given(texts)
def test_any_text_is_a_memory_or_refused(text: str) -> None:
    """With one of the errors that are taken for damage."""
    with suppress(*REFUSALS):
        decode_memory(text)


@given(memories, st.data())
def test_damage_is_refused_or_harmless(memory: Memory, data: st.DataObject) -> None:
    """One changed character in a memory raises what is taken for damage, or nothing."""
    text = encode_memory(memory)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = data.draw(st.characters())
    with suppress(*REFUSALS):
        decode_memory(text[:place] + changed + text[place + 1 :])

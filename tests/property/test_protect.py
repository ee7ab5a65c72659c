"""Whatever fails, in whatever order: no dump that counts builds on a false snapshot unnoticed."""

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.core.dispatch.protect import next_protection
from asyncamanda.core.dispatch.records import Protection, ProtectionKind
from asyncamanda.core.model import DleVerdict, DumpState


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(DumpState)), st.booleans())))
def test_what_needs_nothing_has_true_snapshots_only(
    dumps: list[tuple[int, DumpState, bool]],
) -> None:
    """Played through with a client that overwrites a level's snapshot whenever it is at it.

    Amanda dumps any level up to one above the last that the server has, told or not. A
    snapshot is true if the server has the dump that wrote it and all that this builds on.
    """
    is_true: list[bool] = []
    last = -1
    need: Protection | None = None
    for number, (wish, state, has_begun) in enumerate(dumps):
        level = min(wish, last + 1)
        is_touched = state is not DumpState.SKIPPED and (has_begun or state.is_confirmed)
        if is_touched:
            base = level == 0 or is_true[level - 1]
            is_true[level : level + 1] = [base and state.is_confirmed]
        if state.is_confirmed:
            last = level
        verdict = DleVerdict(
            "laptop", "/home", f"2026112401{number:04}", state, level, has_begun=is_touched
        )
        need = next_protection(need, verdict)
        if need is None:
            assert all(is_true[: last + 1])
        elif need.kind is ProtectionKind.FORCE_NO_BUMP:
            assert all(is_true[: need.level])

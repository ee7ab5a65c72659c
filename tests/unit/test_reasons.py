"""Amanda's reasons, and what people are told; tests/e2e/test_reasons.py has the real words."""

import pytest

from asyncamanda.core.amanda.reasons import explain_reason, explain_verdict, is_of_room
from asyncamanda.core.model import DleVerdict, DumpState


@pytest.mark.parametrize(
    "said",
    [
        "Skipping: new disk can't be dumped in degraded mode",
        "Skipping: Can't bump a 'force' dle in degraded mode",
        "out of holding space in degraded mode",
        "can't dump 'holdingdisk never' dle in degraded mode",
    ],
)
def test_what_was_not_to_be_held_is_of_room(said: str) -> None:
    """People are told who has to act, with Amanda's words behind."""
    assert is_of_room(said)
    told = explain_reason(said)
    assert told.endswith(f"(Amanda: {said})")
    assert "its administrator" in told


def test_what_is_not_known_is_told_as_it_is() -> None:
    """Whatever it says, it is no want of room."""
    for said in ("", "tar: exit status 2", "no word of degraded modes", "the run was ended"):
        assert (explain_reason(said), is_of_room(said)) == (said, False)


def test_where_no_volume_could_be_written_that_is_the_cause() -> None:
    """The driver only says that it was not held; what the taper said is among the run's own."""
    said = "Skipping: new disk can't be dumped in degraded mode"
    for cause in (
        "No acceptable volumes found",
        "2 tapes filled; runtapes=2 does not allow additional tapes",
    ):
        for remarks in (f"taper: {cause}", f'driver: Taper error: "{cause}"; taper: {cause}'):
            told = explain_reason(said, remarks)
            assert told.startswith("the backup server has no volume left"), told
            assert told.endswith(f"(Amanda: {cause})")
    assert explain_reason(said, "taper: something else") == explain_reason(said)
    assert explain_reason("odd", "taper: No acceptable volumes found") == "odd"


def test_a_full_that_can_never_be_made_is_told_though_an_incremental_was() -> None:
    """The client is backed up, and hears that there is no room for a full any more."""
    held = DleVerdict("laptop", "/home", "20261129200000", DumpState.HELD, 1)
    assert explain_verdict(held, "it needs 250 GB").reason == "it needs 250 GB"
    assert explain_verdict(held, "") == held
    failed = DleVerdict("laptop", "/home", "20261129200000", DumpState.FAILED, 0, "odd")
    assert explain_verdict(failed, "it needs 250 GB").reason == "it needs 250 GB"
    assert explain_verdict(failed, "").reason == "odd"

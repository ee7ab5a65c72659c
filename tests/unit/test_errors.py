"""Exits and the errors that own them."""

import pytest

from asyncamanda import errors
from asyncamanda.errors import AsyncamandaError, Exit


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError, 64),
        (errors.BadDataError, 65),
        (AsyncamandaError, 70),
        (errors.LaterError, 75),
        (errors.RefusedError, 77),
        (errors.NotYoursError, 77),
        (errors.ConfigurationError, 78),
        (errors.NotStoredError, 100),
        (errors.StaleError, 101),
    ],
)
def test_each_error_owns_its_exit_code(error: type[AsyncamandaError], code: int) -> None:
    """Scripts rest on these numbers."""
    raised = error("some-reference", "what is wrong", "what to do")
    assert raised.exit == code
    assert (raised.reference, str(raised), raised.hint) == (
        "some-reference",
        "what is wrong",
        "what to do",
    )


def test_every_exit_code_has_a_meaning_of_its_own() -> None:
    """The docs are made from them."""
    assert [int(code) for code in Exit] == [0, 64, 65, 70, 75, 76, 77, 78, 100, 101]
    assert len({code.meaning for code in Exit}) == len(Exit)

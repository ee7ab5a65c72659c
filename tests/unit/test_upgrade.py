"""A dispatcher gives way to newer code when that is whole, and not while it is installed."""

import pytest

from asyncamanda.server.background.upgrade import Code

OLD, NEW, GONE = "(1)=a.py", "(2)=a.py", "2=a.py"
OTHER, LOADED = "(3)=b.py", "(4)=c.py"


@pytest.mark.parametrize(
    ("looks", "answers"),
    [
        ([(OLD, OTHER)] * 3, [False, False]),
        ([(OLD, OTHER), (NEW, OTHER), (NEW, OTHER)], [False, True]),
        ([(OLD, OTHER), (GONE, OTHER), (GONE, OTHER)], [False, False]),
        ([(OLD, OTHER), (GONE, OTHER), (NEW, OTHER), (NEW, OTHER)], [False, False, True]),
        ([(OLD,), (OLD, LOADED), (OLD, LOADED)], [False, False]),  # a module is loaded late
    ],
)
def test_newer_code(looks: list[tuple[str, ...]], answers: list[bool]) -> None:
    """It differs from what was there at the beginning, in two looks alike."""
    following = iter(looks)
    code = Code(lambda: next(following))
    assert [code.is_newer() for _ in answers] == answers

"""A level 1 that is about as large as its full is told with the likely cause."""

import pytest

from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.full_again import needs_size, note_full_again
from asyncamanda.core.model import DleVerdict, DumpState

FULL = {("laptop", "/home"): 50_000}


def made(level: int, kilobytes: int, state: DumpState = DumpState.HELD) -> DleVerdict:
    """Return a dump of that size."""
    return DleVerdict("laptop", "/home", "20261129200000", state, level, kilobytes=kilobytes)


@pytest.mark.parametrize(
    ("verdict", "fulls", "is_told"),
    [
        (made(1, 50_000), FULL, True),
        (made(2, 40_000), FULL, True),
        (made(1, 39_000), FULL, False),
        (made(0, 50_000), FULL, False),
        (made(1, 50_000, DumpState.FAILED), FULL, False),
        (made(1, 50_000), {}, False),
        (made(1, 9_000), {("laptop", "/home"): 9_000}, False),
    ],
)
def test_what_is_told(
    verdict: DleVerdict, fulls: dict[tuple[str, str], int], is_told: bool
) -> None:
    """Of an incremental dump that the server has, compared with its own full, if it is not tiny."""
    assert bool(note_full_again(verdict, fulls, None).reason) == is_told
    assert needs_size(verdict) or not is_told


def test_the_remedy_depends_on_what_dumps_it() -> None:
    """GNUTAR has no way to leave device numbers alone; an application has a property for it."""
    by_gnutar, by_amgtar = (
        note_full_again(made(1, 50_000), FULL, Dle("laptop", "/home", program=program)).reason
        for program in ("GNUTAR", "APPLICATION")
    )
    assert "asyncamanda server disk modernise laptop /home" in by_gnutar
    assert 'property "CHECK-DEVICE" "NO"' in by_amgtar

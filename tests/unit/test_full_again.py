"""A level 1 that is about as large as its full is told with the likely cause."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asyncamanda.core.agent.by_command import BackedUp
from asyncamanda.core.agent.finished import judge_finished
from asyncamanda.core.amanda.disklist import GNUTAR, Dle
from asyncamanda.core.amanda.full_again import needs_size, note_full_again
from asyncamanda.core.doctor.findings import Health
from asyncamanda.core.doctor.levels import judge_levels
from asyncamanda.core.model import DleVerdict, DumpRecord, DumpState
from asyncamanda.core.protocol.messages import Finished

NOW = datetime(2026, 11, 29, 20, tzinfo=UTC)

FULL = {("laptop", "/home"): 50_000}
BY_GNUTAR = Dle("laptop", "/home", program=GNUTAR)


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
        (made(1, 62_000), FULL, True),
        (made(1, 63_000), FULL, False),
        (made(1, 20_000), {("laptop", "/home"): 123}, False),
    ],
)
def test_what_is_told(
    verdict: DleVerdict, fulls: dict[tuple[str, str], int], is_told: bool
) -> None:
    """Of an incremental dump that the server has and that is about as large as its own full.

    A tiny one is not told, and one that is far larger is so by what is new.
    """
    assert bool(note_full_again(verdict, fulls, BY_GNUTAR).reason) == is_told
    assert needs_size(verdict) or not is_told


def test_what_may_leave_device_numbers_alone_is_not_blamed() -> None:
    """GNUTAR has no way to; an application may have been told to, as that of `roaming` is."""
    by_gnutar, by_amgtar, by_nobody_known = (
        note_full_again(made(1, 50_000), FULL, dle).reason
        for dle in (BY_GNUTAR, replace(BY_GNUTAR, program="APPLICATION"), None)
    )
    assert by_gnutar.endswith("on the server: asyncamanda server disk modernise laptop /home")
    assert (by_amgtar, by_nobody_known) == ("", "")
    by_application = [replace(BY_GNUTAR, program="APPLICATION")]
    assert judge_levels([made(0, 50_000), made(1, 50_000)], by_application) is None


def test_the_servers_doctor_warns_of_the_newest_dump_of_a_disk() -> None:
    """With what fixes it; not once a small one has come, and not of a disk that is parked."""
    full, again = made(0, 50_000), made(1, 50_000)
    dles = [Dle("laptop", "/home", program=GNUTAR)]
    check = judge_levels([full, again], dles)
    assert check
    assert (check.health, check.found.startswith("/home: level 1 is")) == (Health.WARNING, True)
    assert check.fix == "asyncamanda server disk modernise laptop /home"
    odd = [replace(each, disk="/srv/a: b") for each in (full, again)]
    check = judge_levels(odd, [Dle("laptop", "/srv/a: b", program=GNUTAR)])
    assert check
    assert check.fix == "asyncamanda server disk modernise laptop '/srv/a: b'"
    assert judge_levels([full, again, made(1, 200)], dles) is None
    assert judge_levels([full, made(1, 50_000, DumpState.FAILED)], dles) is None
    assert judge_levels([full, again], [Dle("laptop", "/home", parked="ignore")]) is None
    assert judge_levels([again], dles) is None


def test_the_client_remembers_what_was_told_of_its_dump() -> None:
    """`status` and `history` show the remark."""
    told = note_full_again(made(1, 50_000), FULL, Dle("laptop", "/home", program=GNUTAR))
    finished = Finished(told.timestamp, NOW, (told,))
    verdict = judge_finished(("/home",), finished, {"/home": DumpRecord("/home", 1, NOW)})
    assert isinstance(verdict, BackedUp)
    assert verdict.remark.startswith("/home: level 1 is about as large as its full; ")

"""A limit by hours of use: it alarms earlier than days, or instead of them where use is known."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.config.client import parse_client_config
from asyncamanda.core.agent.due import (
    BackupStanding,
    Decision,
    Disk,
    DiskVerdict,
    Due,
    NotDue,
    is_stale,
    stale_since,
)
from asyncamanda.core.exposure.values import NOT_KNOWN, Exposure
from asyncamanda.core.model import DumpRecord, Policy

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAYS_ALONE = Policy(DAY)
BOTH = Policy(DAY, stale_after_use=20 * HOUR)
USE_ALONE = Policy(DAY, stale_after_use=20 * HOUR, is_by_use=True)
FRESH, OLD = 3 * DAY, 21 * DAY


def due(age: timedelta) -> Due:
    """A backup that is due, since the last one is so old."""
    disk = Disk("/home", DumpRecord("/home", 0, NOW - age))
    return Due((DiskVerdict(disk, BackupStanding.OVERDUE, None),), ("/home",), NOW - age)


def used(hours: float, *, is_least: bool = False) -> Exposure:
    """An exposure of so many hours."""
    return Exposure(hours * HOUR, is_least, NOW)


@pytest.mark.parametrize(
    ("policy", "age", "exposure", "stale"),
    [
        (DAYS_ALONE, FRESH, used(21), False),
        (DAYS_ALONE, OLD, used(1), True),
        (BOTH, FRESH, used(21), True),
        (BOTH, FRESH, used(19), False),
        (BOTH, FRESH, used(21, is_least=True), True),
        (BOTH, FRESH, NOT_KNOWN, False),
        (BOTH, OLD, used(1), True),
        (USE_ALONE, FRESH, used(21), True),
        (USE_ALONE, OLD, used(1), False),  # it lay in a drawer
        (USE_ALONE, OLD, used(1, is_least=True), True),  # silence must not rest on a guess
        (USE_ALONE, OLD, NOT_KNOWN, True),
    ],
)
def test_a_backup_is_stale_by_days_or_by_use(
    policy: Policy, age: timedelta, exposure: Exposure, stale: bool
) -> None:
    """As the table of the guide says."""
    assert is_stale(due(age), NOW, policy, NOW, exposure) is stale
    if stale:
        assert stale_since(due(age), NOW, policy, NOW, exposure) <= NOW


def test_while_nothing_is_due_no_use_is_too_much() -> None:
    """The next start would end that alarm."""
    decision: Decision = NotDue((), NOW + HOUR, NOW - DAY)
    assert not is_stale(decision, NOW, USE_ALONE, NOW, used(23))


@pytest.mark.parametrize(
    ("lines", "limit", "is_by_use"),
    [
        ("", None, False),
        ('stale_after = "9d"', None, False),
        ('stale_after_use = "20h"', 20 * HOUR, True),
        ('stale_after = "9d"\nstale_after_use = 20', 20 * HOUR, False),
    ],
)
def test_the_settings_say_which_limit_holds(
    lines: str, limit: timedelta | None, is_by_use: bool
) -> None:
    """Days as well only where they are set as well."""
    policy = parse_client_config(f'server = "amanda"\n{lines}\n', "client.toml").policy
    assert (policy.stale_after_use, policy.is_by_use) == (limit, is_by_use)

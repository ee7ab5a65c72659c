"""How far back one can go: since when, what the volumes say, and what a size buys."""

from datetime import UTC, datetime

import pytest

from asyncamanda.core.amanda.tapelist import Volume, parse_tapelist
from asyncamanda.core.restore.reach_order import (
    ReachOrder,
    parse_reach_order,
    render_reach_order,
)
from asyncamanda.core.restore.retention import (
    describe_room,
    describe_volumes,
    estimate_weeks,
    find_reach,
    find_since,
)

FIRST = datetime(2025, 12, 1, tzinfo=UTC)
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
LIST = """\
20261129200011 DAILY-002 reuse META:x POOL:daily
20261128 DAILY-001 reuse
0 DAILY-003 reuse
20261127200011 OLD no-reuse BARCODE:1
nonsense
"""


@pytest.mark.parametrize(
    ("disks", "first_at", "reach"),
    [
        (["/a", "/b"], {"/a": EARLY, "/b": LATE}, LATE),
        (["/a"], {"/a": EARLY, "/gone": LATE}, EARLY),
        (["/a", "/b"], {"/a": EARLY}, None),
        (["/a", "/b"], {"/a": EARLY, "/b": None}, None),
        ([], {}, None),
    ],
)
def test_all_disks_count(
    disks: list[str], first_at: dict[str, datetime | None], reach: datetime | None
) -> None:
    """One that cannot be restored so far back is what one would miss."""
    assert find_reach(disks, first_at) == reach


def test_the_tapelist_as_amanda_writes_it() -> None:
    """With or without a time of day; a label that was never written has no date."""
    assert parse_tapelist(LIST) == (
        Volume("DAILY-002", "20261129200011"),
        Volume("DAILY-001", "20261128"),
        Volume("DAILY-003", ""),
        Volume("OLD", "20261127200011", is_reused=False),
    )


def test_what_volumes_say_of_the_time_that_is_kept() -> None:
    """Until all are written nothing is overwritten; from then on the oldest that is reused is."""
    volumes = parse_tapelist(LIST)
    kept = "; 1 more, marked no-reuse, is never overwritten"
    assert describe_volumes((), 20) == "no volume has been written yet, of 20"
    assert describe_volumes(volumes[3:], 20) == f"no volume has been written yet, of 20{kept}"
    assert describe_volumes(volumes, 3) == (
        "2 of 3 volumes written, the first on 2026-11-28; "
        f"none is overwritten before all are written{kept}"
    )
    full = "2 volumes, the oldest of 2026-11-28, which the next flush overwrites"
    assert describe_volumes(volumes[:3], 2) == full
    assert describe_volumes(volumes, 2) == full + kept


def test_what_a_size_buys() -> None:
    """More room or less data keep longer, in proportion; a fifth of the room keeps some weeks."""
    assert estimate_weeks(400, 20) == 2 * estimate_weeks(200, 20) == estimate_weeks(400, 10) / 2
    assert 3 < estimate_weeks(100, 20) < 4
    assert describe_room(400_000_000_000) == [
        "20 GB of disks in all: about 13 weeks back",
        "80 GB of disks in all: about 3 weeks back",
    ]


@pytest.mark.parametrize(
    ("known", "fulls", "since"),
    [
        (FIRST, [EARLY, LATE], FIRST),
        (None, [FIRST, LATE], LATE),  # the first was looked for in vain
        (None, [LATE, LATE + (LATE - EARLY)], LATE),
        (None, [FIRST, EARLY], None),
        (None, [], None),
    ],
)
def test_a_full_since_the_last_look_is_there(
    known: datetime | None, fulls: list[datetime], since: datetime | None
) -> None:
    """The first run's end says at once since when its disk can be restored."""
    assert find_since(known, fulls, EARLY) == since


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"amanda_config": 1}', "{"])
def test_an_order_that_is_none_is_refused(text: str) -> None:
    """As it is said on stdin, by whoever calls."""
    with pytest.raises(ValueError, match=r"."):
        parse_reach_order(text)
    order = ReachOrder("daily", "backup", "/ledger", ("gzip",))
    assert parse_reach_order(render_reach_order(order)) == order

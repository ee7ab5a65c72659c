"""The fleet's table fits a terminal, whatever the clients are called and why they fail."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from tests.fleets import NOON, STATES, make_fleet

from asyncamanda.core.amanda.disklist_lines import comment_out, find_retired
from asyncamanda.core.amanda.tapelist import Volume, count_free
from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.fleet.facts import DiskFacts
from asyncamanda.core.fleet.standing import ClientState, ClientView
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.report.fleet import (
    HEADS,
    FleetOrder,
    describe_client,
    lay_out,
    order_clients,
    print_fleet,
    sum_up,
)
from asyncamanda.report.fleet_client import (
    describe_chains,
    describe_days,
    describe_runs,
    describe_sessions,
    introduce_client,
)
from asyncamanda.report.fleet_json import client_value, fleet_value

LONG = "a-very-long-name-of-a-laptop.example.com"
HOSTILE = ("\x1b[31mred", "new\nline", LONG, "ü" * 30, "日本" * 12)
FLEET = make_fleet(200, names=HOSTILE)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("width", [79, 100, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    """Cut are names and reasons, and nothing else."""
    from rich.cells import cell_len  # noqa: PLC0415 - as in the report

    rows = [HEADS, *(describe_client(each, NOON) for each in FLEET.clients)]
    lines = ["".join(line) for line in lay_out(rows, width)]
    assert len(lines) == 201
    assert max(map(cell_len, lines)) <= width
    assert all(line.isprintable() for line in lines)
    assert all(line == line.rstrip() for line in lines)
    states = {each.standing.state.value for each in FLEET.clients}
    assert all(any(state in line for line in lines) for state in states)


def test_where_there_is_no_terminal_nothing_is_cut_of_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor coloured: a program may read it."""
    print_fleet(FLEET.clients, NOON)
    shown = capsys.readouterr().out
    assert "since Friday 17:02 (usually back Mon 09:00)" in shown
    assert "\x1b" not in shown


def test_those_who_need_somebody_are_first() -> None:
    """Then by state; the other orders are what they are called."""
    ordered = order_clients(FLEET.clients, FleetOrder.ALARM)
    alarms = [bool(each.standing.alarm) for each in ordered]
    assert alarms == sorted(alarms, reverse=True)
    assert ordered[0].standing.state is ClientState.FAILING
    names = [each.facts.client for each in order_clients(FLEET.clients, FleetOrder.NAME)]
    assert names == sorted(names)
    used = [
        each.facts.exposure.used or timedelta(-1)
        for each in order_clients(FLEET.clients, FleetOrder.EXPOSURE)
    ]
    assert used[0] == 29 * HOUR
    assert used[-1] == timedelta(-1)
    seen = [each.facts.last_seen for each in order_clients(FLEET.clients, FleetOrder.SEEN)]
    assert seen == sorted(seen, key=lambda at: at or NOON)
    states = [each.standing.state for each in order_clients(FLEET.clients, FleetOrder.STATE)]
    assert states == sorted(states, key=[*ClientState].index)


def test_the_last_line_counts() -> None:
    """Each state that there is; the lost and retired are none of the whole."""
    few = make_fleet(len(STATES)).clients
    assert sum_up(few) == (
        "3 of 11 protected, 1 failing, 1 cut, 1 never, 1 running, 1 queued, 1 deferred, 1 away, "
        "1 unknown, 1 lost, 1 retired"
    )
    exposed = replace(few[0], standing=replace(few[0].standing, is_exposed=True))
    assert sum_up([exposed]) == "1 of 1 protected, 1 exposed"


def find(state: ClientState) -> ClientView:
    """Return a client in that state."""
    return next(each for each in FLEET.clients if each.standing.state is state)


def test_a_page_says_what_it_rests_on() -> None:
    """The alarm stands out, and each kind of fact has its own lines."""
    failing = find(ClientState.FAILING)
    lines = introduce_client(failing)
    assert lines[0].endswith("(daily): failing")
    assert "  ALARM: 3 runs failed: no space left on device" in lines
    assert describe_sessions(failing.facts.sessions)[1].endswith("for 1h, left")
    assert [len(line) for line in describe_days(failing, NOON)[1:]] == [47, 47]


def dump(level: int | None, day: int, state: DumpState = DumpState.STORED) -> DleVerdict:
    """Return a dump of that day."""
    at = NOON + timedelta(days=day)
    return DleVerdict("a", "/home", f"{at:%Y%m%d%H%M%S}", state, level, "", 2048, dumped_at=at)


def test_a_chain_begins_with_the_last_full() -> None:
    """What failed is none of it; the runs name that, too."""
    dumps = [
        dump(0, 1),
        dump(1, 2),
        dump(0, 3),
        dump(1, 4, DumpState.FAILED),
        dump(1, 5),
        dump(2, 6),
    ]
    (_, chain) = describe_chains(dumps)
    assert chain.startswith("  /home: levels 0 1 2, full of 2026-12-03")
    assert chain.endswith("6.3 MB")
    assert describe_chains([]) == describe_runs([]) == []
    assert [line.partition("  /home ")[2] for line in describe_runs(dumps)[1:]] == [
        "stored level 2",
        "stored level 1",
        "failed level 1",
        "stored level 0",
        "stored level 1",
    ]


def test_json_has_null_for_what_is_not_known() -> None:
    """And times with their zone."""
    value = json.loads(json.dumps(fleet_value(FLEET, FLEET.clients[:3])))
    assert len(value["clients"]) == 3
    assert sum(value["states"].values()) == 200
    unknown = client_value(find(ClientState.UNKNOWN))
    assert unknown["settings"] is None
    bare = find(ClientState.NEVER)
    disks = (DiskFacts("/x", None, None, DiskProof()),)
    value = client_value(ClientView(replace(bare.facts, disks=disks), bare.standing))
    assert value["last_backup_at"] is None
    at = bare.facts.exposure.as_of
    assert at
    exposure = {"used_seconds": None, "is_least": False, "as_of": at.isoformat()}
    assert value["exposure"] == exposure


def test_who_is_retired_stands_in_the_comments() -> None:
    """As `server retire` writes them; not one that is there still, nor a disk that was removed."""
    text = 'anna /home roaming\nbert /srv {\n  roaming\n}\n"c d" /x roaming\nanna /old roaming\n'
    day = date(2026, 11, 3)
    gone = comment_out(text, lambda block: block.host != "anna", "retired", day)
    gone = comment_out(gone, lambda block: block.disk == "/old", "retired", day)
    assert find_retired(gone) == {"bert": day, "c d": day}
    assert find_retired(comment_out(text, lambda _: True, "removed", day)) == {}
    assert find_retired("# retired 2026-99-99: anna /home x\n# retired soon\n") == {}


@pytest.mark.parametrize(
    ("written", "fresh", "kept", "tapecycle", "free"),
    [(0, 3, 0, 3, 3), (2, 1, 0, 3, 1), (3, 0, 0, 3, 1), (5, 0, 2, 3, 3), (1, 0, 0, 1, 1)],
)
def test_volumes_that_may_be_written(
    written: int, fresh: int, kept: int, tapecycle: int, free: int
) -> None:
    """New ones, and those after which tapecycle - 1 others were written."""
    volumes = [Volume(f"A{n}", f"2026112{n}000000") for n in range(written)]
    volumes += [Volume(f"B{n}", "") for n in range(fresh)]
    volumes += [Volume(f"C{n}", "20261101000000", is_reused=False) for n in range(kept)]
    assert count_free(volumes, tapecycle) == free

"""What goes on at the server, and what happened to its runs, as it is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.report.server import (
    DLE_HEADS,
    QUEUE_HEADS,
    RUN_HEADS,
    ConfigView,
    LiveRun,
    WaitingClient,
    describe_config,
    describe_connected,
    describe_dle,
    describe_outcome,
    describe_run,
    describe_waiting,
    dle_value,
    fold_names,
    introduce_run,
    run_value,
)
from asyncamanda.report.text import format_time
from asyncamanda.server.fleet.live import parse_view

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STAMP, OLDER = "20261124130000", "20261123130000"
STORED, HELD, FAILED, MISSING, CLAIMED, SKIPPED = DumpState
MANY = tuple(f"laptop-{n:02}.example.org" for n in range(40))


@pytest.mark.parametrize(
    ("names", "width", "text"),
    [
        ((), 20, "-"),
        (("laptop",), 20, "laptop"),
        (("a", "b", "c"), 7, "a, b, c"),
        (("a", "b", "c"), 6, "a and 2 more"),
        (("aaaa", "bbbb", "c", "d"), 16, "aaaa, bbbb, c, d"),
        (("aaaa", "bbbb", "cccc", "dddd"), 21, "aaaa, bbbb and 2 more"),
        (("aaaa", "bbbb", "cccc", "dddd"), 20, "aaaa and 3 more"),
        (("a-very-long-name", "b"), 5, "a-very-long-name and 1 more"),
        (("x\x1b[2J", "\udce9"), 30, "x\\x1b[2J, \\udce9"),
    ],
)
def test_names_are_folded_to_a_width(names: tuple[str, ...], width: int, text: str) -> None:
    """As many as there is room for, at least one, the others counted."""
    assert fold_names(names, width) == text


# -- the queue


def waiting(
    reason: str = "runs", *, is_present: bool = True, estimate: timedelta | None = None
) -> WaitingClient:
    """Return a client that has waited for five minutes."""
    return WaitingClient("laptop", NOW - 5 * MINUTE, is_present, 2, reason, estimate)


def config(
    *runs: LiveRun,
    clients: tuple[WaitingClient, ...] = (),
    has_others: bool = False,
    due: datetime | None = None,
    held: int = 0,
    capacity: int = 500 * 10**9,
) -> ConfigView:
    """Return what goes on."""
    return ConfigView("daily", clients, runs, has_others, held, capacity, due)


def live(clients: tuple[str, ...], unfinished: tuple[str, ...]) -> LiveRun:
    """Return a batch that has gone on for five minutes."""
    return LiveRun(STAMP, "batch", clients, NOW - 5 * MINUTE, unfinished)


def test_a_configuration_that_is_of_no_use_is_named() -> None:
    """Below the line on the whole, with the reason; what is not printable is written out."""
    broken = replace(config(), fault="cannot use the Amanda configuration daily: line 3\x1b")
    assert describe_config(broken, NOW)[1] == (
        "  no run is started: cannot use the Amanda configuration daily: line 3\\x1b"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("collecting", "others to join"),
        ("starting", "another run to start"),
        ("runs", "a run to end"),
        ("others", "a run that others started"),
        ("flush", "a flush to end"),
        ("of a \x1bnewer kind", "of a \\x1bnewer kind"),
    ],
)
def test_who_waits_is_told_what_for(reason: str, words: str) -> None:
    """In words; a reason that is not known yet is told as it is."""
    row = describe_waiting(waiting(reason, estimate=90 * timedelta(seconds=1)), NOW)
    assert row == ("2", "laptop", "5m", "present", words, "1m 30s")
    assert len(row) == len(QUEUE_HEADS)


def test_who_is_away_waits_for_nothing_else() -> None:
    """And no run is promised."""
    row = describe_waiting(waiting(is_present=False, estimate=MINUTE), NOW)
    assert row == ("2", "laptop", "5m", "away", "its return", "-")


def test_what_nobody_can_know_is_not_told() -> None:
    """No estimate is a dash, and one that is over is a second."""
    assert describe_waiting(waiting(), NOW)[-1] == "-"
    assert describe_waiting(waiting(estimate=timedelta(0)), NOW)[-1] == "1s"


@pytest.mark.parametrize(
    ("view", "lines"),
    [
        (
            config(),
            [
                "daily: no run in progress, no client waiting",
                "0 % of 500 GB filled; no flush is due",
            ],
        ),
        (
            config(clients=(waiting(),), held=10**9, capacity=0),
            ["daily: no run in progress, 1 client waiting", "1 GB held; no flush is due"],
        ),
        (
            config(clients=(waiting(), waiting()), has_others=True),
            ["daily: 1 run in progress, 2 clients waiting", "a run that somebody else started"],
        ),
        (
            config(live(("a", "b", "c"), ("b",)), has_others=True),
            [
                "daily: 2 runs in progress, no client waiting",
                f"batch {STAMP}, 5m so far\n",
                "clients: a, b, c",
                "not done yet: b",
            ],
        ),
        (
            config(live(("a", "b"), ("b", "a"))),
            ["5m so far; none is done yet", "clients: a, b"],
        ),
        (config(live(("a", "b"), ())), ["5m so far; all are done"]),
        (config(LiveRun(None, "flush", (), NOW, ())), ["flush, 0s so far"]),
        (
            config(due=NOW - MINUTE, held=377 * 10**9),
            ["75 % of 500 GB filled; a flush has been due for 1m"],
        ),
        (config(due=NOW + MINUTE), ["a flush has been due for 0s"]),  # the clock was set back
    ],
)
def test_what_goes_on_in_a_few_lines(view: ConfigView, lines: list[str]) -> None:
    """The whole first, then each run, then the holding disk."""
    text = "\n".join(describe_config(view, NOW))
    positions = [text.find(line) for line in lines]
    assert positions[0] >= 0
    assert positions == sorted(positions)


def test_what_goes_on_fits_into_80_columns() -> None:
    """However many clients a run has, and however many are connected."""
    view = config(live(MANY, MANY[1:]), live(MANY, MANY), due=NOW, held=10**12, capacity=3 * 10**12)
    lines = [*describe_config(view, NOW), describe_connected(MANY)]
    assert max(map(len, lines)) <= 80
    assert sum(line.endswith(" more") for line in lines) == 4


@pytest.mark.parametrize(
    ("clients", "line"),
    [
        ((), "no client is connected"),
        (("laptop",), "1 client is connected: laptop"),
        (("laptop", "tablet"), "2 clients are connected: laptop, tablet"),
    ],
)
def test_who_is_connected_is_a_line(clients: tuple[str, ...], line: str) -> None:
    """By name, as far as there is room."""
    assert describe_connected(clients) == line


ANSWER: dict[str, Any] = {
    "connected": ["laptop", "tablet"],
    "configs": [
        {
            "amanda_config": "daily",
            "waiting": [
                {
                    "client": "laptop",
                    "submitted_at": "2026-11-24T11:55:00+00:00",
                    "present": True,
                    "place": 2,
                    "waits_for": "runs",
                    "estimate_seconds": 60.0,
                }
            ],
            "runs": [
                {
                    "run": None,
                    "kind": "batch",
                    "clients": ["tablet"],
                    "begun_at": "2026-11-24T11:55:00.500000+00:00",
                    "unfinished": ["tablet"],
                }
            ],
            "others": False,
            "held_bytes": 5,
            "holding_bytes": 100,
            "flush_due_since": None,
        }
    ],
}


def test_the_dispatchers_answer_is_read() -> None:
    """Times are times again, and spans are spans."""
    connected, (view,) = parse_view(ANSWER)
    assert connected == ["laptop", "tablet"]
    half = timedelta(seconds=0.5)
    assert view == ConfigView(
        "daily",
        (waiting(estimate=MINUTE),),
        (LiveRun(None, "batch", ("tablet",), NOW - 5 * MINUTE + half, ("tablet",)),),
        False,
        5,
        100,
        None,
    )
    due = ANSWER["configs"][0] | {"flush_due_since": "2026-11-24T12:00:00+00:00", "waiting": []}
    assert parse_view(ANSWER | {"configs": [due]})[1][0].flush_due_since == NOW


@pytest.mark.parametrize("answer", [{}, {"connected": []}, {"connected": 1, "configs": []}])
def test_another_answer_is_none(answer: dict[str, Any]) -> None:
    """It says so, and does not pass for an empty queue."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse_view(answer)


# -- the runs


def verdict(
    state: DumpState, *, timestamp: str = STAMP, level: int | None = 1, reason: str = ""
) -> DleVerdict:
    """Return what happened to a dump of 1 MiB."""
    return DleVerdict("laptop", "/home", timestamp, state, level, reason, 1024)


RUN = RunRow(
    7,
    "daily",
    RunKind.BATCH,
    ("laptop", "tablet"),
    NOW - 60 * MINUTE,
    STAMP,
    ended_at=NOW - 55 * MINUTE,
    exit_status=0,
    is_clean=True,
)


def run(**changes: Any) -> RunRow:
    """Return RUN with these changes."""
    return RunRow(**{name: getattr(RUN, name) for name in RUN.__slots__} | changes)


@pytest.mark.parametrize(
    ("row", "states", "is_alive", "words"),
    [
        (RUN, [HELD], False, "1 held"),
        (
            RUN,
            [MISSING, HELD, STORED, FAILED, HELD],
            False,
            "1 stored, 2 held, 1 failed, 1 missing",
        ),
        (RUN, [SKIPPED, STORED], False, "1 stored, 1 skipped"),
        (RUN, [], False, "no dump"),
        (run(remark="amdump could not\nbe run"), [], False, "amdump could not\\x0abe run"),
        (run(is_clean=False), [STORED], False, "1 stored, with errors"),
        (run(ended_at=None), [], True, "in progress"),
        (run(ended_at=None), [HELD], True, "in progress, 1 held"),
        (run(ended_at=None), [HELD], False, "ended, not evaluated yet, 1 held"),
    ],
)
def test_the_outcome_of_a_run_in_a_few_words(
    row: RunRow, states: list[DumpState], is_alive: bool, words: str
) -> None:
    """How many dumps are where; without any, what is known instead."""
    assert describe_outcome(row, map(verdict, states), is_alive=is_alive) == words


def test_a_run_is_a_row() -> None:
    """Its name, for whom, how long ago, how long it took, and where the dumps are."""
    row = describe_run(RUN, [verdict(HELD)], NOW, is_alive=False)
    assert row == (STAMP, "batch", "laptop, tablet", "1h ago", "5m", "1 held")
    assert len(row) == len(RUN_HEADS)
    flush = run(kind=RunKind.FLUSH, hosts=(), labels=("daily-7",), timestamp=None, ended_at=None)
    row = describe_run(flush, [verdict(STORED)], NOW, is_alive=True)
    outcome = "in progress, 1 stored; volume daily-7"
    assert row == ("-", "flush", "-", "1h ago", "1h", outcome)


@pytest.mark.parametrize(
    ("row", "is_alive", "lines"),
    [
        (
            RUN,
            False,
            [
                f"run {STAMP} of daily, a batch for laptop, tablet",
                f"begun {format_time(NOW - 60 * MINUTE)}, took 5m, exit status 0: 1 stored",
            ],
        ),
        (
            run(
                kind=RunKind.FLUSH,
                hosts=(),
                labels=("d-1", "d-2"),
                exit_status=None,
                remark="no\ttape",
                report="/var/r.txt",
            ),
            False,
            [
                f"run {STAMP} of daily, a flush",
                f"begun {format_time(NOW - 60 * MINUTE)}, took 5m: 1 stored",
                "volumes d-1, d-2",
                "remark: no\\x09tape",
                "report: /var/r.txt",
            ],
        ),
        (
            run(kind=RunKind.OTHER, hosts=("a",), exit_status=None, ended_at=None),
            True,
            [
                f"run {STAMP} of daily, started by somebody else for a",
                f"begun {format_time(NOW - 60 * MINUTE)}, for 1h: in progress, 1 stored",
            ],
        ),
    ],
)
def test_a_run_is_introduced(row: RunRow, is_alive: bool, lines: list[str]) -> None:
    """Whose it is and for whom, when, and how it went."""
    assert introduce_run(row, [verdict(STORED)], NOW, is_alive=is_alive) == lines


def test_the_introduction_fits_into_80_columns() -> None:
    """However many clients it has, and volumes."""
    row = run(hosts=MANY, labels=MANY)
    assert max(map(len, introduce_run(row, [verdict(HELD)], NOW, is_alive=False))) <= 80


@pytest.mark.parametrize(
    ("word", "cells"),
    [
        (verdict(STORED), ("1", "1 MB", "stored")),
        (verdict(FAILED, level=None, reason="[lost\x1b]"), ("-", "1 MB", "failed: [lost\\x1b]")),
        (
            verdict(STORED, timestamp=OLDER, level=0),
            ("0", "1 MB", f"stored (the dump of {OLDER})"),
        ),
        (
            DleVerdict("laptop", "/home", STAMP, HELD, 0, "odd", is_strange=True),
            ("0", "-", "held, with strange messages: odd"),
        ),
    ],
)
def test_a_dle_is_a_row(word: DleVerdict, cells: tuple[str, ...]) -> None:
    """Level and size, and what happened to it with the reason; dashes for what nobody said."""
    row = describe_dle(word, RUN)
    assert row == ("laptop", "/home", *cells)
    assert len(row) == len(DLE_HEADS)


def test_a_run_as_a_value() -> None:
    """Every state is counted, also with none; what is not known is null."""
    row = run(hosts=("laptop",), labels=("d-1",), exit_status=None, remark="odd", ended_at=None)
    assert run_value(row, [verdict(HELD), verdict(HELD), verdict(FAILED)]) == {
        "run": STAMP,
        "amanda_config": "daily",
        "kind": "batch",
        "clients": ["laptop"],
        "begun_at": "2026-11-24T11:00:00+00:00",
        "ended_at": None,
        "exit_status": None,
        "is_clean": True,
        "dumps": {"stored": 0, "held": 2, "failed": 1, "missing": 0, "claimed": 0, "skipped": 0},
        "volumes": ["d-1"],
        "remark": "odd",
        "report": None,
    }


def test_a_dle_as_a_value() -> None:
    """With the run that made the dump, which may be an older one."""
    word = DleVerdict("laptop", "/home", OLDER, FAILED, None, "why", 0, is_strange=True)
    assert dle_value(word) == {
        "client": "laptop",
        "disk": "/home",
        "run": OLDER,
        "state": "failed",
        "level": None,
        "kilobytes": None,
        "is_strange": True,
        "reason": "why",
        "filters": None,
    }
    crypt = Filters("client custom", "/usr/bin/zstd", "server", "/usr/sbin/crypt", "-x")
    assert dle_value(word, crypt)["filters"] == {
        "compress": "client custom",
        "compress_program": "/usr/bin/zstd",
        "encrypt": "server",
        "encrypt_program": "/usr/sbin/crypt",
        "decrypt_option": "-x",
    }
    stored = dle_value(verdict(STORED))
    assert (stored["kilobytes"], stored["level"], stored["reason"]) == (1024, 1, None)

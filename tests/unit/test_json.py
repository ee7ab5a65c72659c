"""Verdicts and memories as JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.amandates import parse_amandates

from asyncamanda.core.agent.due import Disk, decide_due
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.model import Attempt, DleProgress, DumpRecord, Outcome, Policy
from asyncamanda.core.protocol.messages import Progress, Queued, Running
from asyncamanda.report.json import (
    attempt_value,
    decision_value,
    dump_value,
    event_value,
    render_event,
    render_json,
    time_value,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DUMP = DumpRecord("/\udce9", 1, NOW, 36_000)
DUMP_VALUE = {
    "disk": "/\udce9",
    "level": 1,
    "started_at": "2026-11-23T12:00:00+00:00",
    "kilobytes": 36_000,
}


def test_a_verdict_keeps_its_shape() -> None:
    """Every disk with its standing and evidence, and every skipped line."""
    new = Disk("/new", in_future=DUMP, distrusted=DUMP, restorable_since=NOW)
    new = replace(new, proved_at=NOW, proof_fault="gone")
    disks = (Disk("/\udce9", DUMP), new)
    decision = decide_due(disks, Policy(DAY), NOW)
    _, rejected = parse_amandates("bad\n")
    assert json.loads(render_json(decision_value(decision, rejected, "why"))) == {
        "due": True,
        "reason": "why",
        "due_at": None,
        "last_backup_at": "2026-11-23T12:00:00+00:00",
        "disks": [
            {
                "disk": "/\udce9",
                "standing": "fresh",
                "last": DUMP_VALUE,
                "in_future": None,
                "distrusted": None,
                "restorable_since": None,
                "proved_at": None,
                "proof_fault": None,
            },
            {
                "disk": "/new",
                "standing": "never",
                "last": None,
                "in_future": DUMP_VALUE,
                "distrusted": DUMP_VALUE,
                "restorable_since": "2026-11-23T12:00:00+00:00",
                "proved_at": "2026-11-23T12:00:00+00:00",
                "proof_fault": "gone",
            },
        ],
        "rejected_lines": {
            "count": 1,
            "first": [
                {
                    "number": 1,
                    "text": "bad",
                    "fault": "no disk name followed by a level and a time",
                }
            ],
        },
    }


def test_a_verdict_that_nothing_is_due_says_until_when() -> None:
    """Times are RFC 3339 in UTC."""
    decision = decide_due((Disk("/", DUMP),), Policy(DAY), NOW)
    value = decision_value(decision, Rejected(), "why")
    assert value["due"] is False
    assert value["due_at"] == "2026-11-24T11:16:48+00:00"
    assert value["last_backup_at"] == "2026-11-23T12:00:00+00:00"


def test_an_attempt_keeps_its_shape() -> None:
    """All that is remembered of it."""
    attempt = Attempt(NOW, NOW + DAY, Outcome.FAILED, "why", 4, (DUMP,), 1, "20261123120000")
    assert json.loads(render_json(attempt_value(attempt))) == {
        "started_at": "2026-11-23T12:00:00+00:00",
        "ended_at": "2026-11-24T12:00:00+00:00",
        "outcome": "failed",
        "detail": "why",
        "exit_status": 4,
        "dumps": [DUMP_VALUE],
        "times": 1,
        "run": "20261123120000",
    }
    assert attempt_value(Attempt(NOW, NOW, Outcome.FAILED))["run"] is None


def test_a_size_that_nobody_said_is_null() -> None:
    """amandates has none."""
    value = dump_value(DumpRecord("/", 0, NOW))
    assert value
    assert value["kilobytes"] is None


def test_no_time_is_null() -> None:
    """Nothing stands for what never was."""
    assert time_value(None) is None


def test_an_event_is_one_line_with_its_name() -> None:
    """Whatever the names in it are."""
    line = render_event("queued", {"reason": "a\nb\udce9"})
    assert json.loads(line) == {"event": "queued", "reason": "a\nb\udce9"}
    assert line.isascii()
    assert "\n" not in line


def test_what_the_server_says_of_a_request_keeps_its_shape() -> None:
    """Spans are seconds; what is not known yet is null."""
    assert event_value(Queued(2, 5, timedelta(seconds=7.5), "runs")) == {
        "place": 2,
        "of": 5,
        "starts_in": 7.5,
        "reason": "runs",
    }
    assert event_value(Queued(1, 1, None, "collecting"))["starts_in"] is None
    assert event_value(Running("", NOW, 3)) == {
        "run": None,
        "since": "2026-11-23T12:00:00+00:00",
        "clients": 3,
    }
    dle = DleProgress("laptop", "/home", 1, "dumping", 7, 9)
    assert event_value(Progress("20261123120000", (dle,))) == {
        "run": "20261123120000",
        "dles": [
            {
                "disk": "/home",
                "level": 1,
                "phase": "dumping",
                "done_kilobytes": 7,
                "total_kilobytes": 9,
            }
        ],
    }

"""Verdicts and memories as JSON."""

import json
from datetime import UTC, datetime, timedelta

from asyncamanda.core.amandates import Rejected, parse_amandates
from asyncamanda.core.due import Disk, decide_due
from asyncamanda.core.model import Attempt, DumpRecord, Outcome, Policy
from asyncamanda.report.json import attempt_value, decision_value, render_json, time_value

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DUMP = DumpRecord("/\udce9", 1, NOW)
DUMP_VALUE = {"disk": "/\udce9", "level": 1, "started_at": "2026-11-23T12:00:00+00:00"}


def test_a_verdict_keeps_its_shape() -> None:
    """Every disk with its standing and evidence, and every skipped line."""
    disks = (Disk("/\udce9", DUMP), Disk("/new", in_future=DUMP, distrusted=DUMP))
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
            },
            {
                "disk": "/new",
                "standing": "never",
                "last": None,
                "in_future": DUMP_VALUE,
                "distrusted": DUMP_VALUE,
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
    attempt = Attempt(NOW, NOW + DAY, Outcome.FAILED, "why", 4, (DUMP,), 1)
    assert json.loads(render_json(attempt_value(attempt))) == {
        "started_at": "2026-11-23T12:00:00+00:00",
        "ended_at": "2026-11-24T12:00:00+00:00",
        "outcome": "failed",
        "detail": "why",
        "exit_status": 4,
        "dumps": [DUMP_VALUE],
        "times": 1,
    }


def test_no_time_is_null() -> None:
    """Nothing stands for what never was."""
    assert time_value(None) is None

"""What a client says of its settings, as JSON shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.facts import ClientFacts, ClientReport
from asyncamanda.core.fleet.judging import judge_client
from asyncamanda.core.fleet.standing import ClientView
from asyncamanda.report.fleet_json import client_value
from asyncamanda.report.json import render_json

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_client_that_says_zero_hides_no_other() -> None:
    """The protocol takes any span from zero on, and one client's must not end the whole answer."""
    report = ClientReport(NOON, "x", timedelta(), timedelta(), None)
    facts = ClientFacts("laptop", "daily", report=report)
    view = ClientView(facts, judge_client(facts, ServerConfig().fleet, NOON))
    said = json.loads(render_json(client_value(view)))
    assert '"interval": 0' in json.dumps(said)
    assert '"stale_after_use": null' in json.dumps(said)

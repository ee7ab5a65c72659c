"""A client's standing after the server's clock was ahead for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.fleet.facts import ClientFacts, ClientReport, DiskFacts
from asyncamanda.core.fleet.judging import judge_client
from asyncamanda.core.model import DleVerdict, DumpState

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_report_of_a_time_to_come_exposes_nobody() -> None:
    """It was written down while the clock was a year ahead: the backup is an hour old."""
    stamp = "20261124110000"
    verdict = DleVerdict("laptop", "/", stamp, DumpState.STORED, 0, dumped_at=NOON - HOUR)
    report = ClientReport(NOON + timedelta(days=365), "x", timedelta(days=1), timedelta(days=7))
    disks = (DiskFacts("/", verdict, verdict, DiskProof()),)
    facts = ClientFacts("laptop", "daily", disks=disks, report=report)
    standing = judge_client(facts, ServerConfig().fleet, NOON)
    assert (standing.is_exposed, standing.alarm) == (False, "")

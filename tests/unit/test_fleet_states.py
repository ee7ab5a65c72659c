"""Which state a client is in: a table for each, and one for what goes before what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncamanda.core.amanda.reasons import explain_reason
from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.dispatch.records import RequestRow, RequestState
from asyncamanda.core.exposure.values import Exposure
from asyncamanda.core.fleet.days import sum_up_day
from asyncamanda.core.fleet.facts import ClientFacts, ClientReport, DiskFacts, SessionFacts
from asyncamanda.core.fleet.judging import PRECEDENCE, judge_client
from asyncamanda.core.fleet.policy import FleetPolicy
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.model import DleVerdict, DumpState

NOW = datetime(2026, 12, 1, 13, tzinfo=ZoneInfo("Europe/Berlin"))  # a Tuesday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = FleetPolicy()
S = ClientState


def verdict(ago: timedelta, state: DumpState = DumpState.STORED, reason: str = "") -> DleVerdict:
    """Return a verdict on a dump of so long ago."""
    at = (NOW - ago).astimezone(UTC)
    return DleVerdict("a", "/home", f"{at:%Y%m%d%H%M%S}", state, 1, reason, dumped_at=at)


def disk(
    name: str = "/home",
    good: timedelta | None = None,
    bad: timedelta | None = None,
    reason: str = "no space left on device",
    *,
    is_parked: bool = False,
) -> DiskFacts:
    """Return a disk with a backup, and a failure, of so long ago."""
    confirmed = None if good is None else verdict(good)
    failed = None if bad is None else verdict(bad, DumpState.FAILED, reason)
    since = None if failed is None else failed.dumped_at
    return DiskFacts(name, confirmed, failed or confirmed, DiskProof(), is_parked, since)


FRESH, DUE = disk(good=HOUR), disk(good=30 * HOUR)
FAILING, CUT = (
    disk(good=30 * HOUR, bad=2 * HOUR),
    disk(good=30 * HOUR, bad=2 * HOUR, reason=("Request to a failed: EOF on read from a")),
)
NEW = disk()
REPORT = ClientReport(NOW - 2 * HOUR, "asyncamanda 1.2", DAY, 7 * DAY)
DEFERRED = replace(REPORT, deferred_at=NOW - 5 * HOUR, deferred_reason="on battery (40 %)")
QUEUED = RequestRow(1, "a", "daily", NOW - HOUR, RequestState.QUEUED)
RUNNING = replace(QUEUED, state=RequestState.RUNNING, run_id=3)
DONE = replace(QUEUED, state=RequestState.DONE)
CLIENT = ClientFacts(
    "a", "daily", NOW - 100 * DAY, last_seen=NOW - 2 * HOUR, report=REPORT, disks=(FRESH,)
)


def client(**facts: object) -> ClientFacts:
    """Return CLIENT with other facts."""
    return replace(CLIENT, **facts)  # type: ignore[arg-type]


def back_since(span: timedelta) -> tuple[SessionFacts, ...]:
    """Return the sessions of a client that came back so long ago, after nine days."""
    went_at = NOW - 9 * DAY
    before = SessionFacts(went_at - HOUR, went_at, went_at, "left")
    return (before, SessionFacts(NOW - span, NOW - span))


TABLE: list[tuple[str, ClientFacts, ClientState, str]] = [
    ("fresh", CLIENT, S.PROTECTED, "protected: its last backup began 1h ago"),
    (
        "fresh, and asked by hand",
        client(request=RUNNING),
        S.PROTECTED,
        "protected: its last backup began 1h ago; a run is in progress",
    ),
    (
        "away",
        client(disks=(DUE,), last_seen=NOW - 3 * DAY),
        S.AWAY,
        "due, and away since Sat 13:00",
    ),
    ("long away", client(disks=(DUE,), last_seen=NOW - 30 * DAY), S.AWAY, "since 2026-11-01 13:00"),
    ("never seen", client(disks=(DUE,), last_seen=None), S.AWAY, "it was never connected"),
    (
        "waits",
        client(disks=(DUE,), is_connected=True, request=QUEUED, place="a batch"),
        S.QUEUED,
        "due and here: it waits for a batch, since 12:00",
    ),
    ("has not asked", client(disks=(DUE,), is_connected=True, request=DONE), S.QUEUED, "not asked"),
    ("waits and went", client(disks=(DUE,), request=QUEUED), S.AWAY, "away since 11:00"),
    ("runs", client(disks=(DUE,), request=RUNNING), S.RUNNING, "running, asked for 12:00"),
    (
        "deferred",
        client(disks=(DUE,), report=DEFERRED),
        S.DEFERRED,
        "deferred since 08:00 because on battery (40 %)",
    ),
    (
        "deferred long ago, and gone since",
        client(disks=(DUE,), report=replace(DEFERRED, at=NOW - 2 * DAY), last_seen=NOW - 2 * DAY),
        S.AWAY,
        "away since Sun 13:00",
    ),
    (
        "failing",
        client(disks=(FAILING,)),
        S.FAILING,
        "/home is failing since 11:00 because no space left on device",
    ),
    ("failing and waits", client(disks=(FAILING,), request=RUNNING), S.FAILING, "is failing"),
    ("made good", client(disks=(disk(good=HOUR, bad=2 * HOUR),)), S.PROTECTED, "1h ago"),
    ("cut", client(disks=(CUT,)), S.CUT, "the last dump of /home was broken off since 11:00"),
    ("new", client(disks=(NEW,)), S.NEVER, "no backup yet; last connected 11:00 (2h ago)"),
    ("new and runs", client(disks=(NEW,), request=RUNNING), S.NEVER, "; a run is in progress"),
    ("a new disk", client(disks=(FRESH, disk("/new"))), S.NEVER, "no backup of /new yet"),
    ("without a disk", client(disks=()), S.NEVER, "Amanda's disklist has no disk of this client"),
    ("an old agent, fresh", client(report=None), S.PROTECTED, "1h ago"),
    ("an old agent", client(report=None, disks=(DUE,)), S.UNKNOWN, "too old to say"),
    ("an old agent that runs", client(report=None, disks=(DUE,), request=RUNNING), S.RUNNING, ""),
    ("lost", client(lost_at=NOW - DAY), S.LOST, "lost since Mon 13:00"),
    ("retired", client(retired_at=NOW - 40 * DAY), S.RETIRED, "retired since 2026-10-22"),
    (
        "a parked disk does not count",
        client(disks=(FRESH, disk("/srv", bad=HOUR, is_parked=True))),
        S.PROTECTED,
        "1h ago",
    ),
    (
        "all is parked",
        client(disks=(disk(good=90 * DAY, is_parked=True),)),
        S.DEFERRED,
        "the server's configuration leaves all its disks out",
    ),
    (
        "the worst disk decides",
        client(disks=(FRESH, replace(FAILING, disk="/srv"), disk("/new"))),
        S.FAILING,
        "/srv is failing",
    ),
    (
        "by its own interval",
        client(disks=(DUE,), report=replace(REPORT, interval=7 * DAY)),
        S.PROTECTED,
        "1d 6h ago",
    ),
    ("nearly a day", client(disks=(disk(good=23.5 * HOUR),)), S.AWAY, "due"),
]


@pytest.mark.parametrize(
    ("facts", "state", "said"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_state(facts: ClientFacts, state: ClientState, said: str) -> None:
    """By what is known of the client, with a sentence that says so."""
    standing = judge_client(facts, POLICY, NOW)
    assert standing.state is state
    assert said in standing.sentence
    assert standing.evidence


WORST_FIRST: list[tuple[ClientState, dict[str, object]]] = [
    (S.RETIRED, {"retired_at": NOW}),
    (S.LOST, {"lost_at": NOW}),
    (S.FAILING, {"disks": (FAILING,)}),
    (S.CUT, {"disks": (CUT,)}),
    (S.NEVER, {"disks": (NEW,)}),
    (S.PROTECTED, {"disks": (FRESH,)}),
    (S.RUNNING, {"request": RUNNING}),
    (S.QUEUED, {"is_connected": True}),
    (S.DEFERRED, {"report": DEFERRED}),
    (S.UNKNOWN, {"report": None}),
    (S.AWAY, {}),
]


def test_each_state_goes_before_those_after_it() -> None:
    """A client for which all of them hold is in the first; without that, in the next."""
    assert [state for state, _ in WORST_FIRST] == [state for state, _ in PRECEDENCE]
    assert {state for state, _ in PRECEDENCE} == set(ClientState)
    for place, (state, _) in enumerate(WORST_FIRST):
        facts = client(disks=(DUE,))
        for _, its in reversed(WORST_FIRST[place:]):
            facts = replace(facts, **its)  # type: ignore[arg-type]
        assert judge_client(facts, POLICY, NOW).state is state


OLD = disk(good=10 * DAY)
USED = replace(REPORT, stale_after_use=20 * HOUR)
ALARMS: list[tuple[str, ClientFacts, str]] = [
    ("fresh", CLIENT, ""),
    ("due", client(disks=(DUE,)), ""),
    ("failing", client(disks=(FAILING,)), "failing because no space left on device"),
    ("cut", client(disks=(CUT,)), ""),
    ("new", client(disks=(NEW,), known_since=NOW - DAY), ""),
    ("new for long", client(disks=(NEW,), known_since=NOW - 4 * DAY), "no backup for 4d"),
    (
        "new, nobody knows since when",
        client(disks=(NEW,), known_since=None),
        "since it was enrolled",
    ),
    ("a new disk", client(disks=(FRESH, disk("/new"))), ""),
    ("here, and old", client(disks=(OLD,), is_connected=True), "no backup for 10d; 7d allowed"),
    ("seen lately, and old", client(disks=(OLD,)), "no backup for 9d 22h; 7d allowed"),
    ("just back, and old", client(disks=(OLD,), is_connected=True, sessions=back_since(HOUR)), ""),
    (
        "back for hours, and old",
        client(disks=(OLD,), is_connected=True, sessions=back_since(5 * HOUR)),
        "no backup for 10d; 7d allowed",
    ),
    (
        "in a drawer",
        client(disks=(OLD,), last_seen=NOW - 9 * DAY, report=replace(REPORT, at=NOW - 9 * DAY)),
        "",
    ),
    ("an old agent in a drawer", client(disks=(OLD,), last_seen=NOW - 9 * DAY, report=None), "10d"),
    ("used", client(disks=(DUE,), report=USED, exposure=Exposure(21 * HOUR)), "used for 21h"),
    ("used less", client(disks=(DUE,), report=USED, exposure=Exposure(19 * HOUR)), ""),
    ("use is not known", client(disks=(DUE,), report=USED, exposure=Exposure(None)), ""),
    ("no limit by use", client(disks=(DUE,), exposure=Exposure(99 * HOUR)), ""),
    ("parked", client(disks=(replace(OLD, is_parked=True),)), ""),
    ("lost", client(disks=(OLD,), lost_at=NOW), ""),
    ("retired", client(disks=(FAILING,), retired_at=NOW), ""),
]


@pytest.mark.parametrize(
    ("facts", "alarm"), [row[1:] for row in ALARMS], ids=[row[0] for row in ALARMS]
)
def test_alarm(facts: ClientFacts, alarm: str) -> None:
    """Only where it is failing, without any backup for long, or exposed: absence is no failure."""
    standing = judge_client(facts, POLICY, NOW)
    assert bool(standing.alarm) is bool(alarm)
    assert alarm in standing.alarm


def test_each_disk_is_named_in_the_evidence() -> None:
    """With how it stands, the presence and the settings that count."""
    facts = client(disks=(FRESH, replace(FAILING, disk="/srv"), disk("/x", is_parked=True)))
    home, srv, parked, presence, settings = judge_client(facts, POLICY, NOW).evidence
    assert home == "/home: last backup 12:00 (1h ago), level 1"
    assert srv == (
        "/srv: failing since 11:00: no space left on device; last backup Mon 07:00 (1d 6h ago)"
    )
    assert parked == "/x: left out by the server's configuration"
    assert presence == "last connected 11:00 (2h ago)"
    assert settings == "its settings: due after 1d, exposed after 7d"


def test_a_reason_that_is_open_is_decided_by_the_session() -> None:
    """One that broke in mid-dump; one that went on was not the cause."""
    open_reason = disk(good=30 * HOUR, bad=2 * HOUR, reason="[missing size line from sendbackup]")
    broke = SessionFacts(NOW - 3 * HOUR, NOW - HOUR, NOW - HOUR, "silent")
    for session, state in ((broke, S.CUT), (replace(broke, how="left"), S.FAILING)):
        facts = client(disks=(open_reason,), sessions=(session,))
        assert judge_client(facts, POLICY, NOW).state is state


def test_a_day_counts_who_is_a_member() -> None:
    """The lost and the retired are not; an exposure that nobody knows is none of the curve."""
    facts = [
        client(exposure=Exposure(HOUR)),
        client(exposure=Exposure(9 * HOUR), disks=(DUE,)),
        client(exposure=Exposure(None)),
        client(lost_at=NOW, exposure=Exposure(99 * HOUR)),
    ]
    views = tuple(ClientView(each, judge_client(each, POLICY, NOW)) for each in facts)
    day = sum_up_day(FleetView(NOW, views))
    assert (day.day, day.clients, day.protected) == (NOW.date(), 3, 2)
    assert (day.half_exposed, day.most_exposed) == (HOUR, 9 * HOUR)
    assert sum_up_day(FleetView(NOW, ())).half_exposed is None


@pytest.mark.parametrize(
    "reason",
    [
        "dumper TRYAGAIN: NAK: asyncamanda: laptop is not connected",
        "[Request to laptop failed: EOF on read from laptop]",
        explain_reason("[Request to laptop failed: EOF on read from laptop]"),
    ],
)
def test_a_client_that_went_in_mid_dump_was_cut(reason: str) -> None:
    """However Amanda, the relay and what explains both to people say so."""
    standing = judge_client(client(disks=(disk(bad=HOUR, reason=reason),)), POLICY, NOW)
    assert (standing.state, standing.alarm) == (S.CUT, "")

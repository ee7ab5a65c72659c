"""Fleets of any size for tests and benchmarks: each state is there, and always the same again."""

from datetime import UTC, datetime, timedelta

from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.dispatch.records import RequestRow, RequestState, RunKind, RunRow
from asyncamanda.core.fleet.facts import (
    MARKED_DAYS,
    ClientFacts,
    ClientReport,
    ConfigFacts,
    DayMark,
    DiskFacts,
    Exposure,
    FleetDay,
    SessionFacts,
)
from asyncamanda.core.fleet.standing import ClientStanding, ClientState, ClientView, FleetView
from asyncamanda.core.model import DleVerdict, DumpState

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
GB = 10**9
STATES = (ClientState.PROTECTED, ClientState.PROTECTED, *ClientState)
ALARMS = {
    ClientState.FAILING: "3 runs failed: no space left on device",
    ClientState.NEVER: "no backup since it was enrolled",
}


def make_fleet(count: int, *, at: datetime = NOON, names: tuple[str, ...] = ()) -> FleetView:
    """Return a fleet of `count` clients; the first ones are called `names`."""
    names += tuple(f"laptop{number:04d}" for number in range(len(names), count))
    clients = tuple(make_client(number, name, at) for number, name in enumerate(names))
    run = RunRow(
        4711,
        "daily",
        RunKind.BATCH,
        names[:2],
        at - HOUR,
        timestamp="20261130110000",
        ended_at=at - HOUR / 2,
        exit_status=0,
        is_clean=True,
        labels=("daily-001",),
    )
    config = ConfigFacts(
        "daily", "", names[2:3], (), held_bytes=3 * GB, holding_bytes=10 * GB, volumes=20
    )
    days = tuple(
        FleetDay((at - n * DAY).date(), count, count - n % 7, (n % 5) * HOUR, (n % 5 + 9) * HOUR)
        for n in range(MARKED_DAYS - 1, -1, -1)
    )
    totals = {"clean": 4000, "failed": 12}
    by_name = tuple(sorted(clients, key=lambda view: view.facts.client))
    return FleetView(at, by_name, (config,), (run,), totals, days)


def make_client(number: int, name: str, at: datetime) -> ClientView:
    """Return the client of that number, in one state after the other."""
    state = STATES[number % len(STATES)]
    is_new = state is ClientState.NEVER
    begun_at = at - (number % 40) * 5 * HOUR - HOUR
    stamp = f"{begun_at:%Y%m%d%H%M%S}"
    good = DleVerdict(name, "/home", stamp, DumpState.STORED, 1, "", 345_678, dumped_at=begun_at)
    bad = DleVerdict(
        name, "/srv", stamp, DumpState.FAILED, reason="no space left on device", dumped_at=begun_at
    )
    disks = (
        DiskFacts("/home", None if is_new else good, good, DiskProof(begun_at)),
        DiskFacts("/srv", None, bad, DiskProof(None, "the image is cut off")),
    )
    marks = [*DayMark]
    sentence = {
        ClientState.FAILING: "failing since Tuesday: /srv: no space left on device",
        ClientState.AWAY: "due, and away since Friday 17:02 (usually back Mon 09:00)",
    }.get(state, f"{state.value}, as it should be")
    facts = ClientFacts(
        name,
        "daily",
        at - 200 * DAY,
        lost_at=begun_at if state is ClientState.LOST else None,
        retired_at=begun_at if state is ClientState.RETIRED else None,
        is_connected=state in {ClientState.RUNNING, ClientState.QUEUED},
        last_seen=begun_at,
        request=RequestRow(number + 1, name, "daily", begun_at, RequestState.DONE),
        disks=disks,
        report=None
        if state is ClientState.UNKNOWN
        else ClientReport(begun_at, "asyncamanda 0.1", DAY, 7 * DAY, 20 * HOUR),
        exposure=Exposure(None if is_new else (number % 30) * HOUR, number % 3 == 0, begun_at),
        sessions=(SessionFacts(begun_at, begun_at + HOUR, begun_at + HOUR, "left"),),
        days=tuple(marks[(number + day // 3) % len(marks)] for day in range(MARKED_DAYS)),
    )
    standing = ClientStanding(
        state,
        begun_at,
        sentence,
        ("its last dump was confirmed", "its settings allow 7 days"),
        ALARMS.get(state, ""),
        is_exposed=number % 30 > 20 and not is_new,
    )
    return ClientView(facts, standing)

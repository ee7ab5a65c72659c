"""Benchmark of years: what each step costs with a hundred times as much history behind it.

Both ledgers are there at once, and rounds alternate between them. Each step is one that the
dispatcher or a command does with the ledger and Amanda's logs; ssh, Amanda and the start of Python
are left out, so the ratio is the worst that a user can meet.
"""

import shutil
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median

from tests.bench.years import (
    DISKS,
    LARGE,
    LOG,
    NAME,
    NEWEST,
    PATIENCE,
    SMALL,
    Years,
    clients,
    fill,
)

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.dispatch.drills import DRILLS
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.protocol.tickets import Claim
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.report.fleet_metrics import render_fleet_metrics
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.many import parse_clients, plan_enroll_many
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.export.ledger_copy import copy_ledger
from asyncamanda.server.fleet.amanda_facts import AmandaFacts
from asyncamanda.server.fleet.gathering import FleetLook, assemble_fleet
from asyncamanda.server.fleet.page_folder import write_page
from asyncamanda.server.ledger import machines
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.log_import import take_in_all
from asyncamanda.server.ledger.log_watch import LogWatch

ROUNDS = 15
GOAL = 2.0
BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"  # a public key begins like that


@dataclass(slots=True)
class Server:
    """What a dispatcher has of one configuration; `numbers` are of runs that come."""

    folder: Path
    settings: Settings
    ledger: Ledger
    years: Years
    numbers: Iterator[int]
    look: Callable[[], list[str]]

    def stamp(self) -> str:
        """Return the timestamp of a new run, after all others."""
        at = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(minutes=next(self.numbers))
        return f"{at:%Y%m%d%H%M%S}"


Step = Callable[[Server], object]


def bench_growth(_prefix: Path) -> None:
    """Print what each step takes after years, beside the first days."""
    with tempfile.TemporaryDirectory() as folder:
        servers = [make_server(Path(folder, name), years) for name, years in _SIZES.items()]
        print(f"{'':<34}{'years':>9} {'days':>9}   ratio  (goal: {GOAL:g})")
        for name, step in STEPS.items():
            _report(name, *_time(step, servers))
        for server in servers:
            server.ledger.close()
        _time_registry(Path(folder))


_SIZES = {"large": LARGE, "small": SMALL}
FLEET_AT = NEWEST + timedelta(hours=1)


def make_server(folder: Path, years: Years, *, is_filled: bool = False) -> Server:
    """Return the server whose ledger and logs are in `folder`, which is made if need be."""
    begun = time.monotonic()
    path = folder / "ledger.sqlite"
    if not is_filled:
        folder.mkdir()
        fill(folder, years)
    settings = Settings(NAME, folder / "log", (folder / "holding",), (1 << 20,))
    ledger = Ledger.open(str(path), PATIENCE)
    megabytes = path.stat().st_size / 1e6
    print(f"{years}: {megabytes:.0f} MB, made in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    server = Server(folder, settings, ledger, years, count(), list)
    server.look = _make_look(server)
    server.look()
    return server


def _make_look(server: Server) -> Callable[[], list[str]]:
    """Return what takes in new logs, as a dispatcher does it that goes on."""
    watch = LogWatch(server.settings.name)

    def look() -> list[str]:
        now = datetime.now(UTC)
        ledger, settings = server.ledger, server.settings
        return list(take_in_all(ledger, settings, lambda *_: False, now, watch=watch))

    return look


def _time(step: Step, servers: list[Server]) -> list[float]:
    """Return the median of the seconds that a step takes on each."""
    spent: list[list[float]] = [[] for _ in servers]
    for number in range(ROUNDS + 1):
        for server, times in zip(servers, spent, strict=True):
            begun = time.perf_counter()
            ended = step(server)
            seconds = time.perf_counter() - begun
            if number:  # the first one compiles statements
                times.append(ended if isinstance(ended, float) else seconds)
    return [median(times) for times in spent]


def _report(name: str, large: float, small: float) -> None:
    sign = "" if large <= GOAL * small else "  <--"
    print(f"  {name:<32}{large * 1e3:>8.2f}  {small * 1e3:>8.2f} ms {large / small:6.2f}{sign}")


# -- the steps


def _host(server: Server) -> str:
    return clients()[next(server.numbers) % len(clients())]


def _hello(server: Server) -> None:
    host, ledger = _host(server), server.ledger
    claim, now = Claim("a" * 32, host), datetime.now(UTC)
    machines.receive(
        ledger, host, claim, now, is_elsewhere=False, random="b" * 32, dles=(NAME, ["/", "/home"])
    )
    ledger.verdicts.newest_confirmed(NAME, host, 1)
    ledger.verdicts.disks_with_full(NAME, host, 1)
    ledger.proofs.of_disks(NAME, host)
    ledger.proofs.drills_begun_at(NAME)


def _finished(server: Server) -> None:
    ledger = server.ledger
    request = ledger.requests.find_last(_host(server))
    assert request
    assert request.run_id
    ledger.verdicts.of_run(request.run_id)
    ledger.runs.get(request.run_id)


def _words(server: Server, stamp: str) -> tuple[DleVerdict, ...]:
    now, hosts = datetime.now(UTC), [_host(server) for _ in range(12)]
    return tuple(
        DleVerdict(host, disk, stamp, DumpState.HELD, 1, "", 1000, has_begun=True, dumped_at=now)
        for host in dict.fromkeys(hosts)
        for disk in ("/", "/home")
    )


def _begin(server: Server) -> tuple[int, tuple[DleVerdict, ...]]:
    stamp = server.stamp()
    words = _words(server, stamp)
    hosts = list(dict.fromkeys(word.host for word in words))
    run = server.ledger.runs.begin(RunKind.BATCH, NAME, hosts, [], datetime.now(UTC))
    server.ledger.runs.note(run.id, timestamp=stamp)
    return run.id, words


def _note(server: Server) -> float:
    number, words = _begin(server)
    begun = time.perf_counter()
    server.ledger.verdicts.note(number, words[:2])
    seconds = time.perf_counter() - begun
    server.ledger.runs.abandon(number, datetime.now(UTC), "")
    return seconds


def _end(server: Server) -> float:
    number, words = _begin(server)
    begun = time.perf_counter()
    server.ledger.runs.end(number, datetime.now(UTC), RunEnd(0, True, words))
    return time.perf_counter() - begun


def _request(server: Server) -> None:
    ledger, now = server.ledger, datetime.now(UTC)
    request = ledger.requests.open(_host(server), NAME, now)
    session = ledger.sessions.begin(request.client, NAME, now)
    ledger.requests.withdraw(request.id, now, "")
    ledger.sessions.end(session, now, "")


def _intake(server: Server) -> float:
    stamp = server.stamp()
    text = LOG.format(stamp=stamp, pid=99, host=_host(server))
    (server.settings.logdir / f"log.{stamp}.0").write_text(text, "ascii")
    begun = time.perf_counter()
    said = server.look()
    assert len(said) == 1, said
    return time.perf_counter() - begun


def _clients(server: Server) -> None:
    server.ledger.sessions.last_seen()
    machines.read_machines(server.ledger)
    server.ledger.proofs.of_hosts(NAME)


def _runs(server: Server) -> None:
    for row in server.ledger.runs.list_recent(None, 20):
        server.ledger.verdicts.of_run(row.id)
        server.ledger.verdicts.filters_of_run(row.id)


def _one_run(server: Server) -> None:
    newest = next(row for row in server.ledger.runs.list_recent(NAME, 5) if row.timestamp)
    rows = server.ledger.runs.list_named(newest.timestamp or "")
    server.ledger.verdicts.of_run(rows[0].id)


def _cold(server: Server) -> float:
    """Open the ledger and look for logs, as a dispatcher that starts does."""
    server.ledger.close()
    begun = time.perf_counter()
    server.ledger = Ledger.open(str(server.folder / "ledger.sqlite"), PATIENCE)
    now = datetime.now(UTC)
    server.ledger.sessions.end_all(now, "the dispatcher ended")
    server.ledger.set_bad_rows_aside(now)
    server.ledger.runs.list_live()
    server.ledger.requests.list_open()
    server.look = _make_look(server)
    server.look()
    server.ledger.runs.list_recent(NAME)
    server.ledger.runs.mean_duration(NAME)
    return time.perf_counter() - begun


def _forget(server: Server) -> None:
    server.ledger.forget(datetime(2000, 1, 1, tzinfo=UTC))


def _pump(server: Server) -> None:
    server.ledger.runs.mean_duration(NAME)
    server.ledger.verdicts.held(NAME)
    server.ledger.protections.list_pending(NAME)


def _drills(server: Server) -> None:
    server.ledger.proofs.of_dles(NAME, kinds=DRILLS)
    server.ledger.proofs.bad_dates(NAME, _host(server), "/home")


def _catalogue(server: Server) -> None:
    server.ledger.verdicts.of_host(NAME, _host(server))


def _export(server: Server) -> None:
    with copy_ledger(str(server.folder / "ledger.sqlite"), server.folder / "copy"):
        pass
    shutil.rmtree(server.folder / "copy", ignore_errors=True)


STEPS: dict[str, Step] = {
    "hello": _hello,
    "a request, and its end": _request,
    "last finished": _finished,
    "early confirmation": _note,
    "end of a run": _end,
    "a look for logs, nothing new": lambda server: server.look(),
    "intake of a log": _intake,
    "server clients": _clients,
    "server runs": _runs,
    "server runs TIMESTAMP": _one_run,
    "cold start": _cold,
    "forget": _forget,
    "queue, held dumps": _pump,
    "planning of drills": _drills,
    "list, restore: dumps of a client": _catalogue,
    "export's copy (linear)": _export,
}


# -- the fleet


def look_around(names: Iterable[str]) -> FleetLook:
    """Return that these are enrolled, and that Amanda is to back up the disks of each."""
    key = PublicKey("ssh-ed25519", "AAAA", "")
    said = AmandaFacts(dles={name: tuple(Dle(name, disk) for disk in DISKS) for name in names})
    entries = tuple(Enrolled(name, NAME, key) for name in names)
    return FleetLook(entries, {NAME: said}, FLEET_AT)


def gather(server: Server) -> FleetView:
    """Return the fleet by the ledger."""
    look = look_around(clients(server.years.clients))
    return assemble_fleet(ServerConfig(), server.ledger, look, FLEET_AT)


def _page(server: Server) -> float:
    view, folder = gather(server), server.folder / "page"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    begun = time.perf_counter()
    write_page(folder, view)
    return time.perf_counter() - begun


def _metrics(server: Server) -> float:
    view = gather(server)
    begun = time.perf_counter()
    render_fleet_metrics(view)
    return time.perf_counter() - begun


def _strips(server: Server) -> None:
    server.ledger.strips.are_missing()
    server.ledger.fleet.runs_total(FLEET_AT)


def _told(server: Server) -> None:
    server.ledger.told.of_channel("mail")
    server.ledger.told.digest_at()


STEPS |= {
    "server fleet": gather,
    "fleet: page, all anew": _page,
    "fleet: metrics": _metrics,
    "fleet: strips, totals of runs": _strips,
    "fleet: what was told": _told,
}


# -- enrolled clients


def _time_registry(folder: Path) -> None:
    """Print what five thousand enrolled clients cost, beside five hundred."""
    spent: dict[str, list[float]] = {"look-up in the registry": [], "enrolling all at once": []}
    for number in (5000, 500):
        keys = [b64encode(BLOB + n.to_bytes(32, "big")).decode() for n in range(number)]
        text = "".join(f"pc{n:04} ssh-ed25519 {key}\n" for n, key in enumerate(keys))
        path = folder / str(number)
        enrolled: list[float] = []
        for _ in range(5):
            begun = time.perf_counter()
            entries = [Enrolled(name, NAME, public) for name, public in parse_clients(text)]
            path.write_text(plan_enroll_many("", entries), "ascii")
            enrolled.append(time.perf_counter() - begun)
        registry, rounds = Registry(path), 1000
        registry.entries()
        begun = time.perf_counter()
        for n in range(rounds):
            assert registry.contains(Identity(f"pc{n % number:04}", NAME))
        spent["look-up in the registry"].append((time.perf_counter() - begun) / rounds)
        spent["enrolling all at once"].append(median(enrolled))
    print("5,000 enrolled clients, beside 500 (look-up: goal 2; enrolling: 10 is linear)")
    for name, (large, small) in spent.items():
        _report(name, large, small)

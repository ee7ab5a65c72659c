"""Runs that are stuck: something of them dies or stops at the server, or at a client.

Amanda waits forever in each of these cases. Here nobody cleans up: the run ends by itself, the
other client is served meanwhile or at once afterwards, and so is the next request of both.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import (
    DISK,
    HOLDING,
    SLOW,
    Office,
    ends,
    open_office,
    open_slow_office,
    start_both,
)

from lab.patience import bound, stretched

TRICKLE = 64_000
BIG = 2_000_000  # bytes: some 17 s at the former, minutes at the latter
HUGE = 30_000_000  # more than lies on the way, so that the client's programs are still at work
TOML = "/etc/asyncamanda/client.toml"
CALL = "^/usr/bin/ssh -x .* laptop .*amandad"
WATCH = {"silence": "25s", "dump_silence": "12s", "least_kilobytes": 64}
SILENT = "no more than 66 kB of its dump arrived within 12s"  # 64 * 1024, in thousands


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop whose dump takes a while, and a tower, behind a router."""
    with open_slow_office(
        lab_prefix, BIG, {"batch_window": stretched(3)}, nat=True, watch=WATCH
    ) as opened:
        yield opened


def check_well(office: Office, done: list[tuple[int, str]]) -> None:
    """Fail unless all of them ended well, with what the server has on it."""
    said = [*(words for _, words in done), office.diary, *office.server.run_logs()]
    held = office.server.run(["ls", "-lR", HOLDING]).stdout
    assert not any(code for code, _ in done), "\n".join([*said, held])


def serves_both(office: Office) -> None:
    """Fail unless both are served now, without anybody's help, and a flush brings all away."""
    office.client("laptop").heal()
    check_well(office, ends([office.start(name, "--force") for name in ("laptop", "tower")]))
    office.ask("server", "flush", "daily")
    wait_until("it is flushed", lambda: not office.held(), 60)
    for name in ("laptop", "tower"):
        assert office.server.restore(name, DISK) == office.client(name).tree(DISK)
    assert not list(Path(office.server.path(HOLDING)).glob("*/*.tmp"))


def parents_of(office: Office, pids: list[int]) -> list[str]:
    """Return the parents of these processes of the server's."""
    words = office.server.run(["ps", "-o", "ppid=", *(f"-p{pid}" for pid in pids)]).stdout
    return words.split()


def test_killed_dumper(office: Office) -> None:
    """Its chunker, and with it the driver, would wait forever."""
    agents = start_both(office)
    dumpers = parents_of(office, office.pids(CALL))
    office.server.run(["kill", "-KILL", *dumpers])
    office.client("laptop").heal()
    check_well(office, ends(agents))
    serves_both(office)


def test_all_dumpers_killed(office: Office) -> None:
    """The driver has nobody left: the run is killed, and made again for who is not served."""
    agents = start_both(office)
    office.kill("^dumper|/dumper")
    office.client("laptop").heal()
    check_well(office, ends(agents))
    serves_both(office)


def test_stopped_program_at_the_client(office: Office) -> None:
    """Its connection stands, and nothing comes: it is told so, and is not called again."""
    office.client("laptop").add_tree(DISK, files=1, bytes_each=HUGE)
    laptop, tower = start_both(office)
    office.client("laptop").run(["pkill", "-STOP", "-f", "sendbackup|tar "])
    office.client("laptop").heal()
    check_well(office, ends([tower], 60))
    check_well(office, ends([office.start("tower", "--force")]))  # while the laptop's run stands
    ((code, words),) = ends([laptop])
    assert code == 100, [words, office.diary]
    assert SILENT in words
    serves_both(office)


def test_trickle(office: Office) -> None:
    """Some bytes are no progress, though they keep the connection alive."""
    watch = WATCH | {"least_kilobytes": 512}
    office.configure({"batch_window": stretched(3), "heartbeat": "15s"}, watch=watch)
    toml = office.client("laptop").read(TOML)
    patient = re.sub('keepalive = ".*"', 'keepalive = "30s"', toml)
    office.client("laptop").write(TOML, patient)
    laptop, tower = start_both(office)
    office.client("laptop").slow(TRICKLE)
    check_well(office, ends([tower]))
    ((code, words),) = ends([laptop])
    assert code == 100, "\n".join([words, office.diary])
    assert SILENT.replace("66", "524") in words, "\n".join([words, office.diary])
    serves_both(office)


def test_stopped_chunker(office: Office) -> None:
    """It does not even end when it is told to, so the run is killed."""
    laptop, tower = start_both(office)
    whole = Path(office.server.path(HOLDING))
    wait_until("the tower's dump is whole", lambda: any(whole.glob("*/tower._srv_docs.0")), 60)
    office.server.run(["pkill", "-STOP", "-f", "/chunker"])
    office.client("laptop").heal()
    ((code, words),) = ends([laptop])
    assert code == 100, [words, office.diary]
    assert SILENT in words
    check_well(office, ends([tower]))
    assert "is killed" in office.diary
    serves_both(office)


def test_stopped_driver(office: Office) -> None:
    """The run stands for good, on nobody's account: it is made again for both, once."""
    agents = [office.start(name) for name in ("laptop", "tower")]
    wait_until("the driver starts", lambda: bool(office.pids("/driver ")), 60)
    office.server.run(["pkill", "-STOP", "-f", "/driver |/planner "])
    office.client("laptop").heal()
    check_well(office, ends(agents))
    assert len(office.dumps()) == 2
    serves_both(office)


def test_killed_planner(office: Office) -> None:
    """Nobody is dumped then: who is there is in the next run at once, and hears of no failure."""
    agents = [office.start(name) for name in ("laptop", "tower")]
    wait_until("it plans", lambda: bool(office.pids("/planner ")), 60)
    office.kill("/planner ")
    office.client("laptop").heal()
    check_well(office, ends(agents))
    assert len(office.dumps()) == 2
    serves_both(office)


def test_twenty_cuts(lab_prefix: Path) -> None:
    """Each may cost a dumper, on Debian 13, until there is none: the run ends anyway."""
    names = ("laptop", "tower", "desk", "nas")
    with open_office(lab_prefix, *names, nat=True) as office:
        office.fill(files=1, bytes_each=BIG)
        office.set_up({"batch_window": stretched(3)}, watch=WATCH | {"step": bound(2)})
        for name in names:
            office.client(name).slow(SLOW)
        agents = [office.start(name) for name in names]
        holding, cuts = Path(office.server.path(HOLDING)), 0

        def dumped() -> list[str]:
            return [name for name in names if any(holding.glob(f"*/{name}.*.tmp"))]

        def goes_on() -> bool:
            return any(agent.poll() is None for agent in agents)

        while cuts < 20 and goes_on():
            for name in dumped():
                kill = ["pkill", "-KILL", "-f", "--", "amandad -auth=ssh"]
                cuts += office.client(name).run(kill, check=False).returncode == 0
            wait_until("a dump comes, or the end", lambda: bool(dumped()) or not goes_on())
        for name in names:
            office.client(name).heal()
        ends(agents)
        check_well(office, ends([office.start(name, "--force") for name in names]))
        for name in names:
            assert office.server.restore(name, DISK) == office.client(name).tree(DISK)

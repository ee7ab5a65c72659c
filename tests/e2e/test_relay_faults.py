"""What dies, hangs or goes away on the way between Amanda and a client behind a router.

Amanda has no patience of its own with a stream that is stuck (amanda-facts: "dtimeout does not save
you"), so its end has to come, and its retry has to find the client again.
"""

import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, SLOW, Office, ends, open_slow_office, start_both
from tests.e2e.stopping import go_on, stop_next, wait_stopped

from asyncamanda.core.model import DumpState
from lab.patience import at_most, stretched

BIG = 2_000_000  # bytes: some 17 s at that rate
LOST_SECONDS = 60  # in which Amanda sees an end, whatever dies
CALL = "^/usr/bin/ssh -x .* laptop .*amandad"
GATE = "asyncamanda gate --client laptop"


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop whose dump takes a while, and a tower, behind a router."""
    with open_slow_office(lab_prefix, BIG, {"batch_window": stretched(3)}, nat=True) as opened:
        yield opened


def see_end(office: Office, calls: list[int]) -> None:
    """Return when Amanda has seen the end of these calls; fail if that takes too long."""
    assert calls, "there was no call"
    wait_until("Amanda sees an end", lambda: not {*calls} & {*office.pids(CALL)}, LOST_SECONDS)


def check_both_well(office: Office, done: list[tuple[int, str]]) -> None:
    """Fail unless one run backed both up, and each has what its client has."""
    assert [code for code, _ in done] == [0, 0], [*done, office.diary]
    assert len(office.dumps()) == 1
    for name in ("laptop", "tower"):
        assert office.server.restore(name, DISK) == office.client(name).tree(DISK)


def failed_of_tower(office: Office) -> list[str]:
    """Return what failed of the client that nothing was done to."""
    return [line for line in office.failures() if " tower " in line]


def test_link_that_is_down_for_half_a_minute(office: Office) -> None:
    """Amanda's call is held until the client is back, and the same run has both."""
    laptop, tower = start_both(office)
    calls = office.pids(CALL)
    office.client("laptop").cut()
    cut_at = time.monotonic()
    ((code, words),) = ends([tower], 20)  # it need not wait for the other
    assert code == 0, words
    see_end(office, calls)
    wait_until("the retry is held", lambda: "Amanda's request waits for the client" in office.diary)
    time.sleep(max(0, cut_at + 30 - time.monotonic()))  # how long the link is down is the test
    assert office.server.is_amdump_running()
    office.client("laptop").heal()
    check_both_well(office, [*ends([laptop]), (code, words)])
    assert failed_of_tower(office) == []


def test_link_that_is_down_for_good(office: Office) -> None:
    """The run ends within two minutes, the other is well; the lost one is not confirmed.

    What the client takes for made is not built upon: the next dump is whole.
    """
    office.configure({"batch_window": stretched(3), "grace": "5s"})
    laptop, tower = start_both(office)
    before = office.client("laptop").amandates
    office.client("laptop").cut()
    cut_at = time.monotonic()
    wait_until("the run is over", lambda: not office.server.is_amdump_running(), 120)
    assert time.monotonic() - cut_at < at_most(120)
    laptop.kill()
    laptop.communicate()
    assert ends([tower])[0][0] == 0
    wait_until("it is judged", lambda: "not backed up" in office.diary)
    assert set(office.confirmed()) == {("tower", DISK)}
    office.client("laptop").heal()
    office.client("laptop").add_tree(DISK, files=1, bytes_each=50_000)
    run = office.backup("laptop")
    assert run.returncode == 0, (before, run.stderr, office.diary)
    assert office.server.restore("laptop", DISK) == office.client("laptop").tree(DISK)
    assert office.confirmed()["laptop", DISK] is DumpState.HELD
    assert failed_of_tower(office) == []


def test_client_that_sleeps_for_five_minutes(office: Office) -> None:
    """All of it: the retry is held; awake, the agent drops what is dead and joins its run."""
    office.shift_clocks(timedelta())
    office.configure({"batch_window": stretched(3), "grace": "10m"})
    agents = start_both(office)
    calls = office.pids(CALL)
    office.client("laptop").run(["pkill", "-STOP", "."])
    see_end(office, calls)
    wait_until("the retry is held", lambda: "Amanda's request waits for the client" in office.diary)
    office.shift_clocks(timedelta(minutes=5))
    office.client("laptop").heal()
    office.client("laptop").run(["pkill", "-CONT", "."])
    check_both_well(office, ends(agents))
    assert office.server.connections == 3  # one of them made again
    assert failed_of_tower(office) == []


def test_agent_that_is_stopped_for_five_minutes(office: Office) -> None:
    """Its stream needs nothing of it and goes on; awake, it learns how its run ended."""
    office.shift_clocks(timedelta())
    laptop, tower = start_both(office)
    office.client("laptop").run(["pkill", "-STOP", "-f", "asyncamanda run"])
    office.client("laptop").heal()
    assert ends([tower])[0][0] == 0
    office.wait_idle()
    office.shift_clocks(timedelta(minutes=5))
    office.client("laptop").run(["pkill", "-CONT", "-f", "asyncamanda run"])
    check_both_well(office, [*ends([laptop]), (0, "")])
    assert office.failures() == []


def test_address_that_changes_in_mid_dump(office: Office) -> None:
    """The old connection is dead silently; a new one is made, and the same run has both."""
    agents = start_both(office)
    calls = office.pids(CALL)
    office.client("laptop").readdress()
    office.client("laptop").heal()
    see_end(office, calls)
    check_both_well(office, ends(agents))
    assert failed_of_tower(office) == []


@pytest.mark.parametrize("pattern", ["ssh -M", "asyncamanda gate$", "/usr/lib/amanda/amandad"])
def test_killed_process_at_the_client(office: Office, pattern: str) -> None:
    """The master, the line's session, or amandad: the same run has both."""
    agents = start_both(office)
    calls = office.pids(CALL)
    office.client("laptop").run(["pkill", "-KILL", "-f", "--", pattern])
    office.client("laptop").heal()
    see_end(office, calls)
    check_both_well(office, ends(agents))
    assert failed_of_tower(office) == []


def test_killed_agent_is_followed_by_the_next_start(office: Office) -> None:
    """All that it started goes with it; the timer's next start joins the run in time."""
    laptop, tower = start_both(office)
    calls = office.pids(CALL)
    laptop.kill()
    laptop.communicate()
    office.client("laptop").heal()
    see_end(office, calls)
    left = office.client("laptop").run(["pgrep", "-f", "amandad|^ssh "], check=False)
    assert left.stdout == ""
    check_both_well(office, ends([office.start("laptop"), tower]))
    assert failed_of_tower(office) == []


def test_late_end_of_a_killed_agents_ssh_takes_nothing_of_the_next(office: Office) -> None:
    """It removes its socket when it ends, and by then the next start has one of its own."""
    office.configure({"batch_window": "10m"})
    laptop = office.client("laptop")
    first = office.start("laptop")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    laptop.run(["pkill", "-STOP", "-f", "ssh -M"])  # so that its end is late
    first.kill()
    first.communicate()
    old = laptop.run(["pgrep", "-f", "ssh -M"]).stdout.strip()
    second = office.start("laptop", "--json")
    assert second.stdout
    assert "queued" in second.stdout.readline()
    laptop.run(["kill", "-CONT", old])
    wait_until("the old one has ended", lambda: not laptop.path(f"/proc/{old}").exists())
    done = office.server.amanda("amcheck", "-c", "daily", "laptop", check=False)
    assert done.returncode == 0, done.stdout + office.diary
    second.terminate()
    second.communicate()


@pytest.mark.parametrize("victim", ["sshd", "gate", "attach", "ssh"])
def test_killed_process_at_the_server(office: Office, victim: str) -> None:
    """The connection's sshd, the line's gate, the stream's, or Amanda's ssh: the run has both."""
    agents = start_both(office)
    calls = office.pids(CALL)
    gate, *attached = office.pids(GATE)  # the gate is the older one
    sshd = office.server.run(["ps", "-o", "ppid=", "-p", str(gate)]).stdout.strip()
    victims = {"sshd": [int(sshd)], "gate": [gate], "attach": attached, "ssh": calls}[victim]
    assert victims
    office.server.run(["kill", "-KILL", *(str(pid) for pid in victims)])
    office.client("laptop").heal()
    see_end(office, calls)
    check_both_well(office, ends(agents))
    assert failed_of_tower(office) == []


def test_killed_dispatcher_ends_no_dump(office: Office) -> None:
    """Streams go on without it, and under the next one, which can still end them."""
    agents = start_both(office)
    office.kill("server dispatch")
    wait_until("another one", lambda: office.diary.count("the dispatcher is ready") == 2)
    check_both_well(office, ends(agents))
    assert office.failures() == []


def test_killed_dispatcher_leaves_nobody_who_would_hang_amanda(office: Office) -> None:
    """The next one ends the stream of a client that then falls silent."""
    laptop, _ = start_both(office)
    calls = office.pids(CALL)
    office.kill("server dispatch")
    wait_until("it has both", lambda: "laptop" in office.connected(), 20)
    office.client("laptop").cut()
    see_end(office, calls)
    laptop.kill()
    laptop.communicate()


def test_killed_dispatcher_forgets_nobody_who_is_awaited(office: Office) -> None:
    """The next one holds Amanda's calls to a client that is away, and the same run has both.

    Another client has to be there, whose gate fetches the next one.
    """
    office.client("tower").add_tree(DISK, files=1, bytes_each=BIG)
    office.client("tower").slow(SLOW)
    agents = start_both(office)
    calls = office.pids(CALL)
    office.client("laptop").cut()
    see_end(office, calls)
    wait_until("the retry is held", lambda: "Amanda's request waits for the client" in office.diary)
    office.kill("server dispatch")
    wait_until("the next is held", lambda: office.diary.count("waits for the client") == 2, 30)
    office.client("laptop").heal()
    check_both_well(office, ends(agents))
    assert failed_of_tower(office) == []


def lose_before_planner_calls(office: Office) -> list["subprocess.Popen[str]"]:
    """Start both, and lose the laptop when the run has begun and before it is called.

    Returns when the planner's call to it is held.
    """
    stop_next(office.server, "planner")
    agents = [office.start(name) for name in ("laptop", "tower")]
    wait_stopped(office.server, "planner")
    office.client("laptop").cut()
    go_on(office.server, "planner")
    wait_until("the planner's call is held", lambda: "waits for the client" in office.diary)
    return agents


def test_client_whose_call_ended_with_the_dispatcher_is_dumped_by_another_run(
    office: Office,
) -> None:
    """Amanda is given no reason, and nobody is to blame: it is queued again, and waits."""
    office.client("tower").add_tree(DISK, files=1, bytes_each=BIG)
    office.client("tower").slow(SLOW)  # the laptop is back before the run ends
    agents = lose_before_planner_calls(office)
    office.kill("server dispatch")
    office.client("laptop").heal()
    done = ends(agents)
    assert [code for code, _ in done] == [0, 0], [*done, office.diary, *office.failures()]
    assert len(office.dumps()) == 2
    for name in ("laptop", "tower"):
        assert office.server.restore(name, DISK) == office.client(name).tree(DISK)


@pytest.mark.parametrize("what", ["dispatcher", "attach"])
def test_frozen_process_at_the_server_hangs_nobody(office: Office, what: str) -> None:
    """It dies not, and says nothing; then the client is lost: Amanda sees an end anyway."""
    laptop, tower = start_both(office)
    calls = office.pids(CALL)
    (dispatcher,) = office.pids("server dispatch")
    _, *attached = office.pids(GATE)
    frozen = {"dispatcher": [dispatcher], "attach": attached}[what]
    assert frozen
    office.server.run(["kill", "-STOP", *(str(pid) for pid in frozen)])
    office.client("laptop").cut()
    see_end(office, calls)
    if what == "dispatcher":
        # a gate may have ended it by now, and fetched another
        office.server.run(["kill", "-CONT", str(dispatcher)], check=False)
    office.client("laptop").heal()
    check_both_well(office, ends([laptop, tower]))
    assert failed_of_tower(office) == []


def test_client_that_is_lost_while_amanda_plans_keeps_nobody_waiting(office: Office) -> None:
    """The planner waits for all: so its call to a lost client is held for a short time only."""
    laptop, tower = lose_before_planner_calls(office)
    ((code, words),) = ends([tower], 60)
    assert code == 0, words + office.diary
    laptop.kill()
    laptop.communicate()
    assert failed_of_tower(office) == []

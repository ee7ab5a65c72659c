"""A laptop chooses its moments: real agent, gate and Amanda, and a D-Bus that says what is so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.e2e.laptop import ask, ask_json, outcomes, wait_until
from tests.e2e.office import DISK, Office, open_office
from tests.system.desktop import METERED_NO, METERED_YES, STANDARD_FOLDER, Desktop

from asyncamanda.core.conditions.surroundings import LinkKind
from asyncamanda.system.clock import now as read_clock

MEGABIT = 1_000_000


class Life:
    """An office, and the laptop's desktop in it."""

    def __init__(self, office: Office, desktop: Desktop) -> None:
        self.office = office
        self.desktop = desktop
        self.laptop = office.client("laptop")

    def at_hotel(self) -> None:
        """Be on a network that costs."""
        self.desktop.disconnect()
        self.desktop.connect("Hotel Adlon", LinkKind.WIFI, ssid=b"Adlon Guest", metered=METERED_YES)

    def at_office(self) -> None:
        """Be on one that does not."""
        self.desktop.disconnect()
        self.desktop.connect("Office", LinkKind.ETHERNET, metered=METERED_NO)

    def run(self, *words: str) -> tuple[int, str]:
        """Start the agent as a timer does; return its exit code, and all that it printed."""
        done = ask(self.laptop, "run", *words)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def life(lab_prefix: Path) -> Iterator[Life]:
    """Yield a laptop at its office's network."""
    with open_office(lab_prefix) as office:
        office.fill()
        office.set_up()
        laptop = office.client("laptop")
        with Desktop(STANDARD_FOLDER, laptop.start, laptop.path("/")) as desktop:
            life = Life(office, desktop)
            life.at_office()
            yield life


def test_a_bad_moment_defers_and_a_better_one_ends_the_wait(life: Life) -> None:
    """No connection, no alarm: 75, in silence; recorded once however often; then a backup."""
    life.office.configure_agent(life.laptop, retry_within="1h")
    life.at_hotel()
    before = life.office.server.connections
    for _ in range(3):
        assert life.run() == (75, "")
    assert life.office.server.connections == before
    (attempt,) = ask_json(life.laptop, "history")
    assert attempt["outcome"] == "deferred"
    assert attempt["detail"] == "deferred, because the network is metered"
    status = ask_json(life.laptop, "status")
    assert status["retry_at"]
    said = ask(life.laptop, "status").stdout
    assert re.search("deferred( 2 times)?, because the network is metered", said)  # if it is slow
    life.at_office()
    code, said = life.run()
    assert code == 0, said
    assert outcomes(life.laptop) == ["deferred", "backed up"]
    assert ask_json(life.laptop, "status")["retry_at"] is None


def test_a_deferral_says_why_in_json_and_check_shows_each_condition(life: Life) -> None:
    """What was found, what was wanted, and when it is ignored."""
    windows = ["Mon..Sun 00:00-24:00"]
    life.office.configure_agent(
        life.laptop, on_battery="50%", not_networks=["Hotel*"], windows=windows
    )
    life.at_hotel()
    life.desktop.unplug(34)
    code, said = life.run("--json")
    answer = json.loads(said.splitlines()[-1])
    assert (code, answer["outcome"]) == (75, "deferred")
    assert [each["condition"] for each in answer["because"]] == [
        "on_battery",
        "networks",
        "metered",
    ]
    conditions = {each["condition"]: each for each in ask_json(life.laptop, "check")["conditions"]}
    assert {name: each["prevents"] for name, each in conditions.items()} == {
        "windows": False,
        "on_battery": True,
        "networks": True,
        "metered": True,
    }
    assert "34 %" in conditions["on_battery"]["found"]
    times = [datetime.fromisoformat(each["ignored_from"]) for each in conditions.values()]
    assert times == sorted(times)
    assert "not met" in ask(life.laptop, "check").stdout


def test_who_forces_it_has_a_backup_at_any_moment(life: Life) -> None:
    """--force is somebody's own decision."""
    life.at_hotel()
    code, said = life.run("--force")
    assert code == 0, said


def test_the_server_knows_why_a_backup_waits(life: Life) -> None:
    """It is told by a client that asks it for nothing."""
    code, said = life.run()
    assert code == 0, said
    life.office.configure_agent(life.laptop, interval="1s", on_battery="50%")
    life.desktop.unplug(34)
    wait_until("it is put off", lambda: life.run() == (75, ""))
    (client,) = json.loads(life.office.ask("server", "fleet", "--json").stdout)["clients"]
    assert client["state"] == "deferred"
    assert re.search("deferred since .* battery at 34 %", client["sentence"])
    assert outcomes(life.laptop) == ["backed up", "deferred"]


def test_a_failed_try_is_followed_by_a_wait_that_survives_a_reboot(life: Life) -> None:
    """Each longer than the one before, at random; nobody is asked meanwhile."""
    life.office.configure_agent(life.laptop, retry_within="1h", spread="0.001s")
    life.laptop.cut()
    while _seconds_to_wait(life) < 30:  # it is random; and --force tries at once
        assert life.run("--force")[0] == 75
    waits_until = ask_json(life.laptop, "status")["retry_at"]
    life.laptop.heal()
    before = life.office.server.connections
    assert life.run() == (75, "")
    code, said = life.run("-v")
    assert (code, "the next try is at" in said) == (75, True), said
    life.desktop.__exit__()
    life.laptop.power_cut()
    life.laptop.boot()
    life.desktop.__enter__()
    life.at_office()
    assert ask_json(life.laptop, "status")["retry_at"] == waits_until
    assert life.run() == (75, "")
    assert life.office.server.connections == before
    code, said = life.run("--nudged")
    assert code == 0, said
    assert outcomes(life.laptop)[-1] == "backed up"


def _seconds_to_wait(life: Life) -> float:
    at = ask_json(life.laptop, "status")["retry_at"]
    return (datetime.fromisoformat(at) - read_clock()).total_seconds() if at else 0


def test_a_nudge_waits_for_the_network(life: Life) -> None:
    """After resume it is not up yet: a start does not fail of that."""
    life.office.configure_agent(life.laptop, spread="0.001s")
    life.desktop.disconnect()
    agent = life.office.start("laptop", "--nudged", "-v")
    running = life.laptop.processes
    wait_until("the agent runs", lambda: any("--nudged" in argv for argv in running()))
    life.at_office()
    stdout, stderr = agent.communicate(timeout=60)
    assert agent.returncode == 0, stdout + stderr
    assert "this machine's turn" in stderr


@pytest.mark.parametrize(("pause", "code"), [("finish", 0), ("stop", 75)])
def test_a_moment_that_turns_bad_in_mid_run(life: Life, pause: str, code: int) -> None:
    """The run is finished, or left and made again in a better moment, as the policy says."""
    life.office.configure(grace := {"grace": "3s"})
    assert grace
    life.office.fill(disk="/srv/large", bytes_each=700_000)
    life.office.configure_agent(life.laptop, pause=pause)
    life.laptop.slow(MEGABIT)
    agent = life.office.start("laptop", "-v")
    life.office.wait_for_dump("laptop")
    assert life.desktop.inhibitors()
    life.at_hotel()
    if pause == "finish":
        wait_until("it is noticed", lambda: _has_looked(life), 30)
        life.laptop.heal()
    stdout, stderr = agent.communicate(timeout=120)
    said = stdout + stderr
    assert agent.returncode == code, said
    assert not life.desktop.inhibitors()
    assert "the network is metered" in said
    assert outcomes(life.laptop) == ["paused" if code else "backed up"]
    if pause == "stop":
        assert "alarm" not in said
        life.laptop.heal()
        life.office.wait_idle()
        life.at_office()
        assert life.run()[0] == 0
        assert life.office.server.stored("laptop", "/srv/large")


def test_an_empty_battery_ends_a_run_whatever_pause_says(life: Life) -> None:
    """The machine may fall asleep, and the run is made again on mains."""
    life.office.configure({"grace": "3s"})
    life.office.fill(disk="/srv/large", bytes_each=700_000)
    life.office.configure_agent(life.laptop, pause="finish", on_battery="allow")
    life.laptop.slow(MEGABIT)
    agent = life.office.start("laptop", "-v")
    life.office.wait_for_dump("laptop")
    life.desktop.unplug(4)
    stdout, stderr = agent.communicate(timeout=120)
    said = stdout + stderr
    assert agent.returncode == 75, said
    assert "critically low" in said
    assert not life.desktop.inhibitors()
    assert outcomes(life.laptop) == ["paused"]
    life.laptop.heal()
    life.office.wait_idle()
    assert life.run()[0] == 75  # nor does a new one begin
    life.desktop.plug_in()
    assert life.run()[0] == 0
    assert life.office.server.stored("laptop", "/srv/large")


def _has_looked(life: Life) -> bool:
    """Return whether the agent has had the time to look again, by the memory's own clock."""
    (memory,) = life.laptop.path("/var/lib/asyncamanda").rglob("memory.json")
    started = json.loads(memory.read_text("utf-8"))["started"]
    began = datetime.fromisoformat(started["started_at"])
    return read_clock() - began > timedelta(seconds=12)


def test_a_request_that_waits_is_withdrawn_when_the_moment_turns_bad(life: Life) -> None:
    """No run is begun on a network that costs, though it was asked for on another."""
    life.office.configure({"batch_window": "10m"})
    agent = life.office.start("laptop", "-v")
    wait_until("it waits", lambda: bool(life.office.view().get("waiting")))
    life.at_hotel()
    stdout, stderr = agent.communicate(timeout=40)
    assert agent.returncode == 75, stdout + stderr
    assert "deferred, because the network is metered" in stderr
    wait_until("it was withdrawn", lambda: not life.office.view().get("waiting"))
    assert outcomes(life.laptop) == ["deferred"]
    assert life.office.server.amdump_count == 0


def test_a_stale_backup_is_never_deferred_but_on_request(life: Life) -> None:
    """All conditions are ignored after twice `relax_after`; with "never" it is loud instead."""
    life.office.shift_clocks(timedelta())  # a dispatcher that runs already sees it as well
    assert life.run()[0] == 0
    life.office.shift_clocks(timedelta(days=8))
    life.at_hotel()
    life.office.configure_agent(life.laptop, relax_after="never")
    code, said = life.run()
    assert (code, "the last backup is" in said) == (101, True), said
    life.office.configure_agent(life.laptop)
    code, said = life.run()
    assert code == 0, said
    assert len(life.office.server.stored("laptop", DISK)) == 2

"""The main job through the gate: one batched, confirmed run for all clients that are there."""

import json
import re
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.e2e.laptop import ask, ask_json, outcomes, wait_until
from tests.e2e.office import DISK, HOLDING, STATE, Office, ends, open_office
from tests.e2e.thief import read_ticket

from asyncamanda.core.model import DumpState
from asyncamanda.core.protocol.messages import PROTOCOLS, Hello, Submit
from asyncamanda.core.protocol.wire import encode
from lab.patience import at_most, stretched

TOML = "/etc/asyncamanda/client.toml"
TWELVE = tuple(f"pc{number:02}" for number in range(12))


_ROWS = """\
import json, sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
print(json.dumps(ledger.execute(f"select {sys.argv[2]} from {sys.argv[3]}").fetchall()))
"""


def read_rows(office: Office, columns: str, table: str) -> list[list[Any]]:
    """Return what the ledger has of the clients' use."""
    argv = ["python3", "-c", _ROWS, f"{STATE}/ledger.sqlite", columns, table]
    rows: list[list[Any]] = json.loads(office.server.run(argv, user="backup").stdout)
    return rows


def laptop_use(office: Office) -> dict[str, Any]:
    """Return for how long the laptop says that it was used since its last backup."""
    exposure: dict[str, Any] = ask_json(office.client("laptop"), "status")["exposure"]
    return exposure


def test_client_is_backed_up_confirmed_and_left_alone(lab_prefix: Path) -> None:
    """Due according to the server: one run, held, restored. Then no call; next day, one more."""
    with open_office(lab_prefix, "laptop") as office:
        laptop, server = office.client("laptop"), office.server
        office.fill()
        laptop.add_tree("/srv/d 3")
        server.add_dle("laptop", "/srv/d 3", "roaming-amgtar")
        office.shift_clocks(timedelta())
        office.set_up()
        first = office.backup("laptop")
        assert first.returncode == 0, first.stderr + office.diary
        assert first.stdout.startswith("backed up in ")
        for disk in (DISK, "/srv/d 3"):
            assert server.restore("laptop", disk) == laptop.tree(disk)
        assert office.volumes() == []
        ((used, is_least, interval),) = read_rows(
            office, "used_seconds, is_least, interval", "reports"
        )
        assert (is_least, interval) == (0, 86_400)
        ((base, is_least),) = read_rows(office, "used_seconds, is_least", "bases")
        assert not is_least
        assert used <= base < used + 3600  # the dump began after the report
        assert laptop_use(office)["is_least"] is False

        connections = server.connections
        again = office.backup("laptop")
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
        assert server.connections == connections

        office.shift_clocks(timedelta(hours=25))
        assert ask_json(laptop, "check")["due"]
        next_day = office.backup("laptop")
        assert next_day.returncode == 0, next_day.stderr + office.diary
        assert [sorted(v.level or 0 for v in log.verdicts) for log in office.dumps()] == [
            [0, 0],
            [1, 1],
        ]


def test_nightly_run_of_others_is_taken_in_and_saves_a_run(lab_prefix: Path) -> None:
    """cron's amdump counts, also one before asyncamanda came: who asks the gate needs no run."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.server.amdump("laptop")  # before there is a gate, and a ledger
        office.set_up()
        run = office.backup("laptop", "--json")
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout.splitlines()[-1])["outcome"] == "not due"
        assert len(office.dumps()) == 1
        assert set(office.confirmed()) == {("laptop", DISK)}

        office.client("laptop").add_tree("/srv/new")
        office.server.add_dle("laptop", "/srv/new")
        assert office.backup("laptop", "--force").returncode == 0
        assert set(office.confirmed()) == {("laptop", DISK), ("laptop", "/srv/new")}


def test_new_dle_is_due(lab_prefix: Path) -> None:
    """A DLE that the server has and amandates does not is due as soon as the gate is asked."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.server.amdump("laptop")
        office.client("laptop").add_tree("/srv/new")
        office.server.add_dle("laptop", "/srv/new")
        office.set_up()
        run = office.backup("laptop")
        assert run.returncode == 0, run.stderr
        assert "/srv/new (level 0)" in run.stdout


def test_storm_of_twelve_makes_two_runs_at_most(lab_prefix: Path) -> None:
    """Twelve ask within two seconds: all confirmed, nothing failed, one volume, by the flush."""
    with open_office(lab_prefix, *TWELVE) as office:
        office.fill(files=2, bytes_each=200_000)
        office.set_up({"batch_window": f"{at_most(3):.4g}s"})
        begun = time.monotonic()
        agents = [office.start(name) for name in TWELVE]
        assert time.monotonic() - begun < at_most(2)
        done = ends(agents)
        assert [code for code, _ in done] == [0] * 12, done
        assert 1 <= len(office.dumps()) <= 2
        assert office.failures() == []
        assert office.volumes() == []
        assert office.confirmed() == {(name, DISK): DumpState.HELD for name in TWELVE}

        office.wait_idle()
        office.ask("server", "flush", "daily")
        wait_until("all is on a volume", lambda: office.held() == set())
        assert len(office.volumes()) == 1
        assert list(office.server.path(HOLDING).glob("*/*")) == []
        assert office.confirmed() == {(name, DISK): DumpState.STORED for name in TWELVE}


def test_long_dump_keeps_nobody_waiting(lab_prefix: Path) -> None:
    """One client's dump takes minutes; eleven that arrive meanwhile are confirmed within 15 s."""
    slow, *quick = TWELVE
    with open_office(lab_prefix, *TWELVE) as office:
        office.fill(slow, files=8, bytes_each=4_000_000)
        office.fill(*quick)
        office.set_up()
        office.client(slow).slow(500_000)  # more than eight minutes, until it is healed
        first = office.start(slow)
        office.wait_for_dump(slow)
        for name in quick:
            begun = time.monotonic()
            run = office.backup(name)
            assert run.returncode == 0, run.stderr + office.diary
            assert time.monotonic() - begun < at_most(15), (name, office.diary)
        assert first.poll() is None, "the long dump was over too soon to prove anything"
        office.client(slow).heal()
        assert ends([first])[0][0] == 0
        assert office.failures() == []


def test_early_bird_need_not_wait_for_its_batch(lab_prefix: Path) -> None:
    """In one run with a slow client the quick one is confirmed as soon as its dumps are there."""
    with open_office(lab_prefix, "quick", "slow") as office:
        office.fill("quick")
        office.fill("slow", files=4, bytes_each=1_000_000)
        office.set_up({"batch_window": stretched(3)})
        office.client("slow").slow(1_000_000)
        agents = [office.start(name) for name in ("slow", "quick")]
        assert ends(agents[1:])[0][0] == 0
        assert agents[0].poll() is None
        (run,) = office.view()["runs"]
        assert (sorted(run["clients"]), run["unfinished"]) == (["quick", "slow"], ["slow"])
        again = office.backup("quick")
        assert (again.returncode, again.stderr) == (0, "")
        office.client("slow").heal()
        assert ends(agents[:1])[0][0] == 0


def test_amdump_of_others_is_waited_for(lab_prefix: Path) -> None:
    """While cron's amdump runs no run of asyncamanda's starts; then the request is served."""
    with open_office(lab_prefix, "laptop", "tower") as office:
        office.fill("tower", files=4, bytes_each=2_000_000)
        office.fill("laptop")
        office.set_up(direct=["tower"])
        office.client("tower").slow(1_000_000)
        nightly = office.server.start(["amdump", "daily", "--exact-match", "tower"], user="backup")
        office.wait_for_dump("tower")
        agent = office.start("laptop", "--json")
        assert agent.stdout
        words = [json.loads(agent.stdout.readline()) for _ in range(2)]
        assert "others" in {word.get("reason") for word in words}, words
        assert len(office.dumps()) == 1
        office.client("tower").heal()
        nightly.communicate(timeout=90)
        assert ends([agent])[0][0] == 0
        office.wait_idle()
        assert [log.is_finished for log in office.dumps()] == [True, True]
        assert office.failures() == []


def test_flush_gets_its_turn_and_verdicts_move_to_the_volume(lab_prefix: Path) -> None:
    """Above the threshold the next gap is a flush's; what was held is stored then."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill(files=2, bytes_each=400_000)
        office.set_up(flush={"threshold": "0.1%"})
        assert office.backup("laptop").returncode == 0
        wait_until("all is on a volume", lambda: office.held() == set())
        assert office.confirmed() == {("laptop", DISK): DumpState.STORED}
        assert len(office.volumes()) == 1
        assert office.backup("laptop", "--force").returncode == 0


def test_revoked_client_is_out_at_once(lab_prefix: Path) -> None:
    """Its session ends in mid-run, its connection too, and it cannot come back; the run goes on."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill(files=4, bytes_each=500_000)
        office.set_up()
        office.client("laptop").slow(1_000_000)
        agent = office.start("laptop")
        office.wait_for_dump("laptop")
        assert office.server.sshd_processes("backup")
        office.ask("server", "revoke", "laptop")
        ((code, words),) = ends([agent], 30)
        assert code == 77, words
        assert "not enrolled" in words or "refused the login" in words
        wait_until("its connection has ended", lambda: not office.server.sshd_processes("backup"))
        assert office.server.is_amdump_running()
        office.client("laptop").heal()
        office.wait_idle()
        refused = office.backup("laptop", "--force")
        assert refused.returncode == 77


def test_killed_agent_harms_nothing_and_the_next_start_joins(lab_prefix: Path) -> None:
    """The run is the server's: the next start is told that it goes on, and makes no second one."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill(files=4, bytes_each=500_000)
        office.set_up()
        laptop = office.client("laptop")
        laptop.slow(1_000_000)
        agent = office.start("laptop")
        office.wait_for_dump("laptop")
        agent.kill()
        agent.communicate()
        second = office.start("laptop", "-v")
        wait_until("it is there", lambda: office.connected() == ["laptop"])
        laptop.heal()
        ((code, words),) = ends([second])
        assert code == 0, words + office.diary
        assert len(office.dumps()) == 1
        assert outcomes(laptop)[-1] == "backed up"
        assert office.server.path(f"{STATE}/ledger.sqlite").exists()


def test_request_that_crosses_the_end_of_its_run_makes_no_second_one(lab_prefix: Path) -> None:
    """Welcomed while the run goes on, and asking when it is over: the client is told its end."""
    with open_office(lab_prefix, "laptop") as office:
        laptop = office.client("laptop")
        office.fill(files=1, bytes_each=1_000_000)
        office.set_up({"heartbeat": "15s"})
        laptop.slow(1_000_000)
        agent = office.start("laptop")
        office.wait_for_dump("laptop")
        ssh = ["ssh", "-o", "BatchMode=yes", "backup@amanda", "asyncamanda gate"]
        late = laptop.start(ssh, user="backup")
        say(late, Hello(PROTOCOLS, "a test", is_watching=False, ticket=read_ticket(laptop)))
        assert hear(late, "welcome")["standing"] == "running"
        laptop.heal()
        assert ends([agent])[0][0] == 0
        say(late, Submit())
        assert [v["state"] for v in hear(late, "finished")["verdicts"]] == ["held"]
        assert late.wait(10) == 0
        office.wait_idle()
        assert len(office.dumps()) == 1


def say(line: "subprocess.Popen[str]", message: Hello | Submit) -> None:
    """Send a message to the gate."""
    assert line.stdin
    line.stdin.write(encode(message).decode("ascii"))
    line.stdin.flush()


def hear(line: "subprocess.Popen[str]", kind: str) -> dict[str, Any]:
    """Return the gate's next message of this kind."""
    assert line.stdout
    while True:
        message: dict[str, Any] = json.loads(line.stdout.readline())
        if message["type"] == kind:
            return message


def test_every_user_is_told_how_the_backup_stands(lab_prefix: Path) -> None:
    """With level, size and age; the worst first, and with an exit code of its own."""
    with open_office(lab_prefix, "laptop") as office:
        laptop = office.client("laptop")
        office.shift_clocks(timedelta())
        office.fill(files=36, bytes_each=1_000_000)
        office.set_up()
        laptop.run(["chown", "root:backup", TOML])
        laptop.path(TOML).chmod(0o640)
        unknown = ask(laptop, "status", user="nobody")
        assert (unknown.returncode, "as root: asyncamanda status" in unknown.stderr) == (77, True)
        assert ask(laptop, "status").stdout.startswith(
            "no backup known: the server was never asked"
        )

        assert office.backup("laptop").returncode == 0
        for user in ("root", "nobody"):
            well = ask(laptop, "status", user=user)
            assert (well.returncode, well.stderr) == (0, "")
            assert well.stdout.startswith(
                "all well: every disk has a backup confirmed by the server"
            )
            assert re.search(
                rf"^{DISK}: full, 3[67] MB, .* ago; next to(day|morrow) ", well.stdout, re.M
            )

        office.shift_clocks(timedelta(hours=25))
        assert office.backup("laptop").returncode == 0
        assert re.search(rf"^{DISK}: level 1, \d+ kB, ", ask(laptop, "status").stdout, re.M)

        office.ask("server", "revoke", "laptop")
        assert office.backup("laptop", "--force").returncode == 77
        for user in ("root", "nobody"):
            failing = ask(laptop, "status", user=user)
            assert (failing.returncode, failing.stdout.split(":")[0]) == (100, "FAILING")
            assert "refused" in failing.stdout.splitlines()[0]

        office.shift_clocks(timedelta(days=9))
        for user in ("root", "nobody"):
            stale = ask(laptop, "status", user=user)
            assert (stale.returncode, stale.stdout.split(":")[0]) == (101, "STALE")

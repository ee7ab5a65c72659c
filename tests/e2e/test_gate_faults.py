"""Each crash, kill and fullness at the server: nothing is lost, nothing doubled, nobody cleans up.

After each of them the next request is served.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, DISK, HOLDING, STATE, Office, ends, open_slow_office

from asyncamanda.core.model import DumpState
from lab.errors import LabError

BIG = 2_000_000  # bytes: some 17 s at that rate


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop whose dump takes a while, and a tower."""
    with open_slow_office(lab_prefix, BIG) as opened:
        yield opened


def _is_listed(office: Office, name: str) -> bool:
    """Return whether Amanda finds a dump of this client's disk."""
    return bool(office.server.stored(name, DISK))


def _is_busy(office: Office) -> bool:
    """Return whether anything runs, or will as soon as it may."""
    view = office.view()
    return bool(view and (view["runs"] or view["waiting"] or view["flush_due_since"]))


def _has_ended(office: Office, times: int) -> bool:
    """Return whether so many dispatchers have said that they end."""
    return office.diary.count("the dispatcher ends") == times


def _serves_both(office: Office) -> None:
    """Fail unless both clients are served now, and the server has what they have."""
    office.client("laptop").heal()
    done = ends([office.start(name, "--force") for name in ("laptop", "tower")])
    assert [code for code, _ in done] == [0, 0], [*done, office.diary]
    # a flush may follow, in which a dump is neither here nor there for a moment
    wait_until("all that follows is over", lambda: not _is_busy(office))
    office.wait_idle()
    for name in ("laptop", "tower"):
        wait_until(f"{name} is listed", partial(_is_listed, office, name))
        wait_until(f"{name} comes back", partial(_comes_back, office, name))


def _comes_back(office: Office, name: str) -> bool:
    """Return whether amfetchdump finds what it has to; fail if that is not what the client has.

    Another flush may begin at any moment, and Amanda hides what is held from all others meanwhile.
    """
    try:
        restored = office.server.restore(name, DISK)
    except LabError:
        return False
    assert restored == office.client(name).tree(DISK)
    return True


def test_killed_gate_is_replaced_by_the_agent(office: Office) -> None:
    """Its client connects again within the same start, and is told how the same run ends."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    office.kill("asyncamanda gate")
    wait_until("it is back", lambda: bool(office.pids("asyncamanda gate")))
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    assert len(office.dumps()) == 1
    _serves_both(office)


def test_killed_dispatcher_is_replaced_by_the_gates(office: Office) -> None:
    """Within seconds another one has the lines, the queue and the run, and ends both well."""
    office.configure({"max_runs": 1})  # so that the other one waits, and Amanda does not call it
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    (old,) = office.pids("server dispatch")
    queued = office.start("tower")
    wait_until("both are there", lambda: office.connected() == ["laptop", "tower"])
    connections = office.server.connections
    office.kill("server dispatch")
    wait_until("another one", lambda: office.pids("server dispatch") not in ([], [old]), 10)
    wait_until("it has both", lambda: office.connected() == ["laptop", "tower"], 10)
    assert office.server.connections == connections, "the agents had to connect anew"
    done = ends([queued, agent])
    assert [code for code, _ in done] == [0, 0], [*done, office.diary]
    assert [sorted({host for host, _ in log.dles}) for log in office.dumps()] == [
        ["laptop"],
        ["tower"],
    ]
    assert set(office.confirmed()) == {("laptop", DISK), ("tower", DISK)}
    _serves_both(office)


def test_two_gates_at_once_get_one_dispatcher(office: Office) -> None:
    """Of many gates that find none one starts it, and a second one does not begin to serve."""
    agents = [office.start(name) for name in ("tower", "laptop")]
    wait_until("both are there", lambda: office.connected() == ["laptop", "tower"])
    assert len(office.pids("server dispatch")) == 1
    second = office.ask("server", "dispatch", check=False)
    assert second.returncode == 75
    assert "a dispatcher is already running: pid" in second.stderr
    office.client("laptop").heal()
    assert [code for code, _ in ends(agents)] == [0, 0]
    assert office.diary.count("the dispatcher is ready") == 1


def test_killed_amdump_is_seen_to_its_end(office: Office) -> None:
    """Its driver goes on: no second run of the host starts, and what it dumped counts."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    office.kill("/usr/sbin/amdump")
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    assert [log.is_finished for log in office.dumps()] == [False]
    _serves_both(office)
    assert "amcleanup" in office.diary


def test_killed_run_is_missing_and_started_anew(office: Office) -> None:
    """All of the run dies: its DLE is missing, a full is forced, and the next request is served."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    office.kill("amdump|/driver|dumper|chunker")
    ((code, words),) = ends([agent])
    assert code == 100, words
    assert "the run ended without reporting it" in words
    wait_until("Amanda is told", lambda: f"force laptop {DISK}" in office.diary)
    _serves_both(office)


_SPOIL = """
import sqlite3
ledger = sqlite3.connect("/var/lib/asyncamanda/server/ledger.sqlite")
ledger.executescript('''
    CREATE TEMP TABLE wrong (config, kind, hosts);
    INSERT INTO wrong VALUES ('daily', 'no kind', '[]'), ('daily', 'batch', 'no list'),
        ('gone', 'batch', '[]');
    INSERT INTO runs (amanda_config, kind, hosts, begun_at, is_clean, labels, remark)
        SELECT config, kind, hosts, '2026-11-28T12:00:00.000000Z', 0, '[]', '' FROM wrong;
    INSERT INTO requests (client, amanda_config, submitted_at, state, outcome)
        VALUES ('laptop', 'daily', 'no time', 'queued', '');
    UPDATE verdicts SET dumped_at = 'never' WHERE host = 'tower';
''')
ledger.commit()
"""


def test_bad_rows_and_configurations_stop_nobody(office: Office) -> None:
    """Each is named, and set aside; the dispatcher stays, and serves both."""
    office.client("laptop").heal()
    assert office.backup("tower").returncode == 0
    office.kill("server dispatch")
    office.server.run(["/opt/asyncamanda/bin/python", "-c", _SPOIL], user="backup")
    _serves_both(office)
    assert office.diary.count("is set aside because its row is invalid") == 3
    assert "a row of the ledger's verdicts is invalid" in office.diary
    assert "gone: cannot use the Amanda configuration gone" in office.diary
    assert office.diary.count("the dispatcher is ready") == 2


def test_broken_configuration_forgets_no_protection(office: Office) -> None:
    """While somebody edits it Amanda could not be told; it is, before that client's next run."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    conf = office.server.read(CONF)
    office.server.append(CONF, "no-such-keyword 1\n", owner="backup")
    office.kill("amdump|/driver|dumper|chunker")
    assert ends([agent])[0][0] == 100
    wait_until("Amanda could not be told", lambda: f"force laptop {DISK}:" in office.diary)
    assert "is set to" not in office.diary
    office.server.write(CONF, conf, owner="backup")
    _serves_both(office)
    assert "is set to a forced level 0" in office.diary


def test_broken_disklist_keeps_nobody_from_being_protected(office: Office) -> None:
    """Amanda is told about one DLE by a disklist of its own, whatever is in the real one."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    disklist = office.server.read("/etc/amanda/daily/disklist")
    office.server.append("/etc/amanda/daily/disklist", "laptop /srv no-such-type\n", owner="backup")
    office.kill("amdump|/driver|dumper|chunker")
    assert ends([agent])[0][0] == 100
    wait_until("Amanda is told", lambda: "is set to a forced level 0" in office.diary)
    office.server.write("/etc/amanda/daily/disklist", disklist, owner="backup")
    _serves_both(office)


def test_rebooted_server_serves_the_same_request(office: Office) -> None:
    """Power cut in mid-run, the runtime folder gone: who waits gets another run, and a full."""
    agent = office.start("laptop", "-v")
    office.wait_for_dump("laptop")
    office.server.power_cut()
    office.server.remove(f"{STATE}/run")
    office.server.boot()
    office.client("laptop").heal()
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    assert f"1 of 1 not backed up: {DISK} (the run ended without reporting it)" in office.diary
    assert f"force laptop {DISK}" in office.diary
    _serves_both(office)
    assert next(log.is_finished for log in office.dumps()) is False


def test_cleared_runtime_folder_is_made_anew(office: Office) -> None:
    """Somebody clears the socket away: the dispatcher listens again, and no second one starts."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    office.server.remove(f"{STATE}/run")
    run = office.backup("tower")
    assert run.returncode == 0, run.stderr + office.diary
    assert office.diary.count("the dispatcher is ready") == 1
    office.client("laptop").heal()
    assert ends([agent])[0][0] == 0


def test_no_room_anywhere_is_a_failure_with_a_reason(office: Office) -> None:
    """Nor a volume: the client hears so, and nothing counts; with room the next one is served."""
    office.client("laptop").heal()
    conf = office.server.read(CONF)
    narrow = conf.replace("use 500 mbytes", "use 1 mbytes").replace("autolabel", "#autolabel")
    assert "#autolabel" in narrow
    office.server.write(CONF, narrow, owner="backup")
    run = office.backup("laptop")
    assert run.returncode == 100, run.stderr
    assert f"{DISK}: failed: " in run.stderr
    assert "its administrator has to" in run.stderr
    assert office.confirmed() == {}
    office.server.write(CONF, conf, owner="backup")
    _serves_both(office)


def test_full_file_system_in_mid_dump_loses_nothing(office: Office) -> None:
    """Not even the ledger can be written: all waits for room, and then it is made on volumes."""
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    office.server.fill_disk()
    office.client("laptop").heal()
    wait_until("the run is over", lambda: not office.server.is_amdump_running())
    assert agent.poll() is None
    office.server.free_disk()
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    assert "No space left on device" in office.diary
    assert "Traceback" not in office.diary
    assert office.confirmed()["laptop", DISK] is DumpState.STORED
    _serves_both(office)


def test_full_file_system_puts_the_client_off(office: Office) -> None:
    """The server cannot even begin: the client is told to come back, and is served with room."""
    office.server.fill_disk()
    run = office.backup("laptop", "-v")
    assert run.returncode == 75, run.stderr
    assert "come back at" in run.stderr
    office.server.free_disk()
    _serves_both(office)


def test_no_volume_left_keeps_the_dumps_held(office: Office) -> None:
    """A flush that finds no volume harms nothing: requests are served, and what is held stays."""
    office.client("laptop").heal()
    conf = office.server.read(CONF)
    broken = conf.replace('autolabel "DAILY-%%%" empty', "")
    office.server.write(CONF, broken, owner="backup")
    assert office.backup("laptop").returncode == 0
    office.ask("server", "flush", "daily")
    wait_until("the flush has failed", lambda: office.diary.count("flush") >= 2)
    wait_until("it is judged", lambda: not office.view().get("runs"))
    assert office.confirmed()["laptop", DISK] is DumpState.HELD
    _serves_both(office)
    office.server.write(CONF, conf, owner="backup")
    office.ask("server", "flush", "daily")
    wait_until("all is on a volume", lambda: office.held() == set())
    assert list(office.server.path(HOLDING).glob("*/*.?")) == []


def test_locked_ledger_delays_and_loses_nothing(office: Office) -> None:
    """While somebody else holds the ledger requests wait; then they are served, once each."""
    office.client("laptop").heal()
    assert office.backup("tower").returncode == 0
    locker = office.server.start(["python3", "-c", LOCK], user="backup")
    assert locker.stdout
    assert locker.stdout.readline() == "locked\n"
    agents = [office.start(name, "--force") for name in ("laptop", "tower")]
    wait_until("both are there", lambda: office.connected() == ["laptop", "tower"])
    wait_until("the dispatcher finds it locked", lambda: "locked" in office.diary)
    assert len(office.dumps()) == 1
    locker.kill()
    locker.communicate()
    done = ends(agents)
    assert [code for code, _ in done] == [0, 0], [*done, office.diary]
    assert len(office.dumps()) in {2, 3}
    _serves_both(office)


def test_deleted_ledger_is_made_anew_from_the_logs(office: Office) -> None:
    """Deleted in mid-run: the run is not lost, and what Amanda's logs know is known again."""
    assert office.backup("tower").returncode == 0
    agent = office.start("laptop")
    office.wait_for_dump("laptop")
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        office.server.run(["rm", "-f", f"{STATE}/{name}"])
    wait_until("it is there again", office.server.path(f"{STATE}/ledger.sqlite").exists)
    office.client("laptop").heal()
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    assert len(office.dumps()) == 2
    assert set(office.confirmed()) == {("laptop", DISK), ("tower", DISK)}
    assert "Traceback" not in office.diary
    _serves_both(office)


def test_clock_set_back_keeps_nobody_waiting(office: Office) -> None:
    """A day back in mid-wait, and a day forward: the request is served within its window."""
    office.client("laptop").heal()
    office.shift_clocks(timedelta())
    office.configure({"batch_window": "5s"})
    for offset in (timedelta(days=-1), timedelta(days=1)):
        agent = office.start("laptop", "--force", "--json")
        assert agent.stdout
        assert json.loads(agent.stdout.readline())["event"] == "queued"
        office.server.clock_offset = offset
        ((code, words),) = ends([agent], 30)
        assert code == 0, words + office.diary
    office.server.clock_offset = timedelta()
    _serves_both(office)


def test_clock_set_forward_ends_a_dispatcher_and_keeps_nobody_waiting(office: Office) -> None:
    """As after a suspend: it has been idle for long, and looks at its configuration just then."""
    office.client("laptop").heal()
    office.shift_clocks(timedelta())
    for days in range(1, 4):
        run = office.backup("laptop", "--force")
        assert run.returncode == 0, run.stderr + office.diary
        wait_until("all that follows is over", lambda: not _is_busy(office))
        office.shift_clocks(timedelta(days=days))
        wait_until("it ends", partial(_has_ended, office, days))
    assert office.backup("laptop", "--force").returncode == 0, office.diary
    assert office.diary.count("the dispatcher is ready") == 4
    assert "it is killed" not in office.diary


LOCK = f"""
import sqlite3, time
ledger = sqlite3.connect("{STATE}/ledger.sqlite", isolation_level=None)
ledger.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(60)
"""

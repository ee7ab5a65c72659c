"""Backups from behind a router that masquerades: Amanda calls back through the client's connection.

The server cannot reach the clients, and no name of theirs resolves anywhere.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import CONF, DISK, STATE, Office, ends, open_office

from lab import LabCommandError
from lab.patience import stretched

THREE = ("laptop", "tablet", "phone")
AMGTAR_DISK = "/srv/d 3"
AMANDAD = "/usr/lib/amanda/amandad -auth=ssh"
SSH = ["ssh", "-x", "-o", "BatchMode=yes", "-l", "backup"]  # as Amanda calls it


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop behind a router, and a window in which it stays connected."""
    with open_office(lab_prefix, "laptop", nat=True) as opened:
        opened.fill()
        opened.set_up({"batch_window": "10m"})
        yield opened


def test_behind_a_router_both_kinds_of_dle_are_backed_up_and_restored(lab_prefix: Path) -> None:
    """Full, then incremental; what is restored is what the client has, file by file."""
    with open_office(lab_prefix, "laptop", nat=True) as office:
        laptop, server = office.client("laptop"), office.server
        office.fill(bytes_each=300_000)
        laptop.add_tree(AMGTAR_DISK, bytes_each=300_000)
        server.add_dle("laptop", AMGTAR_DISK, "roaming-amgtar")
        office.set_up()
        resolved = server.run(["getent", "hosts", "laptop"], check=False)
        assert resolved.returncode == 2, "the name is to resolve nowhere"
        with pytest.raises(LabCommandError):
            server.run(["ping", "-c", "1", "-W", "1", laptop.address])

        for levels in ([0, 0], [1, 1]):
            for disk in (DISK, AMGTAR_DISK):
                laptop.add_tree(disk, files=1, bytes_each=200_000)
            run = office.backup("laptop", "--force")
            assert run.returncode == 0, run.stderr + office.diary
            assert sorted(v.level or 0 for v in office.dumps()[-1].verdicts) == levels
            for disk in (DISK, AMGTAR_DISK):
                assert server.restore("laptop", disk) == laptop.tree(disk)
        assert office.failures() == []


def test_three_clients_behind_one_address_make_one_batch(lab_prefix: Path) -> None:
    """They come from the router's address, all of them; and each gets its own files back."""
    with open_office(lab_prefix, *THREE, nat=True) as office:
        office.fill(bytes_each=100_000)
        office.set_up({"batch_window": stretched(3)})
        done = ends([office.start(name) for name in THREE])
        assert [code for code, _ in done] == [0, 0, 0], [*done, office.diary]
        (run,) = office.dumps()
        assert {host for host, _ in run.dles} == {*THREE}
        assert office.failures() == []
        for name in THREE:
            assert office.server.restore(name, DISK) == office.client(name).tree(DISK)


def test_two_dumps_of_a_client_go_side_by_side(lab_prefix: Path) -> None:
    """`maxdumps 2`: each has a stream of its own, at the same time, on the one connection."""
    with open_office(lab_prefix, "laptop", nat=True) as office:
        laptop = office.client("laptop")
        disks = [DISK, "/srv/photos"]
        for disk in disks:
            office.fill(disk=disk, files=4, bytes_each=5_000_000)
        conf = office.server.read(CONF)
        assert "maxdumps 2 " in conf
        types = conf.replace("    maxpromoteday 0", "    maxpromoteday 0\n    maxdumps 2")
        office.server.write(CONF, types, owner="backup")
        office.set_up()
        laptop.slow(40_000_000)  # a second stream opens behind what TCP holds of the first
        agent = office.start("laptop")
        carriers = "asyncamanda gate --client laptop .*"
        wait_until(
            "two streams", lambda: len(office.pids(carriers)) == 3, 30
        )  # and the line's gate
        wait_until("two dumps", lambda: len(writing(office)) == 2, 30)
        ((code, words),) = ends([agent])
        assert code == 0, words + office.diary
        assert office.server.connections == 1
        assert office.failures() == []
        for disk in disks:
            assert office.server.restore("laptop", disk) == laptop.tree(disk)


def writing(office: Office) -> list[Path]:
    """Return the files in the holding disk that a dump goes into now."""
    return list(Path(office.server.path("/srv/amanda/holding")).glob("*/*.tmp"))


def test_clients_that_amanda_reaches_by_itself_stay_as_they_are(lab_prefix: Path) -> None:
    """In one disklist: one by the relay, one enrolled and called directly, one that we know not."""
    with open_office(lab_prefix, "laptop", "desk", "rack") as office:
        office.fill(bytes_each=100_000)
        office.set_up({"batch_window": stretched(2)}, direct=["desk"])
        home = office.server.account("backup").home
        office.ask("server", "revoke", "rack")
        aliases = office.server.read(f"{home}/.ssh/asyncamanda.conf")
        assert [line for line in aliases.splitlines() if line.startswith("Host ")] == [
            "Host laptop"
        ]
        office.client("laptop").stop_sshd()
        done = ends([office.start(name) for name in ("laptop", "desk")])
        assert [code for code, _ in done] == [0, 0], [*done, office.diary]
        office.wait_idle()
        assert office.server.amdump("rack", "desk").returncode == 0
        assert office.client("desk").connections == 4  # planner and dumper, of two runs
        assert office.failures() == []
        for name in ("laptop", "desk", "rack"):
            assert office.server.restore(name, DISK) == office.client(name).tree(DISK)


def test_amcheck_reaches_a_client_that_is_connected(office: Office) -> None:
    """And finds what is wrong there; without a connection it fails within seconds, and says so."""
    agent = office.start("laptop")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    done = office.server.amanda("amcheck", "-c", "daily", "laptop", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 host checked" in done.stdout
    assert "0 problems found" in done.stdout
    office.client("laptop").remove("/srv/docs")
    done = office.server.amanda("amcheck", "-c", "daily", "laptop", check=False)
    assert "/srv/docs" in done.stdout
    assert "1 problem found" in done.stdout
    agent.terminate()
    agent.communicate()
    done = office.server.amanda("amcheck", "-c", "daily", "laptop", check=False, timeout=20)
    assert "ERROR: NAK laptop: asyncamanda: laptop is not connected\n" in done.stdout


def call(office: Office, client: str, command: str) -> "subprocess.CompletedProcess[str]":
    """Call a client as Amanda would, with another command perhaps."""
    argv = [*SSH, client, command]
    return office.server.run(argv, user="backup", stdin="", check=False, timeout=20)


def test_nothing_but_amandad_is_called(office: Office) -> None:
    """What else the Amanda user's ssh asks for is refused, and the client hears nothing of it."""
    agent = office.start("laptop")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    for command in ("id", f"{AMANDAD}; id", "/bin/amandad", f"{AMANDAD} amindexd", "sh amandad"):
        done = call(office, "laptop", command)
        assert (done.returncode, done.stdout) == (255, ""), command
        assert "nothing is run here but Amanda's amandad" in done.stderr
    assert call(office, "laptop", AMANDAD).returncode == 0  # its input ends at once
    agent.terminate()
    agent.communicate()
    done = call(office, "laptop", AMANDAD)
    assert done.returncode == 255
    assert "asyncamanda: laptop is not connected" in done.stderr


def test_client_without_amandad_is_told_of(office: Office) -> None:
    """The call fails at once, with the client's own words in Amanda's log."""
    office.configure({"batch_window": "5s"})
    office.configure_agent(office.client("laptop"), amandad="/nowhere/amandad")
    agent = office.start("laptop")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    done = call(office, "laptop", AMANDAD)
    assert done.returncode == 127
    assert "there is no /nowhere/amandad here" in done.stderr
    ((code, words),) = ends([agent], 60)
    assert code == 100, words
    assert "there is no /nowhere/amandad here" in office.diary


def test_ten_sessions_are_enough_for_more_streams(office: Office) -> None:
    """sshd allows ten on a connection: further streams wait, and get their turn."""
    agent = office.start("laptop")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    argv = [*SSH, "laptop", AMANDAD]
    calls = [office.server.start(argv, user="backup") for _ in range(12)]
    gates = "asyncamanda gate --client laptop"
    wait_until("ten sessions", lambda: len(office.pids(gates)) == 10)
    wait_until("the others wait", lambda: "waits for its streams" in office.diary)
    assert all(one.poll() is None for one in calls)
    for one in calls:
        assert one.stdin
        one.stdin.close()
    for one in calls:
        one.stdin = None
        one.communicate(timeout=30)
    assert [one.returncode for one in calls] == [0] * 12
    assert office.diary.count("Amanda's request failed") == 0
    agent.terminate()
    agent.communicate()


def test_sshd_that_allows_fewer_sessions_is_borne(lab_prefix: Path) -> None:
    """`MaxSessions 3`: two streams at a time, and the next ones wait until one of them ends."""
    with open_office(lab_prefix, "laptop", nat=True) as office:
        office.fill()
        office.server.append("/etc/ssh/sshd_config", "MaxSessions 3\n")
        office.server.stop_sshd()
        office.server.start_sshd()
        office.set_up({"batch_window": "10m"})
        agent = office.start("laptop")
        wait_until("it can be called", lambda: office.reachable() == ["laptop"])
        argv = [*SSH, "laptop", AMANDAD]
        calls = [office.server.start(argv, user="backup") for _ in range(4)]
        wait_until("the others wait", lambda: "waits for its streams" in office.diary)
        for one in calls:
            assert one.stdin
            one.stdin.close()
        for one in calls:  # any two of them are the streams
            one.stdin = None
            one.communicate(timeout=30)
        assert [one.returncode for one in calls] == [0] * 4, office.diary
        agent.terminate()
        agent.communicate()


def test_sockets_are_gone_with_their_clients(office: Office) -> None:
    """Nobody listens for a client that has left; and a folder that was cleared is filled again."""
    relay = f"{STATE}/run/relay"
    agent = office.start("laptop")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    assert office.server.path(f"{relay}/laptop").exists()
    office.server.remove(relay)
    wait_until("it can be called again", lambda: office.server.path(f"{relay}/laptop").exists())
    assert call(office, "laptop", AMANDAD).returncode == 0
    office.configure({"batch_window": "0.5s"})
    office.ask("server", "revoke", "laptop")
    agent.communicate(timeout=30)
    assert list(office.server.path(relay).iterdir()) == []

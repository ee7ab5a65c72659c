"""The lab is what it claims to be: separate hosts, real Amanda, and real trouble."""

import os
import re
import select
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import asyncamanda
from lab import (
    PASSWORD,
    ROUTER_ADDRESS,
    Client,
    Host,
    Lab,
    LabCommandError,
    LabUnavailableError,
    Root,
)
from lab.lab import require_programs
from lab.patience import Limit, at_most

CLOCK = "import time; print(time.time())"
TEMPORARY = ("/tmp", "/dev/shm", "/run")  # noqa: S108 (nothing is written there)
PYTHON = "/usr/bin/python3"


def wait_until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    """Return when it is so; fail when it takes too long."""
    limit = Limit(seconds)
    while not is_so():
        assert not limit.is_over(), "it did not happen in time"
        time.sleep(0.01)


def say(program: "subprocess.Popen[str]", text: str) -> None:
    """Write to a program from Host.start, at once."""
    assert program.stdin is not None
    program.stdin.write(text)
    program.stdin.flush()


def read_line(program: "subprocess.Popen[str]", seconds: float = 10) -> str:
    """Return the next line that a program from Host.start writes; '' where none comes.

    Its stdout must be unbuffered by us: one line at a time.
    """
    assert program.stdout is not None
    ready, _, _ = select.select([program.stdout], [], [], at_most(seconds))
    return program.stdout.readline() if ready else ""


def the_machine() -> dict[str, object]:
    """What a lab could leave behind on this machine."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    # not /tmp and the like, in which others work too
    places = ("/etc/amanda", "/srv", "/var/lib/amanda", "/var/log/amanda", "/run/netns")
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(encoding="utf-8"),
        "links": links.stdout,
        "hosts": Path("/etc/hosts").read_bytes(),
        "passwd": Path("/etc/passwd").read_bytes(),
        "files": {place: sorted(Path(place).glob("*")) for place in places},
    }


def processes_in(networks: set[str]) -> list[int]:
    """The processes of this machine that are in one of these network namespaces."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                network = str((entry / "ns/net").readlink())
            except OSError:
                continue
            if network in networks:
                found.append(int(entry.name))
    return found


@contextmanager
def networks_below(parent: int) -> Iterator[set[str]]:
    """Yield the network namespaces, other than ours, that a process's children are in.

    They are held, or the kernel might soon give one's number to a namespace of another test.
    """
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    with ExitStack() as held:
        for child in children.split():
            held.enter_context(Path(f"/proc/{child}/ns/net").open("rb"))
        ours = network_of(os.getpid())
        yield {network_of(int(child)) for child in children.split()} - {ours}


def network_of(pid: int) -> str:
    """Which network namespace a process is in."""
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def clock_of(host: Host, *, shifted: bool | None = None, user: str = "root") -> float:
    """How far a Python's wall clock on a host is ahead of this machine's, in seconds."""
    said = host.run([PYTHON, "-c", CLOCK], shifted=shifted, user=user).stdout
    return float(said) - time.time()


@pytest.fixture
def nat_lab() -> Iterator[Lab]:
    """Yield a server and two clients behind a router."""
    with Lab(clients=("laptop", "desktop"), nat=True) as built:
        yield built


@pytest.fixture(params=[False, True], ids=["flat", "nat"])
def each_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Yield a server and a client, without and with a router between them."""
    with Lab(nat=request.param) as built:
        yield built


class TestAmanda:
    """Debian's Amanda works between the hosts."""

    def test_amdump_backs_up_every_kind_of_dle(self, bare_lab: Lab) -> None:
        """One amdump over ssh stores GNUTAR and amgtar DLEs, blank included, and restores."""
        server, client = bare_lab.server, bare_lab.client
        dles = {"/srv/docs": "roaming", "/srv/photos": "roaming-amgtar", "/srv/d 3": "roaming"}
        for disk, dumptype in dles.items():
            client.add_tree(disk)
            server.add_dle("laptop", disk, dumptype)
        assert client.amandates == ""
        assert server.amdump_count == 0

        assert server.amdump("laptop").returncode == 0

        found = server.find()
        assert all(disk in found for disk in ("/srv/docs", "/srv/photos", '"/srv/d 3"'))
        assert [line.rpartition(" ")[0] for line in client.amandates.splitlines()] == [
            '"/srv/d 3" 0',
            "/srv/docs 0",
            "/srv/photos 0",
        ]
        assert server.amdump_count == 1
        assert not server.is_amdump_running()
        assert server.connections == 0
        assert client.connections > 3
        for disk in dles:
            assert server.restore("laptop", disk) == client.tree(disk)

    def test_a_later_run_adds_an_incremental(self, bare_lab: Lab) -> None:
        """A second run makes level 1, and a restore needs both."""
        server, client = bare_lab.server, bare_lab.client
        client.add_tree("/srv/docs", files=2)
        server.add_dle("laptop", "/srv/docs")
        server.amdump("laptop")
        client.add_tree("/srv/docs", files=1)
        running = server.start(
            ["amdump", "daily", "--no-taper", "--exact-match", "laptop"], user="backup"
        )
        wait_until(server.is_amdump_running)
        assert running.wait(60) == 0
        assert [dump.level for dump in server.stored("laptop", "/srv/docs")] == [0, 1]
        assert server.restore("laptop", "/srv/docs") == client.tree("/srv/docs")
        assert server.amdump_count == 2

    @pytest.mark.parametrize("dumptype", ["roaming", "roaming-amgtar"])
    def test_amandates_lies_after_a_cut(self, bare_lab: Lab, dumptype: str) -> None:
        """A dump that is cut fails at the server, while the client believes in it."""
        server, client = bare_lab.server, bare_lab.client
        client.add_tree("/srv/docs", files=1, bytes_each=1_500_000)
        server.add_dle("laptop", "/srv/docs", dumptype)
        server.set_keepalive(1)
        client.slow(1_000_000)
        before = client.amandates
        run = server.start(["amdump", "daily", "--exact-match", "laptop"], user="backup")
        assert client.wait_for_amandates(before).startswith("/srv/docs 0 ")
        client.cut()
        with server.hung_amdump_freed():
            assert run.wait(60) & 4
        client.heal()
        log = server.run_logs()[-1]
        # 3.5.4's dumper dies of it, and the driver says so
        failed = r"(FAIL dumper laptop |WARNING driver dumper\d+ died while dumping laptop:)"
        assert re.search(rf"^{failed}/srv/docs", log, re.MULTILINE), log
        assert "SUCCESS dumper" not in log
        assert server.stored("laptop", "/srv/docs") == []
        assert client.amandates.startswith("/srv/docs 0 ")


class TestSeparation:
    """The hosts are apart from the machine and from one another, and leave nothing."""

    def test_files_stay_on_their_host(self, bare_lab: Lab) -> None:
        """What one host writes neither the machine nor another host sees."""
        before = the_machine()
        client, server = bare_lab.client, bare_lab.server
        places = ["/etc", "/var/lib", "/srv", "/root", "/home", "/opt", "/usr/local", *TEMPORARY]
        places += ["/etc/amanda", "/var/lib/amanda", "/var/backups"]
        for place in places:
            client.run(["touch", f"{place}/lab-was-here"])
            assert client.path(f"{place}/lab-was-here").exists()
            assert not Path(place, "lab-was-here").exists()
            assert not server.path(f"{place}/lab-was-here").exists()
        assert the_machine() == before

    def test_the_rest_of_the_machine_is_read_only(self, bare_lab: Lab) -> None:
        """Root on a host cannot change a file of the machine that is not the host's own."""
        done = bare_lab.client.run(["touch", "/usr/lib/lab-was-here"], check=False)
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr

    def test_absolute_symlinks_stay_on_the_host(self, bare_lab: Lab) -> None:
        """Writing through a link from outside ends up on the host, as for the host itself."""
        client = bare_lab.client
        client.run(["ln", "-s", "/srv/target", "/var/backups/link"])
        client.write("/var/backups/link", "here\n")
        assert client.run(["cat", "/srv/target"]).stdout == "here\n"
        assert not Path("/srv/target").exists()

    def test_each_host_has_a_name_and_a_network(self, bare_lab: Lab) -> None:
        """Hostname, address and processes are the host's own."""
        for host in bare_lab.hosts:
            assert host.run(["hostname", "-f"]).stdout == f"{host.name}.example.com\n"
            assert host.address in host.run(["ip", "-4", "-o", "addr"]).stdout
        sleeper = bare_lab.client.start(["sleep", "3600"])
        wait_until(lambda: ["sleep", "3600"] in list(bare_lab.client.processes()))
        assert ["sleep", "3600"] not in list(bare_lab.server.processes())
        sleeper.kill()

    @pytest.mark.parametrize(("nat", "namespaces"), [(False, 4), (True, 6)])
    def test_close_leaves_nothing(self, nat: bool, namespaces: int) -> None:
        """After close no process, mount, link or file is left."""
        before = the_machine()
        lab = Lab(clients=("laptop", "desktop"), nat=nat)
        lab.client.delay(0.01)
        lab.client.start(["sleep", "3600"], user="backup")
        lab.client.run(["sh", "-c", "setsid sleep 3601 >/dev/null 2>&1 &"])
        with networks_below(os.getpid()) as networks:
            assert len(networks) == namespaces
            assert len(processes_in(networks)) > 6
            lab.close()
            assert processes_in(networks) == []
        assert the_machine() == before

    @pytest.mark.parametrize(("nat", "namespaces"), [(False, 3), (True, 5)])
    def test_a_killed_lab_leaves_nothing(self, nat: bool, namespaces: int) -> None:
        """The lab's process killed by SIGKILL: the same."""
        before = the_machine()
        script = (
            "import time\n"
            "from lab import Lab\n"
            f"lab = Lab(nat={nat})\n"
            "lab.client.start(['sleep', '3600'], user='backup')\n"
            "lab.server.delay(0.01)\n"
            "print('built', flush=True)\n"
            "time.sleep(3600)\n"
        )
        source = str(Path(asyncamanda.__file__).parent.parent)
        victim = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
        )
        with victim:
            assert read_line(victim, 30) == "built\n"
            with networks_below(victim.pid) as networks:
                assert len(networks) == namespaces
                wait_until(lambda: len(processes_in(networks)) >= 5)
                victim.kill()
                wait_until(lambda: not processes_in(networks))
        assert the_machine() == before

    def test_asyncamanda_is_seen_wherever_it_is_installed(self, tmp_path: Path) -> None:
        """A prefix that user backup cannot reach on the machine works on the hosts."""
        prefix = tmp_path / "prefix"
        venv.create(prefix, symlinks=True)
        script = prefix / "bin" / "asyncamanda"
        script.write_text("#!/opt/asyncamanda/bin/python\nimport sys; print(sys.prefix)\n")
        script.chmod(0o755)
        tmp_path.chmod(0o700)
        with Lab(prefix=prefix) as lab:
            for host in lab.hosts:
                assert host.run(["asyncamanda"], user="backup").stdout == "/opt/asyncamanda\n"
            assert lab.client.run(["touch", "/opt/asyncamanda/x"], check=False).returncode != 0

    def test_what_is_missing_is_named(self) -> None:
        """All missing programs come in one error, with the packages to install."""
        with pytest.raises(LabUnavailableError) as caught:
            require_programs({"no-such-program": "pack-b", "/no/such": "pack-a", "ip": "iproute2"})
        assert caught.value.message == "missing: no-such-program, /no/such"
        assert caught.value.hint == "apt-get install pack-a pack-b"
        require_programs()

    def test_asyncamanda_of_this_machine_is_not_shown(self, bare_lab: Lab) -> None:
        """Neither its configuration nor its state, whatever this machine has of them."""
        for host in bare_lab.hosts:
            found = host.run(["ls", "/etc/asyncamanda", "/var/lib/asyncamanda"], check=False)
            assert not found.stdout

    def test_what_another_root_lacks_is_named(self, tmp_path: Path) -> None:
        """A host's root that has not what the lab needs is named before anything is made."""
        sshd = tmp_path / "usr/sbin/sshd"
        sshd.parent.mkdir(parents=True)
        sshd.touch(mode=0o755)
        with pytest.raises(LabUnavailableError) as caught, Lab(roots={"laptop": Root(tmp_path)}):
            pytest.fail("a host without Amanda came up")
        assert caught.value.message.startswith(f"missing in {tmp_path}: nsenter, ")
        assert "/usr/sbin/amdump" in caught.value.message
        assert "/usr/sbin/sshd" not in caught.value.message


class TestPrograms:
    """run() and start() are the program, its output and its end."""

    def test_run_gives_user_environment_and_output(self, bare_lab: Lab) -> None:
        """A program runs as the user, in /, with a clean environment plus what was asked."""
        script = 'id -un; id -Gn; pwd; echo "$HOME $LANG $GREETING"; cat; echo bad >&2; env'
        os.environ["LAB_LEAK"] = "leaked"
        done = bare_lab.client.run(
            ["sh", "-c", script], user="backup", environ={"GREETING": "hello you"}, stdin="in\n"
        )
        del os.environ["LAB_LEAK"]
        lines = done.stdout.splitlines()
        assert lines[:5] == [
            "backup",
            "backup disk tape",
            "/",
            "/var/backups C.UTF-8 hello you",
            "in",
        ]
        assert done.stderr == "bad\n"
        assert "leaked" not in done.stdout

    def test_a_failure_says_everything(self, bare_lab: Lab) -> None:
        """The error shows host, argv, exit, stdout and stderr."""
        with pytest.raises(LabCommandError) as caught:
            bare_lab.client.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
        error = caught.value
        assert (error.returncode, error.stdout, error.stderr) == (7, "out\n", "err\n")
        assert all(part in str(error) for part in ("laptop", "exit 7", "out", "err"))

    def test_a_time_limit_ends_the_whole_session(self, bare_lab: Lab) -> None:
        """A program that takes too long is killed, with what it has started."""
        with pytest.raises(LabCommandError, match="took too long"):
            bare_lab.client.run(["sh", "-c", "sleep 3600; true"], timeout=0.3)
        wait_until(lambda: ["sleep", "3600"] not in list(bare_lab.client.processes()))

    @pytest.mark.parametrize("user", ["root", "backup"])
    def test_signals_reach_the_program(self, bare_lab: Lab, user: str) -> None:
        """TERM to what start() returns is TERM to the program; so is KILL."""
        script = "trap 'echo got TERM; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
        program = bare_lab.client.start(["sh", "-c", script], user=user)
        assert read_line(program) == "ready\n"
        program.terminate()
        assert read_line(program) == "got TERM\n"
        assert program.wait(10) == 9
        sleeper = bare_lab.client.start(["sleep", "3600"], user=user)
        wait_until(lambda: ["sleep", "3600"] in list(bare_lab.client.processes()))
        sleeper.kill()
        assert sleeper.wait(10) == -signal.SIGKILL
        assert ["sleep", "3600"] not in list(bare_lab.client.processes())

    def test_run_is_cheap(self, bare_lab: Lab) -> None:
        """A hundred small programs take a small number of seconds."""
        begin = time.monotonic()
        for _ in range(100):
            bare_lab.client.run(["true"], user="backup")
        assert time.monotonic() - begin < at_most(5)


class TestSsh:
    """The hosts reach each other by ssh, and sshd counts."""

    def test_keys_work_both_ways(self, bare_lab: Lab) -> None:
        """Backup logs in on either side without a question; others do not."""
        server, client = bare_lab.server, bare_lab.client
        ask = ["ssh", "-o", "BatchMode=yes"]
        assert server.run([*ask, "laptop", "hostname"], user="backup").stdout == "laptop\n"
        assert client.run([*ask, "amanda", "hostname"], user="backup").stdout == "amanda\n"
        assert client.run([*ask, "backup@amanda", "true"], check=False).returncode == 255

    def test_the_password_works(self, bare_lab: Lab) -> None:
        """Backup can log in with the lab's password, and with no other."""
        client = bare_lab.client
        options = ["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]
        client.write("/usr/local/bin/askpass", '#!/bin/sh\necho "$ANSWER"\n', mode=0o755)
        outcomes = []
        for answer in (PASSWORD, "wrong"):
            environ = {"SSH_ASKPASS": "/usr/local/bin/askpass", "SSH_ASKPASS_REQUIRE": "force"}
            environ["ANSWER"] = answer
            done = client.run(
                ["ssh", *options, "amanda", "true"], user="backup", environ=environ, check=False
            )
            outcomes.append(done.returncode)
        assert outcomes == [0, 255]

    def test_sshds_processes_are_found(self, bare_lab: Lab) -> None:
        """One of the user's for each login, whose end is the connection's; then none at all."""
        server, client = bare_lab.server, bare_lab.client
        assert server.sshd_processes() == []
        sessions = [client.start(["ssh", "amanda", "echo in; cat"], user="backup") for _ in "12"]
        assert [read_line(session) for session in sessions] == ["in\n"] * 2
        first, second = server.sshd_processes("backup")
        assert len(server.sshd_processes()) == 4  # and root's, which hold them
        assert server.sshd_processes("nobody") == []
        server.run(["kill", "-TERM", str(first), str(second)])
        assert [session.wait(10) for session in sessions] == [255] * 2
        wait_until(lambda: server.sshd_processes() == [])

    def test_connections_are_counted(self, bare_lab: Lab) -> None:
        """Every connection counts, and a stopped sshd accepts none."""
        server, client = bare_lab.server, bare_lab.client
        assert server.connections == 0
        client.run(["ssh", "amanda", "true"], user="backup")
        client.run(["ssh", "amanda", "true"], user="backup")
        assert server.connections == 2
        server.stop_sshd()
        refused = client.run(["ssh", "amanda", "true"], user="backup", check=False)
        assert "Connection refused" in refused.stderr
        server.start_sshd()
        client.run(["ssh", "amanda", "true"], user="backup")
        assert server.connections == 3


class TestLink:
    """A link can be cut, delayed, slowed and healed."""

    def test_a_cut_is_silent_and_heals(self, each_lab: Lab) -> None:
        """A session stalls, without an error, and goes on; a new one just waits."""
        server, client = each_lab.server, each_lab.client
        talk = ["ssh", "amanda", "n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done"]
        session = client.start(talk, user="backup")
        assert read_line(session) == "1\n"
        client.cut()
        begin = time.monotonic()
        while read_line(session, 0.5):
            assert time.monotonic() - begin < at_most(5), "the link is not cut"
        assert session.poll() is None
        assert "UP" in client.run(["ip", "-o", "link", "show", "eth0"]).stdout
        one_second = ["ssh", "-o", "ConnectTimeout=1", "amanda", "true"]
        assert "timed out" in client.run(one_second, user="backup", check=False).stderr
        assert server.connections == 1
        client.heal()
        assert read_line(session, 20)
        session.kill()

    def test_a_cut_is_the_hosts_own(self) -> None:
        """Another client's link works on."""
        with Lab(clients=("laptop", "desktop")) as lab:
            lab.clients["laptop"].cut()
            lab.clients["desktop"].run(["ssh", "amanda", "true"], user="backup")

    def test_delay_is_added_each_way(self, each_lab: Lab) -> None:
        """A round trip takes twice the delay more, until the link heals."""
        client, server = each_lab.client, each_lab.server
        assert round_trip(client, server) < at_most(0.05)
        client.delay(0.15)
        assert 0.3 <= round_trip(client, server) < at_most(0.45)
        client.delay(0.05)
        assert 0.1 <= round_trip(client, server) < at_most(0.2)
        client.heal()
        assert round_trip(client, server) < at_most(0.05)

    def test_a_delayed_link_can_be_cut(self, bare_lab: Lab) -> None:
        """Cut works on top of delay, and heal undoes both."""
        server, client = bare_lab.server, bare_lab.client
        client.delay(0.02)
        client.cut()
        done = server.run(["ssh", "-o", "ConnectTimeout=1", "laptop"], user="backup", check=False)
        assert "timed out" in done.stderr
        client.heal()
        assert round_trip(client, server) < at_most(0.03)

    def test_slow_limits_both_directions(self, bare_lab: Lab) -> None:
        """A quarter of a megabyte takes two seconds at one Mbit/s, there and back."""
        server, client = bare_lab.server, bare_lab.client
        fetch = ["ssh", "laptop", "head -c 250000 /dev/zero"]
        client.slow(1_000_000)
        for host, argv in ((server, fetch), (client, ["ssh", "amanda", fetch[2]])):
            begin = time.monotonic()
            host.run(argv, user="backup")
            assert 1.5 < time.monotonic() - begin < at_most(5)
        client.heal()
        begin = time.monotonic()
        server.run(fetch, user="backup")
        assert time.monotonic() - begin < at_most(1)


def round_trip(client: Client, server: Host) -> float:
    """Seconds from connect() to connected: one round trip, the quickest of three."""
    script = (
        "import socket, time\n"
        "def measure():\n"
        "    begin = time.monotonic()\n"
        f"    socket.create_connection(({server.address!r}, 22)).close()\n"
        "    return time.monotonic() - begin\n"
        "print(min(measure() for _ in range(3)))\n"
    )
    return float(client.run([PYTHON, "-c", script]).stdout)


def can_ping(host: Host, address: str) -> bool:
    """Whether an echo comes back within a second."""
    return host.run(["ping", "-c", "1", "-W", "1", address], check=False).returncode == 0


def can_connect(host: Host, address: str) -> bool:
    """Whether a TCP connection to the port of sshd succeeds within a second."""
    argv = ["timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{address}/22"]
    return host.run(argv, check=False).returncode == 0


class TestRouter:
    """With `nat`, clients reach the server, and it does not reach them."""

    def test_the_server_cannot_reach_a_client(self, nat_lab: Lab) -> None:
        """Neither echo nor TCP gets there, not even by a server that knows the way."""
        server, (laptop, desktop) = nat_lab.server, nat_lab.clients.values()
        assert can_ping(desktop, laptop.address)
        assert can_connect(desktop, laptop.address)
        assert can_ping(laptop, server.address)
        for way in (["true"], ["ip", "route", "add", "10.78.0.0/24", "via", ROUTER_ADDRESS]):
            server.run(way)
            assert not can_ping(server, laptop.address)
            assert not can_connect(server, laptop.address)
        assert not can_ping(server, ROUTER_ADDRESS)  # which would refuse what it has forgotten
        assert laptop.connections == 1

    def test_the_server_does_not_know_the_clients(self, nat_lab: Lab) -> None:
        """A client's name leads nowhere, and no file that ssh reads has it."""
        server = nat_lab.server
        done = server.run(["ssh", "laptop", "true"], user="backup", check=False)
        assert "Could not resolve hostname laptop" in done.stderr
        assert "laptop" not in server.read("/etc/hosts")
        assert not server.path(f"{server.account('backup').home}/.ssh/known_hosts").exists()

    def test_all_clients_come_from_the_routers_address(self, nat_lab: Lab) -> None:
        """Two clients log in, and sshd sees one address, which is neither's."""
        for client in nat_lab.clients.values():
            assert client.address.startswith("10.78.0.")
            assert client.run(["ssh", "amanda", "hostname"], user="backup").stdout == "amanda\n"
        log = nat_lab.server.read("/var/log/sshd.log")
        assert re.findall(r"Connection from (\S+)", log) == [ROUTER_ADDRESS] * 2
        assert re.findall(r"Accepted publickey for backup from (\S+)", log) == [ROUTER_ADDRESS] * 2

    def test_a_link_behind_it_can_be_slow(self, nat_lab: Lab) -> None:
        """A quarter of a megabyte takes two seconds at one Mbit/s; the neighbour has it at once."""
        fetch = ["ssh", "amanda", "head -c 250000 /dev/zero"]
        laptop, desktop = nat_lab.clients.values()
        laptop.slow(1_000_000)
        for client, least, most in ((laptop, 1.5, 5), (desktop, 0, 1)):
            begin = time.monotonic()
            client.run(fetch, user="backup")
            assert least < time.monotonic() - begin < at_most(most)

    def test_a_client_behind_it_can_lose_its_power(self, nat_lab: Lab) -> None:
        """After boot it is on the network again."""
        nat_lab.client.power_cut()
        nat_lab.client.boot()
        assert nat_lab.client.run(["ssh", "amanda", "true"], user="backup").returncode == 0


class TestReaddress:
    """A host can change to another address."""

    def test_what_stood_is_dead_and_the_new_works(self, each_lab: Lab) -> None:
        """An ssh session ends for neither side, and nothing passes; a new one works at once."""
        server, client = each_lab.server, each_lab.client
        session = client.start(["ssh", "amanda", "tee /var/lib/amanda/heard"], user="backup")
        say(session, "hello\n")
        assert read_line(session) == "hello\n"
        assert len(talks(server)) == 1

        client.readdress()

        new = client.run(["ssh", "-o", "ConnectTimeout=1", "amanda", "hostname"], user="backup")
        assert new.stdout == "amanda\n"
        say(session, "still there?\n")
        assert read_line(session, 1) == ""
        assert server.read("/var/lib/amanda/heard") == "hello\n"
        server.run(["pkill", "-x", "tee"])  # of which sshd tells the client, as best it can
        with pytest.raises(subprocess.TimeoutExpired):
            session.wait(0.5)
        session.kill()
        time.sleep(0.5)  # for a farewell to arrive
        assert [int(unheard) > 0 for unheard in talks(server)] == [True]

    def test_each_time_it_is_a_new_address(self, each_lab: Lab) -> None:
        """The old address is gone, the way out is the same, and the neighbours know the new."""
        server, client = each_lab.server, each_lab.client
        way_out = ["ip", "route", "show", "default"]
        before = client.run(way_out).stdout
        had = []
        for _ in range(4):
            assert client.address not in had
            assert addresses(client) == [client.address]
            assert client.run(way_out).stdout == before != ""
            assert can_connect(client, server.address)
            is_neighbour = client.address.startswith("10.77.0.")
            assert knows(server, client.address) == is_neighbour
            assert can_connect(server, client.address) == is_neighbour
            had.append(client.address)
            client.readdress()

    def test_it_outlasts_the_power(self, each_lab: Lab) -> None:
        """A host boots with the address it has changed to, even if it was off when it did."""
        server, client = each_lab.server, each_lab.client
        client.readdress()
        second = client.address
        client.power_cut()
        client.boot()
        assert addresses(client) == [client.address] == [second]
        client.power_cut()
        client.readdress()
        client.boot()
        assert addresses(client) == [client.address] != [second]
        assert can_connect(client, server.address)
        assert knows(server, client.address) == client.address.startswith("10.77.0.")


def addresses(host: Host) -> list[str]:
    """Return the IPv4 addresses that a host has in its network."""
    shown = host.run(["ip", "-4", "-o", "addr", "show", "eth0"]).stdout
    return re.findall(r"inet (\S+)/24", shown)


def knows(host: Host, address: str) -> bool:
    """Whether the host needs not ask the network for the MAC of `address`."""
    known = host.run(["ip", "neigh", "show", "nud", "permanent"]).stdout
    return address in known.split()


def talks(server: Host) -> list[str]:
    """Return, for each connection of sshd's, how many bytes wait to be acknowledged."""
    shown = server.run(["ss", "-Htn", "state", "established", "sport", "=", ":22"]).stdout
    return [line.split()[1] for line in shown.splitlines()]


class TestDisk:
    """A host's disk fills up."""

    def test_a_full_disk_is_full_for_everybody(self, bare_lab: Lab) -> None:
        """Writes end with ENOSPC in every directory, for root and backup, until freed."""
        client = bare_lab.client
        client.make_directory("/srv/own", owner="backup")
        for user, place in (
            ("backup", "/var/lib/amanda"),
            ("backup", "/srv/own"),
            ("root", "/etc"),
        ):
            write = ["dd", "if=/dev/zero", f"of={place}/{user}.new", "bs=100k", "count=1"]
            client.fill_disk()
            full = client.run(write, user=user, check=False)
            assert "No space left on device" in full.stderr
            client.free_disk()
            client.run(write, user=user)

    def test_a_disk_that_somebody_writes_to_is_filled_too(self, bare_lab: Lab) -> None:
        """Whatever comes between looking how much it holds and shrinking it to that."""
        client = bare_lab.client
        client.make_directory("/srv/own")
        script = "for _ in $(seq 400); do head -c 8192 /dev/zero || exit 9; done >/srv/own/grows"
        writer = client.start(["sh", "-c", script])
        wait_until(client.path("/srv/own/grows").exists)
        client.fill_disk()
        writer.wait(60)
        full = client.run(["sh", "-c", "head -c 8192 /dev/zero >>/srv/own/grows"], check=False)
        assert "No space left on device" in full.stderr
        client.free_disk()


class TestClock:
    """The wall clock of our programs can be wrong, and nobody else's."""

    def test_only_shifted_programs_see_it(self, bare_lab: Lab) -> None:
        """A shifted Python is three hours ahead; others, and other hosts, are not."""
        client = bare_lab.client
        client.clock_offset = timedelta(hours=3)
        assert client.clock_offset == timedelta(hours=3)
        assert clock_of(client, shifted=True) == pytest.approx(10_800, abs=5)
        assert clock_of(client, shifted=True, user="backup") == pytest.approx(10_800, abs=5)
        assert clock_of(client) == pytest.approx(0, abs=5)
        assert clock_of(bare_lab.server, shifted=True) == pytest.approx(0, abs=5)

    def test_it_moves_while_a_program_runs(self, bare_lab: Lab) -> None:
        """The wall clock jumps, the monotonic one does not, and sleeping still works."""
        script = (
            "import time\n"
            "while True:\n"
            "    print(time.time(), time.monotonic(), flush=True)\n"
            "    time.sleep(0.05)\n"
        )
        program = bare_lab.client.start([PYTHON, "-c", script], shifted=True)
        first = [float(word) for word in read_line(program).split()]
        assert first[0] == pytest.approx(time.time(), abs=5)
        bare_lab.client.clock_offset = timedelta(days=2)
        wait_until(lambda: float(read_line(program).split()[0]) > time.time() + 170_000)
        assert float(read_line(program).split()[1]) - first[1] < 60
        program.kill()

    def test_threads_take_turns_as_without_it(self, bare_lab: Lab) -> None:
        """Two that compute change places every few milliseconds, and a lock is waited for."""
        bare_lab.client.clock_offset = timedelta(days=2)
        script = (
            "import resource, threading, time\n"
            "def compute():\n"
            "    for _ in range(10**6): pass\n"
            "threads = [threading.Thread(target=compute) for _ in '12']\n"
            "for thread in threads: thread.start()\n"
            "for thread in threads: thread.join()\n"
            "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
            "began, lock = time.monotonic(), threading.Lock()\n"
            "lock.acquire()\n"
            "lock.acquire(timeout=0.5)\n"
            "print(usage.ru_nvcsw, time.monotonic() - began)\n"
        )
        done = bare_lab.client.run([PYTHON, "-c", script], shifted=True)
        turns, waited = done.stdout.split()
        assert int(turns) < 1000
        assert float(waited) >= 0.5

    def test_amanda_and_ssh_keep_the_true_time(self, bare_lab: Lab) -> None:
        """What a shifted Python starts is not shifted, unless it is a Python too."""
        bare_lab.client.clock_offset = timedelta(days=1)
        script = (
            "import subprocess\n"
            "run = subprocess.run\n"
            "run(['perl', '-e', 'print time, qq(\\n)'])\n"
            "run(['date', '+%s'])\n"
            f"run(['{PYTHON}', '-c', 'import time; print(time.time())'])\n"
        )
        done = bare_lab.client.run([PYTHON, "-c", script], shifted=True)
        offsets = [float(word) - time.time() for word in done.stdout.split()]
        assert offsets == pytest.approx([0, 0, 86_400], abs=5)

    def test_sessions_of_sshd_see_it(self, bare_lab: Lab) -> None:
        """A Python that sshd starts is shifted; so a forced command of asyncamanda's is."""
        bare_lab.server.clock_offset = timedelta(hours=-1)
        argv = ["ssh", "amanda", f"{PYTHON} -c 'import time; print(time.time())'; date +%s"]
        done = bare_lab.client.run(argv, user="backup")
        offsets = [float(word) - time.time() for word in done.stdout.split()]
        assert offsets == pytest.approx([-3_600, 0], abs=5)


class TestPower:
    """A host can lose its power and come back."""

    def test_files_survive_and_processes_do_not(self, bare_lab: Lab) -> None:
        """After power_cut and boot the files are there, /run is empty, sshd answers."""
        server, client = bare_lab.server, bare_lab.client
        client.add_tree("/srv/docs")
        client.write("/run/leftover.pid", "1\n")
        before = client.tree("/srv/docs")
        program = client.start(["sleep", "3600"], user="backup")
        client.run(["sh", "-c", "setsid sleep 3601 >/dev/null 2>&1 &"])
        client.power_cut()
        assert program.wait(10) == -signal.SIGKILL
        assert len(list(client.processes())) == 1
        client.boot()
        assert client.tree("/srv/docs") == before
        assert not client.path("/run/leftover.pid").exists()
        assert server.run(["ssh", "laptop", "hostname"], user="backup").stdout == "laptop\n"
        assert client.run(["ssh", "amanda", "hostname"], user="backup").stdout == "amanda\n"

    def test_nobody_hears_of_it(self, bare_lab: Lab) -> None:
        """No goodbye reaches the peer; only after boot it learns that all is forgotten."""
        server, client = bare_lab.server, bare_lab.client
        session = server.start(["ssh", "laptop", "cat"], user="backup")
        say(session, "hello\n")
        assert read_line(session) == "hello\n"
        client.power_cut()
        with pytest.raises(subprocess.TimeoutExpired):
            session.wait(0.5)
        client.boot()
        say(session, "still there?\n")
        assert session.wait(20) == 255

"""The cheats: what somebody with a stolen client key may try, by real ssh at the real gate.

The key lets its own client ask for its own backup and hear its own state, and nothing else:
no shell, no forwarding, no other client, no way to stop what is others'.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, STATE, Office, ends, open_office
from tests.e2e.thief import GATE, HELLO, SERVER, Talk, Thief, make_hello

from asyncamanda.core.protocol.messages import Bye, Ping, Proof, Submit
from asyncamanda.core.protocol.wire import encode
from lab.patience import at_most

SOCKET = f"{STATE}/run/dispatcher.sock"
PROTOCOL, REFUSED, LATER = 76, 77, 75
BURST = 100  # messages at once, by default
MEGABYTE = 1 << 20

SUBMIT = encode(Submit()).decode()
BYE = encode(Bye()).decode()
PING = encode(Ping()).decode()

# as Debian has it, and with all that sshd can be made to allow: only the key's line forbids it
SSHD_ALLOWS = """\
AcceptEnv LANG LC_*
X11Forwarding yes
XAuthLocation /bin/true
PermitTunnel yes
"""


@pytest.fixture(scope="module")
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office; the keys of all clients but `victim` are stolen."""
    with open_office(lab_prefix, "thief", "greedy", "glutton", "victim") as opened:
        opened.fill("thief", "greedy")
        opened.fill("victim", files=2, bytes_each=300_000)
        for number in range(40):  # a welcome of some 120 kB
            opened.server.add_dle("glutton", f"/srv/{number}-{'x' * 3000}")
        opened.set_up({"idle_exit": "1h"}, limits={"requests_per_hour": 20})
        opened.server.append("/etc/ssh/sshd_config", SSHD_ALLOWS)
        opened.server.stop_sshd()
        opened.server.start_sshd()
        for name in opened.lab.clients:
            Thief(opened.client(name)).connect()
        Thief(opened.client("thief")).greet().end(BYE)
        yield opened


@pytest.fixture
def thief(office: Office) -> Thief:
    """Yield the key of the client `thief`."""
    return Thief(office.client("thief"))


@pytest.fixture(autouse=True)
def _dispatcher_bears_it(office: Office) -> Iterator[None]:
    """Fail any test after which it is not the same dispatcher, or which it wrote a traceback of."""
    before = office.pids("server dispatch")
    yield
    assert office.pids("server dispatch") == before, office.diary
    assert "Traceback" not in office.diary, office.diary


@contextmanager
def _queue_held(office: Office) -> Iterator[None]:
    """Let nothing of asyncamanda's start meanwhile: what looks like cron's amdump goes on."""
    office.server.write("/srv/amdump", "#!/bin/sh\nread -r _\n", mode=0o755)
    nightly = office.server.start(["/srv/amdump", "daily"], user="backup")
    wait_until("it is at work", office.server.is_amdump_running, 10)
    try:
        yield
    finally:
        nightly.communicate("", 10)


def _waiting(office: Office) -> list[str]:
    return [entry["client"] for entry in office.view()["waiting"]]


_HOW_ENDED = f"""
import json, sqlite3, sys
ledger = sqlite3.connect("{STATE}/ledger.sqlite")
ended = "from sessions where client = ? and ended_at is not null order by id"
print(json.dumps([how for how, in ledger.execute("select how " + ended, sys.argv[1:])]))
"""


def _how_sessions_ended(office: Office, client: str) -> list[str]:
    """Return why each session of the client ended, by the ledger, oldest first."""
    found = office.server.run(["python3", "-c", _HOW_ENDED, client], user="backup")
    return list(json.loads(found.stdout))


# -- no shell, no other command


@pytest.mark.parametrize(
    "command",
    [
        "cat /etc/shadow",
        "asyncamanda gate --client victim --amanda-config daily",
        "asyncamanda gate --client=victim",
        "asyncamanda server revoke victim",
        "/usr/local/bin/asyncamanda gate",
        "/usr/sbin/amdump daily",
        "asyncamanda gate; id",
        "asyncamanda gate && id",
        "asyncamanda gate | id",
        "asyncamanda gate & id",
        "asyncamanda gate > /var/backups/loot",
        "asyncamanda gate $(id)",
        "asyncamanda gate `id`",
        "$(id)",
        "; id",
        "'; id; '",
        '"; id; "',
        "asyncamanda gate\nid",
        "asyncamanda gate\n",
        "asyncamanda gate\r",
        " asyncamanda gate",
        "asyncamanda\tgate",
        "ASYNCAMANDA GATE",
        "-oProxyCommand=id",
        "--help",
        "\udcff\udcfe",
        "asyncamanda gate\udc80",
        "\u202easyncamanda gate\x1b[2J",
        "x" * 100_000,
        "asyncamanda gate " + "x" * 100_000,
        "scp -t /var/backups/.ssh/authorized_keys",
        "rsync --server . /etc",
    ],
    ids=lambda command: ascii(command)[:40],
)
def test_any_other_command_is_refused(thief: Thief, command: str) -> None:
    """Whatever is not the one command word for word: 77, nothing on stdout, a short plain no."""
    run = thief.try_command(command)
    assert (run.returncode, run.stdout) == (REFUSED, ""), run.stderr
    assert run.stderr.startswith("asyncamanda gate: this key may not run ")
    assert run.stderr.replace("\n", "").isprintable()
    assert run.stderr.isascii()
    assert len(run.stderr) < 600
    assert "uid=" not in run.stderr


def test_no_shell_and_no_terminal(thief: Thief) -> None:
    """Without a command there is no shell; a terminal is refused even with the right command."""
    shell = thief.ssh("--", SERVER, stdin="id\n")
    assert (shell.returncode, shell.stdout) == (REFUSED, "")
    assert "this key opens no shell" in shell.stderr
    terminal = thief.ssh("-tt", "--", SERVER, GATE)
    assert (terminal.returncode, terminal.stdout) == (255, "")
    assert "PTY allocation request failed" in terminal.stderr


def test_no_file_comes_or_goes(office: Office, thief: Thief) -> None:
    """Neither sftp nor scp, in its old protocol and its new one, gets a file in or out."""
    sftp = thief.ssh("-s", "--", SERVER, "sftp")
    assert (sftp.returncode, sftp.stdout) == (REFUSED, "")
    for protocol in ("-O", "-s"):
        for way in (("/etc/hostname", f"{SERVER}:loot"), (f"{SERVER}:/etc/passwd", "/run/stolen")):
            argv = ["scp", "-q", "-B", protocol, *way]
            assert thief.client.run(argv, user="backup", check=False, timeout=20).returncode != 0
    home = office.server.account("backup").home
    assert not office.server.path(f"{home}/loot").exists()
    assert not thief.client.path("/run/stolen/passwd").exists()


def test_nothing_of_its_environment_reaches_the_gate(office: Office, thief: Thief) -> None:
    """Nor an agent or a display: the gate's environment is sshd's own."""
    agent = "/run/stolen/agent"
    thief.client.run(["ssh-agent", "-a", agent], user="backup")
    sent = "SSH_ORIGINAL_COMMAND=id PYTHONPATH=/tmp PYTHONINSPECT=1 LD_PRELOAD=/x BASH_ENV=/x"
    options = ["-A", "-Y", "-o", "XAuthLocation=/bin/true"]  # xauth would wait for a lock
    options += ["-o", f"SetEnv={sent}", "-o", "BatchMode=yes"]
    environ = {"SSH_AUTH_SOCK": agent, "DISPLAY": "127.0.0.1:9"}
    argv = ["ssh", *options, "--", SERVER, GATE]
    talk = Talk(thief.client.start(argv, user="backup", environ=environ), thief.client)
    talk.say(make_hello(thief.client))
    assert talk.hear("welcome")["client"] == "thief"
    (gate,) = office.pids("asyncamanda gate --client thief")[-1:]
    pairs = office.server.read(f"/proc/{gate}/environ").rstrip("\0").split("\0")
    found = dict(pair.split("=", 1) for pair in pairs)
    assert found["SSH_ORIGINAL_COMMAND"] == GATE
    ours = {"SSH_AUTH_SOCK", "DISPLAY", "PYTHONPATH", "PYTHONINSPECT"}
    assert found.keys().isdisjoint(ours | {"LD_PRELOAD", "BASH_ENV"})
    _, stderr = talk.program.communicate(BYE, 20)
    assert "X11 forwarding request failed" in stderr
    only = thief.ssh("-o", "SetEnv=SSH_ORIGINAL_COMMAND='asyncamanda gate'", "--", SERVER, "id")
    assert only.returncode == REFUSED


# -- no forwarding

_REACH = r"""
import socket
def reach(family, place, first):
    with socket.socket(family) as caller:
        caller.settimeout(5)
        caller.connect(place)
        try:
            caller.sendall(first)
            while piece := caller.recv(4096):
                yield piece
        except (ConnectionResetError, BrokenPipeError):
            pass
local, socks = ("127.0.0.1", 7001), ("127.0.0.1", 7002)
to_port_22 = b"\4\1\0\x16\x7f\0\0\1\0"
for family, place, first in (
    (socket.AF_INET, local, b""),
    (socket.AF_INET, socks, to_port_22),
    (socket.AF_UNIX, "/run/stolen/dispatcher", b""),
):
    print(b"SSH-" in b"".join(reach(family, place, first)))
"""


def test_no_forwarding_from_the_client(office: Office, thief: Thief) -> None:
    """Neither a port, nor any port by SOCKS, nor the dispatcher's socket opens at the far end."""
    ways = ["-L", "127.0.0.1:7001:127.0.0.1:22", "-D", "127.0.0.1:7002"]
    ways += ["-L", f"/run/stolen/dispatcher:{SOCKET}"]
    argv = ["ssh", "-N", "-o", "BatchMode=yes", *ways, "--", SERVER]
    forwarder = thief.client.start(argv, user="backup")
    wait_until("it listens", thief.client.path("/run/stolen/dispatcher").exists, 10)
    reached = thief.client.run(["python3", "-c", _REACH], user="backup")
    assert reached.stdout.split() == ["False"] * 3
    forwarder.terminate()
    _, stderr = forwarder.communicate(timeout=10)
    assert stderr.count("administratively prohibited") == 2, stderr
    assert "refused streamlocal port forward" in office.server.read("/var/log/sshd.log")
    direct = thief.ssh("-W", "127.0.0.1:22", "--", SERVER)
    assert (direct.returncode, direct.stdout) == (255, "")
    assert "administratively prohibited" in direct.stderr


def test_no_forwarding_to_the_client(thief: Thief) -> None:
    """The server listens for nobody: neither on a port nor on a socket in its files."""
    for place, named in (("127.0.0.1:7003", "port 7003"), ("/var/backups/loot", "path /var/")):
        way = f"{place}:127.0.0.1:22"
        run = thief.ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", way, "--", SERVER)
        assert run.returncode == 255
        assert f"remote port forwarding failed for listen {named}" in run.stderr


# -- the talk


@pytest.mark.parametrize(
    ("protocols", "who"),
    [((2,), "the server's"), ((2, 99), "the server's"), ((0,), "client's"), ((), "client's")],
)
def test_unknown_protocol_is_refused_in_words(
    thief: Thief, protocols: tuple[int, ...], who: str
) -> None:
    """Exit 76, and the words say which side has to be updated."""
    hello = make_hello(thief.client, protocols=protocols)
    no = thief.talk().refusal(hello, PROTOCOL)
    assert no["reference"] == "protocol"
    assert f"{who} asyncamanda is too old" in no["message"]


def test_protocols_beside_one_that_is_spoken_do_no_harm(thief: Thief) -> None:
    """The highest that both speak is spoken."""
    talk = thief.talk()
    talk.say(make_hello(thief.client, protocols=(99, 1, 7)))
    assert talk.hear("welcome")["protocol"] == 1
    assert talk.end(BYE)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "SSH-2.0-thief\r\n",
        "\0" * 64 + "\n",
        HELLO.replace("thief", "th\0ef"),
        "\udcff\udcfe\n",
        "[" * 4000 + "\n",
        '{"type":"hello","x":' * 150 + "\n",
        '{"type":"hello","protocols":' + "[" * 3000 + "]" * 900 + "}\n",
        '{"type":["hello"]}\n',
        '{"type":"hello"}\n',
        '{"type":"hello","protocols":[NaN],"software":"x","is_watching":false}\n',
        '{"type":"hello","protocols":["1"],"software":"x","is_watching":false}\n',
        '{"type":"hello","protocols":[true],"software":"x","is_watching":false}\n',
        '{"type":"hello","protocols":[-1],"software":"x","is_watching":false}\n',
        '{"type":"hello","protocols":[' + "9" * 4000 + '],"software":"x","is_watching":false}\n',
        '{"type":"hello","protocols":[1],"software":7,"is_watching":false}\n',
        '{"type":"hello","protocols":[1],"software":"' + "x" * 4096 + '","is_watching":false}\n',
        "null\n",
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_what_is_no_message_is_refused(thief: Thief, text: str) -> None:
    """Instead of the hello it is none, and after it not understood: 76, and no word of it."""
    before = thief.talk().refusal(text, PROTOCOL)
    after = thief.greet().refusal(text, PROTOCOL)
    assert (before["reference"], after["reference"]) == ("no-hello", "not-understood")
    assert len(json.dumps(after)) < 400


@pytest.mark.parametrize("word", [SUBMIT, BYE], ids=["submit", "bye"])
def test_no_word_counts_before_the_hello(office: Office, thief: Thief, word: str) -> None:
    """Who does not greet asks for nothing and withdraws nothing."""
    assert thief.talk().refusal(word, PROTOCOL)["reference"] == "no-hello"
    assert not (office.view() or {"waiting": []})["waiting"]


def test_message_types_nobody_knows_are_nothing(thief: Thief) -> None:
    """A word such as an administrator's, or the server's own, does nothing."""
    talk = thief.greet()
    for kind in ("drop", "flush", "view", "finished", "welcome", "again"):
        talk.say(f'{{"type":"{kind}","client":"victim"}}\n')
    code, said = talk.end(PING + BYE)
    assert code == 0
    assert {message["type"] for message in said} <= {"ping", "pong"}


def test_endless_line_costs_the_server_nothing(office: Office, thief: Thief) -> None:
    """10 MB without an end: refused at once as too long, and the dispatcher does not grow."""
    (dispatcher,) = office.pids("server dispatch")

    def resident() -> int:
        status = office.server.read(f"/proc/{dispatcher}/status")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    before = resident()
    endless = "x" * 10 * MEGABYTE
    assert thief.talk().refusal(endless, PROTOCOL)["reference"] == "no-hello"
    assert "too long" in thief.greet().refusal(endless, PROTOCOL)["message"]
    assert resident() - before < 3 * MEGABYTE


def test_flood_is_refused(thief: Thief) -> None:
    """More than a client has to say, in messages or what is none: `too-fast`, 77."""
    for text in (PING, '{"type":"nothing"}\n', "\n"):
        no = thief.greet().refusal(text * (MEGABYTE // len(text)), REFUSED)
        assert no["reference"] == "too-fast"


def test_other_names_in_a_message_are_nobody(office: Office, thief: Thief) -> None:
    """It is served as who its key says: the welcome and the queue name the thief alone."""
    names = ',"client":"victim","amanda_config":"other","host":"victim","disk":"/etc"}\n'
    talk = thief.talk()
    with _queue_held(office):
        talk.say(make_hello(thief.client).replace("}\n", names))
        welcome = talk.hear("welcome")
        assert (welcome["client"], welcome["amanda_config"]) == ("thief", "daily")
        assert [dle["disk"] for dle in welcome["dles"]] == [DISK]
        talk.say(SUBMIT.replace("}\n", names))
        talk.hear("queued")
        assert _waiting(office) == office.connected() == ["thief"]
        assert talk.end(BYE)[0] == 0
        assert _waiting(office) == []


def test_proofs_are_ones_own_and_limited(office: Office, thief: Thief) -> None:
    """Of a disk that the server has told, by its place; what is said of it is text."""
    proof = Proof(0, "", is_good=False, files=0, size=0, reason="lost\n\x1b[2J everything")
    talk = thief.greet()
    talk.say(encode(proof).decode())
    assert talk.hear("noted")["disk_number"] == 0
    assert talk.end(BYE)[0] == 0
    words = (
        f"daily: thief could not prove that {DISK} can be restored: lost\\x0a\\x1b[2J everything"
    )
    assert words in office.diary
    assert "victim could not prove" not in office.diary
    elsewhere = encode(replace(proof, disk_number=1)).decode()
    assert thief.greet().refusal(elsewhere, PROTOCOL)["reference"] == "not-understood"
    talk = thief.greet()
    talk.say(encode(proof).decode() * 60)
    assert talk.hear("later")["after"] > 0
    assert talk.end("")[0] == LATER
    assert office.diary.count(words) <= 52
    assert office.diary.count("a full dump of it is forced") == 1


# -- limits


def test_sessions_are_limited_for_each_client(office: Office, thief: Thief) -> None:
    """The fifth at once is told to come back; others' are not counted, and an end makes room."""
    talks = [thief.greet() for _ in range(4)]
    no = thief.talk().refusal(HELLO, LATER)
    assert no["reference"] == "too-many-sessions"
    victim = Thief(office.client("victim")).greet()
    assert [talk.end(BYE)[0] for talk in (victim, *talks)] == [0] * 5
    assert thief.greet().end(BYE)[0] == 0


def test_requests_are_limited_for_each_client(office: Office) -> None:
    """To ask and withdraw again and again ends in `later`; others may ask."""
    greedy = Thief(office.client("greedy"))
    with _queue_held(office):
        for _ in range(10):  # half of what an hour has may come at once
            talk = greedy.greet()
            talk.say(SUBMIT)
            talk.hear("queued")
            talk.end(BYE)
        code, said = greedy.greet().end(SUBMIT)
        assert (code, said[-1]["type"]) == (LATER, "later")
        assert "too often" in said[-1]["reason"]
        assert 60 < said[-1]["after"] <= 180
        victim = Thief(office.client("victim")).greet()
        victim.say(SUBMIT)
        assert victim.hear("queued")["place"] == 1
        assert victim.end(BYE)[0] == 0


def test_second_hello_is_refused(thief: Thief) -> None:
    """One welcome a session: each costs the server a query for all that it knows of the client."""
    no = thief.greet().refusal(HELLO, PROTOCOL)
    assert "a second hello" in no["message"]


def test_who_is_silent_or_never_reads_is_dropped(office: Office, thief: Thief) -> None:
    """It keeps nobody waiting; three beats of silence end its line, or a last word in vain."""
    mute, greeted, gluttons = thief.talk(), thief.greet(), [_never_read(office) for _ in range(2)]
    gluttons[1].say("{}\n")
    begun = time.monotonic()
    assert Thief(office.client("victim")).greet(is_probe=True).end(BYE)[0] == 0
    assert time.monotonic() - begun < at_most(3)
    codes = [talk.program.wait(20) for talk in (mute, greeted, *gluttons)]
    assert codes == [LATER, LATER, LATER, PROTOCOL]
    wait_until("that is known", lambda: len(_how_sessions_ended(office, "glutton")) == 2, 5)
    assert sorted(_how_sessions_ended(office, "glutton")) == ["it does not read", "silent"]
    assert _how_sessions_ended(office, "thief")[-2:] == ["silent", "silent"]
    assert office.connected() == []


def _never_read(office: Office) -> Talk:
    """Say hello on a pipe that nobody reads, and that is too small for the welcome.

    Without ssh, which by itself reads 2 MB ahead: what sshd starts is started here.
    """
    argv = ["asyncamanda", "gate", "--client", "glutton", "--amanda-config", "daily"]
    environ = {"SSH_ORIGINAL_COMMAND": GATE}
    talk = Talk(office.server.start(argv, user="backup", environ=environ))
    talk.say(make_hello(office.client("glutton"), is_probe=True))
    assert talk.read(1) == b"{"  # now it is being welcomed
    return talk


# -- others' requests and runs


def test_bye_withdraws_only_its_own_request(office: Office, thief: Thief) -> None:
    """And not even that while another session of its asks for it."""
    with _queue_held(office):
        victim = Thief(office.client("victim")).greet()
        lines = [thief.greet(), thief.greet()]
        for talk in (victim, *lines):
            talk.say(SUBMIT)
            talk.hear("queued")
        assert _waiting(office) == ["victim", "thief"]
        assert lines[0].end(BYE)[0] == 0
        assert _waiting(office) == ["victim", "thief"]
        assert lines[1].end(BYE)[0] == 0
        assert _waiting(office) == ["victim"]
        assert victim.end(BYE)[0] == 0


def _make_mischief(thief: Thief) -> None:
    """Do what might end something: leave, break off, flood, garble, fill all sessions."""
    lines = [thief.greet() for _ in range(4)]
    for talk in lines:
        talk.say(SUBMIT)
    assert thief.talk().refusal(HELLO, LATER)["reference"] == "too-many-sessions"
    lines[0].program.kill()
    lines[1].end("\0\n")
    lines[2].end(PING * 3 * BURST)
    lines[3].end(BYE * 2)
    for command in ("asyncamanda server revoke victim", "pkill amdump"):
        assert thief.try_command(command).returncode == REFUSED


def test_victim_is_served_whatever_the_thief_does(office: Office, thief: Thief) -> None:
    """While it waits and while it is dumped: its agent stays connected and ends with 0."""
    connections = office.server.connections
    with _queue_held(office):
        agent = office.start("victim", "--json")
        wait_until("it waits", lambda: "victim" in _waiting(office))
        _make_mischief(thief)
        assert "victim" in _waiting(office)
        office.client("victim").slow(1_000_000)
    office.wait_for_dump("victim")
    _make_mischief(thief)
    assert agent.poll() is None
    office.client("victim").heal()
    ((code, words),) = ends([agent])
    assert code == 0, words + office.diary
    assert office.server.connections == connections + 1
    assert office.confirmed()["victim", DISK].is_confirmed
    assert office.failures() == []


# -- at the server itself

_PROBE = f"""
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
    caller.connect("{SOCKET}")
    socket.send_fds(caller, [b"talk\\0victim\\0daily\\0first"], [0, 1])
    print(caller.recv(4096).decode())
    caller.send(b"drop\\0victim")
"""
_STRANGERS = {
    "another user": ["setpriv", "--reuid=games", "--regid=games", "--clear-groups"],
    "another user in the Amanda user's groups": [
        "setpriv",
        "--reuid=games",
        "--regid=backup",
        "--groups=disk,tape",
    ],
}


@pytest.mark.parametrize("stranger", _STRANGERS.values(), ids=_STRANGERS.keys())
def test_other_users_of_the_server_reach_nothing(office: Office, stranger: list[str]) -> None:
    """The gate, started by hand, and the socket are closed to them by the folder's mode."""
    victim = Thief(office.client("victim")).greet()
    environ = {"SSH_ORIGINAL_COMMAND": GATE}
    by_hand = [*stranger, "asyncamanda", "gate", "--client", "victim", "--amanda-config", "daily"]
    gate = office.server.run(
        by_hand, environ=environ, stdin=HELLO + SUBMIT + BYE, check=False, timeout=20
    )
    assert gate.returncode == LATER
    assert json.loads(gate.stdout)["type"] == "later"
    assert "Permission denied" in gate.stderr
    probe = office.server.run([*stranger, "python3", "-c", _PROBE], check=False)
    assert probe.stderr.endswith("PermissionError: [Errno 13] Permission denied\n")
    assert victim.end(BYE)[0] == 0


def test_dispatcher_does_not_trust_the_folder_alone(office: Office) -> None:
    """Should somebody have opened it to all, other users are still told that it is not for them."""
    victim = Thief(office.client("victim")).greet()
    opened = {STATE: "0700", f"{STATE}/run": "0700", SOCKET: "0600"}
    for place, mode in opened.items():
        found = office.server.run(["stat", "-c", "%U 0%a", place])
        assert found.stdout == f"backup {mode}\n"
    office.server.run(["chmod", "0777", *opened])
    try:
        argv = [*_STRANGERS["another user"], "python3", "-c", _PROBE]
        probe = office.server.run(argv, check=False)
        assert json.loads(probe.stdout) == {"error": "not for you"}
        assert office.connected() == ["victim"]
    finally:
        for place, mode in opened.items():
            office.server.run(["chmod", mode, place])
    assert victim.end(BYE)[0] == 0


def test_connection_that_outlives_its_key_is_worth_nothing(office: Office) -> None:
    """Held without a session it is not ended by the revocation; each new session is refused."""
    held = Thief(office.client("greedy"))
    assert held.greet().end(BYE)[0] == 0
    office.ask("server", "revoke", "greedy")
    assert held.talk().refusal(HELLO, REFUSED)["reference"] == "revoked"
    assert held.ssh("--", SERVER, GATE).returncode == 255

"""The cheats at the relay: what a stolen key may try with Amanda's calls, its own and others'."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import wait_until
from tests.e2e.office import STATE, Office, open_office
from tests.e2e.thief import MASTER, SERVER, Talk, Thief

from asyncamanda.core.protocol.messages import Shut
from asyncamanda.core.protocol.wire import encode

REFUSED = 77
ATTACH = "asyncamanda gate attach "
CALL = ["ssh", "-x", "-o", "BatchMode=yes", "-l", "backup"]
AMANDAD = "/usr/lib/amanda/amandad -auth=ssh"
NO_STREAM = "no stream of this client's is waited for"
UNKNOWN = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office behind a router, in which two keys are stolen."""
    with open_office(lab_prefix, "thief", "greedy", nat=True) as opened:
        opened.fill()
        opened.set_up({"heartbeat": "15s"})
        for name in ("thief", "greedy"):
            Thief(opened.client(name)).connect()
        yield opened


def call_thief(office: Office) -> "subprocess.Popen[str]":
    """Let Amanda call the thief."""
    wait_until("it can be called", lambda: "thief" in office.reachable())
    return office.server.start([*CALL, "thief", AMANDAD], user="backup")


def attach(thief: Thief, token: str) -> "subprocess.Popen[str]":
    """Ask for a stream, on the connection that stays."""
    argv = ["ssh", "-S", MASTER, "--", SERVER, ATTACH + token]
    return thief.client.start(argv, user="backup")


def is_refused(stream: "subprocess.Popen[str]") -> bool:
    """Return whether the gate refuses a stream, and says nothing on it."""
    stdout, stderr = stream.communicate("REQ", 20)
    return (stream.returncode, stdout, NO_STREAM in stderr) == (REFUSED, "", True)


def test_token_is_good_once_for_its_client_on_its_connection(office: Office) -> None:
    """Another client, another connection of the same one, and a second use get nothing of it."""
    thief, greedy = (Thief(office.client(name)) for name in ("thief", "greedy"))
    talks = [thief.greet(), greedy.greet()]
    call = call_thief(office)
    token = talks[0].hear("open")["token"]
    assert is_refused(attach(greedy, token))
    elsewhere = thief.ssh("--", SERVER, ATTACH + token, stdin="REQ")
    assert (elsewhere.returncode, elsewhere.stdout) == (REFUSED, "")
    assert is_refused(attach(thief, UNKNOWN))

    stream = attach(thief, token)
    assert stream.stdin
    assert call.stdin
    call.stdin.write("what Amanda says")
    call.stdin.close()
    call.stdin = None
    joined = Talk(stream)
    assert joined.read() == b"what Amanda says"
    assert is_refused(attach(thief, token))
    stream.communicate("what amandad says", 20)
    assert call.communicate(timeout=20)[0] == "what amandad says"
    for talk in talks:
        talk.program.communicate()


@pytest.mark.parametrize(
    "token",
    [
        "",
        UNKNOWN[:-1],
        UNKNOWN + "0",
        UNKNOWN.upper(),
        UNKNOWN + "; id",
        f"{UNKNOWN} --client greedy",
        "../" * 10 + "ab",
        f"{STATE}/run/relay/greedy",
        "\N{ARABIC-INDIC DIGIT ONE}" * 32,
    ],
    ids=ascii,
)
def test_what_is_no_token_is_no_command_either(office: Office, token: str) -> None:
    """It is refused before anybody is asked."""
    run = Thief(office.client("thief")).try_command(ATTACH + token)
    assert (run.returncode, run.stdout) == (REFUSED, "")
    assert "this key may not run" in run.stderr


def test_word_of_a_stream_that_is_not_ones_own_is_nothing(office: Office) -> None:
    """Shut, for a token that another client was given, ends nothing; a wrong one ends nothing."""
    thief, greedy = (Thief(office.client(name)) for name in ("thief", "greedy"))
    talks = [thief.greet(), greedy.greet()]
    call = call_thief(office)
    token = talks[0].hear("open")["token"]
    for number in (token, UNKNOWN):
        talks[1].say(encode(Shut(number, 1, "not mine")).decode())
    talks[1].say('{"type":"shut","token":"../x","status":0,"reason":""}\n')
    assert talks[1].hear("refused")["reference"] == "not-understood"
    assert call.poll() is None
    talks[0].say(encode(Shut(token, 3, "\x1b[2Jmine\n\u202e\r\udcff\x9b")).decode())
    _, said = call.communicate(timeout=20)
    shown = r"\x1b[2Jmine\x0a\u202e\x0d\udcff\x9b"
    assert (call.returncode, said) == (3, f"asyncamanda: {shown}\n")
    assert f"thief: Amanda's request failed: {shown}\n" in office.diary
    assert office.diary.replace("\n", "").isprintable()
    for talk in talks:
        talk.program.communicate()


def test_revoked_client_is_called_no_more(office: Office) -> None:
    """A stream of its that stands ends at once, and so does the way to it."""
    thief = Thief(office.client("thief"))
    talk = thief.greet()
    call = call_thief(office)
    stream = attach(thief, talk.hear("open")["token"])
    wait_until("it is joined", lambda: len(office.pids("asyncamanda gate --client thief")) == 2)
    office.ask("server", "revoke", "thief")
    call.communicate(timeout=10)
    assert call.returncode == 255
    stream.communicate(timeout=10)
    assert not office.server.path(f"{STATE}/run/relay/thief").exists()
    home = office.server.account("backup").home
    assert "Host thief" not in office.server.read(f"{home}/.ssh/asyncamanda.conf")
    talk.program.communicate()

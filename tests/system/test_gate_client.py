"""The agent at the gate: a real ssh, and at its other end a gate that plays a scenario.

A scenario is Python. `visit` is which session this is, from 1; the functions of GATE say and
hear messages. What the client says is kept, in order.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from asyncamanda.core.model import Outcome
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

RUN = "20261124120000"
GATE = f"""\
#!/usr/bin/python3 -IS
import json, os, signal, sys, time
from datetime import datetime, timedelta, timezone

STAGE = "/srv/stage"
assert os.environ["SSH_ORIGINAL_COMMAND"] == "asyncamanda gate"
with open(STAGE + "/visits", "a+") as visits:
    visits.write("x")
    visits.seek(0)
    visit = len(visits.read())

def at(ago, ahead=0):
    there = datetime.now(timezone.utc) + timedelta(seconds=ahead)
    return (there - timedelta(seconds=ago)).isoformat()

def say(kind, **fields):
    print(json.dumps(dict(type=kind, **fields)), flush=True)

def hear(kind):
    while True:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        with open(STAGE + "/heard", "a") as heard:
            heard.write(line)
        if json.loads(line)["type"] == kind:
            return json.loads(line)

def welcome(dles, standing="idle", last=None, ahead=0, beat=15, ticket="", **more):
    dles = [dict(disk=disk, state=ago and "held", level=ago and 0,
        confirmed_at=ago and at(ago, ahead), kilobytes=ago and 36000 or 0,
        is_parked=False)
        for disk, ago in dles.items()]
    say("welcome", protocol=1, software="a scenario", client="laptop", amanda_config="daily",
        now=at(0, ahead), heartbeat=beat, dles=dles, standing=standing, last=last, ticket=ticket,
        **more)

def queued(place=1, of=1, estimate=None, reason="collecting"):
    say("queued", place=place, of=of, estimate=estimate, reason=reason)

def running(run="{RUN}", clients=1):
    say("running", run=run, since=at(0), clients=clients)

def end(verdicts, ago=0):
    verdicts = [dict(host="laptop", disk=disk, timestamp="{RUN}", state=state, level=0,
        reason="" if state in ("held", "stored") else "data timeout", kilobytes=7,
        is_strange=False, has_begun=True, has_failed_since=False, dumped_at=None)
        for disk, state in verdicts.items()]
    return dict(run="{RUN}", ended_at=at(ago), verdicts=verdicts)

def finished(verdicts):
    say("finished", **end(verdicts))

def hold(name):
    open(STAGE + "/" + name, "w").close()
    while not os.path.exists(STAGE + "/let-go"):
        time.sleep(0.01)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

exec(open(STAGE + "/scenario").read())
"""
GREET = 'hear("hello"); welcome({"/home": None}); hear("submit"); queued(); running()\n'
WELL = GREET + 'welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")\n'


@dataclass
class Gate:
    """The scripted gate at the rig's server."""

    rig: Rig

    def play(self, scenario: str, **keys: object) -> None:
        """Let the gate play `scenario` in each session, and configure the client for a gate."""
        self.rig.server.write(f"{self.rig.stage}/scenario", scenario)
        whole = {"server": "backup@amanda", "amandates": self.rig.amandates, **keys}
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in whole.items()]
        self.rig.laptop.write(self.rig.config, "".join(lines))

    def visits(self) -> int:
        """Return how often it was called."""
        return len(self.rig.server.read(f"{self.rig.stage}/visits")) if self.has("visits") else 0

    def has(self, name: str) -> bool:
        """Return whether the scenario has come to hold(name)."""
        return self.rig.has(name)

    def heard(self) -> list[str]:
        """Return the types of what the client said, in order, in all sessions."""
        if not self.has("heard"):
            return []
        lines = self.rig.server.read(f"{self.rig.stage}/heard").splitlines()
        return [json.loads(line)["type"] for line in lines]

    def outcomes(self) -> list[Outcome]:
        """Return how the attempts that are remembered ended."""
        return [attempt.outcome for attempt in self.rig.memory().attempts]

    def run(self, *words: str) -> Done:
        """Start `asyncamanda run`, and wait for its end."""
        return self.rig.run("run", *words)


@contextmanager
def forced(rig: Rig, command: str) -> Iterator[None]:
    """Let the server's keys run `command`, and nothing else."""
    path = f"{rig.server.account('backup').home}/.ssh/authorized_keys"
    keys = rig.server.read(path)
    bound = "".join(f'restrict,command="{command}" {line}\n' for line in keys.splitlines())
    rig.server.write(path, bound, owner="backup", mode=0o600)
    try:
        yield
    finally:
        rig.server.write(path, keys, owner="backup", mode=0o600)


@pytest.fixture
def gate(rig: Rig) -> Iterator[Gate]:
    """Yield a server whose keys run the scripted gate."""
    rig.server.write("/usr/local/bin/scripted-gate", GATE, mode=0o755)
    with forced(rig, "scripted-gate"):
        yield Gate(rig)


def test_status_has_the_size_of_each_dump_for_every_user(gate: Gate) -> None:
    """According to the server, in the summary that the agent leaves as well."""
    gate.play(WELL)
    assert gate.run().exit == 0
    gate.rig.laptop.path(gate.rig.config).chmod(0o600)
    gate.rig.laptop.run(["chown", "backup", gate.rig.config])
    for user in ("root", "nobody"):
        done = gate.rig.run("status", user=user)
        assert done.exit == 0
        assert done.stdout.startswith("all well: every disk has a backup confirmed by the server")
        assert "\n/home: full, 37 MB, less than a minute ago; next " in done.stdout
        assert "\nthe server was last asked less than a minute ago\n" in done.stdout


def test_a_backup_through_the_gate(gate: Gate) -> None:
    """It asks, stays connected, and gets the server's report; then nothing is due."""
    gate.play(WELL)
    done = gate.run()
    assert (done.exit, gate.heard()) == (0, ["hello", "submit", "bye"])
    assert done.stdout.startswith("backed up in ")
    assert "/home (level 0)" in done.stdout
    assert "connected to backup@amanda; asking for a backup of laptop" in done.stderr
    (attempt,) = gate.rig.memory().attempts
    assert (attempt.outcome, attempt.run) == (Outcome.BACKED_UP, RUN)
    assert attempt.dumps[0].started_at == gate.rig.memory().confirmed["/home"].started_at
    again = gate.run()
    assert (again.exit, again.stdout, again.stderr, gate.visits()) == (0, "", "", 1)


def test_a_server_that_takes_reports_is_told_settings_and_use(gate: Gate) -> None:
    """Right after its Welcome; one that does not say so is told nothing."""
    takes = WELL.replace('"/home": None}', '"/home": None}, takes_reports=True')
    gate.play(takes, stale_after_use="20h")
    assert gate.run().exit == 0
    assert gate.heard() == ["hello", "report", "submit", "bye"]
    lines = gate.rig.server.read(f"{gate.rig.stage}/heard").splitlines()
    report = json.loads(lines[1])
    settings = [report[key] for key in ("interval", "stale_after", "stale_after_use")]
    assert settings == [86_400, 7 * 86_400, 20 * 3600]
    assert (report["deferred_for"], report["deferred_reason"], report["gaps"]) == (None, "", 0)
    assert 0 <= report["used"] < 3600
    status = json.loads(gate.rig.run("status", "--json").stdout)
    assert 0 <= status["exposure"]["used_seconds"] < 3600
    for user in ("root", "nobody"):
        said = gate.rig.run("status", user=user).stdout
        assert re.search(
            "^used for .* since the last backup began; the limit is 20h of", said, re.M
        )


def test_amandates_decides_nothing_at_the_gate(gate: Gate) -> None:
    """Neither a fresh one, nor one that is not there; it is shown as a hint."""
    gate.play(WELL)
    gate.rig.set_dumped(ago=60)
    assert gate.rig.run("check").stdout.startswith("due: the server was never asked\n")
    gate.rig.laptop.remove(gate.rig.amandates)
    assert (gate.run().exit, gate.visits()) == (0, 1)
    gate.rig.set_dumped(ago=-2)
    said = gate.rig.run("check").stdout
    assert said.startswith("not due: no disk's backup is older than ")
    assert "according to the server" in said
    assert "last confirmed" in said
    assert "amandates: newer than what the server has confirmed: /home at " in said


def test_a_run_of_the_servers_own_is_found_out(gate: Gate) -> None:
    """The server has a fresh backup: nothing is asked for, and the next start need not ask."""
    gate.play('hear("hello"); welcome({"/home": 3600, "/etc": 60}); hear("bye")')
    for _ in range(2):
        done = gate.run()
        assert (done.exit, done.stdout, done.stderr) == (0, "", "")
    assert (gate.visits(), gate.heard(), gate.outcomes()) == (1, ["hello", "bye"], [])
    assert gate.rig.memory().dles == ("/home", "/etc")
    status = gate.rig.run("status")
    assert status.stdout.startswith("all well: every disk has a backup confirmed by the server")
    assert ", the oldest 1 hour old; the next is due " in status.stdout
    assert "the server was last asked" in status.stdout


def test_the_quick_way_out_at_the_gate(gate: Gate) -> None:
    """A note is left that rests on the memory and not on amandates."""
    gate.play('hear("hello"); welcome({"/home": 60}); hear("bye")')
    assert gate.run().exit == 0
    written = (gate.rig.state_folder() / "memory.json").stat().st_mtime
    gate.rig.until(lambda: time.time() > written + 2.1, "what was written is no longer fresh")
    assert gate.run().exit == 0
    (note,) = gate.rig.state_folder().glob("note-*")
    assert "memory.json" in note.read_text()
    assert "amandates" not in note.read_text()
    assert gate.visits() == 1


def test_force_asks_though_nothing_is_due(gate: Gate) -> None:
    """And every disk that the server has is wanted then."""
    gate.play(
        'hear("hello"); welcome({"/home": 60, "/etc": 60}); hear("submit")\n'
        'running(); finished({"/home": "held"}); hear("bye")'
    )
    done = gate.run("--force")
    assert done.exit == 100
    assert "/etc: the run ended without it" in done.stderr


def test_the_server_says_later(gate: Gate) -> None:
    """That is of every day, so cron hears nothing; and until then nobody connects."""
    gate.play('hear("hello"); say("later", after=900, reason="the queue is full")')
    first = gate.run()
    assert (first.exit, first.stdout, first.stderr) == (75, "", "")
    told = gate.run("-v")
    assert (told.exit, gate.visits()) == (75, 1)
    assert "amanda said to come back at " in told.stderr
    assert gate.outcomes() == [Outcome.LATER]
    assert "later" in gate.rig.run("history").stdout
    forced = gate.run("--force", "-v")
    assert (forced.exit, gate.visits()) == (75, 2)
    assert "not now, come back at " in forced.stderr
    assert "(the queue is full)" in forced.stderr
    assert [attempt.times for attempt in gate.rig.memory().attempts] == [2]


def test_later_after_asking_is_no_run(gate: Gate) -> None:
    """Nothing is left that would have to be joined."""
    gate.play(
        'hear("hello"); welcome({"/": None}); hear("submit"); say("later", after=60, reason="")'
    )
    assert gate.run().exit == 75
    assert (gate.outcomes(), gate.rig.memory().started) == ([Outcome.LATER], None)


@pytest.mark.parametrize("code", [76, 77])
def test_the_server_refuses(gate: Gate, code: int) -> None:
    """With its words, its hint and its exit code."""
    gate.play(
        'hear("hello"); say("refused", reference="no-such", message="the reason", hint="the way", '
        f"exit={code})"
    )
    done = gate.run()
    assert done.exit == code
    assert "asyncamanda: the reason\n" in done.stderr
    assert "hint: the way\n" in done.stderr
    assert gate.outcomes() == [Outcome.REFUSED]


def test_the_gate_itself_refuses(gate: Gate) -> None:
    """It has only stderr and an exit code then."""
    gate.play('print("asyncamanda gate: not you\\nhint: ask", file=sys.stderr); sys.exit(77)')
    done = gate.run()
    assert done.exit == 77
    assert "asyncamanda: not you\n" in done.stderr
    assert "hint: ask\n" in done.stderr


def test_a_server_that_greets_with_something_else(gate: Gate) -> None:
    """An account's shell that prints a banner: the line is shown, without control characters."""
    gate.play('print("\\x1b[1mWelcome to amanda!"); ' + WELL)
    done = gate.run()
    assert done.exit == 76
    assert "[1mWelcome to amanda!" in done.stderr
    assert "\x1b" not in done.stderr
    assert "server enroll" in done.stderr


def test_a_server_that_prints_something_else_and_ends(gate: Gate) -> None:
    """Though it does not even end its line: as an account's `nologin`, or another command."""
    gate.play('sys.stdout.write("This account is not available"); sys.exit(1)')
    done = gate.run()
    assert done.exit == 76
    assert "(not asyncamanda's gate: cut off): 'This account is not available'" in done.stderr


def test_a_server_without_asyncamanda(rig: Rig) -> None:
    """What the key runs is not there."""
    rig.laptop.write(rig.config, 'server = "backup@amanda"\n')
    with forced(rig, "/usr/nowhere/asyncamanda gate"):
        done = rig.run("run")
    assert done.exit == 76
    assert "asyncamanda is not installed at amanda" in done.stderr
    assert rig.memory().attempts[-1].outcome is Outcome.REFUSED


def test_one_disk_of_two_fails(gate: Gate) -> None:
    """It is named with the reason; what the other brought counts, and only the one is due."""
    gate.play(
        'hear("hello"); welcome({"/home": None, "/etc": None}); hear("submit"); running()\n'
        'welcome({"/home": 5, "/etc": None}, "running")\n'
        'finished({"/home": "stored", "/etc": "failed"}); hear("bye")'
    )
    done = gate.run()
    assert done.exit == 100
    assert "/etc: failed: data timeout" in done.stderr
    (attempt,) = gate.rig.memory().attempts
    assert (attempt.outcome, [dump.disk for dump in attempt.dumps]) == (Outcome.FAILED, ["/home"])
    check = gate.rig.run("check")
    assert check.stdout.startswith("due: /etc has no confirmed backup\n")


def test_a_disk_that_the_server_lacks_is_not_asked_for_again_at_once(gate: Gate) -> None:
    """The run went well: it would hardly bring it if it was made again."""
    gate.play(WELL, disks=["/home", "/gone"])
    done = gate.run()
    assert done.exit == 100
    assert "/gone: the run ended without it" in done.stderr
    again = gate.run("-v")
    assert (again.exit, gate.visits()) == (75, 1)
    assert "the next try is at" in again.stderr


def test_the_dispatcher_is_replaced_in_the_midst(gate: Gate) -> None:
    """Whoever hears `again` says hello and submits again, on the same line."""
    gate.play(
        GREET + 'say("again"); hear("hello"); welcome({"/home": None}, "running"); hear("submit")\n'
        'running(); welcome({"/home": 5}); finished({"/home": "held"}); hear("bye")'
    )
    assert gate.run().exit == 0
    assert gate.heard() == ["hello", "submit", "hello", "submit", "bye"]
    assert (gate.visits(), gate.outcomes()) == (1, [Outcome.BACKED_UP])


def test_a_ping_is_answered_and_an_unknown_message_passed_over(gate: Gate) -> None:
    """Before the welcome as well."""
    gate.play(
        'say("ping"); hear("pong");\n'
        'welcome({"/home": 60}); say("weather", is_fine=True); hear("bye")'
    )
    assert gate.run().exit == 0
    assert gate.heard() == ["hello", "pong", "bye"]


def test_a_line_that_falls_silent_is_made_anew(gate: Gate) -> None:
    """It is asked, and then given up; the new one brings the end that was missed."""
    gate.play(
        "if visit == 1:\n"
        '    hear("hello"); welcome({"/home": None}, beat=0.2); hear("submit"); running()\n'
        '    hold("silent")\n'
        'hear("hello"); welcome({"/home": 5}, last=end({"/home": "held"})); hear("bye")'
    )
    done = gate.run("-v")
    assert done.exit == 0
    assert "nothing was received for " in done.stderr
    assert gate.heard() == ["hello", "submit", "hello", "bye"]
    assert (gate.visits(), gate.outcomes()) == (2, [Outcome.BACKED_UP])


def test_a_silent_line_that_answers_lives(gate: Gate) -> None:
    """A run may take hours silently."""
    gate.play(
        'hear("hello"); welcome({"/home": None}, beat=0.2); hear("submit"); running()\n'
        'for _ in range(5): hear("ping"); say("pong")\n'
        'welcome({"/home": 5}); finished({"/home": "held"}); hear("bye")'
    )
    assert (gate.run().exit, gate.visits()) == (0, 1)


@pytest.mark.parametrize("standing", ["running", "queued", "idle"])
def test_a_gate_that_dies_in_the_midst_is_called_again(gate: Gate, standing: str) -> None:
    """The request is said again, and joins what there is; or, if all is lost, begins again."""
    gate.play(
        f"if visit == 1:\n    {GREET}    die()\n"
        f'hear("hello"); welcome({{"/home": None}}, "{standing}"); hear("submit"); running()\n'
        'welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    done = gate.run("-v")
    assert done.exit == 0
    assert "connecting again in 1s" in done.stderr
    assert gate.heard() == ["hello", "submit", "hello", "submit", "bye"]
    assert gate.outcomes() == [Outcome.BACKED_UP]


def test_what_a_later_run_brought_is_not_asked_for_again(gate: Gate) -> None:
    """The line was broken for so long that the end of our own run is not known any more."""
    gate.play(
        f'if visit == 1:\n    {GREET}    die()\nhear("hello"); welcome({{"/home": 5}}); hear("bye")'
    )
    assert gate.run().exit == 0
    assert gate.heard() == ["hello", "submit", "hello", "bye"]
    assert gate.outcomes() == [Outcome.LOST]


def test_a_connection_that_breaks_in_the_midst_is_made_anew(gate: Gate) -> None:
    """The server's sshd of this connection ends: a new master carries on."""
    gate.play(
        f'if visit == 1:\n    {GREET}    hold("cut")\n'
        'hear("hello"); welcome({"/home": 5}, last=end({"/home": "held"})); hear("bye")'
    )
    agent = gate.rig.start("run", "-v")
    gate.rig.until(lambda: gate.has("cut"), "the run goes on")
    gate.rig.signal(gate.rig.sessions(), "KILL")
    done = gate.rig.wait(agent)
    assert done.exit == 0
    assert "the connection broke; connecting again in 1s" in done.stderr
    assert (gate.visits(), gate.outcomes()) == (2, [Outcome.BACKED_UP])


def test_a_server_that_is_away_for_a_moment_is_tried_again(gate: Gate) -> None:
    """Once a line has stood, a connection that is refused is one more try and no end."""
    gate.play(
        f'if visit == 1:\n    {GREET}    hold("cut")\n'
        'hear("hello"); welcome({"/home": 5}, last=end({"/home": "held"})); hear("bye")'
    )
    agent = gate.rig.start("run", "-v")
    gate.rig.until(lambda: gate.has("cut"), "the run goes on")
    gate.rig.server.stop_sshd()
    try:
        gate.rig.signal(gate.rig.sessions(), "KILL")
        _read_until(agent.stderr, "refused the connection")
    finally:
        gate.rig.server.start_sshd()
    assert gate.rig.wait(agent).exit == 0
    assert (gate.visits(), gate.outcomes()) == (2, [Outcome.BACKED_UP])


def test_a_line_that_cannot_be_made_anew(gate: Gate) -> None:
    """After `reconnect_for` the start ends; the run goes on, and the next start joins it."""
    gate.play(f"if visit > 1:\n    die()\n{GREET}die()", reconnect_for="1s")
    done = gate.run("-v")
    assert done.exit == 75
    assert "the run continues on the server" in done.stderr
    assert "the next start joins it" in done.stderr
    (attempt,) = gate.rig.memory().attempts
    assert (attempt.outcome, attempt.run) == (Outcome.LOST, RUN)
    gate.play(
        'hear("hello"); welcome({"/home": None}, "running"); hear("submit"); running()\n'
        'welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    joined = gate.run()
    assert joined.exit == 0
    assert "joining the run with laptop that is already in progress" in joined.stderr
    assert gate.outcomes() == [Outcome.LOST, Outcome.BACKED_UP]


@pytest.mark.parametrize("end", ["die()", "for _ in range(9): say('again'); hear('hello')\ndie()"])
def test_a_gate_that_closes_after_each_welcome_is_not_called_for_ever(gate: Gate, end: str) -> None:
    """A welcome alone makes nothing good: the pauses grow, and then it is left."""
    gate.play(f"{GREET}{end}", reconnect_for="5s")
    done = gate.run("-v")
    assert done.exit == 75
    assert "connecting again in 2s" in done.stderr
    assert "the run continues on the server" in done.stderr
    assert gate.visits() <= 5
    assert gate.outcomes() == [Outcome.LOST]


def test_a_server_that_begins_anew_for_ever_is_left(gate: Gate) -> None:
    """As if its line had closed: each time costs it next to nothing."""
    gate.play('while hear("hello"): welcome({"/home": None}); say("again")', reconnect_for="1s")
    done = gate.run("-v")
    assert done.exit == 75
    assert "keeps restarting the session" in done.stderr


@pytest.mark.parametrize("sign", ["say('ping'); hear('pong')", "say('again'); hear('hello')"])
def test_a_sign_of_life_is_no_welcome(gate: Gate, sign: str) -> None:
    """The time for it runs on, by the wall clock."""
    gate.play(
        f'if visit > 1: die()\nhear("hello"); {sign}\nhold("holding")\n'
        f"while True:\n    {sign}; time.sleep(0.1)",
        reconnect_for="0.1s",
    )
    laptop = gate.rig.laptop
    agent = gate.rig.start("run", "-v", shifted=True)
    try:
        gate.rig.until(lambda: gate.has("holding"), "the gate lives")
        laptop.clock_offset = timedelta(seconds=55)
        gate.rig.let_go()
        heard = len(gate.heard())
        gate.rig.until(lambda: len(gate.heard()) > heard + 2, "it says so again")
        laptop.clock_offset = timedelta(seconds=65)
        done = gate.rig.wait(agent)
    finally:
        laptop.clock_offset = timedelta(0)
    assert done.exit == 75
    assert "the server did not answer within " in done.stderr
    assert gate.visits() <= 2


def test_a_killed_agent_is_followed_by_one_that_joins(gate: Gate) -> None:
    """What was begun is in the memory; the second start needs no settling."""
    gate.play(
        f'if visit == 1:\n    {GREET}    hold("holding")\n'
        'hear("hello"); welcome({"/home": None}, "running"); hear("submit"); running()\n'
        'welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    agent = gate.rig.start("run")
    gate.rig.until(lambda: _notes_run(gate), "the run is noted")
    assert gate.rig.run("status", "--json").json["running"]["pid"]
    agent.kill()
    agent.wait(5)
    assert gate.run().exit == 0
    assert gate.outcomes() == [Outcome.UNSEEN, Outcome.BACKED_UP]
    assert [attempt.run for attempt in gate.rig.memory().attempts] == [RUN, RUN]


def test_an_agent_killed_while_its_request_waits_leaves_its_trace(gate: Gate) -> None:
    """What it was about to ask for is written down before it asks."""
    gate.play(
        'hear("hello"); welcome({"/home": None}, "queued" if visit > 1 else "idle")\n'
        'hear("submit"); queued()\n'
        'if visit == 1: hold("holding")\n'
        'running(); welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    agent = gate.rig.start("run")
    gate.rig.until(lambda: gate.has("holding"), "the request waits")
    agent.kill()
    agent.wait(5)
    done = gate.run()
    assert done.exit == 0
    assert "joining the request of laptop that is already waiting" in done.stderr
    assert gate.outcomes() == [Outcome.UNSEEN, Outcome.BACKED_UP]


def test_the_run_of_a_killed_agent_ends_before_the_next_start(gate: Gate) -> None:
    """The server tells how: the attempt has an end, and nothing is due."""
    gate.play(
        f'if visit == 1:\n    {GREET}    hold("holding")\n'
        'hear("hello"); welcome({"/home": 5}, last=end({"/home": "held"})); hear("bye")'
    )
    agent = gate.rig.start("run")
    gate.rig.until(lambda: _notes_run(gate), "the run is noted")
    agent.kill()
    agent.wait(5)
    done = gate.run()
    assert (done.exit, gate.outcomes()) == (0, [Outcome.BACKED_UP])
    assert gate.heard() == ["hello", "submit", "hello", "bye"]


def _notes_run(gate: Gate) -> bool:
    if not list(gate.rig.laptop.path(gate.rig.state).rglob("memory.json")):
        return False
    started = gate.rig.memory().started
    return started is not None and started.run == RUN


@pytest.mark.parametrize("is_running", [False, True])
def test_a_signal_to_stop(gate: Gate, is_running: bool) -> None:
    """A request that waits is withdrawn; a run goes on without us."""
    gate.play(
        'hear("hello"); welcome({"/home": None}); hear("submit"); queued()\n'
        + ("running()\n" if is_running else "")
        + 'open(STAGE + "/holding", "w").close(); hear("bye")'
    )
    agent = gate.rig.start("run", "-v")
    said = "in progress" if is_running else "queued: 1 of 1"
    assert agent.stderr
    gate.rig.until(lambda: gate.has("holding"), "the request is kept")
    _read_until(agent.stderr, said)
    agent.send_signal(signal.SIGTERM)
    done = gate.rig.wait(agent)
    assert (done.exit, done.seconds < 5) == (75, True)
    if is_running:
        assert "stopped by SIGTERM; the run continues on amanda" in done.stderr
        assert gate.heard() == ["hello", "submit"]
    else:
        assert "while the request waited; it was withdrawn" in done.stderr
        assert gate.heard() == ["hello", "submit", "bye"]
    assert gate.outcomes() == [Outcome.INTERRUPTED if is_running else Outcome.STOPPED]


def _read_until(stream: Any, words: str) -> None:
    line = "-"
    while line and words not in line:
        line = stream.readline()
    assert line, words


def test_a_signal_while_the_line_is_broken(gate: Gate) -> None:
    """The waiting ends at once. Whether the run goes on is not known, so it may."""
    gate.play(f"if visit > 1:\n    die()\n{GREET}die()")
    agent = gate.rig.start("run", "-v")
    _read_until(agent.stderr, "connecting again in 2s")
    agent.send_signal(signal.SIGTERM)
    told_at = time.monotonic()
    done = gate.rig.wait(agent)
    assert time.monotonic() - told_at < at_most(1.5)
    assert (done.exit, gate.outcomes()) == (75, [Outcome.INTERRUPTED])


def test_the_servers_clock_is_ahead(gate: Gate) -> None:
    """It is told, and the dumps are dated by this machine's clock."""
    gate.play(
        'hear("hello"); welcome({"/home": None}, ahead=7200); hear("submit"); running()\n'
        'welcome({"/home": 5}, "running", ahead=7200); finished({"/home": "held"}); hear("bye")'
    )
    done = gate.run()
    assert done.exit == 0
    assert done.stderr.count("warning: the server's clock is 2h ahead of this machine's") == 1
    confirmed = gate.rig.memory().confirmed["/home"].started_at
    assert abs(datetime.now(UTC) - confirmed) < timedelta(minutes=1)
    assert gate.run().exit == 0
    assert gate.visits() == 1


def test_what_happens_is_streamed_as_json(gate: Gate) -> None:
    """A line for each event; the last one is the attempt."""
    dle = (
        '{"host": "laptop", "disk": "/home", "level": 0, "phase": "dumping", '
        '"done_kilobytes": 3, "total_kilobytes": 7}'
    )
    gate.play(
        'assert hear("hello")["is_watching"]; welcome({"/home": None}); hear("submit")\n'
        f'queued(2, 5, 8, "runs"); running(); say("progress", run="{RUN}", dles=[{dle}])\n'
        'welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    done = gate.run("--json")
    assert done.exit == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["queued", "running", "progress", "finished"]
    assert (events[0]["place"], events[0]["of"], events[0]["starts_in"]) == (2, 5, 8)
    assert events[2]["dles"][0]["done_kilobytes"] == 3
    assert (events[3]["outcome"], events[3]["run"]) == ("backed up", RUN)
    again = json.loads(gate.run("--json").stdout)
    assert (again["event"], again["outcome"]) == ("finished", "not due")


def test_where_somebody_reads_each_change_is_one_line(gate: Gate) -> None:
    """A place that is said again is no news; an estimate that counts down neither."""
    gate.play(
        'assert not hear("hello")["is_watching"]; welcome({"/home": None}); hear("submit")\n'
        'queued(2, 2, 8, "runs"); queued(2, 2, 7, "runs"); queued(1, 1, 3, "runs"); running()\n'
        'running(); welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    done = gate.run("-v")
    said = [line.split(": ", 1)[1] for line in done.stderr.splitlines()]
    said = [line for line in said if "may go to sleep" not in line]  # there is no logind here
    assert said[-4:] == [
        "queued: 2 of 2, starts in about 8s (waits for a run to end)",
        "queued: 1 of 1, starts in about 3s (waits for a run to end)",
        f"the run {RUN} is in progress on the server, for 1 client",
        "/home: dumped, and in the holding disk (level 0)",
    ]


def test_bars_on_a_terminal_of_80_columns(gate: Gate) -> None:
    """A line that lives and a bar for each disk, whatever it is called; no line breaks."""
    gate.play(
        'assert hear("hello")["is_watching"]; welcome({"/home": None}); hear("submit")\n'
        'queued(2, 5, 8, "runs"); time.sleep(0.3); running()\n'
        "for done in range(0, 9000, 1500):\n"
        '    names = ["/home", "/srv/[red]a very long name of a disk", "/\\x1b[31m"]\n'
        f'    say("progress", run="{RUN}", dles=[dict(host="laptop", disk=name, level=0,\n'
        '        phase="dumping", done_kilobytes=done, total_kilobytes=63000) for name in names])\n'
        "    time.sleep(0.15)\n"
        'welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    agent = gate.rig.start("run", stderr=slave, environ={"TERM": "xterm-256color"})
    os.close(slave)
    shown = b""
    while True:
        try:
            shown += os.read(master, 1 << 16)
        except OSError:  # the terminal's other end is closed
            break
    os.close(master)
    assert gate.rig.wait(agent).exit == 0
    text = shown.decode()
    assert "queued: 2 of 5, starts in about 8s" in text
    assert "/srv/[red]a very long" in text
    assert "\\x1b[31m" in text
    assert "━" in text
    assert "7.7/64.5" in text
    if os.environ.get("SHOW"):
        os.write(2, shown)


def test_a_laptop_that_slept_asks_at_once_whether_the_line_lives(gate: Gate) -> None:
    """By the wall clock two hours have gone, and nobody waits for the beat of a quarter minute."""
    gate.play(
        GREET + 'hold("holding"); hear("ping"); say("pong")\n'
        'welcome({"/home": 5}, "running", ahead=7200); finished({"/home": "held"}); hear("bye")'
    )
    laptop = gate.rig.laptop
    agent = gate.rig.start("run", shifted=True)
    try:
        gate.rig.until(lambda: gate.has("holding"), "the run goes on")
        laptop.clock_offset = timedelta(hours=2)
        gate.rig.let_go()
        done = gate.rig.wait(agent)
    finally:
        laptop.clock_offset = timedelta(0)
    assert (done.exit, gate.visits(), gate.heard()[2]) == (0, 1, "ping")
    assert done.seconds < 10

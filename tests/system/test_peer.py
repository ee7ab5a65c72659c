"""Which server and client a memory is about, and how long it counts without asking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.system.test_gate_client import GATE, GREET, Gate, forced

from asyncamanda.core.model import Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Done, Rig

FRESH = 'hear("hello"); welcome({"/home": 60}); hear("bye")'
NEVER = (
    'hear("hello"); welcome({"/home": 60, "/new": None}); hear("submit"); running()\n'
    'welcome({"/home": 60, "/new": 5}, "running"); finished({"/new": "held"}); hear("bye")'
)
RENAME = """\
say_as_laptop = say
def say(kind, **fields):
    say_as_laptop(kind, **fields | ({"client": "tablet"} if kind == "welcome" else {}))
"""
KEY = "/var/backups/.ssh/id_ed25519"
OTHER_HOST_KEY = "/etc/ssh/other_host_key"
PORT = "backup@amanda:2222"


@pytest.fixture
def gate(rig: Rig) -> Iterator[Gate]:
    """Yield a server whose keys run the scripted gate."""
    rig.server.write("/usr/local/bin/scripted-gate", GATE, mode=0o755)
    with forced(rig, "scripted-gate"):
        yield Gate(rig)


@pytest.fixture
def laptop_keys(rig: Rig) -> Iterator[None]:
    """Put the laptop's own key back afterwards."""
    kept = {end: rig.laptop.read(f"{KEY}{end}") for end in ("", ".pub")}
    yield
    for end, text in kept.items():
        rig.laptop.write(f"{KEY}{end}", text, owner="backup", mode=0o600)


def remake_key(rig: Rig) -> None:
    """Give the laptop another key, which the scripted gate accepts."""
    for end in ("", ".pub"):
        rig.laptop.remove(f"{KEY}{end}")
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY]
    rig.laptop.run(make, user="backup")
    home = rig.server.account("backup").home
    line = f'restrict,command="scripted-gate" {rig.laptop.read(f"{KEY}.pub")}'
    rig.server.append(f"{home}/.ssh/authorized_keys", line, owner="backup")


@contextmanager
def reinstalled_sshd(rig: Rig) -> Iterator[None]:
    """Yield a server of the same address with another host key, which the laptop knows by now."""
    if not rig.server.path(OTHER_HOST_KEY).exists():
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", OTHER_HOST_KEY]
        rig.server.run(make)
    with rig.sshd(key=OTHER_HOST_KEY):
        public = rig.server.read(f"{OTHER_HOST_KEY}.pub")
        rig.know(f"[amanda]:2222 {public}", "backup", alone=True)
        yield


def assert_asked_anew(gate: Gate, done: Done) -> None:
    """Fail unless that start has asked the server, and release what was said before."""
    assert (done.exit, gate.visits()) == (0, 2), done.stderr
    assert gate.rig.memory().dles == ("/home", "/new")
    assert gate.outcomes() == [Outcome.BACKED_UP]


@pytest.mark.usefixtures("laptop_keys")
def test_a_key_that_was_made_anew_has_no_backup_yet(gate: Gate) -> None:
    """The server may know it as another client, or not at all; `check` says so at once."""
    gate.play(FRESH)
    assert gate.run().exit == 0
    remake_key(gate.rig)
    check = gate.rig.run("check")
    assert check.stdout.startswith("due: the server was never asked\n"), check.stdout
    assert "what was remembered no longer counts: this machine's key has changed" in check.stdout
    gate.play(NEVER)
    assert_asked_anew(gate, gate.run())


def test_a_server_with_another_host_key_has_no_backup_yet(gate: Gate) -> None:
    """It was installed again, and has no run of this client's."""
    gate.play(FRESH, server=PORT)
    with gate.rig.sshd():
        assert gate.run().exit == 0
    with reinstalled_sshd(gate.rig):
        gate.play(NEVER, server=PORT)
        assert_asked_anew(gate, gate.run())


def test_a_server_elsewhere_has_no_backup_yet(gate: Gate) -> None:
    """Whatever the one said that was asked before; it says so where somebody reads."""
    gate.play(FRESH)
    assert gate.run().exit == 0
    with gate.rig.sshd():
        gate.play(NEVER, server=PORT)
        done = gate.run()
        assert_asked_anew(gate, done)
    assert "what was remembered no longer counts: the server's address has changed" in done.stderr


def test_what_the_server_was_asked_for_before_is_history(gate: Gate) -> None:
    """It is shown, and decides nothing: not who is joined, and not how the last try went."""
    gate.play(
        'hear("hello"); welcome({"/home": None}); hear("submit"); running()\n'
        'welcome({"/home": None}, "running"); finished({"/home": "failed"}); hear("bye")'
    )
    assert gate.run().exit == 100
    with gate.rig.sshd():
        gate.play(FRESH, server=PORT)
        assert gate.run().exit == 0
        assert [row["outcome"] for row in gate.rig.run("history", "--json").json] == ["failed"]
        assert gate.rig.run("status", "--json").json["last_attempt"] is None


def test_what_does_not_concern_the_server_is_no_reason_to_ask(gate: Gate) -> None:
    """Another host's key, a further one of the server's, which ssh itself may add, a comment."""
    gate.play(FRESH)
    assert gate.run().exit == 0
    gate.rig.know("elsewhere " + gate.rig.host_key().split(" ", 1)[1], "backup")
    gate.rig.server.run(
        [
            "sh",
            "-c",
            f"test -e {OTHER_HOST_KEY} || ssh-keygen -q -t ed25519 -N '' -f {OTHER_HOST_KEY}",
        ]
    )
    gate.rig.know(f"amanda {gate.rig.server.read(f'{OTHER_HOST_KEY}.pub')}", "backup")
    gate.rig.ssh_config("# a comment\n", "backup")
    assert gate.run().exit == 0
    assert gate.rig.run("status").stdout.startswith("all well")
    assert gate.visits() == 1


@pytest.mark.usefixtures("laptop_keys")
def test_a_note_rests_on_what_says_who_is_who(gate: Gate) -> None:
    """So the quick way out sees a key or a host key that has changed."""
    gate.play(FRESH)
    assert gate.run().exit == 0
    folder = gate.rig.state_folder()
    written = (folder / "memory.json").stat().st_mtime
    gate.rig.until(lambda: time.time() > written + 2.1, "what was written is no longer fresh", 5)
    assert gate.run().exit == 0
    (note,) = folder.glob("note-*")
    for name in ("known_hosts", "id_ed25519.pub", "/etc/ssh/ssh_config"):
        assert f"{name}\0" in note.read_text(), note.read_text()
    assert gate.visits() == 1
    remake_key(gate.rig)
    assert (gate.run().exit, gate.visits()) == (0, 2)


def test_who_is_named_anew_in_the_midst_begins_anew(gate: Gate) -> None:
    """Its key was enrolled as another client: how the run of the one ended is nothing to this."""
    gate.play(
        f"if visit == 1:\n    {GREET}    die()\n{RENAME}"
        'hear("hello"); welcome({"/home": None}, last=end({"/home": "held"})); hear("submit")\n'
        'running(); welcome({"/home": 5}, "running"); finished({"/home": "held"}); hear("bye")'
    )
    assert gate.run().exit == 0
    assert gate.heard() == ["hello", "submit", "hello", "submit", "bye"]
    assert gate.outcomes() == [Outcome.BACKED_UP]
    memory = gate.rig.memory()
    assert [attempt.outcome for attempt in memory.past] == [Outcome.UNSEEN]
    assert memory.peer
    assert (memory.peer.client, memory.peer.amanda_config) == ("tablet", "daily")


# -- direct


def test_what_another_server_was_sent_does_not_count(rig: Rig) -> None:
    """Nor what its runs have left in amandates."""
    rig.configure()
    assert rig.run("run").exit == 0
    rig.set_dumped(ago=60)
    assert rig.run("check").stdout.startswith("not due")
    with rig.sshd():
        rig.configure(server=PORT)
        assert rig.run("check").stdout.startswith("due: /home has no backup that counts")
        assert rig.run("run").exit == 0
        assert rig.run("check").stdout.startswith("not due")
    assert [attempt.outcome for attempt in rig.memory().attempts] == [Outcome.BACKED_UP]


def test_another_command_has_brought_nothing_yet(rig: Rig) -> None:
    """It may dump to another configuration."""
    rig.configure()
    assert rig.run("run").exit == 0
    rig.set_dumped(ago=60)
    rig.configure(command="mark && dump /home")
    assert (rig.run("run").exit, rig.marks()) == (0, 1)
    assert (rig.run("run").exit, rig.marks()) == (0, 1)

"""Who may connect: authorized_keys as a real sshd reads it, and as several change it at once."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.system.registering import enroll

from asyncamanda.commands.server import revoke as revoke_command
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.errors import LaterError, RefusedError
from asyncamanda.server.enrol import ssh_aliases
from asyncamanda.server.enrol.enrolled import Enrolled, plan_found, plan_lost
from asyncamanda.server.enrol.registry import Registry, change, read_registry, revoke

if TYPE_CHECKING:
    from tests.system.conftest import Rig

Run = subprocess.CompletedProcess[str]

PYTHON = "/opt/asyncamanda/bin/python"
LINK = "/usr/local/bin/asyncamanda"
KEYS = "/var/backups/.ssh/authorized_keys"
KEY = "/var/backups/.ssh/phone"  # on the laptop, and unknown to the server so far
# instead of asyncamanda: tells what sshd starts, and what was asked for
TELL = '#!/bin/sh\necho "$* | $SSH_ORIGINAL_COMMAND"\n'
# holds the lock on the folder of authorized_keys until its stdin ends
HOLD = """\
import fcntl, os, sys
fcntl.flock(os.open("/var/backups/.ssh", os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def answer(done: Run) -> Any:
    """Return the JSON that asyncamanda answered."""
    return json.loads(done.stdout)


class Desk:
    """The server's end: its registry, and asyncamanda as it runs there."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.phone = self.make_key(KEY)

    def make_key(self, path: str) -> str:
        """Make a key on the laptop; return its public line."""
        self.rig.laptop.run(["rm", "-f", path, f"{path}.pub"])
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ana@phone", "-f", path]
        self.rig.laptop.run(argv, user="backup")
        return self.rig.laptop.read(f"{path}.pub").strip()

    def start(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        """Start `asyncamanda server` on the server."""
        argv = [PYTHON, "-m", "asyncamanda", "server", *words]
        return self.rig.server.start(argv, **how)

    def run(self, *words: str, stdin: str = "", user: str = "root") -> Run:
        """Run `asyncamanda server` on the server to its end."""
        argv = [PYTHON, "-m", "asyncamanda", "server", *words]
        done = self.rig.server.run(argv, user=user, stdin=stdin, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def enroll(self, client: str, key: str, *more: str, **how: str) -> Run:
        """Enroll a client for the lab's Amanda configuration."""
        return self.run("enroll", client, "--amanda-config", "daily", "--key", key, *more, **how)

    def probe(self, *words: str, key: str = KEY) -> Run:
        """Have the laptop connect with the key `key` alone."""
        options = ["-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        argv = ["ssh", *options, *words]
        return self.rig.laptop.run(argv, user="backup", check=False)

    @property
    def text(self) -> bytes:
        """What authorized_keys holds."""
        return self.rig.server.path(KEYS).read_bytes()


@pytest.fixture
def desk(rig: Rig) -> Iterator[Desk]:
    """Yield the server's end; afterwards authorized_keys is as it was."""
    before = rig.server.read(KEYS)
    yield Desk(rig)
    rig.server.write(KEYS, before, owner="backup", mode=0o600)
    rig.laptop.run(["rm", "-f", KEY, f"{KEY}.pub"])


@pytest.fixture
def telling(desk: Desk) -> Iterator[Desk]:
    """Yield the same, where asyncamanda only tells how it was started."""
    server = desk.rig.server
    server.run(["mv", LINK, f"{LINK}.kept"])
    server.write(LINK, TELL, mode=0o755)
    yield desk
    server.run(["mv", f"{LINK}.kept", LINK])


def test_an_enrolled_key_reaches_the_gate_and_nothing_else(telling: Desk) -> None:
    """Whatever it asks for, and by whichever of ssh's ways; before, and once revoked, it cannot."""
    host = "backup@amanda"
    assert telling.probe(host, "true").returncode == 255
    assert telling.enroll("phone", telling.phone).returncode == 0
    told = "gate --client phone --amanda-config daily"
    for asked in ("asyncamanda gate", "sh -c 'touch /srv/stage/mine'", "gate --client x", ""):
        probed = telling.probe(host, *([asked] if asked else []))
        assert (probed.returncode, probed.stdout) == (0, f"{told} | {asked}\n")
    assert not telling.rig.has("mine")
    assert "PTY allocation request failed" in telling.probe("-tt", host).stderr
    assert telling.probe("-W", "localhost:22", host).returncode == 255
    assert telling.probe("-s", host, "sftp").stdout == f"{told} | internal-sftp\n"
    assert telling.run("revoke", "phone").returncode == 0
    assert "Permission denied" in telling.probe(host, "true").stderr


def test_the_file_stays_the_amanda_users_and_nothing_lies_beside_it(desk: Desk) -> None:
    """Whoever starts it, root or the Amanda user; foreign lines stay, and those keys still work."""
    server, backup = desk.rig.server, desk.rig.server.account("backup")
    foreign = desk.text + b"# na\xefve\r\n\r\nssh-rsa AAAA no end"
    server.path(KEYS).write_bytes(foreign)
    beside = sorted(path.name for path in server.path(KEYS).parent.iterdir())
    for user in ("root", "backup"):
        assert desk.enroll("phone", desk.phone, user=user).returncode == 0
        assert desk.text.startswith(foreign + b"\nrestrict,command=")
        status = server.path(KEYS).stat()
        assert (status.st_uid, status.st_gid) == (backup.uid, backup.gid)
        assert status.st_mode == 0o100600
        assert desk.run("revoke", "phone", user=user).returncode == 0
        assert desk.text == foreign + b"\n"
        server.path(KEYS).write_bytes(foreign)
    assert sorted(path.name for path in server.path(KEYS).parent.iterdir()) == beside
    assert desk.probe("backup@amanda", "true", key="/var/backups/.ssh/id_ed25519").returncode == 0


def test_a_key_comes_as_a_word_a_file_or_by_stdin(desk: Desk) -> None:
    """A file of root's, too; enrolled again it changes nothing, and says so."""
    server = desk.rig.server
    server.write("/root/phone.pub", f"{desk.phone}\n", mode=0o600)
    said = [
        desk.enroll("phone", desk.phone, "--json"),
        desk.enroll("phone", "/root/phone.pub", "--json"),
        desk.enroll("phone", "-", "--json", stdin=f"{desk.phone}\n"),
    ]
    assert [done.returncode for done in said] == [0, 0, 0], said[0].stderr
    assert [answer(done)["outcome"] for done in said] == ["enrolled", "unchanged", "unchanged"]
    shown = desk.rig.laptop.run(["ssh-keygen", "-lf", f"{KEY}.pub"]).stdout
    assert answer(said[0])["fingerprint"] in shown.split()
    assert desk.text.count(b"--client phone") == 1


def test_what_is_no_key_is_refused(desk: Desk) -> None:
    """A private key above all: it is not repeated, and nothing is written."""
    before = desk.text
    private = desk.rig.laptop.read(KEY)
    desk.rig.server.write("/root/phone", private, mode=0o600)
    for key, reference in (
        ("-", "bad-key"),
        ("/root/phone", "bad-key"),
        ("/root/nothing.pub", "key-unreadable"),
        (f'command="sh" {desk.phone}', "bad-key"),
        (f"{desk.phone}\n{desk.phone}", "bad-key"),
    ):
        done = desk.enroll("phone", key, "--json", stdin=private)
        assert (done.returncode, answer(done)["error"]) == (64, reference)
        assert private.splitlines()[1] not in done.stdout + done.stderr
    assert desk.text == before


def test_what_does_not_fit_is_refused(desk: Desk) -> None:
    """Names that are none, what is not there, and what is somebody else's."""
    daily = ("--amanda-config", "daily", "--key", desk.phone, "--json")
    weekly = ("--amanda-config", "dayly", "--key", desk.phone, "--json")
    assert answer(desk.run("enroll", "../x", *daily))["error"] == "bad-name"
    unknown = desk.run("enroll", "phone", *weekly)
    assert (unknown.returncode, answer(unknown)["error"]) == (65, "no-amanda-config")
    assert "did you mean daily?" in answer(unknown)["hint"]
    taken = desk.enroll("phone", desk.rig.laptop.backup_key, "--json")
    assert (taken.returncode, answer(taken)["error"]) == (77, "key-in-use")
    assert desk.enroll("phone", desk.phone).returncode == 0
    other = desk.make_key(f"{KEY}2")
    again = desk.enroll("phone", other, "--json")
    assert (again.returncode, answer(again)["error"]) == (77, "enrolled-already")
    assert answer(desk.enroll("phone", other, "--replace", "--json"))["outcome"] == "replaced"
    assert desk.probe("backup@amanda", "true").returncode == 255
    missing = desk.run("revoke", "phones", "--json")
    assert (missing.returncode, answer(missing)["error"]) == (65, "no-such-client")
    assert "did you mean phone?" in answer(missing)["hint"]
    stranger = desk.run("clients", "--json", user="carol")
    assert (stranger.returncode, answer(stranger)["error"]) == (77, "registry-unusable")


def test_each_word_changes_one_thing(desk: Desk) -> None:
    """The key, the Amanda configuration, the way: none of them goes along with another one.

    What an administrator has added to the line stays, whichever it is.
    """
    server = desk.rig.server
    server.run(["cp", "-r", "/etc/amanda/daily", "/etc/amanda/weekly"])
    try:
        assert desk.enroll("phone", desk.phone, "--direct", "--no-restore").returncode == 0
        text = server.read(KEYS).replace("restrict,command", 'from="*",restrict,command')
        server.write(KEYS, text, owner="backup", mode=0o600)
        other = desk.make_key(f"{KEY}2")

        def command() -> str:
            (line,) = [line for line in server.read(KEYS).splitlines() if "--client phone" in line]
            assert line.startswith('from="*",restrict,command="')
            return line.split('"')[3].removeprefix("asyncamanda gate --client phone ")

        def outcome(*words: str) -> Any:
            done = desk.run("enroll", "phone", *words, "--json")
            return answer(done).get("error") or answer(done)["outcome"]

        assert outcome("--key", other) == "enrolled-already"
        assert outcome("--key", other, "--replace", "--amanda-config", "weekly") == (
            "enrolled-already"
        )
        assert outcome("--replace") == "no-key"
        assert command() == "--amanda-config daily --direct --no-restore"
        assert outcome("--key", other, "--replace") == "replaced"
        assert command() == "--amanda-config daily --direct --no-restore"
        assert outcome("--key", other, "--replace") == "unchanged"
        assert outcome("--amanda-config", "weekly") == "enrolled-already"
        assert outcome("--amanda-config", "weekly", "--move") == "changed"
        assert command() == "--amanda-config weekly --direct --no-restore"
        assert outcome("--key", desk.phone, "--move") == "enrolled-already"
        assert outcome("--relay") == "changed"
        assert command() == "--amanda-config weekly --no-restore"
        assert outcome("--key", other) == "unchanged"
    finally:
        server.run(["rm", "-r", "/etc/amanda/weekly"])


def test_who_is_known_otherwise_is_told_with_what_to_do(desk: Desk) -> None:
    """Where nobody is asked: a lost key with the whole command, another name with its command."""
    assert desk.enroll("phone", desk.phone).returncode == 0
    before = desk.text
    other = desk.make_key(f"{KEY}2")
    lost = " ".join(desk.enroll("phone", other).stderr.split())
    assert "phone is enrolled already, with another key (ssh-ed25519 SHA256:" in lost
    assert ", ana@phone" in lost
    again = f"asyncamanda server enroll phone --amanda-config daily --key '{other}' --replace"
    assert again in lost
    renamed = " ".join(desk.enroll("handy", desk.phone).stderr.split())
    assert "this key is phone's already" in renamed
    assert "asyncamanda server rename phone handy" in renamed
    assert "asyncamanda setup SERVER --name handy --new-key" in renamed
    assert desk.enroll("tablet", other).returncode == 0
    taken = " ".join(desk.enroll("tablet", desk.phone).stderr.split())
    assert "this key is phone's already" in taken
    assert "server rename" not in taken
    assert desk.run("revoke", "tablet").returncode == 0
    assert desk.text == before


def test_clients_are_listed(desk: Desk) -> None:
    """Each with its key's fingerprint; who has never been there is told so."""
    assert "no client is enrolled" in desk.run("clients").stdout
    assert desk.enroll("phone", desk.phone).returncode == 0
    (client,) = answer(desk.run("clients", "--json"))
    fingerprint = client.pop("fingerprint")
    assert client == {
        "client": "phone",
        "amanda_config": "daily",
        "key_type": "ssh-ed25519",
        "comment": "ana@phone",
        "restore": "own",
        "last_seen_at": None,
        "restorable_since": None,
        "proofs": [],
        "host": None,
        "second_machine": None,
        "lost_at": None,
        "kept_bytes": 0,
        "kept_volumes": [],
        "state": "never",
        "is_exposed": False,
        "exposure": {"used_seconds": None, "is_least": False, "as_of": None},
    }
    row, key = [line for line in desk.run("clients").stdout.splitlines() if "phone" in line]
    assert row.split() == ["phone", "daily", "own", "never", "-"]
    assert key.split() == ["phone:", "ssh-ed25519", fingerprint]


def test_a_client_that_is_lost_is_told_and_shown_until_it_is_found(desk: Desk) -> None:
    """Though it has no backup; the same command changes nothing more, but for the invitation."""
    assert desk.run("lost", "phone").returncode == 65
    assert desk.enroll("phone", desk.phone).returncode == 0
    before = desk.text
    said = desk.run("lost", "phone")
    assert said.returncode == 0, said.stderr
    assert "phone is lost since" in said.stdout
    assert "there is no backup of phone to be kept" in said.stderr
    assert "asyncamanda setup " in said.stdout
    first = answer(desk.run("lost", "phone", "--json"))
    again = answer(desk.run("lost", "phone", "--json"))
    assert first["lost_at"] == again["lost_at"]
    assert first["invitation"]["code"] != again["invitation"]["code"]
    renamed = desk.run("rename", "phone", "phone-2")
    assert (renamed.returncode, "phone is lost" in renamed.stderr) == (77, True)
    (client,) = answer(desk.run("clients", "--json"))
    assert client["lost_at"] == first["lost_at"]
    shown = " ".join(desk.run("clients").stdout.split())
    assert "phone is lost since" in shown
    found = answer(desk.run("found", "phone", "--json"))
    assert (found["outcome"], found["full"]) == ("found", [])
    assert desk.run("found", "phone").stdout.startswith("phone is not lost")
    assert before in desk.text  # beside the invitations that nobody can use
    invitations = answer(desk.run("invite", "--list", "--json"))
    assert {one["state"] for one in invitations} == {"withdrawn"}
    assert desk.run("revoke", "phone").returncode == 0
    assert desk.run("found", "phone").returncode == 65


def test_a_client_may_not_restore_until_that_is_allowed_again(desk: Desk) -> None:
    """Another key does not allow it, nor does enrolling again without saying so."""
    assert desk.enroll("phone", desk.phone).returncode == 0

    def enroll(*words: str) -> str:
        done = desk.run("enroll", "phone", "--json", *words)
        assert done.returncode == 0, done.stderr
        (client,) = answer(desk.run("clients", "--json"))
        assert client["restore"] == answer(done)["restore"]
        return str(client["restore"])

    assert enroll("--no-restore") == "none"
    assert b'--amanda-config daily --no-restore" ssh-ed25519' in desk.text
    assert enroll() == "none"
    other = desk.make_key("/var/backups/.ssh/other")
    assert enroll("--key", other, "--replace") == "none"
    assert enroll("--direct") == "none"
    assert enroll("--restore") == "own"
    assert enroll() == "own"
    both = desk.run("enroll", "phone", "--restore", "--no-restore")
    assert both.returncode == 64


def test_who_is_enrolled_needs_no_key_to_be_enrolled_again(desk: Desk) -> None:
    """It keeps the one that it has, and the way in which Amanda calls it."""
    unknown = desk.run("enroll", "phone")
    assert unknown.returncode == 64, unknown.stderr
    assert "phone is not enrolled yet: its key is needed" in unknown.stderr
    assert desk.enroll("phone", desk.phone, "--direct").returncode == 0
    before = desk.text
    again = desk.run("enroll", "phone", "--json")
    assert again.returncode == 0, again.stderr
    said = answer(again)
    assert (said["outcome"], said["direct"], said["settled"]) == ("unchanged", True, False)
    assert desk.text == before


def test_several_who_enroll_at_once_lose_nobody(desk: Desk) -> None:
    """Eight at a time, each with a key of its own."""
    names = [f"phone{number}" for number in range(8)]
    keys = {name: desk.make_key(f"/tmp/{name}") for name in names}  # noqa: S108 - the laptop's
    programs = [
        desk.start("enroll", name, "--amanda-config", "daily", "--key", key)
        for name, key in keys.items()
    ]
    assert [program.wait(60) for program in programs] == [0] * 8
    for program in programs:
        program.communicate()
    assert {client["client"] for client in answer(desk.run("clients", "--json"))} == set(names)


def _count_open(desk: Desk, folder: str) -> int:
    """Return how many processes have this folder of the server's open."""
    argv = ["sh", "-c", "readlink /proc/[0-9]*/fd/*"]
    return desk.rig.server.run(argv, check=False).stdout.splitlines().count(folder)


def test_who_finds_it_locked_waits(desk: Desk) -> None:
    """And goes on as soon as the other one is done."""
    holder = desk.rig.server.start(["/usr/bin/python3", "-c", HOLD], user="backup")
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    waiter = desk.start("enroll", "phone", "--amanda-config", "daily", "--key", desk.phone)
    desk.rig.until(lambda: _count_open(desk, "/var/backups/.ssh") == 2, "it tries", 30)
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.Popen.wait(waiter, 1)  # of ten seconds; those of a Program would be stretched
    assert b"--client phone" not in desk.text
    holder.communicate("")
    _, said = waiter.communicate(timeout=20)
    assert waiter.returncode == 0, said
    assert b"--client phone" in desk.text


def test_a_full_disk_leaves_the_file_as_it_was(desk: Desk) -> None:
    """Nobody who could log in before is locked out."""
    before = desk.text
    desk.rig.server.fill_disk()
    try:
        done = desk.enroll("phone", desk.phone, "--json")
    finally:
        desk.rig.server.free_disk()
    assert (done.returncode, answer(done)["error"]) == (77, "registry-unusable")
    assert desk.text == before
    assert desk.enroll("phone", desk.phone).returncode == 0


# -- the file alone, without sshd

LOST_AT = datetime(2026, 11, 30, 19, 55, 12, tzinfo=UTC)
ANA = Enrolled("ana", "daily", PublicKey("ssh-ed25519", "AAAAana", "ana"))
BEN = Enrolled("ben", "daily", PublicKey("ssh-ed25519", "AAAAben", "ben"))


def test_the_dispatchers_registry_follows_the_file(tmp_path: Path) -> None:
    """From a file that does not exist yet to one that cannot be read, at the next question."""
    path = tmp_path / "authorized_keys"
    registry = Registry(path)
    assert tuple(entry.client for entry in registry.entries()) == ()
    assert enroll(path, ANA)
    assert not enroll(path, ANA)
    assert enroll(path, BEN)
    assert tuple(entry.client for entry in registry.entries()) == ("ana", "ben")
    assert registry.contains(Identity("ana", "daily"))
    assert not registry.contains(Identity("ana", "weekly"))
    assert not registry.contains(Identity("cem", "daily"))
    assert change(path, lambda text: plan_lost(text, "ana", LOST_AT))
    assert not registry.contains(Identity("ana", "daily"))
    assert change(path, lambda text: plan_found(text, "ana"))
    assert registry.contains(Identity("ana", "daily"))
    assert revoke(path, "ana") == (ANA,)
    assert revoke(path, "ana") == ()
    assert registry.entries() == (BEN,)
    path.unlink()
    assert registry.entries() == ()
    path.mkdir()
    with pytest.raises(LaterError, match="cannot be used"):
        registry.contains(BEN.identity)
    with pytest.raises(RefusedError):
        read_registry(path)
    path.rmdir()
    assert enroll(path, BEN)
    assert registry.contains(BEN.identity)


def test_the_registry_is_not_read_when_nothing_changed(tmp_path: Path) -> None:
    """Asked a thousand times, it looks at the file from outside only."""
    path = tmp_path / "authorized_keys"
    enroll(path, ANA)
    registry = Registry(path)
    first = registry.entries()
    assert all(registry.entries() is first for _ in range(1000))


def test_ssh_finds_who_is_enrolled(tmp_path: Path) -> None:
    """The aliases beside the file follow each change: without those whom Amanda reaches itself."""
    path, beside = tmp_path / "authorized_keys", tmp_path / ssh_aliases.ALIASES

    def hosts() -> list[str]:
        text = beside.read_text()
        return [line.split()[1] for line in text.splitlines() if line.startswith("Host ")]

    assert enroll(path, ANA)
    assert hosts() == ["ana"]
    assert beside.stat().st_mode & 0o777 == 0o600
    assert enroll(path, BEN)
    assert hosts() == ["ana", "ben"]
    assert beside.read_text() == ssh_aliases.render_aliases(["ana", "ben"])
    assert enroll(path, replace(ANA, is_direct=True))
    assert hosts() == ["ben"]
    assert enroll(path, ANA)
    assert hosts() == ["ana", "ben"]
    revoke(path, "ben")
    assert hosts() == ["ana"]
    revoke(path, "ana")
    assert hosts() == []


def test_aliases_that_were_lost_come_back_with_the_next_change(tmp_path: Path) -> None:
    """Or by enrolling again who is enrolled already; a file that is right is not written."""
    path, beside = tmp_path / "authorized_keys", tmp_path / ssh_aliases.ALIASES
    enroll(path, ANA)
    text, written = beside.read_text(), beside.stat()
    assert not enroll(path, ANA)
    assert beside.stat().st_ino == written.st_ino
    beside.unlink()
    assert not enroll(path, ANA)
    assert beside.read_text() == text
    beside.write_text("Host x\n")
    revoke(path, "nobody")
    assert beside.read_text() == text


def test_aliases_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    """Amanda would not reach the client."""
    path = tmp_path / "authorized_keys"
    (tmp_path / ssh_aliases.ALIASES).mkdir()
    with pytest.raises(RefusedError):
        enroll(path, ANA)
    assert read_registry(path) == ()  # it would come in, and be taken for one that is away


def test_a_client_is_revoked_though_the_aliases_cannot_be_written(tmp_path: Path) -> None:
    """It is told, but the key is out first."""
    path, beside = tmp_path / "authorized_keys", tmp_path / ssh_aliases.ALIASES
    enroll(path, ANA)
    beside.unlink()
    beside.mkdir()
    with pytest.raises(RefusedError):
        revoke(path, "ana")
    assert read_registry(path) == ()


def test_sessions_end_though_the_aliases_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a key that cannot be taken out leave them; who is revoked has nothing any more."""
    path, beside, ended = tmp_path / "authorized_keys", tmp_path / ssh_aliases.ALIASES, []

    def end_sessions(client: str) -> int:
        assert read_registry(path) == ()
        ended.append(client)
        return 1

    enroll(path, ANA)
    beside.unlink()
    beside.mkdir()
    monkeypatch.setattr(revoke_command, "load_as_amanda_user", lambda _words: ServerConfig())
    monkeypatch.setattr(revoke_command, "registry_path", lambda _user: path)
    monkeypatch.setattr(revoke_command, "end_sessions", end_sessions)
    words = argparse.Namespace(client="ana", json=False)
    with pytest.raises(RefusedError):
        revoke_command.run(words)
    assert ended == ["ana"]


def test_the_dispatcher_knows_whom_it_has_to_relay(tmp_path: Path) -> None:
    """By key and configuration; nobody who is not enrolled."""
    path = tmp_path / "authorized_keys"
    registry = Registry(path)
    assert not registry.is_relayed(ANA.identity)
    enroll(path, ANA)
    enroll(path, replace(BEN, is_direct=True))
    assert registry.is_relayed(ANA.identity)
    assert registry.contains(BEN.identity)
    assert not registry.is_relayed(BEN.identity)
    assert not registry.is_relayed(Identity("ana", "weekly"))
    enroll(path, BEN)
    assert registry.is_relayed(BEN.identity)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Where the file is kept elsewhere, it is changed there."""
    (tmp_path / "kept").mkdir()
    place = tmp_path / "kept" / "keys"
    place.write_text("# mine\n")
    path = tmp_path / "authorized_keys"
    path.symlink_to(place)
    enroll(path, ANA)
    assert path.is_symlink()
    assert place.read_text().startswith("# mine\nrestrict,command=")

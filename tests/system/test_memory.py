"""What the agent remembers survives crashes, damage and full disks."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncamanda.client.state.memory import decode_memory, encode_memory, read_memory
from asyncamanda.core.model import Memory, Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Rig

DAMAGES = {
    "empty": b"",
    "cut off": b'{"format": 2, "since": "20',
    "no text": b"\xff\xfe\x00\x80",
    "zeros": bytes(4096),
    "another kind": b"[]",
    "nothing": b"null",
    "an older format": b'{"format": 1}',
    "a later format": b'{"format": 3}',
    "a key missing": b'{"format": 2}',
    "a time without a zone": b'{"format":2,"since":"2026-01-01T00:00:00","confirmed":[],'
    b'"distrusted":[],"started":null,"attempts":[],"dles":null,"asked_at":null,"not_before":null}',
    "a time out of bounds": b'{"format":2,"since":"0001-01-01T00:00:00+14:00","confirmed":[],'
    b'"distrusted":[],"started":null,"attempts":[],"dles":null,"asked_at":null,"not_before":null}',
    "a number out of bounds": b'{"format":2,"since":"2026-01-01T00:00:00+00:00","confirmed":[],'
    b'"distrusted":[],"started":{"started_at":"2026-01-01T00:00:00+00:00",'
    b'"alive_at":"2026-01-01T00:00:00+00:00","pid":Infinity,"run":""},"attempts":[],'
    b'"dles":null,"asked_at":null,"not_before":null}',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_of_every_kind_is_recognised(tmp_path: Path, damage: bytes) -> None:
    """What cannot be read is named; nothing that amandates says up to now is believed then."""
    (tmp_path / "memory.json").write_bytes(damage)
    now = datetime.now(UTC)
    memory, said = read_memory(tmp_path, now)
    assert said
    assert "memory.json is damaged" in said
    assert now - timedelta(days=9) in memory.distrusted[0]
    assert now in memory.distrusted[0]


def test_a_damaged_memory_is_set_aside_and_a_backup_made(rig: Rig) -> None:
    """It may have held that the last run failed, so amandates alone is not believed."""
    assert rig.wait(rig.classic("dump /home")).exit == 0
    folder = rig.state_folder()
    rig.set_dumped(ago=60)
    (folder / "memory.json").write_bytes(DAMAGES["cut off"])
    done = rig.wait(rig.classic("dump /home"))
    assert done.exit == 0
    assert "backed up" in done.stdout
    assert "memory.json is damaged" in done.stderr
    (aside,) = folder.glob("memory.json.damaged-*")
    assert aside.read_bytes() == DAMAGES["cut off"]
    assert aside.name in done.stderr
    assert rig.memory().attempts[-1].outcome is Outcome.BACKED_UP


def test_a_damaged_memory_is_shown_and_not_touched_by_who_only_looks(rig: Rig) -> None:
    """`check`, `status` and `history` change nothing."""
    rig.configure()
    assert rig.run("run").exit == 0
    memory = rig.state_folder() / "memory.json"
    memory.write_bytes(b"{")
    for words in (["check"], ["status"], ["history"]):
        done = rig.run(*words)
        assert done.exit == 0
        assert "memory.json is damaged" in done.stdout
        assert words == ["check"] or "memory.json is damaged" in done.stdout.splitlines()[0]
    assert memory.read_bytes() == b"{"


def test_a_kill_at_any_moment_of_a_run_leaves_a_whole_memory(rig: Rig) -> None:
    """Killed again and again, later each time: what is there can always be read."""
    rig.configure(settle="1s")
    whole = rig.run("run", "--force")
    assert whole.exit == 0
    moments = [whole.seconds * (0.4 + 0.075 * step) for step in range(8)]
    outcomes = set()
    for moment in moments:
        agent = rig.start("run", "--force")
        try:
            agent.wait(moment)
        except subprocess.TimeoutExpired:
            agent.kill()
        agent.communicate()
        outcomes.add(rig.memory().started is None)
        rig.until(lambda: not rig.ssh_processes(), "ssh dies with the agent")
    assert True in outcomes
    assert not list(rig.state_folder().glob("*.damaged-*"))
    rig.until(lambda: rig.run("run", "--force").exit == 0, "it settles and works", 10)


def test_a_kill_at_any_moment_of_writing_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """The writer is killed in the middle of its work, over and over."""
    code = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from asyncamanda.client.state.memory import write_memory
from asyncamanda.core.model import Attempt, Memory, Outcome
now = datetime.now(UTC)
attempts = [Attempt(now, now, Outcome.FAILED, "x" * 5000) for _ in range(50)]
while True:
    for count in (1, 50):
        write_memory(Path(sys.argv[1]), Memory(since=now, attempts=tuple(attempts[:count])))
        print(count, flush=True)
"""
    for number in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout
        for _ in range(2 + number):
            assert writer.stdout.readline().strip() in {"1", "50"}
        writer.kill()
        writer.communicate()
        kept = decode_memory((tmp_path / "memory.json").read_text())
        assert len(kept.attempts) in {1, 50}


def test_a_full_disk_stops_it_before_the_command(rig: Rig) -> None:
    """Nothing is started whose end could not be remembered."""
    rig.laptop.fill_disk()
    try:
        done = rig.wait(rig.classic("mark; dump /home"))
    finally:
        rig.laptop.free_disk()
    assert (done.exit, rig.marks()) == (75, 0)
    assert "cannot be written: No space left on device" in done.stderr
    assert "Free some space there" in done.stderr


def test_a_state_folder_with_hardly_any_room(rig: Rig) -> None:
    """The lock still fits, the memory does not: the command is not started."""
    rig.configure(command="mark; dump /home")
    inner = f"{rig.state}/client"
    rig.laptop.make_directory(inner)
    rig.laptop.run(["mount", "-t", "tmpfs", "-o", "size=4096", "small", inner])
    try:
        done = rig.run("run")
        left = {path.name for path in rig.laptop.path(inner).iterdir()}
    finally:
        rig.laptop.run(["umount", inner])
    assert (done.exit, rig.marks(), left) == (75, 0, {"lock"})
    assert "cannot be written: No space left on device" in done.stderr


def test_a_full_disk_at_the_end_of_a_run_makes_it_doubtful(rig: Rig) -> None:
    """A success that cannot be remembered is no success; the next start finds it out."""
    rig.configure(command="mark; dump /home; hold", settle="1s")
    agent = rig.start("run")
    rig.hold()
    rig.laptop.fill_disk()
    try:
        rig.let_go()
        done = rig.wait(agent)
    finally:
        rig.laptop.free_disk()
    assert done.exit == 75
    assert "cannot be written: No space left on device" in done.stderr
    rig.until(lambda: rig.run("run").exit == 0, "it settles, and is made again", 10)
    assert rig.marks() == 2


def test_no_room_for_a_folder_is_later_too(rig: Rig) -> None:
    """Where root cannot even make the state's folder: room can be made."""
    rig.configure()
    rig.laptop.make_directory(rig.state)
    rig.laptop.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "small", rig.state])
    try:
        done = rig.run("run", "--json")
    finally:
        rig.laptop.run(["umount", rig.state])
    assert done.json["error"] == "state-not-writable"
    assert "No space left on device" in done.json["message"]
    assert done.exit == 75


@pytest.mark.parametrize("where", ["another's", "read-only"])
def test_a_state_folder_that_may_not_be_written(rig: Rig, where: str) -> None:
    """That does not pass by itself: refused, with the reason."""
    rig.laptop.make_directory("/srv/state", owner="root" if where == "another's" else "backup")
    mounted = where == "read-only"
    if mounted:
        rig.laptop.run(["mount", "-t", "tmpfs", "-o", "ro", "still", "/srv/state"])
    try:
        agent = rig.classic("mark", user="backup", environ={"XDG_STATE_HOME": "/srv/state"})
        done = rig.wait(agent)
    finally:
        if mounted:
            rig.laptop.run(["umount", "/srv/state"])
    assert (done.exit, rig.marks()) == (77, 0)
    assert "/srv/state/asyncamanda" in done.stderr
    assert "cannot be written" in done.stderr


# -- stale


def _remember_since(rig: Rig, ago: timedelta) -> None:
    memory = Memory(since=datetime.now(UTC) - ago)
    (rig.state_folder() / "memory.json").write_text(encode_memory(memory))


def test_polite_waiting_cannot_hide_a_dead_backup(rig: Rig) -> None:
    """101 in place of 75, loud, once the last backup is older than `stale_after`."""
    rig.configure(server="backup@amanda:2222", stale_after="3d")
    rig.set_dumped(ago=2 * 86400)
    assert rig.run("run").exit == 75
    rig.set_dumped(ago=4 * 86400)
    done = rig.run("run")
    assert done.exit == 101
    assert "the last backup is 4d" in done.stderr
    assert "old; last attempt: amanda refused the connection" in done.stderr
    assert rig.run("run", "--json").json["error"] == "stale"
    assert "STALE" in rig.run("status").stdout


def test_never_backed_up_is_stale_after_as_long(rig: Rig) -> None:
    """Counted from when the agent first looked."""
    rig.configure(server="backup@amanda:2222", stale_after="3d")
    assert rig.run("run").exit == 75
    _remember_since(rig, timedelta(days=4))
    done = rig.run("run")
    assert done.exit == 101
    assert re.search(r"no backup since this client was set up 4d( \d+s)? ago", done.stderr)


def test_stale_replaces_nothing_but_later(rig: Rig) -> None:
    """A refusal stays one."""
    rig.configure(server="carol@amanda", stale_after="3d")
    rig.set_dumped(ago=4 * 86400)
    assert rig.run("run").exit == 77

"""What a start leaves behind: who hears of it, and when the next one tries again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.system.conftest import PYTHON
from tests.system.desktops import lend_desktops, notify_table
from tests.system.test_contact import DAY, FRESH, run_later
from tests.system.test_gate_client import GATE, Gate, forced

from asyncamanda.core.model import BackupState, Outcome

if TYPE_CHECKING:
    from tests.system.conftest import Rig

EARS = "/srv/ears"  # on the laptop: what was heard
SENDMAIL = "/usr/local/sbin/sendmail"
SENDMAIL_SCRIPT = f"""\
#!/bin/sh
test ! -e {EARS}/deaf || exit 1
sed -n 's/^X-Asyncamanda-Alert: //p' >>{EARS}/mails
"""
PING = "http://127.0.0.1:10090/key"
# notes whom it is asked for before it answers
WATCHDOG = f"""\
import socket
listener = socket.create_server(("127.0.0.1", 10090))
print("ready", flush=True)
while True:
    asker, _ = listener.accept()
    with asker, asker.makefile("rwb") as stream:
        path = stream.readline().split()[1].decode()
        length = 0
        while line := stream.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        stream.read(length)
        with open("{EARS}/pings", "a") as file:
            print(path, file=file)
        stream.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
"""
START, SUCCESS, FAILURE = "/key/start", "/key", "/key/fail"
NOBODY = "backup@amanda:2222"  # listens there
STRANGER = "carol@amanda"  # who has no key
OLD = 4 * 86400  # seconds: stale, where that is after three days
ALICE = 41_001  # which no machine gives away
# as systemd starts a unit whose stderr is the journal
IN_THE_JOURNAL = f"""\
exec 2>/srv/journal
JOURNAL_STREAM=$(stat -c %d:%i /srv/journal) exec {PYTHON} -m asyncamanda run
"""


@dataclass(frozen=True, slots=True)
class Ears:
    """The laptop, and who hears of its backups: root by mail, and a watchdog."""

    rig: Rig

    def configure(self, *, desktop: bool = False, textfile: str | None = None, **keys: Any) -> None:
        """Write a client.toml that tells both of them; `keys` change what else it says."""
        self.rig.configure(**keys)
        more: dict[str, object] = {"textfile": textfile} if textfile else {}
        notify_table(self.rig, desktop=desktop, mail="root", ping=PING, **more)

    def mails(self) -> list[str]:
        """Return the kinds of alerts that were mailed since the last question."""
        return self._take("mails")

    def pings(self) -> list[str]:
        """Return the paths that were called since the last question."""
        return self._take("pings")

    def _take(self, name: str) -> list[str]:
        path = self.rig.laptop.path(f"{EARS}/{name}")
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def ears(rig: Rig) -> Iterator[Ears]:
    """Yield the laptop with a sendmail, and with a watchdog on loopback."""
    rig.laptop.make_directory(EARS, owner="backup")
    rig.laptop.write(SENDMAIL, SENDMAIL_SCRIPT, mode=0o755)
    watchdog = rig.laptop.start(["/usr/bin/python3", "-S", "-c", WATCHDOG])
    assert watchdog.stdout
    assert watchdog.stdout.readline() == "ready\n"
    try:
        yield Ears(rig)
    finally:
        watchdog.kill()
        watchdog.communicate()
        rig.laptop.remove(SENDMAIL)


@contextmanager
def small_state(rig: Rig, size: int) -> Iterator[str]:
    """Give the agent's memory a disk of its own, of `size` bytes; yield where it is."""
    place = f"{rig.state}/client"
    rig.laptop.make_directory(place)
    rig.laptop.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", place])
    try:
        yield place
    finally:
        rig.laptop.run(["umount", place])


# -- a watchdog for each client


@pytest.mark.parametrize(("name", "called"), [(None, "laptop"), ("lap-top_2", "lap-top_2")])
def test_a_watchdog_is_called_by_the_client_s_name(
    ears: Ears, name: str | None, called: str
) -> None:
    """The host's, or the one that client.toml has: one such file is enough for all laptops."""
    named: dict[str, Any] = {"name": name} if name else {}
    ears.rig.configure(**named)
    notify_table(ears.rig, desktop=False, ping=f"{PING}/{{client}}")
    assert ears.rig.run("run").exit == 0
    assert ears.pings() == [f"/key/{called}/start", f"/key/{called}"]


# -- once a month


def test_a_month_of_use_is_told_once_if_that_is_wanted(ears: Ears) -> None:
    """By the agent's own record of use; of a month without one nothing is said."""
    ears.configure()
    assert ears.rig.run("run").exit == 0
    folder = ears.rig.state_folder()
    month = datetime.now(UTC).replace(day=1) - timedelta(days=15)
    for name, changed in (
        ("memory.json", {"since": (month - timedelta(days=99)).isoformat()}),
        ("use.json", {"days": {f"{month.date()}": 9000.0}}),
    ):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    for wanted, mails in ((False, []), (True, ["monthly"]), (True, [])):
        notify_table_of(ears, monthly=wanted)
        assert ears.rig.run("run", "--force").exit == 0
        assert ears.mails() == mails


def notify_table_of(ears: Ears, *, monthly: bool) -> None:
    """Write a client.toml by which root is told by mail, and of each month if that is wanted."""
    ears.rig.configure()
    notify_table(ears.rig, desktop=False, mail="root", monthly=monthly)


# -- a change is told once


def test_a_failure_and_its_end_are_told_once(ears: Ears) -> None:
    """People hear of the change, the watchdog of each run."""
    ears.configure(command="exit 1")
    assert [ears.rig.run("run").exit for _ in range(5)] == [100] * 5
    assert (ears.mails(), ears.pings()) == (["failed"], [START, FAILURE] * 5)
    ears.configure(command="dump /home")
    assert ears.rig.run("run").exit == 0
    assert (ears.mails(), ears.pings()) == (["recovered"], [START, SUCCESS])
    assert [ears.rig.run("run").exit for _ in range(2)] == [0, 0]
    assert (ears.mails(), ears.pings()) == ([], [])


def test_a_stale_backup_is_told_once(ears: Ears) -> None:
    """However many starts do not reach the server; the watchdog hears of none of them."""
    ears.rig.set_dumped(ago=OLD)
    ears.configure(server=NOBODY, stale_after="3d")
    assert [ears.rig.run("run").exit for _ in range(3)] == [101] * 3
    assert (ears.mails(), ears.pings()) == (["stale"], [])
    ears.configure(stale_after="3d")
    assert ears.rig.run("run").exit == 0
    assert (ears.mails(), ears.pings()) == (["recovered"], [START, SUCCESS])


def test_a_failure_that_another_run_made_good_is_over(ears: Ears) -> None:
    """It is told so, once, and the failure not again when the server is away later."""
    ears.configure(command="exit 1")
    assert ears.rig.run("run").exit == 100
    assert (ears.mails(), ears.pings()) == (["failed"], [START, FAILURE])
    ears.rig.set_dumped(ago=-1)
    assert [ears.rig.run("run").exit for _ in range(2)] == [0, 0]
    assert ears.mails() == ["recovered"]
    ears.configure(server=NOBODY, interval="0.001s")
    ears.rig.until(lambda: ears.rig.run("run").exit == 75, "one is due again", 5)
    assert ears.rig.memory().attempts[-1].outcome is Outcome.UNREACHABLE
    assert (ears.mails(), ears.rig.memory().told) == ([], {})


def test_a_refusal_is_told_once_though_the_last_backup_is_fresh(ears: Ears) -> None:
    """Each one is one ping; it stands until the server accepts this client."""
    ears.rig.set_dumped(ago=60)
    ears.configure(server=STRANGER)
    for mails in (["failed"], []):
        assert ears.rig.run("run", "--force").exit == 77
        assert (ears.mails(), ears.pings()) == (mails, [FAILURE])
        assert ears.rig.run("run").exit == 0  # nothing is due
        assert (ears.mails(), ears.pings()) == ([], [])
    assert ears.rig.memory().told["mail"] is BackupState.FAILED
    ears.configure()
    assert ears.rig.run("run", "--force").exit == 0
    assert (ears.mails(), ears.pings()) == (["recovered"], [START, SUCCESS])


def test_a_refusal_while_a_backup_is_due_is_one_ping(ears: Ears) -> None:
    """Each of them; people are told about the first."""
    ears.configure(server=STRANGER)
    assert [ears.rig.run("run").exit for _ in range(2)] == [77, 77]
    assert (ears.mails(), ears.pings()) == (["failed"], [FAILURE] * 2)


@pytest.mark.parametrize(
    "spoil",
    ["chmod 000 /var/lib/amanda/amandates", "rm /var/lib/amanda/amandates", "chmod 644 /srv/word"],
)
def test_what_keeps_every_start_from_backing_up_is_told_once(ears: Ears, spoil: str) -> None:
    """Be it a permission here: no server is asked, and there is a ping for each start."""
    word: dict[str, Any] = {"password_file": "/srv/word"} if "word" in spoil else {}
    ears.rig.laptop.write("/srv/word", "secret\n", owner="backup", mode=0o600)
    ears.configure(**word)
    before = ears.rig.server.connections
    ears.rig.laptop.run(["/bin/sh", "-c", spoil])
    done = [ears.rig.run("run") for _ in range(3)]
    assert all(one.exit in {65, 77, 78} for one in done), done
    assert (ears.mails(), ears.pings()) == (["failed"], [FAILURE] * 3)
    assert ears.rig.server.connections == before
    (attempt,) = ears.rig.memory().attempts
    assert (attempt.outcome, attempt.times) == (Outcome.REFUSED, 3)
    ears.rig.laptop.write("/var/lib/amanda/amandates", "", owner="backup", mode=0o660)
    ears.configure()
    assert ears.rig.run("run").exit == 0
    assert (ears.mails(), ears.pings()) == (["recovered"], [START, SUCCESS])


def test_a_channel_that_was_not_reached_is_told_by_the_next_start(ears: Ears) -> None:
    """Even if that one comes to no verdict; what was reached is not told twice."""
    ears.rig.laptop.write(f"{EARS}/deaf", "")
    ears.configure(command="exit 1", desktop=True)
    assert ears.rig.run("run").exit == 100
    assert ears.rig.memory().told == dict.fromkeys(("journal", "desktop"), BackupState.FAILED)
    left = ears.rig.state_folder() / "desktop.json"
    before = left.read_text()
    ears.rig.laptop.remove(f"{EARS}/deaf")
    ears.rig.server.stop_sshd()
    try:
        assert [ears.rig.run("run").exit for _ in range(2)] == [75, 75]
    finally:
        ears.rig.server.start_sshd()
    assert (ears.mails(), left.read_text()) == (["failed"], before)


def test_a_greeting_that_came_to_nothing_is_no_news(ears: Ears) -> None:
    """Nothing is due: the watchdog hears of no backup, and nobody of a trouble."""
    rig = ears.rig
    rig.server.write("/usr/local/bin/scripted-gate", GATE, mode=0o755)
    with forced(rig, "scripted-gate"):
        gate = Gate(rig)
        gate.play(FRESH, interval="1 week", on_battery="allow")
        notify_table(rig, mail="root", ping=PING)
        assert (rig.run("run").exit, ears.mails(), ears.pings()) == (0, [], [SUCCESS])
        rig.server.stop_sshd()
        try:
            assert run_later(gate, DAY).exit == 0
        finally:
            rig.server.start_sshd()
    assert gate.outcomes() == [Outcome.UNREACHABLE]
    assert (ears.mails(), ears.pings()) == ([], [])


# -- where nothing can be remembered


def test_who_cannot_be_remembered_is_not_told(ears: Ears) -> None:
    """Or people would be told at each start."""
    ears.rig.set_dumped(ago=OLD)
    ears.configure(server=NOBODY, stale_after="3d")
    with small_state(ears.rig, 4096):  # the lock fits
        done = [ears.rig.run("run") for _ in range(3)]
    assert [one.exit for one in done] == [101] * 3
    assert all("cannot be written: No space left on device" in one.stderr for one in done)
    assert (ears.mails(), ears.pings()) == ([], [])


def test_the_watchdog_hears_of_a_failure_that_cannot_be_remembered(ears: Ears) -> None:
    """It is told about each run anyway; people are told about what can be remembered."""
    ears.configure(command="hold; exit 1")
    with small_state(ears.rig, 65_536) as place:
        agent = ears.rig.start("run")
        ears.rig.hold()
        used = os.statvfs(ears.rig.laptop.path(place))
        size = (used.f_blocks - used.f_bfree) * used.f_frsize
        ears.rig.laptop.run(["mount", "-o", f"remount,size={size}", place])
        ears.rig.let_go()
        done = ears.rig.wait(agent)
    assert done.exit == 100
    assert "cannot be written: No space left on device" in done.stderr
    assert (ears.mails(), ears.pings()) == ([], [START, FAILURE])


# -- when the next one tries


def test_the_journal_is_nobody_who_waits(rig: Rig) -> None:
    """Each line is shown there, and a wait after a unsuccessful try is heeded."""
    rig.configure(command="exit 1", retry_within="1h")
    assert rig.run("run").exit == 100
    before = rig.server.connections
    done = rig.laptop.run(["/bin/sh", "-c", IN_THE_JOURNAL], check=False)
    assert (done.returncode, rig.server.connections) == (75, before)
    assert "; the next try is at " in rig.laptop.read("/srv/journal")


def test_a_wait_grows_while_no_run_is_reached(rig: Rig) -> None:
    """It starts again with another end, and a backup ends it."""
    steps: tuple[tuple[dict[str, Any], int, int], ...] = (
        ({"server": NOBODY}, 75, 1),
        ({"server": NOBODY}, 75, 2),
        ({"server": STRANGER}, 77, 1),
        ({"command": "exit 1"}, 100, 0),
        ({"server": NOBODY}, 75, 1),
        ({}, 0, 0),
    )
    for keys, exits, tries in steps:
        rig.configure(retry_within="1h", **keys)
        assert rig.run("run", "--force").exit == exits
        memory = rig.memory()
        assert (memory.tries, memory.retry_at is None) == (tries, tries == 0)


def test_a_wait_after_commands_that_fail_grows_up_to_the_interval(rig: Rig) -> None:
    """Each takes what a whole run takes; it is shown when the next is, and a backup ends it."""
    rig.configure(command="mark; exit 1", retry_within="1h", interval="3h")
    for hours in (1, 2, 2.91, 2.91):
        assert rig.run("run", "--force").exit == 100
        ended_at = rig.memory().attempts[-1].ended_at
        wait = _retry_at(rig) - ended_at
        assert timedelta(hours=hours) / 2 <= wait <= timedelta(hours=hours)
    assert [rig.run("run").exit for _ in range(2)] == [75, 75]
    assert rig.marks() == 4
    rig.configure(retry_within="1h", interval="3h")
    assert rig.run("run", "--force").exit == 0
    assert rig.run("status", "--json").json["retry_at"] is None


def _retry_at(rig: Rig) -> datetime:
    return datetime.fromisoformat(rig.run("status", "--json").json["retry_at"])


@pytest.mark.parametrize(
    ("keys", "exits"), [({"command": "exit 1"}, 100), ({"server": NOBODY}, 75)]
)
def test_another_run_ends_a_wait(rig: Rig, keys: dict[str, Any], exits: int) -> None:
    """Whether or not people were told; what was unsuccessful after that is a first try again."""
    rig.configure(retry_within="1h", **keys)
    assert rig.run("run").exit == exits
    assert _retry_at(rig)
    rig.set_dumped(ago=-1)
    assert rig.run("run").exit == 0
    assert (rig.memory().tries, rig.memory().retry_at, rig.memory().seen) == (0, None, "")
    assert rig.run("status", "--json").json["retry_at"] is None


# -- the text file, and silence


def test_the_text_file_is_of_the_last_look(ears: Ears) -> None:
    """Of one that finds nothing due, too."""
    path = f"{EARS}/asyncamanda.prom"

    def gauges() -> list[str]:
        lines = ears.rig.laptop.read(path).splitlines()
        names = {f"asyncamanda_{name}" for name in ("deferred", "overdue", "stale")}
        return [line[12:] for line in lines if line.split()[0] in names]

    for ago, elsewhere, exits, gauged in (
        (2 * 86400, True, 75, ["stale 0.0", "overdue 1.0", "deferred 1.0"]),
        (60, True, 0, ["stale 0.0", "overdue 0.0", "deferred 0.0"]),
        (OLD, False, 101, ["stale 1.0", "overdue 1.0", "deferred 0.0"]),
    ):
        ears.rig.set_dumped(ago=ago)
        at_home: dict[str, Any] = {"networks": ["home"], "unknown": "refuse"} if elsewhere else {}
        ears.configure(server=NOBODY, stale_after="3d", textfile=path, **at_home)
        assert (ears.rig.run("run").exit, gauges()) == (exits, gauged)


def test_one_that_runs_already_is_no_news(ears: Ears) -> None:
    """Without a terminal nothing is said, even of a stale backup, which that one may bring."""
    ears.rig.set_dumped(ago=OLD)
    ears.configure(command="hold; dump /home", stale_after="3d")
    agent = ears.rig.start("run")
    ears.rig.hold()
    second = ears.rig.run("run")
    asked = ears.rig.run("run", "-v")
    assert (second.exit, second.stdout, second.stderr) == (75, "", "")
    assert (asked.exit, "a backup is running already: pid" in asked.stderr) == (75, True)
    assert ears.mails() == []
    ears.rig.let_go()
    assert ears.rig.wait(agent).exit == 0


def test_what_is_shown_on_a_desktop_is_not_printed_to_nobody(ears: Ears) -> None:
    """Cron would send a mail of it."""
    ears.configure(command="exit 1", desktop=True)
    assert ears.rig.run("run").exit == 100
    with lend_desktops(ears.rig) as desktops:
        desktops.log_in("alice", ALICE)
        done = ears.rig.run("notify", "--desktop")
        assert (done.exit, done.stdout, done.stderr) == (0, "", "")
        (line,) = desktops.shown(ALICE)
    assert "the backup of laptop failed" in line

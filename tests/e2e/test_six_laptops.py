"""Two weeks of six laptops: what their administrator sees each evening, and hears of.

The whole story is in six-laptops.golden; `UPDATE_GOLDEN=1 ./test e2e -k six_laptops` writes it
again: read what has changed in it. Amanda, sshd and what is dumped are real, and days pass by the
clock of asyncamanda alone. Of hours of use the test says how many they were.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import unified_diff
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import DISK, SLOW, STATE, Office, ends, open_office

from lab import Client

STORY = Path(__file__).with_name("six-laptops.golden")
LAPTOPS = ("broken", "cut", "drawer", "holiday", "new", "replaced")
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
MAILS = "/srv/mails"
LOCK = f"{STATE}/refresh.lock"
EVENING = 18
USED = timedelta(hours=8)  # each day on which a laptop is here
RULES = {"interval": "20h", "stale_after_use": "20h"}
_SENDMAIL = f"#!/bin/sh\ncat >{MAILS}/$(ls {MAILS} | wc -l)\n"
_VARYING = (  # what is not the same each time, to the minute
    (re.compile(r"\b\d\d:\d\d\b"), "hh:mm"),
    (re.compile(r"\b(\d+h) \d+[ms]\b"), r"\1"),
    (re.compile(r"sendsize\.\d+"), "sendsize.TIME"),
)
_USE = "/var/lib/asyncamanda/client/use.json"


class SixLaptops:
    """The office, day after day, and what was written down of it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.story: list[str] = []
        self.machines = {name: office.client(name) for name in LAPTOPS}
        self._mails = 0
        self._lock: subprocess.Popen[str] | None = None

    def set_up(self) -> None:
        """Let five laptops be enrolled, and mails be kept."""
        office = self.office
        self.at(0, 8)
        office.fill(*LAPTOPS)
        office.set_up(notify={"mail": "root", "digest": "weekly"})
        for name in ("new", "spare"):
            office.ask("server", "revoke", name)
        for client in office.lab.clients.values():
            office.configure_agent(client, **RULES)
        self.date_registry()
        office.server.make_directory(MAILS, owner="backup")
        office.server.write("/usr/local/sbin/sendmail", _SENDMAIL, mode=0o755)

    def at(self, day: int, hour: int) -> None:
        """Let it be that day, at that hour."""
        when = MONDAY + timedelta(days=day, hours=hour, minutes=30 if hour == EVENING else 0)
        self.office.shift_clocks(when - datetime.now(UTC))

    def work(self, day: int, *here: str) -> None:
        """Let those be backed up who are here in the morning, and be used until the evening."""
        self.at(day, 8)
        self.refresh()
        self.at(day, 9)
        agents = [self.machines[name].start([ASYNCAMANDA, "run"]) for name in here]
        ends(agents, 240)
        self.office.wait_idle()
        for name in here:
            self.use(name)

    def use(self, name: str) -> None:
        """Let a laptop have been used for a day, as one of its starts would have counted it."""
        machine = self.machines[name]
        record = json.loads(machine.read(_USE))
        record["used"] += USED.total_seconds()
        mark, at = record["marks"][-1], datetime.fromisoformat(record["last"][1]) + USED
        record["last"][1] = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        record["marks"].append([record["last"][1], record["used"], mark[2]])
        machine.write(_USE, json.dumps(record), owner="backup", mode=0o600)

    def look(self, day: int) -> None:
        """Refresh in the evening, and write down what is seen and was mailed."""
        self.at(day, EVENING)
        self.refresh()
        fleet = json.loads(self.office.ask("server", "fleet", "--json").stdout)
        self.story.append(f"== {MONDAY + timedelta(days=day):%a %d %b}")
        for each in fleet["clients"]:
            alarm = "  ALARM" if each["alarm"] else ""
            self.story.append(f"{each['client']:<9} {each['state']:<9} {each['sentence']}{alarm}")
        for mail in self._new_mails():
            self.story += [f"  | {line}".rstrip() for line in mail.splitlines()]

    def refresh(self) -> None:
        """Have the clients examined, which the dispatcher may do now, too; and not before again."""
        if self._lock:
            self._lock.kill()
            self._lock.communicate()
        argv = ["server", "refresh"]
        wait_until(
            "they were examined", lambda: self.office.ask(*argv, check=False).returncode == 0
        )
        self._lock = self.office.server.start(["flock", LOCK, "sleep", "3600"], user="backup")

    def _new_mails(self) -> Iterator[str]:
        folder = self.office.server.path(MAILS)
        names = sorted(int(path.name) for path in folder.iterdir())[self._mails :]
        self._mails += len(names)
        for name in names:
            mail = message_from_bytes((folder / str(name)).read_bytes(), policy=default)
            yield f"Subject: {mail['Subject']}"
            yield mail.get_content()

    def lose_in_mid_dump(self, day: int, *others: str) -> None:
        """Let the cable of one be pulled while its dump comes; its user goes home with it."""
        laptop = self.machines["cut"]
        self.at(day, 9)
        laptop.add_tree(DISK, files=1, bytes_each=2_000_000)
        laptop.slow(SLOW)
        agents = [self.machines[name].start([ASYNCAMANDA, "run"]) for name in ("cut", *others)]
        self.office.wait_for_dump("cut")
        laptop.cut()
        ends(agents[1:], 240)
        with suppress(ProcessLookupError):
            agents[0].kill()
        agents[0].communicate()
        self.office.wait_idle()
        laptop.heal()
        for name in ("cut", *others):
            self.use(name)

    def enroll(self, name: str, machine: Client) -> None:
        """Let a machine be enrolled under that name."""
        words = ["--amanda-config", "daily", "--key", machine.backup_key]
        self.office.ask("server", "enroll", name, *words)
        self.date_registry()

    def date_registry(self) -> None:
        """Let authorized_keys be as old as it is by asyncamanda's clock, which files do not have.

        Since when a client is enrolled is known by that, until it was seen.
        """
        server = self.office.server
        at = (datetime.now(UTC) + server.clock_offset).timestamp()
        home = server.account("backup").home
        server.run(["touch", "-d", f"@{at:.0f}", f"{home}/.ssh/authorized_keys"])

    def replace(self) -> None:
        """Let the spare machine take the place of the one that was lost."""
        spare = self.office.client("spare")
        spare.add_tree(DISK)
        self.office.ask("server", "rekey", "replaced", "--key", spare.backup_key)
        self.machines["replaced"] = spare


@pytest.fixture
def weeks(lab_prefix: Path) -> Iterator[SixLaptops]:
    """Yield the office of six laptops and a spare one."""
    with open_office(lab_prefix, *LAPTOPS, "spare") as office:
        weeks = SixLaptops(office)
        weeks.set_up()
        yield weeks


def test_two_weeks_of_six_laptops(weeks: SixLaptops) -> None:
    """A holiday and a drawer are no alarm; a failing disk is, and one that nobody backs up yet."""
    everyday = ("broken", "cut", "holiday", "replaced")
    weeks.work(0, *everyday, "drawer")
    weeks.look(0)
    weeks.work(1, *everyday)
    weeks.look(1)
    weeks.machines["broken"].remove(DISK)
    weeks.work(2, *everyday)
    weeks.look(2)
    weeks.lose_in_mid_dump(3, "broken", "replaced")
    weeks.look(3)
    weeks.office.ask("server", "lost", "replaced")
    weeks.enroll("new", weeks.machines["new"])
    weeks.work(4, "broken")
    for day in (4, 5, 6):
        weeks.look(day)
    weeks.machines["broken"].add_tree(DISK)
    weeks.work(7, "broken", "cut")
    weeks.look(7)
    weeks.replace()
    weeks.work(8, "broken", "cut", "new", "replaced")
    weeks.look(8)
    for day in (9, 10):
        weeks.work(day, "broken", "cut", "new", "replaced")
        weeks.look(day)
    weeks.work(11, *everyday, "new")
    for day in (11, 12, 13, 14):
        weeks.look(day)
    story = "\n".join(weeks.story) + "\n"
    for pattern, word in _VARYING:
        story = pattern.sub(word, story)
    if os.environ.get("UPDATE_GOLDEN"):
        STORY.write_text(story, "utf-8")
    known = STORY.read_text("utf-8")
    differences = list(unified_diff(known.splitlines(), story.splitlines(), lineterm=""))
    assert not differences, "\n".join([*differences, weeks.office.diary])

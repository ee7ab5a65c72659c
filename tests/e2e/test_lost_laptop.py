"""The lost laptop: stolen or destroyed, and then another machine that has to become what it was."""

import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.back import DISKS, SLOW, Past, begin, list_all
from tests.e2e.laptop import ASYNCAMANDA, Run, wait_until
from tests.e2e.office import CONF, DISK, HOLDING, Office, open_office
from tests.e2e.trees import read_tree

from lab import Client

BACK = "/srv/back"
TOWERS = 12_000_000  # bytes of its disk: more than a third of all volumes
REFUSED, NOT_STORED = 77, 100
VTAPES = "/srv/amanda/vtapes"


class Loss:
    """An office whose laptop was dumped three times, on volumes and in the holding disk."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.laptop, self.spare = office.client("laptop"), office.client("spare")
        self.past = Past(office)
        office.client("tower").add_tree(DISK, files=1, bytes_each=100_000)
        office.server.add_dle("tower", DISK)

    def live(self) -> None:
        """Let the laptop live, and be dumped; the last of its dumps are in the holding disk."""
        self.past.set_up()
        self.office.ask("server", "revoke", "spare")
        self.past.live_on()
        self.past.live_on()
        self.past.flush()
        self.past.live_on()

    def lose(self) -> dict[str, Any]:
        """Report the laptop lost; return what is said of it."""
        return dict(json.loads(self.office.ask("server", "lost", "laptop", "--json").stdout))

    def find(self) -> dict[str, Any]:
        """Take that back."""
        return dict(json.loads(self.office.ask("server", "found", "laptop", "--json").stdout))

    def shown(self) -> dict[str, Any]:
        """Return what `server clients` has of the laptop."""
        rows = json.loads(self.office.ask("server", "clients", "--json").stdout)
        return next(row for row in rows if row["client"] == "laptop")

    def go_round(self) -> None:
        """Let others' dumps overwrite every volume that has any of the laptop's."""
        server = self.office.server
        for _ in range(8):
            self.past.flush()
            if not any(server.path(VTAPES).glob("slot*/*.laptop.*")):
                return
            self.office.client("tower").path(f"{DISK}/file-0").write_bytes(os.urandom(TOWERS))
            server.amanda("amadmin", "daily", "force", "tower")
            run = self.office.backup("tower", "--force")
            assert run.returncode == 0, run.stderr + self.office.diary
        raise AssertionError(server.find())

    def replace(self, invitation: dict[str, Any]) -> None:
        """Let the spare machine, on which nothing is, become the laptop by its one line."""
        self.spare.remove("/var/backups/.ssh")
        self.spare.remove("/etc/asyncamanda/client.toml")
        program, *words = shlex.split(invitation["command"])
        assert program == "asyncamanda"
        argv = [ASYNCAMANDA, *words, "--no-schedule", "--no-backup"]
        done = self.spare.run(argv, check=False)
        assert done.returncode == 0, done.stdout + done.stderr + self.office.diary
        self.office.configure_agent(self.spare)  # which tests turn down

    def check(self, top: str) -> None:
        """Fail unless all disks are there below `top` as they were when they were last dumped."""
        for disk, tree in self.past.trees[-1].items():
            assert read_tree(self.spare.path(top + disk)) == tree, disk


@pytest.fixture
def loss(lab_prefix: Path) -> Iterator[Loss]:
    """Yield it."""
    with open_office(lab_prefix, "laptop", "spare", "tower") as office:
        opened = Loss(office)
        opened.live()
        yield opened


def restore_all(client: Client, *words: str) -> Run:
    """Let all come back, and return how that ended."""
    return client.run([ASYNCAMANDA, "restore", "--all", *words], check=False)


def kill_on_the_way(client: Client, to: str, *, looks_at: str) -> dict[Path, int]:
    """Kill a restore of all when some of it has come; return that, each file with its inode."""
    client.slow(SLOW)
    program = begin(client, "--all", to=to)
    place = client.path(looks_at)

    def come() -> dict[Path, int]:
        files = place.rglob("*") if place.exists() else ()
        return {each.relative_to(place): each.stat().st_ino for each in files if each.is_file()}

    def is_written_down() -> bool:
        beside = place.parent.glob(".*.asyncamanda-restore")
        for record in (*beside, *place.rglob(".asyncamanda-restoring-*/record")):
            said = re.findall(r'"done": \[(\d+), (\d+)', record.read_text("latin-1"))
            if said and said[-1] > ("0", "0"):
                return True
        return False

    wait_until("something has come", is_written_down)
    assert program.poll() is None, program.communicate()
    os.killpg(program.pid, signal.SIGKILL)
    program.communicate()
    client.heal()
    return come()


def test_replacement_becomes_what_the_laptop_was(loss: Loss) -> None:
    """Though all volumes went round meanwhile, and the restore was killed on its way."""
    office, spare = loss.office, loss.spare
    loss.laptop.cut()  # it is at the bottom of a lake
    said = loss.lose()
    assert said["faults"] == [], said
    assert said["dumps"] == 3 * len(DISKS)
    assert said["kept_bytes"] > 5_000_000
    again = loss.lose()
    assert (again["lost_at"], again["kept_bytes"]) == (said["lost_at"], said["kept_bytes"])
    assert again["invitation"]["code"] != said["invitation"]["code"]
    loss.go_round()
    assert not any(office.server.path(HOLDING).glob("*/laptop.*"))
    assert loss.shown()["restorable_since"] is not None

    loss.replace(again["invitation"])
    wanted = {
        f"{disk}/{name}"
        for disk, tree in loss.past.trees[-1].items()
        for name in tree
        if name != "."
    }
    assert list_all(spare) == wanted
    came = kill_on_the_way(spare, BACK, looks_at=BACK)
    done = restore_all(spare, "--to", BACK)
    assert done.returncode == 0, done.stdout + done.stderr
    loss.check(BACK)
    there = {path: (spare.path(BACK) / path).stat().st_ino for path in came}
    assert any(there[path] == inode for path, inode in came.items())  # it did not come again
    shelf = office.ask("server", "restore", "laptop", "--all", "--to", "/srv/shelf")
    assert shelf.returncode == 0, shelf.stderr
    for disk, tree in loss.past.trees[-1].items():
        assert read_tree(office.server.path(f"/srv/shelf{disk}")) == tree

    kill_on_the_way(spare, "/", looks_at="/srv")
    done = restore_all(spare, "--to", "/")
    assert done.returncode == 0, done.stdout + done.stderr
    loss.check("")
    assert not [*spare.path("/srv").rglob(".asyncamanda-*")]
    loss.laptop.heal()
    assert office.backup("laptop", "--force").returncode == REFUSED
    run = spare.run([ASYNCAMANDA, "run"], check=False)
    assert run.returncode == 0, run.stderr + office.diary
    assert {verdict.level for verdict in office.dumps()[-1].verdicts} == {0}
    assert loss.shown()["kept_bytes"] == said["kept_bytes"]
    found = loss.find()
    assert (found["released_bytes"], found["full"]) == (said["kept_bytes"], [])
    assert loss.shown()["kept_bytes"] == 0
    assert not [*office.server.path(VTAPES).rglob("asyncamanda-aside/*/*")]


def no_reuse(office: Office) -> set[str]:
    """Return the volumes that Amanda does not use again."""
    lines = office.server.read("/etc/amanda/daily/tapelist").splitlines()
    return {line.split()[1] for line in lines if line.split()[2] == "no-reuse"}


def check_refused(loss: Loss) -> None:
    """Fail unless the lost laptop's key is good for nothing, and that is said."""
    office, laptop = loss.office, loss.laptop
    refused = office.backup("laptop", "--force")
    assert refused.returncode == REFUSED, refused.stderr
    assert "reported lost at the server" in " ".join(refused.stderr.split())
    listed = laptop.run([ASYNCAMANDA, "list"], check=False)
    assert listed.returncode == REFUSED
    assert "reported lost at the server" in " ".join(listed.stderr.split())
    same = office.ask("server", "enroll", "laptop", "--key", laptop.backup_key, check=False)
    assert same.returncode == REFUSED
    assert "asyncamanda server found laptop" in same.stderr
    doctor = office.ask("server", "doctor", "laptop", check=False)
    assert "laptop is lost since" in " ".join(doctor.stdout.split())


def begin_again(loss: Loss) -> None:
    """Let the laptop be found when its volumes were used again: it begins with full dumps."""
    office, server = loss.office, loss.office.server
    loss.lose()
    loss.past.flush()
    for part in server.path(VTAPES).glob("slot*/*.laptop.*"):
        part.unlink()  # as when its volume is used again
    assert loss.shown()["restorable_since"] is not None
    assert {*loss.find()["full"]} == {*DISKS}
    run = office.backup("laptop", "--force")
    assert run.returncode == 0, run.stderr + office.diary
    assert {verdict.level for verdict in office.dumps()[-1].verdicts} == {0}


def test_laptop_that_is_found_is_served_as_before(loss: Loss) -> None:
    """Its key is refused with a word meanwhile. Where there is no room its volumes are kept."""
    office, server = loss.office, loss.office.server
    loss.past.flush()
    server.fill_disk(spare=1_000_000)
    full = office.ask("server", "lost", "laptop", check=False)
    assert full.returncode == NOT_STORED, full.stdout + full.stderr
    words = " ".join(full.stderr.split())
    assert "is not kept from being overwritten: it has" in words
    assert "tapecycle is 20" in words
    assert "its key is refused" in full.stdout
    assert "WARNING: its newest backup is not kept" in office.ask("server", "clients").stdout

    check_refused(loss)
    conf = server.read(CONF)
    server.write(CONF, conf.replace("tapecycle 20", "tapecycle 2"), owner="backup")
    kept = loss.lose()
    assert kept["faults"] == []
    assert kept["kept_bytes"] == 0
    assert set(kept["kept_volumes"]) == no_reuse(office) != set()
    assert loss.lose()["kept_volumes"] == kept["kept_volumes"]
    server.free_disk()
    server.write(CONF, conf, owner="backup")
    aside = loss.lose()
    assert (aside["kept_bytes"] > 5_000_000, aside["kept_volumes"]) == (True, [])
    assert no_reuse(office) == set()
    (place,) = server.path(VTAPES).glob("asyncamanda-aside/daily/laptop")
    whole = sorted(each.name for each in place.iterdir())
    (place / whole[0]).rename(place / f"{whole[0]}.tmp")  # as a kill leaves it
    (place / whole[1] / "00001").unlink()
    assert loss.lose()["kept_bytes"] == aside["kept_bytes"]
    assert sorted(each.name for each in place.iterdir()) == whole

    found = loss.find()
    assert (found["outcome"], found["is_served"]) == ("found", True)
    assert found["released_bytes"] == aside["kept_bytes"]
    assert loss.find()["outcome"] == "unchanged"
    assert loss.shown()["lost_at"] is None
    run = office.backup("laptop", "--force")
    assert run.returncode == 0, run.stderr + office.diary
    assert 0 not in {verdict.level for verdict in office.dumps()[-1].verdicts}

    begin_again(loss)

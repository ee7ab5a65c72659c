"""`restore --all` on a laptop, through a real ssh to a gate that is a script."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from tests.system.test_restore_command import RUN, Office, office
from tests.system.trees import describe

from asyncamanda.errors import Exit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["office"]  # the fixture

TO = "/root/restored-all"
DATA = {"/srv/data": "/srv/data"}


def asked(office: Office) -> list[str]:
    """Return of which disks files were asked for, and of which run."""
    lines = office.rig.server.read("/srv/stage/asked").splitlines()
    requests = [json.loads(line) for line in lines]
    return [
        f"{request['disk']} {request['at']['run']}"
        for request in requests
        if request["type"] == "restore" and not request.get("is_dry_run")
    ]


def hidden(office: Office) -> list[Path]:
    """Return what a restore has left behind to go on with."""
    places = (office.path("/root"), office.path("/srv"))
    return [path for place in places for path in place.rglob(".*asyncamanda-resto*")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--all"], "--all needs --to DIR"),
        (["--all", "/srv/data", "--to", TO], "name no PATH"),
        (["--all", "--disk", "/srv/data", "--to", TO], "no --disk"),
        (["--all", "--raw", "/srv/data", "--to", TO], "exclude each other"),
        (["--all", "--to", TO, "--overwrite", "always"], "--overwrite is for --in-place"),
    ],
)
def test_what_does_not_go_with_all_is_refused(office: Office, words: list[str], said: str) -> None:
    """Before anything is asked for."""
    done = office.run("restore", *words)
    assert done.exit == Exit.USAGE
    assert said in done.stderr


def test_a_user_gets_nothing_of_all(office: Office) -> None:
    """Since it is everybody's."""
    done = office.run("restore", "--all", "--to", "/srv/x", user="nobody")
    assert done.exit == Exit.REFUSED
    assert "only root may have them" in done.stderr


def test_each_disk_lies_at_its_place_and_those_that_cannot_come_are_named(office: Office) -> None:
    """Of the newest run that is whole, or of one by then; the exit code says that it is not all."""
    before = describe(office.path("/srv/data"))
    office.play(disks={**DATA, "raw": "no-path"})
    done = office.run("restore", "--all", "--to", TO)
    assert done.exit == Exit.NOT_STORED, done.stderr
    assert "no-path: it has no place of its own" in " ".join(done.stdout.split())
    assert asked(office)[-1] == f"/srv/data {RUN}"
    assert describe(office.path(f"{TO}/srv/data")) == before
    assert hidden(office) == []
    office.play(disks=DATA)
    assert office.run("restore", "--all", "--to", TO).exit == Exit.USAGE
    then = office.run("restore", "--all", "--to", f"{TO}-2", "--at", "2026-11-19")
    assert then.exit == Exit.OK, then.stderr
    assert asked(office)[-1] == "/srv/data 20261119020000"
    too_old = office.run("restore", "--all", "--to", f"{TO}-3", "--at", "2026-11-01")
    assert too_old.exit == Exit.DATA
    assert "no backup of it that is so old" in too_old.stderr


def test_the_same_command_goes_on_in_the_folder(office: Office) -> None:
    """But not with a restore that was of less."""
    office.rig.laptop.append(office.rig.config, 'reconnect_for = "1s"\n')
    cuts = [3_100_000, *[0] * 50]
    office.play(disks=DATA, cuts=cuts)
    less = office.run("restore", "/srv/data", "--to", TO)  # which would lie elsewhere in it
    assert less.exit == Exit.LATER
    other = office.run("restore", "--all", "--to", TO)
    assert other.exit == Exit.USAGE
    assert f"asyncamanda restore --resume --to {TO}" in other.stderr
    subprocess.run(["rm", "-rf", *hidden(office), office.path(TO)], check=True)
    office.rig.server.path("/srv/stage/visits").unlink()
    cut = office.run("restore", "--all", "--to", TO)
    assert cut.exit == Exit.LATER
    assert f"to go on: asyncamanda restore --all --to {TO}" in " ".join(cut.stderr.split())
    office.play(disks=DATA)
    done = office.run("restore", "--all", "--to", TO)
    assert done.exit == Exit.OK, done.stderr
    assert describe(office.path(f"{TO}/srv/data")) == describe(office.path("/srv/data"))


def test_in_place_what_is_there_is_kept_unless_it_is_said_otherwise(office: Office) -> None:
    """That not all came is said by the exit code; a dry run tells it before."""
    office.play(disks=DATA)
    data = office.path("/srv/data")
    before = describe(data)
    (data / "one").write_text("changed")
    (data / "large").unlink()
    dry = office.run("restore", "--all", "--to", "/", "--dry-run", "--json")
    said = json.loads(dry.stdout.splitlines()[-1])
    assert "/srv/data/one" in said["existing"]
    assert (said["overwrite"], said["exit"]) == ("never", 0)
    assert not (data / "large").exists()
    done = office.run("restore", "--all", "--to", "/")
    assert done.exit == Exit.NOT_STORED, done.stderr
    assert (data / "one").read_text() == "changed"
    assert (data / "large").exists()
    assert office.run("restore", "--all", "--to", "/", "--overwrite", "never").exit == Exit.OK
    always = office.run("restore", "--all", "--in-place", "--overwrite", "always")
    assert always.exit == Exit.OK, always.stderr
    assert (data / "one").read_text() != "changed"
    assert describe(data).keys() == before.keys()
    assert hidden(office) == []


def test_a_machine_that_was_backed_up_before_all_came_back_to_it_chooses(office: Office) -> None:
    """Since its newest backup does not have what was on the one that it replaces."""
    office.play(disks=DATA)
    key = office.path("/var/backups/.ssh/id_ed25519")
    made = datetime.fromisoformat("2026-11-19 12:00+00:00")
    os.utime(key, (made.timestamp(), made.timestamp()))
    done = office.run("restore", "--all", "--to", "/", "--overwrite", "always")
    assert done.exit == Exit.USAGE
    rest = " --to / --overwrite always"
    for when in (f"'{made.astimezone():%Y-%m-%d %H:%M}'", "latest"):
        assert f"asyncamanda restore --all --at {when}{rest}" in " ".join(done.stderr.split())
    then = f"{made.astimezone():%Y-%m-%d %H:%M}"
    assert office.run("restore", "--all", "--to", TO, "--at", then).exit == Exit.OK
    assert asked(office)[-1] == "/srv/data 20261119020000"
    assert office.run("restore", "--all", "--to", f"{TO}-2", "--at", "latest").exit == Exit.OK
    assert asked(office)[-1] == f"/srv/data {RUN}"


def test_a_client_without_any_files_is_told(office: Office) -> None:
    """With the reason for each disk."""
    office.play(disks=DATA, images=["/srv/stage/packed"])
    done = office.run("restore", "--all", "--to", TO)
    assert done.exit == Exit.DATA
    assert "/srv/data: dump" in done.stderr

"""`restore --raw` on a laptop, through a real ssh to a gate that is a script."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.system import restoring_gate
from tests.system.restoring_gate import OLDER, RUN
from tests.system.test_gate_client import forced
from tests.system.test_restore_command import FORCED, NEW, STAGE, Office

from asyncamanda.errors import Exit

if TYPE_CHECKING:
    from tests.system.conftest import Rig

FULL, NEXT = os.urandom(3_000_000), os.urandom(200_000)
DISK = "/srv/data"
TO = "/root/restored-image"
HIDDEN = f"/root/.restored-image.{RUN}.asyncamanda-image"


@pytest.fixture
def office(rig: Rig) -> Iterator[Office]:
    """Yield a laptop, and a gate that has two images of its disk."""
    for level, image in enumerate((FULL, NEXT)):
        path = rig.server.path(f"{STAGE}/{level}.image")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
        path.chmod(0o644)
    rig.server.write(f"{STAGE}/packed", "")
    rig.server.write(f"{STAGE}/gate.py", Path(restoring_gate.__file__).read_text("utf-8"))
    rig.server.write("/usr/local/bin/restoring-gate", FORCED, mode=0o755)
    rig.laptop.write(rig.config, 'server = "backup@amanda"\n')
    whole = Office(rig)
    play(whole)
    with forced(rig, "restoring-gate"):
        yield whole
    for path in rig.laptop.path("/root").glob("*restored-*"):
        subprocess.run(["rm", "-rf", path], check=True)


def play(office: Office, levels: int = 2, **keys: object) -> None:
    """Let the gate answer so, with images of so many levels."""
    images = [f"{STAGE}/{level}.image" for level in range(levels)]
    office.play(disks={DISK: DISK, "named": "/srv/other"}, images=images, **keys)


def asked(office: Office) -> list[tuple[int, int]]:
    """Return which images the gate was asked for, by level, from which byte on."""
    lines = office.rig.server.read(f"{STAGE}/asked").splitlines()
    requests = [json.loads(line) for line in lines]
    return [
        (request["level"], request["skip"])
        for request in requests
        if request["type"] == "raw" and request["level"] is not None
    ]


def modes(path: Path) -> dict[str, int]:
    """Return the modes of a folder, as ".", and of what is in it."""
    return {
        str(each.relative_to(path)): stat.S_IMODE(each.lstat().st_mode)
        for each in (path, *path.iterdir())
    }


def hidden(office: Office) -> list[str]:
    """Return what a restore has left beside its place."""
    return [path.name for path in office.path("/root").glob(".restored-*")]


def test_all_images_of_a_chain_come_into_a_new_folder(office: Office) -> None:
    """By their levels; it is said how they are read; only root can read them."""
    done = office.run("restore", "--raw", DISK)
    assert done.exit == 0, done.stderr
    place = office.path(NEW)
    assert modes(place) == {".": 0o700, "0.img": 0o600, "1.img": 0o600}
    assert (place / "0.img").read_bytes() == FULL
    assert (place / "1.img").read_bytes() == NEXT
    assert f"  restore -r -f {NEW}/0.img &&\n  restore -r -f {NEW}/1.img\n" in done.stdout
    assert done.stdout.startswith(f"restored 2 images, 3.2 MB to {NEW} in ")
    assert f"0.img: level 0 of {DISK}, made by /sbin/dump at 2026-11-19" in done.stderr
    assert f"(run {RUN}), 200 kB\n" in done.stderr
    assert "warning: /srv/data: a doubt\n" in done.stderr
    assert hidden(office) == []
    assert office.run("restore", "--raw", DISK).exit == 0
    assert office.path(f"{NEW}-2/1.img").read_bytes() == NEXT


@pytest.mark.parametrize("named", [DISK, f"{DISK}/", "named", "/srv/other"])
def test_a_disk_is_found_by_its_name_or_its_path(office: Office, named: str) -> None:
    """As `list` shows both."""
    done = office.run("restore", "--raw", named, "--level", "1", "--to", TO)
    assert done.exit == 0, done.stderr
    assert office.path(TO).read_bytes() == NEXT


def test_a_disk_that_is_none_is_refused_with_those_that_are(office: Office) -> None:
    """Nothing is asked for."""
    done = office.run("restore", "--raw", "/srv", "--to", TO)
    assert done.exit == 65
    assert "there are: /srv/data, named" in done.stderr
    assert not office.path(TO).exists()


def test_one_image_comes_into_a_file(office: Office) -> None:
    """Which nobody else can read; what it builds on is named."""
    done = office.run("restore", "--raw", DISK, "--level", "1", "--to", TO)
    assert done.exit == 0, done.stderr
    assert office.path(TO).read_bytes() == NEXT
    assert stat.S_IMODE(office.path(TO).stat().st_mode) == 0o600
    assert f"note: it builds on the image of level 0 (run {OLDER})" in done.stderr
    assert hidden(office) == []


def test_several_images_do_not_go_into_one_file(office: Office) -> None:
    """An incremental is not taken for all; it is said how all of them are had."""
    for to in (TO, "-"):
        done = office.run("restore", "--raw", DISK, "--to", to)
        assert (done.exit, done.stdout) == (64, "")
        assert "in 2 images, of the levels 0, 1" in done.stderr
        assert "--to DIR/" in done.stderr
    assert not office.path(TO).exists()
    play(office, levels=1)
    assert office.run("restore", "--raw", DISK, "--to", TO).exit == 0
    assert office.path(TO).read_bytes() == FULL


def test_an_image_goes_to_stdout_alone(office: Office) -> None:
    """Byte for byte; words go to stderr."""
    command = ["/opt/asyncamanda/bin/python", "-m", "asyncamanda", "restore"]
    words = ["--raw", DISK, "--level", "0", "--to", "-"]
    line = f'"$@" > {TO} 2> /root/restored-words'
    office.rig.laptop.run(["/bin/sh", "-c", line, "sh", *command, *words])
    assert office.path(TO).read_bytes() == FULL
    said = office.path("/root/restored-words").read_text()
    assert "restored 1 image, 3 MB to stdout" in said


def test_a_reader_that_leaves_is_no_success(office: Office) -> None:
    """So that a script notices."""
    command = ["/opt/asyncamanda/bin/python", "-m", "asyncamanda", "restore"]
    words = ["--raw", DISK, "--level", "0", "--to", "-"]
    line = '{ "$@"; echo $? > /root/restored-code; } | head -c 10 > /dev/null'
    office.rig.laptop.run(["/bin/sh", "-c", line, "sh", *command, *words])
    assert office.path("/root/restored-code").read_text() == "75\n"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_is_never_replaced(office: Office, kind: str) -> None:
    """Nothing is fetched."""
    place = office.path(TO)
    if kind == "file":
        place.write_text("mine")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/nowhere")
    for to in (TO, f"{TO}/"):
        done = office.run("restore", "--raw", DISK, "--level", "0", "--to", to)
        assert done.exit == 64
        assert f"{TO} is there already" in done.stderr
    assert kind != "file" or place.read_text() == "mine"
    assert asked(office) == []


def test_what_is_made_meanwhile_is_not_replaced_either(office: Office) -> None:
    """What has come stays, and goes to its place once that is free."""
    play(office, hold=f"{STAGE}/go", hold_at=0)
    words = ("restore", "--raw", DISK, "--level", "0", "--to", TO)
    restore = office.rig.start(*words, cwd="/root")
    office.rig.until(lambda: office.rig.has("holding"), "the stream waits")
    office.path(TO).write_text("mine")
    office.rig.server.write(f"{STAGE}/go", "")
    done = office.rig.wait(restore)
    assert done.exit == 64
    assert office.path(TO).read_text() == "mine"
    before = asked(office)
    office.path(TO).unlink()
    (line,) = [line for line in done.stderr.splitlines() if "to go on: " in line]
    command = line.partition("to go on: asyncamanda ")[2]
    assert office.run(*command.split()).exit == 0
    assert office.path(TO).read_bytes() == FULL
    assert asked(office) == before
    assert hidden(office) == []


def test_a_connection_that_breaks_is_made_again(office: Office) -> None:
    """What has come is not asked for again, and what comes is whole; of an unknown size, too."""
    for told_size in (True, False):
        office.rig.server.path(f"{STAGE}/visits").unlink(missing_ok=True)
        play(office, cuts=[1_500_000, 30_000], told_size=told_size)
        before = len(asked(office)) if told_size is False else 0
        done = office.run("restore", "--raw", DISK, "--level", "0", "--to", f"{TO}/")
        assert done.exit == 0, done.stderr
        assert done.stderr.count("; trying again\n") == 2
        assert office.path(f"{TO}/0.img").read_bytes() == FULL
        assert asked(office)[before:] == [(0, 0), (0, 1_500_000), (0, 1_530_000)]
        subprocess.run(["rm", "-r", office.path(TO)], check=True)


def test_ctrl_c_stops_and_says_how_to_go_on(office: Office) -> None:
    """75; the command that is said brings the rest, and nothing twice."""
    play(office, hold=f"{STAGE}/never", hold_at=1_000_000)
    restore = office.rig.start("restore", "--raw", DISK, "--to", f"{TO}/", cwd="/root")
    office.rig.until(lambda: office.rig.has("holding"), "the stream waits")
    part = office.path(f"{HIDDEN}/0.img.part")
    office.rig.until(lambda: part.stat().st_size == 1_000_000, "all of it has come")
    restore.send_signal(2)
    done = office.rig.wait(restore)
    assert done.exit == 75
    assert "1 MB have come so far" in done.stderr
    command = f"asyncamanda restore --raw {DISK} --at {RUN} --to {TO}/ --resume"
    assert f"hint: to go on: {command}\n" in done.stderr
    assert not office.path(TO).exists()
    assert modes(office.path(HIDDEN))["."] == 0o700
    play(office)
    done = office.run(*command.split()[1:])
    assert done.exit == 0, done.stderr
    assert office.path(f"{TO}/0.img").read_bytes() == FULL
    assert office.path(f"{TO}/1.img").read_bytes() == NEXT
    assert asked(office) == [(0, 0), (0, 1_000_000), (1, 0)]
    assert hidden(office) == []
    assert office.run(*command.split()[1:]).exit == 64


def test_what_went_down_with_the_machine_comes_again(office: Office) -> None:
    """Only what was synced is gone on with; without --resume nothing is."""
    for words, wanted in ((["--resume"], (0, 100)), ([], (0, 0))):
        folder = office.path(HIDDEN)
        folder.mkdir(mode=0o700)
        (folder / "0.img.cut").write_bytes(FULL[:100])
        (folder / "1.img.part").write_bytes(b"\0" * 5000)
        before = len(asked(office)) if not words else 0
        done = office.run("restore", "--raw", DISK, "--to", f"{TO}/", *words)
        assert done.exit == 0, done.stderr
        assert asked(office)[before:] == [wanted, (1, 0)]
        assert office.path(f"{TO}/0.img").read_bytes() == FULL
        assert office.path(f"{TO}/1.img").read_bytes() == NEXT
        subprocess.run(["rm", "-r", office.path(TO)], check=True)
    assert office.run("restore", "--raw", DISK, "--to", f"{TO}/", "--resume").exit == 65


def test_no_room_is_said_before_anything_comes(office: Office) -> None:
    """And nothing is left."""
    play(office, huge=True)
    done = office.run("restore", "--raw", DISK, "--to", f"{TO}/")
    assert done.exit == 75
    assert "would come back, and" in done.stderr
    assert asked(office) == []
    assert hidden(office) == []
    assert not office.path(TO).exists()


def test_a_disk_that_is_full_leaves_what_has_come(office: Office) -> None:
    """Where the size was not known before; once there is room it goes on."""
    play(office, told_size=False)
    laptop = office.rig.laptop
    laptop.run(["mkdir", "-p", "/root/small"])
    laptop.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", "/root/small"])
    try:
        words = ("restore", "--raw", DISK, "--to", "/root/small/x/")
        done = office.run(*words)
        assert done.exit == 75, done.stderr
        assert "/root/small/x cannot be written: No space left on device" in done.stderr
        laptop.run(["mount", "-o", "remount,size=9m", "/root/small"])
        command = f"asyncamanda restore --raw {DISK} --at {RUN} --to /root/small/x/ --resume"
        assert f"to go on: {command}\n" in done.stderr
        done = office.run(*command.split()[1:])
        assert done.exit == 0, done.stderr
        (_, again, last) = asked(office)
        assert (again[0], last) == (0, (1, 0))
        assert 0 < again[1] <= 1 << 20
        script = "sha256sum < /root/small/x/0.img"
        found = laptop.run(["/bin/sh", "-c", script]).stdout.split()[0]
        assert found == hashlib.sha256(FULL).hexdigest()
    finally:
        laptop.run(["umount", "/root/small"])


def test_an_image_of_another_size_is_no_success(office: Office) -> None:
    """What has come is kept, beside its place."""
    play(office, told_size=False, done_more=7)
    done = office.run("restore", "--raw", DISK, "--level", "1", "--to", TO)
    assert done.exit == 65
    assert "200000 bytes of the level 1 image have come, not 200007" in done.stderr
    assert not office.path(TO).exists()
    assert office.path(f"{HIDDEN}/1.img.cut").read_bytes() == NEXT


def test_a_server_that_is_older_is_named_as_that(office: Office) -> None:
    """It does not understand the request."""
    office.play(disks={DISK: DISK})
    done = office.run("restore", "--raw", DISK, "--to", TO)
    assert done.exit == 77
    assert "gives no whole images back" in done.stderr
    assert "it is older than this one" in done.stderr


def test_a_user_is_refused(office: Office) -> None:
    """An image has everybody's files."""
    done = office.run("restore", "--raw", DISK, "--to", "/srv/x", user="nobody")
    assert done.exit == 77, done.stderr
    assert "only root may have it" in done.stderr
    assert not office.rig.has("asked")


def test_what_would_come_is_shown(office: Office) -> None:
    """With --dry-run, and as JSON."""
    done = office.run("restore", "--raw", DISK, "--dry-run")
    assert done.exit == 0
    assert f"  0.img: level 0 of {DISK}" in done.stdout
    assert asked(office) == []
    done = office.run("restore", "--raw", DISK, "--to", f"{TO}/", "--json")
    plan, *_, last = map(json.loads, done.stdout.splitlines())
    assert (plan["event"], plan["target"], plan["disk"]) == ("plan", TO, DISK)
    assert [(one["name"], one["level"], one["run"], one["bytes"]) for one in last["images"]] == [
        ("0.img", 0, OLDER, len(FULL)),
        ("1.img", 1, RUN, len(NEXT)),
    ]
    assert (last["event"], last["outcome"], last["exit"]) == ("finished", "restored", 0)
    assert last["bytes"] == len(FULL) + len(NEXT)


def test_list_gives_the_command(office: Office) -> None:
    """For a disk of which there are images only."""
    done = office.run("list")
    assert f"{DISK}: single files cannot be restored: dump\n" in done.stdout
    assert f"asyncamanda restore --raw {DISK}\n" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--raw", DISK, "/srv/data/file"),
        ("--raw", DISK, "--disk", DISK),
        ("--raw", DISK, "--in-place"),
        ("--raw", DISK, "--dry-run", "--resume"),
        ("--raw", DISK, "--to", "-", "--json"),
        ("--raw", DISK, "--to", "-", "--resume"),
        ("--level", "0", "/srv/data/file"),
    ],
)
def test_what_cannot_be_meant_is_refused(office: Office, words: tuple[str, ...]) -> None:
    """As a mistake on the command line."""
    assert office.run("restore", *words).exit == Exit.USAGE
    assert not office.rig.has("asked")

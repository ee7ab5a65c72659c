"""Whole images come back as Amanda has them: of GNU tar's dumps, and of another application's."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.dumps import add_dumptype, cut_small, force_next_level
from tests.e2e.laptop import ASYNCAMANDA
from tests.e2e.office import DISK, Office, open_office

PACKED, VOLUME = "/srv/packed", "/srv/volume"
AMRAW = """
define application reads-raw {
    plugin "amraw"
}
"""
TO = "/srv/back"


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has two folders and a file that amraw dumps."""
    with open_office(lab_prefix) as opened:
        server, laptop = opened.server, opened.client("laptop")
        cut_small(server)
        server.append("/etc/amanda/daily/amanda.conf", AMRAW, owner="backup")
        add_dumptype(server, "packed", "roaming", "compress client fast")
        raw = ('application "reads-raw"', "compress server fast", "strategy noinc")
        add_dumptype(server, "raw", "roaming-amgtar", *raw)
        for disk, dumptype in ((DISK, "roaming"), (PACKED, "packed")):
            laptop.add_tree(disk, files=3, bytes_each=700_000)
            server.add_dle("laptop", disk, dumptype)
        laptop.path(VOLUME).write_bytes(os.urandom(1_500_000))
        laptop.run(["chown", "backup:disk", VOLUME])
        server.add_dle("laptop", VOLUME, "raw")
        opened.set_up()
        yield opened


def fetch(office: Office, disk: str, run: str, level: int) -> bytes:
    """Return the image that amfetchdump itself unpacks."""
    line = f"amfetchdump -p daily =laptop ={disk} {run} {level} < /dev/null > /srv/fetched/image"
    server = office.server
    server.run(["install", "-d", "-o", "backup", "/srv/fetched"])
    command = f"cd /srv/fetched && {line}"
    server.run(["runuser", "-u", "backup", "--", "/bin/sh", "-c", command])
    return server.path("/srv/fetched/image").read_bytes()


def test_images_come_back_as_amanda_itself_has_them(office: Office) -> None:
    """Byte for byte: both levels, held and on volumes in parts, packed or not, of tar or not."""
    laptop, server = office.client("laptop"), office.server
    assert office.backup("laptop").returncode == 0, office.diary
    office.ask("server", "flush", "daily")
    for disk in (DISK, PACKED):
        laptop.path(f"{disk}/newer").write_text("newer")
    force_next_level(server, "laptop", [DISK, PACKED])
    assert office.backup("laptop", "--force").returncode == 0, office.diary
    listed = json.loads(laptop.run([ASYNCAMANDA, "list", "--json"]).stdout)
    disks = {each["disk"]: each for each in listed}
    for disk in (DISK, PACKED):
        done = laptop.run([ASYNCAMANDA, "restore", "--raw", disk, "--to", f"{TO}/", "--json"])
        end = json.loads(done.stdout.splitlines()[-1])
        assert [each["level"] for each in end["images"]] == [0, 1]
        for image in end["images"]:
            came = laptop.path(f"{TO}/{image['level']}.img").read_bytes()
            assert came == fetch(office, disk, image["run"], image["level"])
            assert image["bytes"] == len(came)  # said before it came
            assert image["is_tar"]
        names = laptop.run(["tar", "--list", "--file", f"{TO}/1.img"]).stdout.split()
        assert "./newer" in names
        assert "./file-0" not in names
        laptop.remove(TO)

    assert not disks[VOLUME]["is_listable"]
    assert disks[VOLUME]["has_images"]
    assert f"asyncamanda restore --raw {VOLUME}\n" in laptop.run([ASYNCAMANDA, "list"]).stdout
    refused = laptop.run([ASYNCAMANDA, "restore", VOLUME], check=False)
    assert refused.returncode == 65
    assert f"asyncamanda restore --raw {VOLUME}" in refused.stderr
    volume = laptop.path(VOLUME).read_bytes()
    laptop.run([ASYNCAMANDA, "restore", "--raw", VOLUME, "--to", TO])
    assert laptop.path(TO).read_bytes() == volume

    words = f"asyncamanda server restore laptop --raw {VOLUME} --to DIR/\n"
    assert words in office.ask("server", "list", "laptop").stdout
    office.ask("server", "restore", "laptop", "--raw", VOLUME, "--to", TO)
    assert server.path(TO).read_bytes() == volume
    rows = json.loads(office.ask("server", "restores", "--json").stdout)
    last = rows[-1]
    assert (last["who"], last["disk"], last["outcome"]) == ("admin:root", VOLUME, "all sent")
    assert (last["paths"], last["bytes"]) == (["the whole image of level 0"], len(volume))
    assert [row["who"] for row in rows[:-1]] == ["client"] * 5

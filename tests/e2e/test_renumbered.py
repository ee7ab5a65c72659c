"""A file system that gets another device number when it is mounted again: what a level 1 takes.

Subvolumes of btrfs get theirs by the order of mounting, so a restart is enough; with LVM and LUKS
it may be, too. The file system is real, in a file of the laptop's on a loop device.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.office import Office, open_office

from lab import Host

A, B, IMAGE, TOP = "/srv/a", "/srv/b", "/srv/image", "/srv/top"
SIZE = 12 << 20  # bytes of a disk
NEW = ("--new-config", "mobile", "--vtapes", "/srv/pool/vtapes", "--size", "20GB")
DUMPTYPES = ("roaming", "roaming-gnutar")
KNOWN = Path("/proc/filesystems").read_text("utf-8").split()
needs_btrfs = pytest.mark.skipif("btrfs" not in KNOWN, reason="this kernel has no btrfs")


def _make(laptop: Host) -> None:
    """Make a file system with two subvolumes."""
    for disk in (A, B, TOP):
        laptop.make_directory(disk)
    script = f"""
        truncate -s 300M {IMAGE} && mkfs.btrfs -q {IMAGE} && mount -o loop {IMAGE} {TOP} &&
        btrfs -q subvolume create {TOP}/a && btrfs -q subvolume create {TOP}/b && umount {TOP}
    """
    laptop.run(["sh", "-ec", script])


def _mount(laptop: Host, *order: str) -> list[str]:
    """Mount the disks in that order, as a start does; return their device numbers, A's first."""
    for disk in (A, B):
        laptop.run(["umount", disk], check=False)
    for disk in order:
        laptop.run(["mount", "-o", f"loop,subvol={disk[-1]}", IMAGE, disk])
    return laptop.run(["stat", "-c", "%d", A, B]).stdout.split()


@pytest.fixture(scope="module")
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop that has such disks: A as setup would have it, B by GNUTAR."""
    with open_office(lab_prefix, "laptop") as built:
        laptop, server = built.client("laptop"), built.server
        _make(laptop)
        _mount(laptop, A, B)
        try:
            home = server.account("backup").home
            server.write(f"{home}/.ssh/authorized_keys", "", owner="backup", mode=0o600)
            built.configure()
            built.ask("server", "setup", "--yes", *NEW)
            words = ["--amanda-config", "mobile", "--key", laptop.backup_key]
            for disk, dumptype in zip((A, B), DUMPTYPES, strict=True):
                laptop.add_tree(f"{disk}/deep/down", files=6, bytes_each=SIZE // 6)
                built.ask("server", "enroll", "laptop", *words, "--disk", disk,
                          "--dumptype", dumptype)  # fmt: skip
            built.configure_agent(laptop)
            yield built
        finally:
            for disk in (A, B):
                laptop.run(["umount", disk], check=False)


def _dump(office: Office) -> dict[str, tuple[int, int, str]]:
    """Make a backup; return level, kilobytes and what was said of it, of each disk."""
    run = office.backup("laptop", "--force", "--json")
    assert run.returncode == 0, run.stdout + run.stderr + office.diary
    runs = json.loads(office.ask("server", "runs", "--json").stdout)
    newest = max(row["run"] for row in runs if row["kind"] == "batch")
    shown = json.loads(office.ask("server", "runs", newest, "--json").stdout)
    return {
        dle["disk"]: (dle["level"], dle["kilobytes"], dle["reason"] or "") for dle in shown["dles"]
    }


@needs_btrfs
def test_another_device_number_makes_no_full_of_a_level_1(office: Office) -> None:
    """With the dumptype that setup writes; GNUTAR's level 1 is a full, and its cause is told."""
    laptop = office.client("laptop")
    assert {level for level, _, _ in _dump(office).values()} == {0}
    before = _mount(laptop, A, B)
    laptop.add_tree(A, files=1)
    assert _mount(laptop, B, A) == before[::-1] != before  # the ground that this stands on
    made = _dump(office)
    level, kilobytes, said = made[A]
    assert (level, kilobytes < 1000, said) == (1, True, ""), made
    level, kilobytes, said = made[B]
    assert (level, kilobytes > SIZE // 1024) == (1, True), made
    assert "as large as its full" in said
    assert "server disk modernise laptop" in said

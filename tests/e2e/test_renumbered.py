"""A file system that gets another device number when it is mounted again: what a level 1 takes.

Subvolumes of btrfs get theirs by the order of mounting, so a restart is enough; with LVM and LUKS
it may be, too. The file system is real, in a file of the laptop's on a loop device.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.history import ACL
from tests.e2e.laptop import ASYNCAMANDA
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


def _attribute(laptop: Host, call: str) -> str:
    """Return what Python's os answers to a call about an extended attribute."""
    return laptop.run(["/usr/bin/python3", "-c", f"import os; print(os.{call})"]).stdout.strip()


def _renumber(laptop: Host) -> None:
    """Mount the disks in the other order, so that both get another number.

    The kernel gives the lowest that is free, and other file systems take some, too.
    """
    before = laptop.run(["stat", "-c", "%d", A, B]).stdout.split()
    for order in ((B, A), (A, B), (B, A)):
        now = _mount(laptop, *order)
        if now[0] != before[0] and now[1] != before[1]:
            return
    raise AssertionError(f"the kernel keeps the numbers: {before}, {now}")


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
    laptop.add_tree(A, files=1)
    _renumber(laptop)
    made = _dump(office)
    level, kilobytes, said = made[A]
    assert (level, kilobytes < 1000, said) == (1, True, ""), made
    level, kilobytes, said = made[B]
    assert (level, kilobytes > SIZE // 1024) == (1, True), made
    assert "as large as its full" in said
    assert "server disk modernise laptop" in said
    status = " ".join(laptop.run([ASYNCAMANDA, "status"], check=False).stdout.split())
    assert f"{B}: level 1 is about as large as its full" in status
    doctor = json.loads(office.ask("server", "doctor", "laptop", "--json", check=False).stdout)
    (levels,) = [check for check in doctor["checks"] if check["check"] == "levels"]
    assert (levels["ok"], levels["found"].startswith(f"{B}: ")) == (False, True)
    assert levels["fix"] == f"asyncamanda server disk modernise laptop {B}"


def _see_devices(office: Office) -> dict[str, str]:
    """Return what the client's doctor says of device numbers."""
    words = [ASYNCAMANDA, "doctor", "--json"]
    answer = json.loads(office.client("laptop").run(words, check=False).stdout)
    (check,) = [check for check in answer["checks"] if check["check"] == "devices"]
    return dict(check)


@needs_btrfs
def test_the_client_s_doctor_warns_before_that(office: Office) -> None:
    """Of the disk that GNUTAR dumps, by what it is on."""
    seen = _see_devices(office)
    assert (seen["health"], seen["found"]) == ("warning", f"GNUTAR dumps {B} (btrfs)")
    assert seen["fix"].endswith(f"asyncamanda server disk modernise laptop {B}")


@needs_btrfs
def test_a_dle_by_gnutar_is_modernised_when_asked(office: Office) -> None:
    """Only then; its next dump is a full, and none after that is; files come back."""
    laptop, disklist = office.client("laptop"), "/etc/amanda/mobile/disklist"
    _dump(office)
    before = office.server.read(disklist)
    words = ("server", "disk", "modernise", "laptop")
    silent = office.ask(*words, check=False)
    assert (silent.returncode, "--yes" in silent.stderr) == (64, True), silent.stderr
    assert "The next dump of each is a full one" in silent.stdout
    assert office.ask(*words, "--dry-run").stdout.endswith("nothing was changed\n")
    assert office.server.read(disklist) == before
    wrong = office.ask(*words, "/srv/none", check=False)
    assert (wrong.returncode, f"it has {A}, {B}" in wrong.stderr) == (65, True), wrong.stderr
    changed = json.loads(office.ask(*words, "--yes", "--json").stdout)
    assert (changed["outcome"], changed["disks"]) == ("changed", [B])
    assert "nothing to change" in office.ask(*words, "--yes").stdout
    assert _see_devices(office)["health"] == "ok"
    kept = {"user.note": b"kept", "system.posix_acl_access": ACL}
    for name, value in kept.items():
        _attribute(laptop, f"setxattr('{B}/deep/down/file-0', '{name}', {value!r})")
    made = _dump(office)
    assert (made[A][0], made[B][0]) == (1, 0), made
    laptop.add_tree(B, files=1)
    _renumber(laptop)
    level, kilobytes, said = _dump(office)[B]
    assert (level, kilobytes < 1000, said) == (1, True, ""), said
    assert "has no disklist of its own" not in office.diary
    wanted = laptop.tree(B)
    back = laptop.run([ASYNCAMANDA, "restore", B, "--to", "/srv/back"], check=False)
    assert back.returncode == 0, back.stderr
    found = {path.rpartition("/")[2]: data for path, data in laptop.tree("/srv/back").items()}
    assert found == {path.rpartition("/")[2]: data for path, data in wanted.items()}
    place = laptop.run(["find", "/srv/back", "-name", "file-0"]).stdout.split()[0]
    for name, value in kept.items():
        assert _attribute(laptop, f"getxattr('{place}', '{name}')") == repr(value)

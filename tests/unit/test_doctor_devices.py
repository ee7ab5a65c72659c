"""Device numbers that may be others after a start: which file systems, and what is said of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.doctor.devices import (
    Mount,
    explain_number,
    find_mount,
    judge_devices,
    parse_mounts,
)
from asyncamanda.core.doctor.findings import Health
from asyncamanda.core.protocol.messages import DleState, Welcome

NOW = datetime(2026, 11, 24, 15, 15, 4, tzinfo=UTC)
MOUNTS = r"""
21 1 252:0 / / rw,relatime - ext4 /dev/mapper/vg-root rw
22 21 0:20 / /proc rw - proc proc rw
30 21 0:31 /home /home rw,noatime shared:1 master:2 - btrfs /dev/nvme0n1p3 rw,subvol=/home
31 30 8:17 / /home/ana/big\040disk rw - ext4 /dev/sdb1 rw
32 21 0:44 / /srv rw - nfs4 nas:/srv rw
33 21 8:33 / /srv rw - xfs /dev/sdc1 rw
broken
34 21 8:33 / /no-separator rw
"""
WELCOME = Welcome(1, "asyncamanda", "laptop", "daily", NOW, timedelta(seconds=15), (), "idle", None)


def dle(disk: str, program: str = "GNUTAR") -> DleState:
    """Return a disk that `program` dumps."""
    return DleState(disk, None, None, None, program=program)


@pytest.mark.parametrize(
    ("path", "place", "kind"),
    [
        ("/", "/", "ext4"),
        ("/etc", "/", "ext4"),
        ("/home", "/home", "btrfs"),
        ("/homes", "/", "ext4"),
        ("/home/ana/big disk/x", "/home/ana/big disk", "ext4"),
        ("/srv", "/srv", "xfs"),  # which was mounted over the other
    ],
)
def test_what_a_path_is_on(path: str, place: str, kind: str) -> None:
    """By the kernel's list: the longest, and of two in one place the later."""
    found = find_mount(parse_mounts(MOUNTS), path)
    assert found
    assert (found.place, found.kind) == (place, kind)


def test_nothing_is_found_where_the_kernel_says_nothing() -> None:
    """As in a root of its own."""
    assert find_mount(parse_mounts(""), "/home") is None
    assert explain_number(None, is_mapped=True) == ""


@pytest.mark.parametrize(
    ("kind", "is_mapped", "words"),
    [
        ("btrfs", False, "btrfs"),
        ("btrfs", True, "btrfs"),
        ("nfs4", False, "nfs4"),
        ("ext4", True, "LVM or LUKS"),
        ("ext4", False, ""),
    ],
)
def test_whose_number_may_change(kind: str, is_mapped: bool, words: str) -> None:
    """What has one by the order of mounting, or of the mapping."""
    assert explain_number(Mount("/", kind, "1:2"), is_mapped=is_mapped) == words


def test_gnutar_on_such_is_a_warning() -> None:
    """With the command for the server, which can be typed as it stands."""
    served = replace(WELCOME, dles=(dle("/home"), dle("/my disk"), dle("/srv")))
    check = judge_devices(served, {"/home": "btrfs", "/my disk": "LVM or LUKS", "/srv": ""})
    assert check.health is Health.WARNING
    assert check.found == "GNUTAR dumps /home (btrfs), /my disk (LVM or LUKS)"
    assert check.fix.endswith("asyncamanda server disk modernise laptop /home '/my disk'")
    many = [f"/{number}" for number in range(9)]
    check = judge_devices(replace(WELCOME, dles=tuple(map(dle, many))), dict.fromkeys(many, "zfs"))
    assert check.found.endswith("/4 (zfs) and 4 more")
    assert check.fix.endswith("modernise laptop")


@pytest.mark.parametrize(
    ("dles", "health"),
    [
        ((dle("/home", "APPLICATION"),), Health.OK),
        ((dle("/home", "DUMP"),), Health.OK),
        ((replace(dle("/home"), is_parked=True),), Health.OK),
        ((dle("/home", ""),), Health.SKIPPED),
        ((), Health.SKIPPED),
    ],
)
def test_what_is_no_gnutar_or_not_known_is_no_warning(
    dles: tuple[DleState, ...], health: Health
) -> None:
    """An older server does not say what dumps a disk."""
    assert judge_devices(replace(WELCOME, dles=dles), {"/home": "btrfs"}).health is health

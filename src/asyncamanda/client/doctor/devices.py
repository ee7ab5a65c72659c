"""What the disks that GNUTAR dumps are on, on this machine."""

import os
from pathlib import Path

from asyncamanda.core.doctor.devices import (
    explain_number,
    find_mount,
    judge_devices,
    list_by_gnutar,
    parse_mounts,
    path_of,
)
from asyncamanda.core.doctor.findings import Check
from asyncamanda.core.protocol.messages import Welcome

MOUNTS = Path("/proc/self/mountinfo")
BLOCK_DEVICES = Path("/sys/dev/block")


def check_devices(welcome: Welcome) -> Check:
    """Return whether a disk may get another device number that matters. Raises OSError."""
    mounts = parse_mounts(MOUNTS.read_text("utf-8", "surrogateescape"))
    found = {}
    for dle in list_by_gnutar(welcome):
        path = path_of(dle)
        if not path.startswith("/"):
            continue
        mount = find_mount(mounts, os.path.realpath(path))
        is_mapped = mount is not None and (BLOCK_DEVICES / mount.device / "dm").is_dir()
        found[dle.disk] = explain_number(mount, is_mapped=is_mapped)
    return judge_devices(welcome, found)

"""How the doctor judges the device numbers of what is backed up: may they be others after a start?

GNU tar's list of what was there has them, and where one has changed, tar takes all below for new:
an incremental dump is a full. GNUTAR cannot be told otherwise (docs/design/0015-device-numbers.md).
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncamanda.core.amanda.disklist import GNUTAR
from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.protocol.messages import DleState, Welcome

NAMED = 5
# the kernel gives these a number when they are mounted: whichever is free
_BY_MOUNTING = ("btrfs", "bcachefs", "zfs", "nfs", "nfs4", "cifs", "smb3", "virtiofs")
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: where, its type, and the device's number as "MAJOR:MINOR"."""

    place: str
    kind: str
    device: str


def parse_mounts(text: str) -> list[Mount]:
    """Return what /proc/self/mountinfo says, in its order: a later one lies over earlier ones."""
    found = []
    for line in text.split("\n"):
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        if len(words) > 5 and after:
            found.append(Mount(_plain(words[4]), after.split(" ")[0], words[2]))
    return found


def _plain(place: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), place)


def find_mount(mounts: Sequence[Mount], path: str) -> Mount | None:
    """Return the file system that `path`, which has no link in it, is on."""
    best = None
    for mount in mounts:
        is_above = path == mount.place or path.startswith(f"{mount.place.rstrip('/')}/")
        if is_above and (best is None or len(mount.place) >= len(best.place)):
            best = mount
    return best


def explain_number(mount: Mount | None, *, is_mapped: bool) -> str:
    """Return what the file system is whose number may change, "" if it may not.

    `is_mapped`: its device is one of the device mapper's, as those of LVM and LUKS are.
    """
    if mount and mount.kind in _BY_MOUNTING:
        return mount.kind
    return "LVM or LUKS" if mount and is_mapped else ""


def path_of(dle: DleState) -> str:
    """Return the path on the client that is dumped."""
    return dle.device or dle.disk


def list_by_gnutar(welcome: Welcome) -> list[DleState]:
    """Return the disks that GNUTAR dumps."""
    return [dle for dle in welcome.dles if dle.program == GNUTAR and not dle.is_parked]


def judge_devices(welcome: Welcome, found: Mapping[str, str]) -> Check:
    """Return whether GNUTAR dumps a disk whose number may change.

    `found` says, by disk, on what each disk is, as explain_number() does.
    """
    if not any(dle.program for dle in welcome.dles):
        words = "the server does not say which program dumps the disks"
        return Check("devices", Health.SKIPPED, words)
    names = [dle.disk for dle in list_by_gnutar(welcome) if found.get(dle.disk)]
    if not names:
        return well("devices", "no disk is dumped by GNUTAR on what may get another device number")
    said = ", ".join(f"{name} ({found[name]})" for name in names[:NAMED])
    more = len(names) - NAMED
    words = f"GNUTAR dumps {said}{f' and {more} more' if more > 0 else ''}"
    why = (
        "a restart may give it another device number, and then an incremental dump is as large "
        "as a full one"
    )
    disks = shlex.join([welcome.client, *names[:NAMED]]) if more <= 0 else welcome.client
    fix = f"on the server, as root: asyncamanda server disk modernise {disks}"
    return Check("devices", Health.WARNING, words, why, fix)

"""The Amanda configuration that setup writes for a server that has none: volumes on a disk."""

from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.amanda.excludes import CLIENT_LIST, USUAL
from asyncamanda.core.amanda.sealing import render_definitions
from asyncamanda.core.amanda.volumes import Volumes

AMANDA_FOLDER = Path("/etc/amanda")
STATE_FOLDER = Path("/var/lib/amanda")
LEAST_SIZE = 2 * 10**9  # bytes
SLOTS = 20
HELD_PART = 5  # a fifth of the room is the holding disk's

_MEGABYTE = 1 << 20  # as amanda.conf counts

_AMANDA_CONF = """\
# Written by `asyncamanda server setup --new-config {name}`, for roaming clients.
# amanda.conf(5) explains every word. Change what you like; setup then leaves it alone.

org "{name}"
mailto ""
dumpuser "{user}"

infofile "{kept}/curinfo"
logdir   "{kept}/log"
indexdir "{kept}/index"

dumpcycle 1 week
runspercycle 7
tapecycle {slots} tapes
runtapes {run_tapes}              # the whole holding disk, in one flush
inparallel 10
maxdumps 2              # at a time, of one client
reserve 0               # with --no-taper, 100 (the default) would refuse full dumps
etimeout 300
dtimeout 900
ctimeout 30

# {slots} volumes of {length} MiB
tpchanger "vtapes"
define changer vtapes {{
    tpchanger "chg-disk:{vtapes}"
    property "num-slot" "{slots}"
    property "auto-create-slot" "yes"
}}
tapetype "VTAPE"
define tapetype VTAPE {{
    length {length} mbytes
    filemark 4 kbytes
    part-size {part} mbytes     # in which a dump goes on on the next volume
}}
labelstr match-autolabel
autolabel "{name}-%%%" empty

# no flush-threshold-*, no taperflush: they keep amflush from writing, too, and asyncamanda
# flushes when there is enough ([flush] in server.toml)
holdingdisk holding {{
    directory "{holding}"
    use {held} mbytes
}}

# A file system's device number may be another after each start (btrfs; LVM, LUKS): with the
# default of CHECK-DEVICE, and by GNUTAR always, a level 1 is then as large as a full.
define application roaming-tar {{
    plugin "amgtar"
    property "CHECK-DEVICE" "NO"
    property "XATTRS" "YES"
    property "ACLS" "YES"
}}
# comprate counts until a dump has shown its own: photos do not get smaller. Amanda does not pass
# it on to a dumptype that names another, so each has it.
define dumptype roaming-base {{
    comment "what all roaming machines have in common: not a dumptype by itself"
    auth "ssh"
    compress client fast
    index yes
    maxpromoteday 0
    retry-dump 5        # a client may lose its connection more than once in a run
    record yes
    # by name, in any folder; the file is the client's own (`exclude` in its client.toml)
    exclude file {excludes}
    exclude list optional "{client_list}"
}}
define dumptype roaming {{
    roaming-base
    comment "a roaming machine, by GNU tar"
    comprate 1, 1
    program "APPLICATION"
    application "roaming-tar"
}}
define dumptype roaming-gnutar {{
    roaming-base
    comment "the same, by Amanda's older program for GNU tar"
    comprate 1, 1
    program "GNUTAR"
}}
# What `asyncamanda setup --encrypt` on a client asks for: only the client's key opens the dumps.
"""

DISKLIST = """\
# One line a disk: the client's host name, the disk, and the dumptype, such as
# laptop.example.com /home roaming
"""


@dataclass(frozen=True, slots=True)
class NewConfig:
    """What is wanted: a name, where volumes and holding disk lie, and their room in bytes."""

    name: str
    vtapes: Path
    holding: Path
    size: int
    user: str = "backup"

    @property
    def folder(self) -> Path:
        """Where its amanda.conf and disklist lie."""
        return AMANDA_FOLDER / self.name

    @property
    def held(self) -> int:
        """The bytes of its holding disk."""
        return self.size // HELD_PART

    @property
    def room(self) -> int:
        """The bytes of its volumes."""
        return self.size - self.held

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that it names, which Amanda wants to find."""
        kept = STATE_FOLDER / self.name
        return (kept, kept / "curinfo", kept / "log", kept / "index", self.vtapes, self.holding)


def find_volumes(wanted: NewConfig) -> Volumes:
    """Return the volumes that it is to have: what the holding disk leaves, in equal parts."""
    length = wanted.room // SLOTS // _MEGABYTE
    return Volumes(length * _MEGABYTE, SLOTS)


def render_amanda_conf(wanted: NewConfig) -> str:
    """Return the amanda.conf: a fifth of the room holds dumps, the rest is the volumes'."""
    held = wanted.held
    length = find_volumes(wanted).length // _MEGABYTE
    text = _AMANDA_CONF.format(
        name=wanted.name,
        user=wanted.user,
        kept=STATE_FOLDER / wanted.name,
        slots=SLOTS,
        run_tapes=-(-held // (length * _MEGABYTE)) + 1,
        vtapes=wanted.vtapes,
        length=length,
        part=max(1, length // 10),
        holding=wanted.holding,
        held=held // _MEGABYTE,
        excludes=" ".join(f'"{pattern}"' for pattern in USUAL),
        client_list=CLIENT_LIST,
    )
    return text + render_definitions()

"""What a client asks of `asyncamanda gate restore`: one line of JSON.

The line is hostile: it is bounded as a whole and field by field (core/protocol/bounds.py). It
names no client and no configuration: the key says whose dumps are meant (authority.py there).
Paths lead from the disk's folder to what is below it. Keys that a server does not know are passed
over, and those that have a default may be missing, so that the two sides may be of different age.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from asyncamanda.core.protocol.codec import fit_record, read_record, write_record, write_value
from asyncamanda.core.values.foreign import parse_json

LARGEST_REQUEST = 1 << 20  # bytes of the line, its end aside


@dataclass(frozen=True, slots=True)
class At:
    """Which dump: the newest at or before a time, or a run's own; with neither the newest."""

    before: datetime | None = None
    run: str = ""


NEWEST = At()


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a restore goes on that was cut.

    `dumps` are those of its plan, by their runs' timestamps; `done` is how many members of the
    stream had come whole.
    """

    dumps: tuple[str, ...]
    done: int


@dataclass(frozen=True, slots=True)
class DisksRequest:
    """What can be restored at all: each disk, from when to when."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What was there at a date.

    All below `path`, or with `is_deep` false the entries of that folder. `glob`: only what matches
    it. `is_every_version`: instead, each dump in which `path` is. `has_owners`: with the owner and
    mode of each folder on the way.
    """

    disk: str
    path: bytes = b""
    at: At = NEWEST
    glob: bytes = b""
    is_every_version: bool = False
    is_deep: bool = True
    has_owners: bool = False


@dataclass(frozen=True, slots=True)
class FilesRequest:
    """These files, and all below these folders, as they were at a date.

    `is_dry_run`: only what that would be. `has_owners`: every folder on the way is sent, too.
    """

    disk: str
    paths: tuple[bytes, ...]
    at: At = NEWEST
    is_dry_run: bool = False
    has_owners: bool = False
    resume: Resume | None = None


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The whole image of a dump, as the program that made it has written it.

    It is that of a level of the chain that leads to the date; without a `level` only the chain is
    told. The first `skip` bytes are passed over: whoever asks has them.
    """

    disk: str
    at: At = NEWEST
    level: int | None = None
    skip: int = 0


RestoreRequest = DisksRequest | ListRequest | FilesRequest | RawRequest

KINDS: dict[str, type[RestoreRequest]] = {
    "disks": DisksRequest,
    "list": ListRequest,
    "restore": FilesRequest,
    "raw": RawRequest,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def gives_back(request: RestoreRequest) -> bool:
    """Return whether contents of dumps are asked for, and not only what there is of them."""
    match request:
        case FilesRequest():
            return not request.is_dry_run
        case RawRequest():
            return request.level is not None
        case _:
            return False


def encode_request(request: RestoreRequest) -> bytes:
    """Return `request` as a line, its end included.

    Raises ValueError if something in it is too long, or does not lie within the disk.
    """
    value = {"type": _NAMES[type(request)], **write_record(fit_record(request))}
    line = json.dumps(value, default=write_value, separators=(",", ":"), allow_nan=False)
    if len(line) > LARGEST_REQUEST:
        raise ValueError(f"more than {LARGEST_REQUEST} bytes")
    return line.encode("ascii") + b"\n"


def parse_request(line: bytes) -> RestoreRequest:
    """Return what `line`, with its end or without, asks for.

    Raises ValueError, which says what is wrong with which key and quotes nothing of the line.
    """
    if len(line.rstrip(b"\n")) > LARGEST_REQUEST:
        raise ValueError(f"more than {LARGEST_REQUEST} bytes")
    try:
        value: object = parse_json(line.decode("utf-8"))
    except ValueError as error:
        raise ValueError("not JSON") from error
    name = value.get("type") if isinstance(value, dict) else None
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"type: none of {', '.join(KINDS)}")
    request = read_record(kind, value, may_lack=True)
    if isinstance(request, FilesRequest) and not request.paths:
        raise ValueError("paths: none is named")
    return request

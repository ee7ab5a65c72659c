"""What the server says on stderr to who wants files back: lines of JSON.

What was asked for itself, names or a tar stream, is on stdout. Each side considers the other
hostile, so all is bounded (core/protocol/bounds.py). Lines that are none, such as those of sshd or
of an older gate, are kept as words for people.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from asyncamanda.core.protocol.codec import fit_record, read_record, write_record, write_value
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.core.values.printable import clip, printable

LARGEST_ANSWER = 1 << 20  # bytes a line, its end aside
LONGEST_WORDS = 1000  # characters of a line that is no answer


@dataclass(frozen=True, slots=True)
class QueuedRestore:
    """The request waits, since others are served; its place from 1."""

    place: int


@dataclass(frozen=True, slots=True)
class DumpOfDisk:
    """A dump that is there: its run's timestamp, when that began, and the level."""

    run: str
    dumped_at: datetime
    level: int


@dataclass(frozen=True, slots=True)
class DiskAnswer:
    """A disk of which something can be restored, or could.

    `device` is the path on the client that it is. `first_at` and `last_at` are those of the oldest
    and the newest date that can be restored whole, None where there is none. `is_listable`: single
    files of it can be had; if not, `reason` says why. `gone_at` is the newest dump that has been
    overwritten, and `gone_with` the volume that was used again. `has_images`: whole images of it
    can be had. `is_sealed`: the client has encrypted some of its dumps.
    """

    disk: str
    device: str
    first_at: datetime | None
    last_at: datetime | None
    runs: tuple[DumpOfDisk, ...]
    is_listable: bool
    reason: str = ""
    gone_at: datetime | None = None
    gone_with: str = ""
    has_images: bool = False
    is_sealed: bool = False


@dataclass(frozen=True, slots=True)
class ImageOfDisk:
    """The image in a dump: of which run, when that began, and its level.

    `maker` is the program that has written it, in a word; `is_tar`: that is GNU tar. `size` is in
    bytes as it is sent, None where not known. What the client has encrypted is sent as it lies:
    `claims` says what undoes that, as in the dump's header, whose `dle` is here, too, and
    `unpacked_size` is how many bytes it makes.
    """

    run: str
    dumped_at: datetime
    level: int
    maker: str
    is_tar: bool = False
    size: int | None = None
    claims: str = ""
    dle: str = ""
    unpacked_size: int | None = None


@dataclass(frozen=True, slots=True)
class ImagesPlan:
    """The images of which a disk can be made as it was: the full first, each built on by the next.

    `doubts` say what may be wrong with them. `device` is the path on the client that the disk is.
    """

    images: tuple[ImageOfDisk, ...]
    doubts: tuple[str, ...] = ()
    device: str = ""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What is sent: of which dump, how many files, folders and bytes; None where not counted.

    `dumps` are the runs of its chain, the full first. `doubts` say what may be wrong with it.
    `keeps_acls`: each of its images was made with access control lists. `now` is the server's
    clock, and `device` the path on the client that the disk is. `excludes` are patterns of what its
    dumps were to leave out, and `has_all_excludes`: there is nothing else that did, but for the
    client's own list.
    """

    run: str
    dumped_at: datetime
    files: int | None
    folders: int | None
    size: int | None
    dumps: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    keeps_acls: bool = False
    now: datetime | None = None
    device: str = ""
    excludes: tuple[str, ...] = ()
    has_all_excludes: bool = False


@dataclass(frozen=True, slots=True)
class MissingFile:
    """A file that was there at the date and cannot be had, and why."""

    path: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class UnmatchedPath:
    """A path that was not there at the date, and names near it that were."""

    path: bytes
    near: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A dump in which the path is: `flag` says how (core/restore/head.py).

    `size` and `modified_at` are known where its contents are; `is_changed`: it differs from the
    next older one. `ways` have mode, owner, group and ACL of each folder that leads to it.
    """

    path: bytes
    run: str
    dumped_at: datetime
    flag: str
    size: int | None = None
    modified_at: datetime | None = None
    is_changed: bool = True
    ways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreDone:
    """All was sent: how many files, and of how many bytes. The last line of a good answer."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class RestoreFailed:
    """The last line of a bad answer, with what an error needs (errors.py)."""

    exit: int
    reference: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class OtherLine:
    """A line that is no answer, in words that can be shown."""

    words: str


RestoreAnswer = (
    QueuedRestore
    | DiskAnswer
    | RestorePlan
    | ImagesPlan
    | MissingFile
    | UnmatchedPath
    | FileVersion
    | RestoreDone
    | RestoreFailed
)

KINDS: dict[str, type[RestoreAnswer]] = {
    "queued": QueuedRestore,
    "disk": DiskAnswer,
    "plan": RestorePlan,
    "images": ImagesPlan,
    "missing": MissingFile,
    "unmatched": UnmatchedPath,
    "version": FileVersion,
    "done": RestoreDone,
    "failed": RestoreFailed,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def encode_answer(answer: RestoreAnswer) -> bytes:
    """Return `answer` as one line, its end included; words that are too long are cut.

    Raises ValueError for what cannot be cut: a name that is too long, or a line.
    """
    value = {"type": _NAMES[type(answer)], **write_record(fit_record(answer))}
    line = json.dumps(value, default=write_value, separators=(",", ":"), allow_nan=False)
    if len(line) > LARGEST_ANSWER:
        raise ValueError(f"more than {LARGEST_ANSWER} bytes")
    return line.encode("ascii") + b"\n"


class AnswerDecoder:
    """Bytes of the server's stderr into answers; it keeps at most one unfinished line."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._is_skipping = False

    def feed(self, received: bytes) -> list[RestoreAnswer | OtherLine]:
        """Return what `received` completes, in order. Accepts any bytes, and never raises.

        A line that is too long is not kept, and blank lines and answers of an unknown type are
        skipped.
        """
        found: list[RestoreAnswer | OtherLine] = []
        for index, piece in enumerate(received.split(b"\n")):
            if index:
                found += self._end_line()
            if self._is_skipping:
                continue
            self._kept += piece
            if len(self._kept) > LARGEST_ANSWER:
                found.append(_show(self._kept))
                self._kept.clear()
                self._is_skipping = True
        return found

    def end(self) -> list[RestoreAnswer | OtherLine]:
        """Return what an unfinished last line is."""
        return self._end_line()

    def _end_line(self) -> list[RestoreAnswer | OtherLine]:
        line = bytes(self._kept)
        self._kept.clear()
        self._is_skipping = False
        if not line.strip():
            return []
        try:
            value: object = parse_json(line.decode("utf-8"))
            name = value.get("type") if isinstance(value, dict) else None
            if not isinstance(name, str):
                return [_show(line)]
            kind = KINDS.get(name)
            return [read_record(kind, value, may_lack=True)] if kind else []
        except ValueError:
            return [_show(line)]


def _show(line: bytes | bytearray) -> OtherLine:
    words = line[: 4 * LONGEST_WORDS].decode("utf-8", "replace")
    return OtherLine(clip(printable(" ".join(words.split())), LONGEST_WORDS))

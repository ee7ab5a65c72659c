"""What the schedule consists of: root's record of exactly what was written, and where.

The record is written before the files, so that whatever a crash leaves is in it.
"""

import hashlib
import json
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncamanda import quick
from asyncamanda.core.schedule.schedule import ScheduleKind, is_ours, read_block
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.system.files import sync_folder, write_whole

RECORD = Path(quick.SYSTEM_STATE, "schedule.json")


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was or is being written: by its hashes, one, or more if a crash came between."""

    path: Path
    sums: tuple[str, ...]
    is_block: bool


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """What was written; not `is_done` while it is being written or removed."""

    kind: ScheduleKind
    entries: tuple[WrittenFile, ...]
    is_done: bool

    def find(self, path: Path) -> WrittenFile | None:
        """Return the entry of the file `path`."""
        return next((entry for entry in self.entries if entry.path == path), None)


def hash_text(text: str) -> str:
    """Return the SHA-256 of `text`, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def read_record() -> ScheduleRecord | None:
    """Return what was written, None if nothing was. Raises BadDataError if that is invalid."""
    try:
        value = parse_json(RECORD.read_text("utf-8"))
        entries = tuple(
            WrittenFile(Path(entry["path"]), tuple(entry["sha256"]), bool(entry["block"]))
            for entry in value["files"]
        )
        return ScheduleRecord(ScheduleKind(value["kind"]), entries, bool(value["done"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadDataError(
            "schedule-record",
            f"{RECORD} cannot be read, so what belongs to the schedule is not known: {error}",
            "move it away; then `schedule install` adopts the files of its own that it finds",
        ) from error


def write_record(record: ScheduleRecord) -> None:
    """Keep what is being written, or was. Raises OSError."""
    value = {
        "kind": record.kind,
        "done": record.is_done,
        "files": [
            {"path": str(entry.path), "sha256": entry.sums, "block": entry.is_block}
            for entry in record.entries
        ],
    }
    RECORD.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(RECORD, json.dumps(value, indent=1) + "\n")


def forget_record() -> None:
    """Keep nothing: nothing is left. Raises OSError."""
    with suppress(FileNotFoundError):
        RECORD.unlink()
        sync_folder(RECORD.parent)


def read_place(path: Path) -> str | None:
    """Return the text of the file `path`, None if there is none.

    Raises RefusedError if something else is there: a link, which may be systemd's mask.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise refuse_foreign(path, "is not a regular file")
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refuse_foreign(path, f"cannot be read: {error.strerror}") from error


def refuse_foreign(path: Path, why: str) -> RefusedError:
    """Return the error for a place that has something which is not asyncamanda's."""
    return RefusedError(
        "not-ours",
        f"{path} {why}, and it is left as it is",
        f"check it, and move it away if it is not needed: mv {path} /root/",
    )


def read_own(entry: WrittenFile) -> str | None:
    """Return what is there of `entry`: the file's text or the block's; None if it is gone.

    Raises RefusedError if something else is there.
    """
    text = read_place(entry.path)
    if text is None:
        return None
    return read_block(text) if entry.is_block else text


def check_ours(path: Path, text: str | None, record: ScheduleRecord | None) -> None:
    """Raise RefusedError if `text`, that of the file `path`, is neither marked nor recorded."""
    if text is None or is_ours(text):
        return
    entry = record.find(path) if record else None
    if entry is None or hash_text(text) not in entry.sums:
        raise refuse_foreign(path, "was not made by asyncamanda")

"""What a restore writes down of itself: its lines of JSON, and what they mean.

First what was asked for, then what is done, the newest last. Bytes of names stand for themselves in
Latin-1.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asyncamanda.core.restore.request import At
from asyncamanda.system.attributes import Attributes

FORM = 1


@dataclass(frozen=True, slots=True)
class Part:
    """What is wanted of one disk: paths relative to its folder, and as of when."""

    disk: str
    device: str
    paths: tuple[bytes, ...]
    at: At


@dataclass(frozen=True, slots=True)
class Errand:
    """One restore as it was asked for. `base`: the folder below which all names begin.

    `overwrite` is what happens to files that are there, in place; None for a new folder.
    """

    parts: tuple[Part, ...]
    base: bytes
    overwrite: str | None = None


@dataclass(slots=True)
class RecordedState:
    """How far a restore is. `part` is the number of the one that goes on.

    `done` counts the members of its stream that are whole, and `run` and `dumps` are its plan's, as
    soon as there is one. `unfinished` are folders that are there, and what they are to be.
    `is_placing`: all is there, and on its way into its place; `made` are the folders that were put
    there, with the number of each one's inode. `is_synced`: all of it would outlast a power cut.
    """

    part: int = 0
    run: str = ""
    dumps: tuple[str, ...] = ()
    done: int = 0
    files: int = 0
    folders: int = 0
    size: int = 0
    unfinished: dict[bytes, Attributes] = field(default_factory=dict)
    failed: dict[bytes, str] = field(default_factory=dict)
    missing: dict[bytes, str] = field(default_factory=dict)
    unmatched: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    is_placing: bool = False
    made: dict[bytes, int] = field(default_factory=dict)
    is_synced: bool = False

    def take(self, line: dict[str, Any]) -> None:
        """Become what it is after `line`. Raises ValueError or TypeError for a damaged one."""
        self.is_synced = "synced" in line
        match line:
            case {"done": [part, done, files, folders, size]}:
                self.begin_part(part)
                self.done, self.files, self.folders, self.size = done, files, folders, size
            case {"plan": [run, dumps]}:
                self.run, self.dumps = run, tuple(dumps)
            case {"folder": [path, uid, gid, mode, mtime_ns, extended]}:
                pairs = tuple((from_text(key), from_text(value)) for key, value in extended)
                self.unfinished[from_text(path)] = Attributes(uid, gid, mode, mtime_ns, pairs)
            case {"failed": [path, reason]}:
                self.failed[from_text(path)] = reason
            case {"missing": [path, reason]}:
                self.missing[from_text(path)] = reason
            case {"unmatched": [path, near]}:
                self.unmatched[from_text(path)] = tuple(map(from_text, near))
            case {"placing": _}:
                self.is_placing = True
            case {"made": [path, inode]}:
                self.made[from_text(path)] = inode

    def begin_part(self, part: int) -> None:
        """Go on with this part, which is the present one or the next."""
        if part != self.part:
            self.part, self.run, self.dumps, self.done = part, "", (), 0

    def describe_progress(self) -> dict[str, object]:
        """Return the line that says how far it is."""
        return {"done": [self.part, self.done, self.files, self.folders, self.size]}


def describe_errand(errand: Errand, target: list[int], boot: str) -> dict[str, object]:
    """Return the first line: what was asked for, into which folder, since which start of this."""
    return {
        "form": FORM,
        "target": target,
        "boot": boot,
        "base": to_text(errand.base),
        "overwrite": errand.overwrite,
        "parts": [
            {
                "disk": part.disk,
                "device": part.device,
                "paths": [to_text(path) for path in part.paths],
                "before": part.at.before.isoformat() if part.at.before else None,
                "run": part.at.run,
            }
            for part in errand.parts
        ],
    }


def parse_errand(line: dict[str, Any]) -> Errand:
    """Return what the first line says. Raises KeyError, TypeError or ValueError."""
    parts = tuple(
        Part(
            each["disk"],
            each["device"],
            tuple(from_text(path) for path in each["paths"]),
            At(datetime.fromisoformat(each["before"]) if each["before"] else None, each["run"]),
        )
        for each in line["parts"]
    )
    return Errand(parts, from_text(line["base"]), line["overwrite"])


def describe_folder(path: bytes, wanted: Attributes) -> dict[str, object]:
    """Return the line of a folder that is there, and what it is to be."""
    extended = [[to_text(key), to_text(value)] for key, value in wanted.extended]
    words = [to_text(path), wanted.uid, wanted.gid, wanted.mode, wanted.mtime_ns, extended]
    return {"folder": words}


def to_text(name: bytes) -> str:
    """Return `name` as a line has it."""
    return name.decode("latin-1")


def from_text(text: str) -> bytes:
    """Return the name that a line has. Raises ValueError."""
    return text.encode("latin-1")

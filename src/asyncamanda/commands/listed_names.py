"""The names that `list` prints: as they were asked for, in lines, with NULs, or as JSON."""

import json
import sys
from dataclasses import dataclass

from asyncamanda.client.restore.listing import FOLDER, Listed
from asyncamanda.core.restore.answer import DiskAnswer
from asyncamanda.core.restore.whereabouts import folder_of, join
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import ProtocolError
from asyncamanda.report.json import time_value
from asyncamanda.report.narrator import is_watched, write_line
from asyncamanda.report.page import fold
from asyncamanda.report.restore import count_things, show, text_of
from asyncamanda.report.stream import styled
from asyncamanda.report.text import format_time


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """What is listed: below which path of a disk, and how that was typed (b"" for nothing)."""

    disk: DiskAnswer
    path: bytes
    typed: bytes

    @property
    def top(self) -> bytes:
        """The disk's folder."""
        return folder_of(self.disk) or b"/"

    def name(self, path: bytes) -> bytes:
        """Return a path of the disk as it is shown: as what was typed goes on."""
        tail = path[len(self.path) :].lstrip(b"/")
        is_below = path == self.path or path.startswith(self.path and self.path + b"/")
        leads_out = b".." in path and b".." in path.split(b"/")
        if not is_below or leads_out or not (self.typed or tail):
            raise ProtocolError(
                "bad-answer", "the server lists what was not asked for", "is it your server?"
            )
        if self.typed == b".":
            return tail or b"."
        return join(self.typed, tail) if self.typed else tail


class NamePrinter:
    """Names as lines, or each with a NUL."""

    def __init__(self, *, is_raw: bool) -> None:
        self.count = 0
        self._is_raw = is_raw
        self._notes: list[str] = []
        self._stream = styled(sys.stdout)

    def take(self, folder: ListedFolder, records: list[bytes]) -> None:
        """Print names."""
        self.count += len(records)
        if self._is_raw:
            names = [folder.name(record[1:]) for record in records]
            self._stream.buffer.write(b"\0".join([*names, b""]))
            return
        names = [
            folder.name(record[1:]) + (b"/" if record[:1] == FOLDER else b"") for record in records
        ]
        text = b"\n".join(names).decode("utf-8", "surrogateescape")
        if text.count("\n") >= len(names) or not text.replace("\n", "").isprintable():
            text = "\n".join(map(show, names))
        self._stream.write(f"{text}\n")

    def note(self, folder: ListedFolder, listed: Listed) -> None:
        """Note of when the names are."""
        if listed.plan:
            when = format_time(listed.plan.dumped_at)
            self._notes.append(f"{printable(folder.disk.disk)} at {when} (run {listed.plan.run})")
            self._notes += [f"warning: {printable(doubt)}" for doubt in listed.plan.doubts]

    def end(self) -> None:
        """Say, to somebody who reads it, what was listed."""
        self._stream.flush()
        if is_watched() and self._notes:
            words = f"{count_things(self.count, 'name')} of {'; '.join(self._notes)}"
            write_line(sys.stderr, fold(words, sys.stderr))


class JsonNamePrinter:
    """One JSON text, written as it comes."""

    def __init__(self) -> None:
        self.count = 0
        self._stream = styled(sys.stdout)
        self._disks: list[dict[str, object]] = []

    def take(self, folder: ListedFolder, records: list[bytes]) -> None:
        """Print names."""
        for record in records:
            folder.name(record[1:])  # which refuses what was not asked for
            entry = {
                "path": text_of(join(folder.top, record[1:])),
                "disk": folder.disk.disk,
                "is_folder": record[:1] == FOLDER,
            }
            self._stream.write(
                f'{{"entries": [\n{json.dumps(entry)}'
                if not self.count
                else f",\n{json.dumps(entry)}"
            )
            self.count += 1

    def note(self, folder: ListedFolder, listed: Listed) -> None:
        """Note of when the names are."""
        if listed.plan:
            self._disks.append(
                {
                    "disk": folder.disk.disk,
                    "run": listed.plan.run,
                    "dumped_at": time_value(listed.plan.dumped_at),
                    "doubts": list(listed.plan.doubts),
                }
            )

    def end(self) -> None:
        """Print the end of the text."""
        begin = "\n" if self.count else '{"entries": ['
        self._stream.write(f'{begin}], "disks": {json.dumps(self._disks)}}}\n')

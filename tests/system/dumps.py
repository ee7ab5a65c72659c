"""Dumps as Amanda lays them out, of images that the real tar makes: for those who read them.

The words of a header are those of build_header() in fileheader.c; tests/e2e looks at real ones.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from crc32c import crc32c
from tests.system.amandafiles import AmandaFiles

from asyncamanda.core.amanda.curinfo import sanitise_name
from asyncamanda.core.amanda.header import HEADER_BYTES
from asyncamanda.core.amanda.quoting import quote
from asyncamanda.server.restore.dump_files import WantedDump
from asyncamanda.server.restore.shelves import Shelves

HOST, DISK = "laptop", "/home"
PLAIN = "comp N program /bin/tar"
GZIPPED = "comp .gz program /bin/tar"


def make_image(folder: Path, snapshot: Path, level: int, *more: str) -> bytes:
    """Return the image of a folder that GNU tar makes as Amanda's GNUTAR calls it.

    `snapshot` is where it keeps what it knows of each level.
    """
    known = snapshot.with_suffix(f".{level}")
    before = snapshot.with_suffix(f".{level - 1}")
    known.write_bytes(before.read_bytes() if level else b"")
    argv = ["tar", "--create", "--file=-", f"--directory={folder}", "--one-file-system"]
    argv += [f"--listed-incremental={known}", "--sparse", "--ignore-failed-read", "--totals"]
    return subprocess.run([*argv, *more, "."], check=True, capture_output=True).stdout


def gzip(image: bytes) -> bytes:
    """Return it as Amanda's own compression makes it."""
    return subprocess.run(["gzip", "--fast"], input=image, check=True, capture_output=True).stdout


class Dumps:
    """What a test has dumped of laptop's /home; `find` is what `amadmin find` would print of it."""

    def __init__(self, files: AmandaFiles) -> None:
        self.files = files
        self.rows = [""]
        self.asked = 0

    @property
    def shelves(self) -> Shelves:
        """Where they lie."""
        return Shelves(self.files.settings, HOST, self.find)

    def find(self, _config: str, _host: str) -> str:
        """Return the rows, as Amanda prints them."""
        self.asked += 1
        return "\n".join(self.rows) + "\n"

    def hold(
        self,
        stamp: str,
        level: int,
        image: bytes,
        *,
        claims: str = PLAIN,
        chunk: int = 0,
        lines: Iterable[str] = (),
        host: str = HOST,
        disk: str = DISK,
        name: str = "",
    ) -> list[Path]:
        """Write a dump to the holding disk, in files of `chunk` bytes each; 0: in one."""
        first = self.files.holding / stamp / (name or _file_name(host, disk, level))
        pieces = _cut(image, chunk)
        paths = [first, *(Path(f"{first}.{number}") for number in range(1, len(pieces)))]
        for number, (path, piece) in enumerate(zip(paths, pieces, strict=True)):
            kind = "CONT_FILE" if number else "FILE"
            begin = f"AMANDA: {kind} {stamp} {host} {quote(disk)}  lev {level} {claims}"
            more = [f"CONT_FILENAME={paths[number + 1]}"] if number + 1 < len(paths) else []
            _write(path, [begin, *more, *lines, _sum(image)], piece)
        return paths

    def tape(
        self,
        stamp: str,
        level: int,
        image: bytes,
        *,
        claims: str = PLAIN,
        part: int = 0,
        labels: tuple[str, ...] = ("DAILY-001",),
        storage: str = "daily",
        lines: Iterable[str] | None = None,
    ) -> list[Path]:
        """Write a dump to virtual tapes in parts, one after another to the next of `labels`."""
        pieces = _cut(image, part)
        paths = []
        for number, piece in enumerate(pieces, 1):
            label = labels[(number - 1) % len(labels)]
            slot = self.label(label)
            file = sum(1 for _ in slot.iterdir())
            path = slot / f"{file:05d}.{_file_name(HOST, DISK, level)}"
            begin = (
                f"AMANDA: SPLIT_FILE {stamp} {HOST} {DISK}  part {number}/-1  lev {level} {claims}"
            )
            more = [_sum(image)] if lines is None else lines
            _write(path, [begin, *more], piece)
            paths.append(path)
            moment = (
                f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[8:10]}:{stamp[10:12]}:{stamp[12:]}"
            )
            self.rows.append(
                f"{moment} {HOST} {DISK}  {level} {storage} {storage} {label}    {file} "
                f"{number}/{len(pieces)} OK "
            )
        return paths

    def label(self, label: str, stamp: str = "20261101000000") -> Path:
        """Return the slot of a virtual tape, which is made where there is none of that label."""
        slots = [each for each in self.files.vtapes.iterdir() if (each / f"00000.{label}").exists()]
        slot = slots[0] if slots else self.files.vtapes / f"slot{label}"
        if not slots:
            _write(slot / f"00000.{label}", [f"AMANDA: TAPESTART DATE {stamp} TAPE {label}"], b"")
        return slot


def wanted(stamp: str, level: int, *runs: str) -> WantedDump:
    """Return the dump of that run, as the ledger has it."""
    return WantedDump(HOST, DISK, stamp, level, runs)


def _file_name(host: str, disk: str, level: int) -> str:
    return f"{sanitise_name(host)}.{sanitise_name(disk)}.{level}"


def _sum(image: bytes) -> str:
    return f"SERVER-CRC={crc32c(image):08x}:{len(image)}"


def _cut(image: bytes, size: int) -> list[bytes]:
    step = size or len(image)
    return [image[at : at + step] for at in range(0, len(image), step)]


def _write(path: Path, lines: Iterable[str], piece: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "\n".join((*lines, "")).encode("utf-8", "surrogateescape")
    path.write_bytes(header.ljust(HEADER_BYTES, b"\0") + piece)

"""Amanda's files as a test wants them: holding files, virtual tapes and curinfo, in their form."""

from collections.abc import Iterable
from pathlib import Path

from asyncamanda.core.amanda.curinfo import sanitise_name
from asyncamanda.core.amanda.header import HEADER_BYTES
from asyncamanda.core.amanda.quoting import quote
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.system.clock import parse_local_stamp

DATA = b"x" * 5000


def write_dump_file(path: Path, first: str, more: Iterable[str] = (), data: bytes = DATA) -> None:
    """Write a file of a dump: its header, and what comes behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "\n".join((first, *more, "")).encode("utf-8", "surrogateescape")
    path.write_bytes(header.ljust(HEADER_BYTES, b"\0") + data)


class AmandaFiles:
    """The folders of the configuration `daily`, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.logdir = folder / "logs"
        self.holding = folder / "holding"
        self.infofile = folder / "curinfo"
        self.vtapes = folder / "vtapes"
        for each in (self.logdir / "oldlog", self.holding, self.infofile, self.vtapes):
            each.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(
            "daily", self.logdir, (self.holding,), (1 << 20,), self.infofile, (self.vtapes,)
        )

    def hold(
        self,
        stamp: str,
        *,
        host: str = "laptop",
        disk: str = "/home",
        level: int = 1,
        size: int | None = len(DATA),
        name: str = "",
        lines: Iterable[str] = (),
    ) -> Path:
        """Write a dump into the holding disk. A `size` of None: the driver was not at it yet."""
        first = f"AMANDA: FILE {stamp} {host} {quote(disk)}  lev {level} comp N program /bin/tar"
        crc = [] if size is None else [f"SERVER-CRC=c24a1bdd:{size}"]
        name = name or f"{sanitise_name(host)}.{sanitise_name(disk)}.{level}"
        path = self.holding / stamp / name
        write_dump_file(path, first, [*crc, *lines])
        return path

    def go_on(self, before: Path, stamp: str, *, data: bytes = DATA, more: str = "") -> Path:
        """Write a further file of a held dump of level 1, behind `before`."""
        path = before.with_name(f"{before.name}.1")
        first = f"AMANDA: CONT_FILE {stamp} laptop /home  lev 1 comp N program /bin/tar"
        write_dump_file(path, first, [more] if more else [], data)
        return path

    def tape(
        self,
        stamp: str,
        label: str,
        number: int,
        *,
        host: str = "laptop",
        disk: str = "/home",
        level: int = 1,
        part: int = 1,
        size: int | None = len(DATA),
        slot: int = 1,
    ) -> Path:
        """Write a part of a dump to a virtual tape. A `size` of None: it was never held."""
        folder = self.vtapes / f"slot{slot}"
        write_dump_file(folder / f"00000.{label}", f"AMANDA: TAPESTART DATE {stamp} TAPE {label}")
        first = (
            f"AMANDA: SPLIT_FILE {stamp} {host} {quote(disk)}  part {part}/-1  lev {level} "
            "comp N program /bin/tar"
        )
        path = folder / f"{number:05d}.{sanitise_name(host)}.{sanitise_name(disk)}.{level}"
        write_dump_file(path, first, [] if size is None else [f"SERVER-CRC=c24a1bdd:{size}"])
        return path

    def remember(self, stamp: str, label: str, number: int, *, level: int = 1) -> None:
        """Let curinfo say that laptop's /home of that run is on a volume."""
        date = int(parse_local_stamp(stamp).timestamp())
        path = self.infofile / "laptop" / "_home" / "info"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"version: 0\nstats: {level} 40 40 0 {date} {number} {label}\n//\n")

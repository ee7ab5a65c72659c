"""Dumps in the holding disks, each in one file or several, whose headers name the next."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from asyncamanda.core.amanda.curinfo import sanitise_name
from asyncamanda.core.amanda.header import FileKind
from asyncamanda.server.amanda.hiding import UNFINISHED
from asyncamanda.server.restore.dump_files import (
    MOST_FILES,
    DumpFile,
    DumpFiles,
    Unfit,
    WantedDump,
    close_files,
    find_fault,
    open_dump_file,
)

HOLDING = "the holding disk"


def open_held(places: Sequence[Path], dump: WantedDump) -> Iterator[DumpFiles | Unfit]:
    """Yield the dump from each of these holding disks that has it, or why it cannot be used.

    One that has nothing of it yields nothing.
    """
    begin = f"{sanitise_name(dump.host)}."
    whole = f"{begin}{sanitise_name(dump.disk)}."
    for place in places:
        folder = place / dump.timestamp
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - names alone
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Unfit(f"{folder} cannot be read: {error.strerror}")
            continue
        for name in names:
            if name.startswith(begin) and not name.endswith(UNFINISHED):
                found = _open_first(folder / name, dump)
                if isinstance(found, DumpFile):
                    yield _open_others(places, dump, found)
                elif found is not None and name.startswith(whole):  # others' names are not told
                    yield found


def _open_first(path: Path, dump: WantedDump) -> DumpFile | Unfit | None:
    """Return the file if the dump begins with it; None if it is another's."""
    file = open_dump_file(path)
    if isinstance(file, Unfit) or (file.header.kind is FileKind.WHOLE and dump.is_of(file.header)):
        return file
    close_files([file])
    return None


def _open_others(places: Sequence[Path], dump: WantedDump, first: DumpFile) -> DumpFiles | Unfit:
    """Return the dump that begins with the file `first`, by all of its files."""
    opened = [first]
    fault = ""
    while not fault and (following := opened[-1].header.goes_on_in):
        path = Path(os.path.normpath(following))
        if len(opened) == MOST_FILES or path.parent not in {
            place / dump.timestamp for place in places
        }:
            fault = "one of its files goes on at a strange place"
            break
        file = open_dump_file(path)
        if isinstance(file, Unfit):
            fault = file.reason
        elif file.header.kind is FileKind.GOES_ON and dump.is_of(file.header):
            opened.append(file)
        else:
            close_files([file])
            fault = f"{path} is none of its files"
    fault = fault or find_fault(opened)
    if fault:
        close_files(opened)
        return Unfit(f"{HOLDING}: {fault}")
    return DumpFiles(opened, HOLDING)

"""Held dumps, hidden from the driver of a run while it starts.

A driver takes the DLE of each dump that it finds in the holding disk for one of its own, whatever
its disklist has (search_holding_disk() in find.c of Amanda 3.5.1). When it ends, it would mark the
dumps of these that another run writes just then (own_disklist.py). It leaves out a directory
whose `pid` names a process that lives, and removes that file. That of Amanda 3.5.4 looks twice
(find_dump() in its main()), at once: so the file has to be one that it cannot remove. Where
nothing is written the directory is closed to writing until the driver has looked; elsewhere the
file is put back again and again. `amadmin find` leaves these dumps out for that long.
"""

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.amanda.runlog import parse_run_log
from asyncamanda.server.amanda.logs import read_first_line, stamp_of
from asyncamanda.system.processes import iterate_processes, read_argv

OWNER = "pid"  # in a holding directory: the process whose dumps are written there
KEEPER = ".asyncamanda"  # a file of asyncamanda's there, while a run goes on: see run.py
UNFINISHED = ".tmp"  # how a dump's name ends while it is written
_MARK = "asyncamanda hides these dumps while a run starts"  # Amanda reads the number before it
_FRESH = ".asyncamanda.hidden"
_FOLDER = re.compile(r"[0-9]{8}(?:[0-9]{6})?")  # a day, or a moment
_LOG = re.compile(r"/log\.\d{8,14}\.\d+$")


def list_directories(places: Iterable[Path]) -> list[Path]:
    """Return the holding directories of all runs.

    A holding disk that is not there, or closed, has none: runs will say so.
    """
    found = []
    for place in places:
        with suppress(OSError):
            for path in place.iterdir():
                with suppress(OSError):  # one that cannot be looked at hides no other
                    if _FOLDER.fullmatch(path.name) and path.is_dir():
                        found.append(path)
    return found


def is_there(path: Path) -> bool:
    """Return whether there is such a file or folder, and it can be looked at.

    Path.exists() raises PermissionError for what lies in a closed folder: one of root's in the
    holding disk must not stop what goes on beside it.
    """
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def hide_dumps(folders: Iterable[Path]) -> None:
    """Let the next driver that starts see none of the dumps in these directories.

    What cannot be written there stays as it is.
    """
    for folder in folders:
        with suppress(OSError):
            _hide(folder)


def close_directories(folders: Iterable[Path], logdir: Path) -> None:
    """Let nobody write in these directories, as far as no run does, until show_dumps().

    Only while each run with a log in `logdir` has its keeper, and no other configuration, which may
    share the disk, is flushed: a flush has to remove from any directory what it has written to a
    volume.
    """
    folders = list(folders)
    kept = {folder.name for folder in folders if is_there(folder / KEEPER)}
    live = list_live_logs()
    strange = (log for log in live if stamp_of(log.name) not in kept)
    if any(log.parent == logdir or _is_flush(log) for log in strange):
        return
    in_use = kept.union(stamp_of(log.name) for log in live)
    for folder in folders:
        if folder.name not in in_use:
            with suppress(OSError):
                folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~stat.S_IWUSR)


def list_live_logs() -> list[Path]:
    """Return the logs that living processes were given: those of the runs that go on.

    Each driver and dumper of Amanda is given its run's log; a run that has begun just now may
    have none yet.
    """
    words = (word for process in iterate_processes() for word in read_argv(process.pid))
    return [Path(word) for word in words if _LOG.search(word)]


def _is_flush(log: Path) -> bool:
    """Return whether the log is a flush's, as far as it says so yet."""
    parsed = parse_run_log(read_first_line(log.parent, log.name))
    return parsed is not None and parsed.program == "amflush"


def _hide(folder: Path) -> None:
    owner, fresh = folder / OWNER, folder / _FRESH
    if owner.exists():
        return
    try:
        os.link(folder / KEEPER, owner)  # of a run of asyncamanda's that is alive
    except FileNotFoundError:
        fresh.write_text(f"{os.getpid()} {_MARK}\n", "ascii")
        fresh.replace(owner)


def show_dumps(folders: Iterable[Path]) -> None:
    """Take back what hide_dumps() and close_directories() have done, by whichever dispatcher.

    Where a run of asyncamanda's writes a dump its file stays.
    """
    for folder in folders:
        with suppress(OSError):
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & stat.S_IWUSR:
                folder.chmod(mode | stat.S_IWUSR)
            (folder / _FRESH).unlink(missing_ok=True)  # of a dispatcher that was killed
            owner = folder / OWNER
            is_hidden = _MARK in owner.read_text("ascii", "replace")
            if is_hidden or ((folder / KEEPER).exists() and not is_written(folder)):
                owner.unlink()


def is_written(folder: Path) -> bool:
    """Return whether a dump in this holding directory has no end yet."""
    return any(path.name.endswith(UNFINISHED) for path in folder.iterdir())

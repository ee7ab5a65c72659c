"""From Amanda's logs to the ledger: each finished run's log once, whoever started the run.

So the ledger also knows what cron's amdump and an administrator's amflush did, before there
was a ledger and while no dispatcher ran.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from asyncamanda.core.books import LogFile
from asyncamanda.core.filters import Filters
from asyncamanda.core.model import EPOCH, DumpState
from asyncamanda.core.runlog import RunLog, find_begun, parse_run_log
from asyncamanda.server.ledger import Ledger

OLD = "oldlog"  # below logdir: where amtrmlog puts the logs of runs whose volumes are gone

_LOG_NAME = re.compile(r"log\.(?P<timestamp>[0-9]{14})\.(?P<number>[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class FoundLog:
    """A log that is not taken in: what it is, and its text, or else why it cannot be read."""

    file: LogFile
    text: str = ""
    fault: str = ""


def scan_logs(logdir: Path, taken: Mapping[str, int]) -> Iterator[FoundLog]:
    """Yield the logs in `logdir` and its `oldlog` that are not `taken`, oldest first.

    `taken` has the name of each that is, and its size then: one that has grown is yielded. One
    that vanishes meanwhile is left out. Raises OSError if `logdir` cannot be listed.
    """
    names = _list_logs(logdir)  # first: a log that is moved meanwhile is seen in its new place
    if (logdir / OLD).is_dir():
        names |= _list_logs(logdir / OLD)
    for name in sorted(names, key=_age):
        found = _look(logdir, name, taken.get(name))
        if found:
            yield found


def _list_logs(folder: Path) -> set[str]:
    """Return the names of the runs' logs; `log`, the newest one's other name, is none."""
    return {path.name for path in folder.iterdir() if _LOG_NAME.fullmatch(path.name)}


def _age(name: str) -> tuple[str, int]:
    _, timestamp, number = name.split(".")
    return timestamp, int(number)


def _look(logdir: Path, name: str, taken_size: int | None) -> FoundLog | None:
    """Return the log of that name, wherever it is by now; None if it is taken, or gone."""
    for path in (logdir / name, logdir / OLD / name):
        try:
            status = path.stat()
            if status.st_size == taken_size:
                return None
            written_at = datetime.fromtimestamp(status.st_mtime, UTC)
            file = LogFile(name, status.st_size, _begun_at(name, written_at), written_at)
            return FoundLog(file, _read(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            return FoundLog(LogFile(name, 0, EPOCH, EPOCH), fault=error.strerror or str(error))
    return None


def _begun_at(name: str, otherwise: datetime) -> datetime:
    """Return the time in a log's name, which is the server's local time."""
    try:
        local = datetime.strptime(_age(name)[0], "%Y%m%d%H%M%S")  # noqa: DTZ007 - made aware below
    except ValueError:
        return otherwise
    return local.astimezone(UTC)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return file.read()


def take_in_all(  # noqa: PLR0913 - as Ledger.take_in() has it
    ledger: Ledger,
    amanda_config: str,
    logdir: Path,
    is_alive: Callable[[str, int], bool],
    at: datetime,
    *,
    filters: Mapping[tuple[str, str], Filters] = {},
) -> Iterator[str]:
    """Take in each finished log that is not taken in, and yield a line on it, for the diary.

    A log without an end is finished when its run's processes are gone: `is_alive` says so of
    its timestamp and process id. `filters` are what the DLEs are dumped with now. Whoever
    iterates may do other things between two logs. Raises OSError if `logdir` cannot be listed,
    and what Ledger.take_in() raises.
    """
    for found in scan_logs(logdir, ledger.logs_taken(amanda_config)):
        name = found.file.name
        log = None if found.fault else _parse(found, logdir)
        if found.fault:
            yield f"{name} cannot be read: {found.fault}"
        elif log and not log.is_finished and is_alive(log.timestamp, log.pid):
            yield f"{name} is of a run that goes on"
        else:
            ledger.take_in(amanda_config, found.file, log, at, filters)
            yield f"{name} taken in: {_describe(log)}"


def _parse(found: FoundLog, logdir: Path) -> RunLog | None:
    """Return what the log says; of dumps without a result, with what the run's trace says."""
    timestamp, _ = _age(found.file.name)
    log = parse_run_log(found.text)
    if log and any(verdict.state is DumpState.MISSING for verdict in log.verdicts):
        with suppress(OSError):
            log = parse_run_log(found.text, find_begun(_read(logdir / f"amdump.{timestamp}")))
    if log and not log.timestamp:  # cut off before it said so
        verdicts = tuple(replace(verdict, timestamp=timestamp) for verdict in log.verdicts)
        log = replace(log, timestamp=timestamp, verdicts=verdicts)
    return log


def _describe(log: RunLog | None) -> str:
    if log is None:
        return "no run's log"
    cut = "" if log.is_finished else ", cut off"
    return f"{log.program}, verdicts: {len(log.verdicts)}{cut}"

"""From Amanda's logs to the ledger: each finished run's log once, whoever started the run.

So the ledger also knows what cron's amdump and an administrator's amflush did, before there
was a ledger and while no dispatcher ran. What a log says is a claim; what counts of it decides
core/amanda/witness.py, by what is found on the holding disk and the volumes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.amanda.runlog import RunLog, parse_run_log
from asyncamanda.core.amanda.trace import find_begun, find_start
from asyncamanda.core.amanda.witness import UNREADABLE, RunFacts
from asyncamanda.core.dispatch.records import LogFile, RunKind
from asyncamanda.core.model import EPOCH, DleVerdict, DumpState
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.amanda import logs
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.witnesses import weigh_log
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.log_watch import LogWatch
from asyncamanda.system.clock import parse_local_stamp, read_local

RECENT = timedelta(days=1)
IsAlive = Callable[[str, int, datetime], bool]  # timestamp, process, when its log was last written


@dataclass(frozen=True, slots=True)
class FoundLog:
    """A log that is not taken in: what it is, and its text, or else why it cannot be read."""

    file: LogFile
    text: str = ""
    fault: str = ""

    @property
    def timestamp(self) -> str:
        """The timestamp of its run, by its name."""
        return logs.stamp_of(self.file.name)


def scan_logs(settings: Settings, taken: Mapping[str, int], at: datetime) -> Iterator[FoundLog]:
    """Yield the logs in `logdir` and its `oldlog` that are not `taken`, oldest first.

    `taken` has the name of each that is, and its size then: one that has grown is yielded. One
    that vanishes meanwhile is left out; none was written after `at`. Raises OSError if `logdir`
    cannot be listed.
    """
    for name in logs.list_logs(settings.logdir):
        found = _look(settings, name, taken.get(name), at)
        if found:
            yield found


def _look(settings: Settings, name: str, taken_size: int | None, at: datetime) -> FoundLog | None:
    """Return the log of that name, wherever it is by now; None if it is taken, or gone."""
    try:
        size, seconds = logs.size_log(settings.logdir, name)
        if size == taken_size:
            return None
        written_at = min(datetime.fromtimestamp(seconds, UTC), at)  # a clock may have been ahead
        begun_at = _begun_at(settings, logs.stamp_of(name), written_at)
        file = LogFile(name, size, begun_at, written_at)
        return FoundLog(file, logs.read_log(settings.logdir, name))
    except FileNotFoundError:
        return None
    except (OSError, OverflowError, ValueError) as error:
        fault = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return FoundLog(LogFile(name, 0, EPOCH, EPOCH), fault=fault)


def _begun_at(settings: Settings, timestamp: str, written_at: datetime) -> datetime:
    """Return when a run began: as its trace says, else as its name does; never after its log.

    A run's name may lie ahead of it: Amanda takes the next one that is free.
    """
    said = find_start(logs.read_head(settings.logdir / f"amdump.{timestamp}"))
    begun_at = read_local(*said) if said else parse_local_stamp(timestamp)
    return min(begun_at, written_at)


def take_in_all(  # noqa: PLR0913 (by keyword only, the last two)
    ledger: Ledger,
    settings: Settings,
    is_alive: IsAlive,
    at: datetime,
    *,
    filters: Mapping[tuple[str, str], Filters] = {},
    aside: set[str] | None = None,
    watch: LogWatch | None = None,
) -> Iterator[str]:
    """Take in each finished log that is not taken in, and yield a line on it, for the log.

    A log is finished when its run's processes are gone, whatever it says: `is_alive` says so.
    `filters` are what the DLEs are dumped with now. A log that cannot be taken in for a reason
    that nobody has foreseen is named, put into `aside`, and left out from then on. Whoever iterates
    may do other things between two logs. `watch` knows which logs need no look; without it each
    log is looked at. Raises OSError if `logdir` cannot be listed, and what ImportedLogs.take_in()
    raises.
    """
    aside = set() if aside is None else aside
    watch = watch or LogWatch(settings.name)
    planned = watch.plan(ledger, settings.logdir, at)
    live, faulty = set(), set()
    for name in planned.names:
        found = _look(settings, name, planned.taken.get(name), at)
        if found is None or (name in aside and not found.fault):
            continue
        if found.fault:
            faulty.add(name)
            yield f"{name} cannot be read: {found.fault}"
            continue
        try:
            for line in _take_in(ledger, settings, is_alive, found, at, filters):
                live |= {name} if line == in_progress(name) else set()
                yield line
        except AsyncamandaError:
            raise
        except Exception as error:  # what nobody has foreseen in one log is no other's affair
            aside.add(name)
            yield f"warning: {name} is set aside because it cannot be imported: {error!r}"
    watch.note(settings.logdir, planned, live, faulty)


def in_progress(name: str) -> str:
    """Return the line on a log whose run goes on."""
    return f"{name} is of a run in progress"


def _take_in(  # noqa: PLR0913, PLR0917 (as take_in_all)
    ledger: Ledger,
    settings: Settings,
    is_alive: IsAlive,
    found: FoundLog,
    at: datetime,
    filters: Mapping[tuple[str, str], Filters],
) -> Iterator[str]:
    name = found.file.name
    log = _parse(found, settings)
    if log and is_alive(found.timestamp, log.pid, found.file.written_at):
        yield in_progress(name)
        return
    words = _weigh(ledger, settings, found, log) if log else ()
    # of an old log nobody knows what its dumps went through
    its = filters if at - found.file.written_at < RECENT else {}
    ledger.logs.take_in(settings.name, found.file, log, words, at, its)
    yield f"{name} imported: {_describe(log, words)}"
    if log and log.is_doubtful:
        yield f"warning: {name}: {UNREADABLE}"


def _parse(found: FoundLog, settings: Settings) -> RunLog | None:
    """Return what the log says; of dumps without a result, with what the run's trace says."""
    log = parse_run_log(found.text)
    if log and any(verdict.state is DumpState.MISSING for verdict in log.verdicts):
        begun = find_begun(logs.read_trace(settings.logdir, found.timestamp))
        log = parse_run_log(found.text, begun)
    return log


def _weigh(
    ledger: Ledger, settings: Settings, found: FoundLog, log: RunLog
) -> tuple[DleVerdict, ...]:
    """Return what counts of what the log says."""
    stamp, begun_at = found.timestamp, found.file.begun_at
    run = ledger.runs.find(settings.name, stamp)
    facts = RunFacts(stamp, log.hosts, begun_at)
    if run and run.kind is not RunKind.OTHER:
        facts = RunFacts(stamp, run.hosts, run.begun_at)
    known = ledger.verdicts.known(settings.name, {stamp, *(v.timestamp for v in log.verdicts)})
    return weigh_log(settings, log, facts, known, found.file.written_at)


def _describe(log: RunLog | None, words: tuple[DleVerdict, ...]) -> str:
    if log is None:
        return "no run's log"
    cut = "" if log.is_finished else ", cut off"
    claimed = sum(word.state is DumpState.CLAIMED for word in words)
    unseen = f", without a witness: {claimed}" if claimed else ""
    return f"{log.program}, verdicts: {len(words)}{unseen}{cut}"

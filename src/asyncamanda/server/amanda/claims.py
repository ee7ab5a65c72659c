"""What a run's log claims, what of that counts, and how the run ended by it.

The log reports each DLE, and counts as far as there are witnesses (core/amanda/witness.py);
amdump's exit status says nothing of a single one, and nobody sees it where the dispatcher died.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from asyncamanda.core.amanda.runlog import RunLog, parse_run_log
from asyncamanda.core.amanda.trace import find_begun
from asyncamanda.core.amanda.witness import UNREADABLE, Dump, RunFacts
from asyncamanda.core.dispatch.records import RunEnd
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.server.amanda import logs
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.amanda.witnesses import weigh_log
from asyncamanda.system.clock import now as read_clock

KEPT_WORDS = 500  # characters of what amdump itself printed


def read_claims(run: Run, dles: Mapping[str, list[str]]) -> RunLog | None:
    """Return what its log says, now that nothing of it runs; None if it has none.

    `dles` are its hosts' disks. One on which the log has no word is missing; what the trace
    has of it is the level.
    """
    run.find_log()
    if run.log_name is None or run.timestamp is None:
        return None
    begun = find_begun(logs.read_trace(run.settings.logdir, run.timestamp))
    with suppress(OSError):
        log = parse_run_log(logs.read_log(run.settings.logdir, run.log_name), begun)
        if log is not None and log.timestamp in {"", run.timestamp}:
            return _with_missing(log, dles, begun)
    return None


def weigh_claims(run: Run, log: RunLog, known: Mapping[Dump, DleVerdict]) -> tuple[DleVerdict, ...]:
    """Return what counts of a log's claims; `known` is what the ledger has of these dumps."""
    assert run.timestamp
    is_over = not run.is_alive()
    facts = RunFacts(run.timestamp, run.clients, run.row.begun_at, is_ours=is_over)
    return weigh_log(run.settings, log, facts, known, read_clock())


def conclude(run: Run, log: RunLog | None, words: tuple[DleVerdict, ...]) -> RunEnd:
    """Return how it ended, of whose log's claims `words` count; None: it has no log."""
    if log is None:
        return RunEnd(run.exit_status, is_clean=True, remark=_own_words(run))
    said = "; ".join((*log.errors, *([UNREADABLE] if log.is_doubtful else [])))
    return RunEnd(
        exit_status=run.exit_status,
        is_clean=log.is_finished,
        verdicts=words,
        labels=log.labels,
        remark=said[:KEPT_WORDS] or _own_words(run),
    )


def _own_words(run: Run) -> str:
    """Return the last that the program itself printed, in one line; usually nothing."""
    with suppress(OSError):
        return " ".join(logs.read_text(run.output).split())[-KEPT_WORDS:]
    return ""


def _with_missing(
    log: RunLog, dles: Mapping[str, list[str]], begun: Mapping[tuple[str, str], int]
) -> RunLog:
    """Return `log` with a verdict on each of its hosts' disks on which it has none."""
    stamp = log.timestamp or ""
    known = {(v.host, v.disk) for v in log.verdicts if v.timestamp == stamp}
    missing = (
        DleVerdict(
            host,
            disk,
            stamp,
            DumpState.MISSING,
            begun.get((host, disk)),
            log.silence,
            has_begun=(host, disk) in begun,
        )
        for host, disks in dles.items()
        for disk in disks
        if (host, disk) not in known
    )
    return replace(log, verdicts=(*log.verdicts, *missing))

"""How a run ended: what its log claims, what of that counts, and a report of it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from asyncamanda.core.amanda.full_again import needs_size, note_full_again
from asyncamanda.core.dispatch.records import RunEnd, summarise_verdicts
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.values.printable import printable_lines
from asyncamanda.server.amanda.claims import conclude, read_claims, weigh_claims
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.background.programs import run_apart
from asyncamanda.server.background.threads import apart_at_last
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.messenger import is_good
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.system.clock import format_local_stamp

REPORT_WITHIN = 30.0  # seconds: clients wait for it


async def judge_run(site: Site, run: Run) -> tuple[RunEnd, bool]:
    """Return how a run ended, and whether its planner came to its end, or had none to come."""
    disks = {host: site.disks(host) for host in run.clients}
    what = f"{site.name}: what a run has made"
    log = await apart_at_last(what, partial(read_claims, run, disks))
    words: tuple[DleVerdict, ...] = ()
    if log:
        stamps = {verdict.timestamp for verdict in log.verdicts}
        known = await site.access.write(lambda ledger: ledger.verdicts.known(site.name, stamps))
        words = await apart_at_last(what, partial(weigh_claims, run, log, known))
    end = conclude(run, log, await explain_sizes(site, words))
    if not end.verdicts:
        end = replace(end, verdicts=_missing(run, disks, end))
    if run.output.exists() and not run.output.stat().st_size:
        run.output.unlink()
    is_well = end.is_clean and all(map(is_good, end.verdicts))
    is_planned = log is None or log.is_planned
    log_path = None if is_well else await apart_at_last(what, lambda: run.log_path)
    if log_path is None:
        return end, is_planned
    return replace(end, report=await _keep_report(site, run, log_path)), is_planned


async def explain_sizes(site: Site, words: Collection[DleVerdict]) -> tuple[DleVerdict, ...]:
    """Return the verdicts, those of a level 1 that was a full with the cause."""
    hosts = {verdict.host for verdict in words if needs_size(verdict)}
    fulls: dict[tuple[str, str], int] = {}
    for host in hosts:
        fulls |= await site.access.read(partial(_full_sizes, site.name, host))
    dles = {(dle.host, dle.disk): dle for host in hosts for dle in site.dles(host)}
    return tuple(
        note_full_again(verdict, fulls, dles.get((verdict.host, verdict.disk))) for verdict in words
    )


def _full_sizes(amanda_config: str, host: str, ledger: Ledger) -> dict[tuple[str, str], int]:
    """Return the kilobytes of each disk's newest full dump."""
    newest = ledger.verdicts.newest_fulls(amanda_config, host)
    return {(host, disk): verdict.kilobytes for disk, verdict in newest.items()}


async def _keep_report(site: Site, run: Run, log_path: Path) -> str | None:
    """Keep amreport's text, which nobody gets by mail; return its path."""
    answer = await run_apart(["amreport", site.name, f"--log={log_path}"], REPORT_WITHIN)
    path = site.reports / f"{site.name}.{run.timestamp}.txt"
    try:
        path.write_text(printable_lines(answer.printed), "utf-8")
    except OSError as error:
        site.log(f"{path} cannot be written: {error.strerror}")
        return None
    return str(path)


def stamp_of(run: Run) -> str:
    """Return a run's timestamp, or what it would be of one that came not so far."""
    return run.timestamp or format_local_stamp(run.row.begun_at)


def words_about(
    verdicts: Collection[DleVerdict], client: str, timestamp: str
) -> tuple[DleVerdict, ...]:
    """Return what a run says of the dumps that it made of one client."""
    return tuple(v for v in verdicts if v.host == client and v.timestamp == timestamp)


def find_unserved(run: Run, end: RunEnd) -> set[str]:
    """Return the clients of a run of which it has not brought all that it was to bring."""
    stamp = stamp_of(run)
    return {
        client
        for client in run.clients
        if not all(map(is_good, words_about(end.verdicts, client, stamp)))
    }


def _missing(run: Run, disks: Mapping[str, list[str]], end: RunEnd) -> tuple[DleVerdict, ...]:
    """Return a verdict for each DLE of a run that said nothing of any."""
    how = "" if end.exit_status is None else f" with exit status {end.exit_status}"
    said = f": {end.remark}" if end.remark else ""
    reason = f"amdump ended{how} and wrote no log{said}"
    stamp = stamp_of(run)
    return tuple(
        DleVerdict(host, disk, stamp, DumpState.MISSING, reason=reason)
        for host in run.clients
        for disk in disks[host]
    )


def sum_up(end: RunEnd) -> str:
    """Return how a run ended in a few words, for the log."""
    words = summarise_verdicts(end.verdicts)
    volumes = f", on {', '.join(end.labels)}" if end.labels else ""
    return f"{words}{volumes}{'' if end.is_clean else ', its log has no end'}"

"""Whether a run that has ended backed up this machine, by the server's verdicts on its disks."""

from collections.abc import Mapping
from datetime import datetime

from asyncamanda.core.agent.by_command import BackedUp, NotBackedUp, RunVerdict
from asyncamanda.core.model import Attempt, DleVerdict, DumpRecord, DumpState, Outcome
from asyncamanda.core.protocol.messages import Finished

NAMED = 20  # disks named in one verdict; more are counted


def judge_finished(
    wanted: tuple[str, ...], finished: Finished, confirmed: Mapping[str, DumpRecord]
) -> RunVerdict:
    """Return whether a run was a backup, by the server's verdicts; no disks `wanted` means any.

    `confirmed` are the newest confirmed dumps, this run's among them. A dump that the run only
    brought to a volume is not the run's own.
    """
    verdicts = {
        verdict.disk: verdict
        for verdict in finished.verdicts
        if not finished.run or verdict.timestamp in {"", finished.run}
    }
    # what the server does not confirm to this machine is not its backup, whatever the server holds
    good = (disk for disk, verdict in verdicts.items() if verdict.state.is_confirmed)
    stored = {disk: None for disk in good if disk in confirmed}
    dumps = tuple(confirmed[disk] for disk in stored)
    lacking = [disk for disk in wanted or (() if stored else verdicts) if disk not in stored]
    if not stored and not lacking:
        return NotBackedUp(
            "nothing-dumped",
            "the run ended, and has no disk of this client",
            "does the server's disklist have a line for this client?",
            dumps,
            Outcome.INCOMPLETE,
        )
    if lacking:
        return _judge_lacking(lacking, verdicts, dumps)
    return BackedUp(dumps, _remark(verdicts))


def _judge_lacking(
    lacking: list[str], verdicts: Mapping[str, DleVerdict], dumps: tuple[DumpRecord, ...]
) -> NotBackedUp:
    lines = [_explain(disk, verdicts.get(disk)) for disk in lacking[:NAMED]]
    if len(lacking) > NAMED:
        lines.append(f"and {len(lacking) - NAMED} more")
    if any(disk in verdicts and _has_failed(verdicts[disk]) for disk in lacking):
        return NotBackedUp(
            "disk-failed",
            "\n".join(lines),
            "it is asked for again after a wait; amreport on the server shows more",
            dumps,
        )
    return NotBackedUp(
        "disk-not-dumped",
        "\n".join(lines),
        "is each of them still in the server's disklist for this client, and meant to be "
        "dumped? If not, list those that are in `disks`",
        dumps,
        Outcome.INCOMPLETE,
    )


def _has_failed(verdict: DleVerdict) -> bool:
    return verdict.state in {DumpState.FAILED, DumpState.MISSING}


def _explain(disk: str, verdict: DleVerdict | None) -> str:
    if verdict is None:
        return f"{disk}: the run ended without it"
    word = "failed" if _has_failed(verdict) else verdict.state.value
    if verdict.state.is_confirmed:
        word = "the server has a dump of it, which is no backup of this machine alone"
    reason = " ".join(verdict.reason.split())
    return f"{disk}: {word}: {reason}" if reason else f"{disk}: {word}"


def _remark(verdicts: Mapping[str, DleVerdict]) -> str:
    """Return what a good run is to be remembered with, "" for nothing."""
    strange = _few([disk for disk, verdict in verdicts.items() if verdict.is_strange])
    failed = _few([_explain(disk, each) for disk, each in verdicts.items() if _has_failed(each)])
    noted = _few(
        [
            f"{disk}: {' '.join(each.reason.split())}"
            for disk, each in verdicts.items()
            if each.state.is_confirmed and each.reason
        ]
    )
    remarks = []
    if noted:
        remarks.append("; ".join(noted))
    if strange:
        remarks.append(f"with warnings on {', '.join(strange)} (amreport on the server shows them)")
    if failed:
        remarks.append(f"beside others that are not due yet ({'; '.join(failed)})")
    return ", ".join(remarks)


def _few(words: list[str]) -> list[str]:
    more = len(words) - NAMED
    return [*words[:NAMED], f"{more} more"] if more > 0 else words


def conclude(verdict: RunVerdict, started_at: datetime, ended_at: datetime, run: str) -> Attempt:
    """Return the attempt that is to be remembered of a run with that `verdict`."""
    if isinstance(verdict, BackedUp):
        outcome, detail = Outcome.BACKED_UP, verdict.remark
    else:
        outcome, detail = verdict.outcome, verdict.message.replace("\n", "; ")
    return Attempt(started_at, ended_at, outcome, detail, dumps=verdict.dumps, run=run)

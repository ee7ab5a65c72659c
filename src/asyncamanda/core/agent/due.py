"""Is a backup due? Values in; a verdict with its reason and evidence out.

amandates is a hint: a client writes it when its own side has finished, whether or not the
server has the dump. So times from runs that failed, or whose end nobody saw, do not count,
and neither do times that lie in the future.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from asyncamanda.core.amanda.amandates import Row
from asyncamanda.core.exposure.values import NOT_KNOWN, Exposure
from asyncamanda.core.model import EPOCH, DiskRule, DumpRecord, Policy, Span

TOLERANCE = 0.03  # of the interval: keeps a daily backup from drifting to every second day
FUTURE_AFTER = timedelta(minutes=5)


class BackupStanding(Enum):
    """The state of one disk."""

    FRESH = "fresh"
    OVERDUE = "overdue"
    NEVER = "no backup"
    FORGOTTEN = "no longer required"
    PARKED = "parked"  # left out by the server's configuration: never due, never failed


_LEFT = {BackupStanding.FORGOTTEN, BackupStanding.PARKED}  # not waited for


class Witness(Enum):
    """Who reports which dumps there are."""

    AMANDATES = "amandates"
    SERVER = "the server"
    NOBODY = "nobody"  # the server was never asked


@dataclass(frozen=True, slots=True)
class Disk:
    """What is known of one disk.

    `last` is the newest dump that counts. `in_future` and `distrusted` are the newest of those that
    amandates has and that do not count; in gate mode `in_future` is according to the server as
    well. `is_parked`: the server is configured to leave it out. `restorable_since` is the first
    date that the server could restore when it was last asked; None where that is not known.
    `proved_at` is when it was proved last that it can, None if it never was, and `proof_fault` why
    the last proof failed, "" if it did not.
    """

    name: str
    last: DumpRecord | None = None
    in_future: DumpRecord | None = None
    distrusted: DumpRecord | None = None
    is_parked: bool = False
    restorable_since: datetime | None = None
    proved_at: datetime | None = None
    proof_fault: str = ""


@dataclass(frozen=True, slots=True)
class DiskVerdict:
    """The state of a disk, and until when (None: it is not waited for, or is due already)."""

    disk: Disk
    standing: BackupStanding
    fresh_until: datetime | None


@dataclass(frozen=True, slots=True)
class Due:
    """A backup is due. `wanted` are the disks that a run has to bring: none means any."""

    disks: tuple[DiskVerdict, ...]
    wanted: tuple[str, ...]
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class NotDue:
    """Nothing is due before `until`.

    `last_at` is None where that is because nothing is to be dumped, and nothing ever was.
    """

    disks: tuple[DiskVerdict, ...]
    until: datetime
    last_at: datetime | None

    @property
    def wanted(self) -> tuple[str, ...]:
        """The disks that a run has to bring: none that is named."""
        return ()


Decision = Due | NotDue


def is_all_parked(decision: Decision) -> bool:
    """Return whether the server leaves out every disk, so that nothing is backed up."""
    return bool(decision.disks) and all(v.standing is BackupStanding.PARKED for v in decision.disks)


def survey_disks(
    rows: Iterable[Row],
    confirmed: Mapping[str, DumpRecord],
    distrusted: tuple[Span, ...],
    seen_at: datetime,
) -> tuple[Disk, ...]:
    """Return every disk of amandates, by name, with its newest dump that counts.

    `seen_at` is the time that no true dump can lie beyond: now, or the time at which the file
    was written, whichever is earlier. So a time that was in the future when it was written
    does not become evidence merely because its day comes.

    A disk that amandates does not list has lost its history there, so that Amanda starts again with
    it; then what was `confirmed` of it does not count either.
    """
    horizon = (seen_at + FUTURE_AFTER).timestamp()
    doubtful_from = min([horizon, *(span.start.timestamp() for span in distrusted)])
    last: dict[str, tuple[int, int]] = {}
    doubtful: dict[str, list[tuple[int, int]]] = {}
    for name, level, seconds in rows:
        if seconds < doubtful_from:
            if name not in last or seconds > last[name][0]:
                last[name] = seconds, level
        else:
            last.setdefault(name, (0, 0))
            doubtful.setdefault(name, []).append((seconds, level))
    return tuple(
        _weigh(
            [_record(name, dump) for dump in (last[name], *doubtful.get(name, ()))],
            confirmed.get(name),
            distrusted,
            horizon,
        )
        for name in sorted(last)
    )


def _weigh(
    dumps: list[DumpRecord],
    confirmed: DumpRecord | None,
    distrusted: tuple[Span, ...],
    horizon: float,
) -> Disk:
    """Return what `dumps`, all of one disk, show about it."""
    in_future, untrusted, counting = [], [], []
    if confirmed and confirmed.started_at.timestamp() <= horizon:
        counting.append(confirmed)
    for dump in dumps:
        if dump.started_at <= EPOCH:
            continue
        if dump.started_at.timestamp() > horizon:
            in_future.append(dump)
        elif any(dump.started_at in span for span in distrusted):
            untrusted.append(dump)
        else:
            counting.append(dump)
    return Disk(
        dumps[0].disk,
        last=_newest(counting),
        in_future=_newest(in_future),
        distrusted=_newest(untrusted),
    )


def _record(name: str, dump: tuple[int, int]) -> DumpRecord:
    return DumpRecord(name, dump[1], datetime.fromtimestamp(dump[0], UTC))


def _newest(records: list[DumpRecord]) -> DumpRecord | None:
    return max(records, key=lambda record: record.started_at, default=None)


def decide_due(disks: tuple[Disk, ...], policy: Policy, now: datetime) -> Decision:
    """Return whether a backup is due at `now`.

    As time goes on and nothing else changes, what is due stays due.
    """
    if policy.disks:
        known = {disk.name: disk for disk in disks}
        disks = tuple(known.get(name, Disk(name)) for name in policy.disks)
    lasts = [disk.last.started_at for disk in disks if disk.last and not disk.is_parked]
    newest = max(lasts, default=None)
    verdicts = tuple(_stand(disk, newest, policy, now) for disk in disks)
    if policy.watch is DiskRule.NEWEST:
        if newest is None:
            return Due(verdicts, (), None)
        until = newest + policy.interval * (1 - TOLERANCE)
        if now >= until:
            return Due(verdicts, (), newest)
        return NotDue(verdicts, until, newest)
    return _decide_each(verdicts, now)


def _stand(disk: Disk, newest: datetime | None, policy: Policy, now: datetime) -> DiskVerdict:
    """Return the state of `disk`.

    A disk is forgotten by what was dumped since, not by the clock: after six weeks'
    holiday every disk is six weeks old, and every one is still waited for.
    """
    if disk.is_parked:
        return DiskVerdict(disk, BackupStanding.PARKED, None)
    claimed = _newest([dump for dump in (disk.last, disk.distrusted, disk.in_future) if dump])
    behind = newest - claimed.started_at if newest and claimed else timedelta(0)
    if not policy.disks and behind > policy.forget_after:
        return DiskVerdict(disk, BackupStanding.FORGOTTEN, None)
    if disk.last is None:
        return DiskVerdict(disk, BackupStanding.NEVER, None)
    last_at = disk.last.started_at
    until = last_at + policy.interval * (1 - TOLERANCE)
    if now >= until:
        return DiskVerdict(disk, BackupStanding.OVERDUE, None)
    return DiskVerdict(disk, BackupStanding.FRESH, until)


def _decide_each(verdicts: tuple[DiskVerdict, ...], now: datetime) -> Decision:
    waited_for = [v for v in verdicts if v.standing not in _LEFT]
    wanted = tuple(v.disk.name for v in waited_for if v.standing is not BackupStanding.FRESH)
    lasts = [v.disk.last.started_at for v in waited_for if v.disk.last]
    if not waited_for:  # all is parked: it is as old as what there is
        lasts = [max((v.disk.last.started_at for v in verdicts if v.disk.last), default=EPOCH)]
        return Due(verdicts, (), lasts[0] if lasts[0] > EPOCH else None)
    oldest = min(lasts, default=None)
    if wanted or oldest is None:
        return Due(verdicts, wanted, oldest)
    until = min(v.fresh_until or now for v in waited_for)
    return NotDue(verdicts, until, oldest)


def force_due(decision: Decision, policy: Policy) -> Due:
    """Return the decision for a forced backup: of each disk, if each is watched."""
    waited_for = [v.disk.name for v in decision.disks if v.standing not in _LEFT]
    wanted = tuple(waited_for) if policy.watch is DiskRule.EACH else ()
    return Due(decision.disks, wanted, decision.last_at)


def made_good_at(decision: Decision) -> datetime | None:
    """Return when the oldest backup of those due again was made: EPOCH if one has none.

    Where none is named, when the last backup was made; None if there is none. Unsuccessful attempts
    before that do not matter.
    """
    if not decision.wanted:
        return decision.last_at
    lasts = {v.disk.name: v.disk.last.started_at for v in decision.disks if v.disk.last}
    return min(lasts.get(name, EPOCH) for name in decision.wanted)


def is_stale(
    decision: Decision,
    since: datetime,
    policy: Policy,
    now: datetime,
    exposure: Exposure = NOT_KNOWN,
) -> bool:
    """Return whether the last backup, or else `since`, is older than the policy allows.

    By use it is so once a backup is due, and the machine was used for longer than allowed.
    """
    is_old = now - (decision.last_at or since) > policy.stale_after
    if policy.stale_after_use is None or exposure.used is None:
        return is_old
    if isinstance(decision, Due) and exposure.used > policy.stale_after_use:
        return True
    return is_old and not (policy.is_by_use and not exposure.is_least)


def stale_since(
    decision: Decision, since: datetime, policy: Policy, now: datetime, exposure: Exposure
) -> datetime:
    """Return since when a stale backup is so: as far as its use says, not later than that."""
    by_days = (decision.last_at or since) + policy.stale_after
    if policy.stale_after_use is None or exposure.used is None:
        return by_days
    by_use = now - (exposure.used - policy.stale_after_use)
    return by_use if policy.is_by_use and not exposure.is_least else min(by_days, by_use)

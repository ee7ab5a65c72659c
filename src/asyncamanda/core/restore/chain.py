"""Which dumps are read to restore a disk as it was: the newest one, and those that it builds on.

The order is that of the times at which the ledger has the dumps' runs begun, in UTC: Amanda's
stamps are local time, and out of order where summer time ends. All dumps count that the server
ever had, those as well whose volume has been reused: an older one instead of a missing one would
give older files, and say that they are the right ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dump of a disk that the server has, or had, as confirmed by the ledger.

    `dumped_at` is when its run began. `is_held`: it is in the holding disk. `is_gone`: it is known
    that its volume has been reused.
    """

    timestamp: str
    level: int
    dumped_at: datetime
    kilobytes: int = 0
    is_held: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that the server has no dump of, though the client may have noted one as done.

    `level` is None where nobody said; `at` is when its run began.
    """

    timestamp: str
    level: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Chain:
    """What is to be read: the full first, the dump whose date is meant last.

    `doubts` say in words which of them may be built on a dump that the server never got, so that
    it lacks what had changed until then.
    """

    dumps: tuple[Candidate, ...]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoChain:
    """A date for which nothing can be restored, and why."""

    reason: str


def choose_chain(
    candidates: Iterable[Candidate],
    failures: Iterable[Failure] = (),
    at: datetime | None = None,
    run: str = "",
) -> Chain | NoChain:
    """Return what to read for the newest dump at or before `at`, or for the dump of a run.

    With neither it is the newest of all. One that is gone is passed over as the dump that is meant,
    but not as one that another builds on.
    """
    dumps = sorted(_without_copies(candidates), key=_order)
    if not dumps:
        return NoChain("there is no backup of it")
    there = [dump for dump in dumps if not dump.is_gone]
    if not there:
        return NoChain("all its backups are gone: their volumes have been reused")
    if run:
        meant = [dump for dump in dumps if dump.timestamp == run]
    else:
        meant = [dump for dump in there if at is None or dump.dumped_at <= at]
    if not meant:
        if run:
            return NoChain(f"run {run} has made no backup of it")
        return NoChain(f"the oldest backup that is there is {_name(there[0])}")
    top = meant[-1]
    if top.is_gone:
        return NoChain(f"the backup of {_name(top)} is gone: its volume has been reused")
    chain = _follow(top, dumps)
    return chain if isinstance(chain, NoChain) else Chain(chain, _find_doubts(chain, failures))


def _follow(top: Candidate, dumps: Sequence[Candidate]) -> tuple[Candidate, ...] | NoChain:
    """Return the dumps from the full to `top`: each builds on the newest older one below it.

    Amanda raises a disk's level by one at a time, so a level that is missing in between is that of
    a dump that nobody knows of any more, and that the later one builds on.
    """
    chain = [top]
    while chain[0].level > 0:
        newer = chain[0]
        older = [dump for dump in dumps if _order(dump) < _order(newer)]
        base = next((dump for dump in reversed(older) if dump.level < newer.level), None)
        if base is None or base.level != newer.level - 1:
            return NoChain(
                f"the level {newer.level - 1} backup that {_name(newer)} builds on is not known"
            )
        if base.is_gone:
            return NoChain(
                f"{_name(base)}, which {_name(newer)} builds on, is gone: its volume has been "
                "reused"
            )
        chain.insert(0, base)
    return tuple(chain)


def _find_doubts(chain: Sequence[Candidate], failures: Iterable[Failure]) -> tuple[str, ...]:
    """Return what may be missing, in words.

    tar compares with its snapshot of the level below. An attempt at that level or below it, after
    the dump that the server has and before the one that builds on it, may have renewed that
    snapshot (amanda-facts, "It lies"). One in the run of the older dump counts as later.
    """
    known = list(failures)
    return tuple(
        f"{_name(newer)} may lack files that changed after {_name(base)}: "
        f"the backup of run {failure.timestamp} failed in between"
        for base, newer in pairwise(chain)
        for failure in known
        if base.dumped_at <= failure.at < newer.dumped_at and (failure.level or 0) < newer.level
    )


def find_changed_extents(dumps: Iterable[tuple[str, tuple[str, ...] | None]]) -> tuple[str, ...]:
    """Return between which dumps of a chain other files were to be dumped, in words.

    Each is its run's timestamp, and which files (dump_form.py); None where nobody knows. tar lists
    what is excluded as unchanged, so that its older contents are found for it.
    """
    known = [(run, extent) for run, extent in dumps if extent is not None]
    return tuple(
        f"what is excluded or included was changed between runs {older} and {newer}: what "
        "is left out since then comes back as it was before; what no longer is may be missing"
        for (older, before), (newer, after) in pairwise(known)
        if before != after
    )


def _without_copies(candidates: Iterable[Candidate]) -> Iterable[Candidate]:
    """Return each dump once: one that is there rather than gone, held rather than on a volume."""
    found: dict[tuple[str, int], Candidate] = {}
    for each in candidates:
        key = each.timestamp, each.level
        best = found.setdefault(key, each)
        if (best.is_gone, not best.is_held) > (each.is_gone, not each.is_held):
            found[key] = each
    return found.values()


def _order(dump: Candidate) -> tuple[datetime, str, int]:
    return dump.dumped_at, dump.timestamp, dump.level


def _name(dump: Candidate) -> str:
    """Return what people call a dump."""
    kind = "full" if dump.level == 0 else f"level {dump.level}"
    return f"the {kind} of {dump.dumped_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

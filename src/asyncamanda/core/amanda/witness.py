"""Which of a log's claims count: those that something shows which no client can write.

Amanda copies text of clients into a run's log (runlog.py), so that a line of it proves nothing.
Witnesses are a holding file under its final name with its own header, a part's own header on a
volume, and curinfo, which the driver writes. A claim without one is CLAIMED, and no backup.

Failures are claims as well. One about a host that the run was not for does not count, and no
failure takes back what a holding file shows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.model import DleVerdict, DumpState

Dump = tuple[str, str, str]  # host, disk, timestamp

NO_WITNESS = (
    "Amanda's log says that it was dumped, but neither the holding disk nor a volume has it"
)
UNREADABLE = (
    "Amanda could not read what a client of this run answered, so that only those dumps count "
    "that the server itself has"
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen: the levels at which each dump is whole, in the holding disk or on volumes."""

    held: Mapping[Dump, Collection[int]] = field(default_factory=dict)
    stored: Mapping[Dump, Collection[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run by itself, not by its log.

    `timestamp` is in its log's name, `hosts` are those that it was for, `begun_at` is when it began
    by the server's clock. `is_ours`: it has just ended and nobody has touched its dumps since, so
    one that is not there never was.
    """

    timestamp: str
    hosts: Collection[str]
    begun_at: datetime
    is_ours: bool = False


def weigh(
    log: RunLog, facts: RunFacts, known: Mapping[Dump, DleVerdict], evidence: Evidence
) -> tuple[DleVerdict, ...]:
    """Return what counts of a log's claims.

    `known` are the verdicts that there are on these dumps already, each by a witness.
    """
    if log.timestamp is None or log.timestamp not in {"", facts.timestamp}:
        return ()  # a run that claims to be another one
    claims = [
        replace(claim, timestamp=facts.timestamp) if claim.timestamp == log.timestamp else claim
        for claim in log.verdicts
    ]
    own = [c for c in claims if c.timestamp == facts.timestamp and c.host in facts.hosts]
    flushed = [c for c in claims if c.timestamp != facts.timestamp]
    words = [_weigh_own(claim, log, facts, known, evidence) for claim in own]
    words += [word for c in flushed if (word := _weigh_flushed(c, known, evidence))]
    return tuple(words)


def _weigh_own(
    claim: DleVerdict,
    log: RunLog,
    facts: RunFacts,
    known: Mapping[Dump, DleVerdict],
    evidence: Evidence,
) -> DleVerdict:
    """Return what counts of a claim on a dump that the run itself made."""
    claim = replace(claim, dumped_at=facts.begun_at)
    if log.is_doubtful and not claim.state.is_confirmed:  # its lines may be anybody's
        claim = replace(claim, state=DumpState.FAILED, reason=UNREADABLE, has_begun=True)
    dump = claim.host, claim.disk, claim.timestamp
    if levels := evidence.held.get(dump):
        return _confirm(claim, DumpState.HELD, levels)
    if levels := evidence.stored.get(dump):
        return _confirm(claim, DumpState.STORED, levels)
    before = known.get(dump)
    if before and before.state.is_confirmed and not facts.is_ours:  # it was flushed since
        return before
    if not claim.state.is_confirmed:
        return claim
    state = DumpState.FAILED if facts.is_ours else DumpState.CLAIMED
    return replace(claim, state=state, reason=NO_WITNESS, has_begun=True)


def _confirm(claim: DleVerdict, state: DumpState, levels: Collection[int]) -> DleVerdict:
    """Return the verdict on a dump that is there at `levels`, whatever was said of it."""
    level = claim.level if claim.level in levels else max(levels)
    has_failed = not claim.state.is_confirmed and claim.has_begun
    return replace(
        claim, state=state, level=level, reason="", has_begun=True, has_failed_since=has_failed
    )


def _weigh_flushed(
    claim: DleVerdict, known: Mapping[Dump, DleVerdict], evidence: Evidence
) -> DleVerdict | None:
    """Return what counts of a claim that an older dump was brought to a volume; None: nothing."""
    dump = claim.host, claim.disk, claim.timestamp
    before, levels = known.get(dump), evidence.stored.get(dump)
    if evidence.held.get(dump):  # it is still there, so it was not brought away
        return None
    if levels:
        return replace(claim, level=claim.level if claim.level in levels else max(levels))
    if before and before.state.is_confirmed:
        return replace(claim, level=before.level)
    return None

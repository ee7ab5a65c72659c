"""When the next dump of a DLE must be kept from building on a false snapshot.

Cut the link in the middle of a dump, and the server logs FAIL, yet the client finishes "well"
and updates tar's snapshot (amanda-facts, "It lies"). Then a bump to the next level, which is
reported as a success, holds nothing of what was new, and no dump that the server has does. The
remedy: `amadmin CONF force HOST DISK` after a failed level 0, `force-no-bump` after a failed
higher level. Amanda keeps either until a dump succeeds.
"""

from dataclasses import replace

from asyncamanda.core.dispatch.records import Protection, ProtectionKind
from asyncamanda.core.model import DleVerdict, DumpState

BASELESS = (
    "Amanda made an incremental dump, and has no full one of a disk of that name; a full dump is "
    "forced, and the next run makes it"
)


def decide_protection(verdict: DleVerdict, *, has_full: bool = True) -> Protection | None:
    """Return what a dump that ended like this asks for; None where the snapshot is true.

    A level that nobody knows counts as 0: a full dump builds on nothing. `has_full`: the server has
    a full dump of just that disk. Without one an incremental holds nothing that could be restored:
    Amanda mixes up disks whose names it writes alike (amanda-facts), so a disk that was renamed
    inherits the levels of the old one.
    """
    level = verdict.level or 0
    if verdict.state.is_confirmed and level and not has_full:
        level = 0
    elif not verdict.is_false_base:
        return None
    kind = ProtectionKind.FORCE_NO_BUMP if level else ProtectionKind.FORCE
    return Protection(
        verdict.host, verdict.disk, verdict.timestamp, kind, level, dumped_at=verdict.dumped_at
    )


def disown_baseless(verdict: DleVerdict, *, has_full: bool) -> DleVerdict:
    """Return what a client is told about its dump: an incremental without a full is no backup."""
    if has_full or not verdict.state.is_confirmed or not verdict.level:
        return verdict
    return replace(verdict, state=DumpState.FAILED, reason=BASELESS)


def next_protection(
    known: Protection | None, verdict: DleVerdict, *, has_full: bool = True
) -> Protection | None:
    """Return what a DLE needs after `verdict`, its newest, where it needed `known` before.

    A dump that the server has, at the level of the false snapshot or below it, has replaced that
    snapshot, and nothing is needed any more. One above it was built on the false snapshot (Amanda
    was not told in time), and only a full dump helps. A further failure adds to what is needed, and
    Amanda is told again, which does no harm.
    """
    wanted = decide_protection(verdict, has_full=has_full)
    if known is None:
        return wanted
    if _is_before(verdict, known):
        return known
    if wanted is None and verdict.state.is_confirmed:
        if (verdict.level or 0) <= known.level:
            return None
        wanted = replace(known, kind=ProtectionKind.FORCE, level=0)
    if wanted is None or (verdict.timestamp == known.timestamp and wanted.level >= known.level):
        return known  # the same, read once more
    lower = min(wanted, known, key=lambda protection: protection.level)
    return replace(lower, timestamp=verdict.timestamp, dumped_at=verdict.dumped_at, made_at=None)


def _is_before(verdict: DleVerdict, known: Protection) -> bool:
    """Return whether a dump is older than the one that asked for protection.

    By when their runs began: a timestamp is local time, and may lie ahead of its run.
    """
    if verdict.dumped_at and known.dumped_at:
        return verdict.dumped_at < known.dumped_at
    return verdict.timestamp < known.timestamp

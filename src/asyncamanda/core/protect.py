"""When the next dump of a DLE must be kept from building on a false snapshot.

Cut the link in the middle of a dump, and the server logs FAIL, yet the client finishes "well"
and updates tar's snapshot (amanda-facts, "It lies"). Then a bump to the next level, which is
reported as a success, holds nothing of what was new, and no dump that the server has does. The
remedy: `amadmin CONF force HOST DISK` after a failed level 0, `force-no-bump` after a failed
higher level. Amanda keeps either until a dump succeeds.
"""

from dataclasses import replace

from asyncamanda.core.books import Protection, ProtectionKind
from asyncamanda.core.model import DleVerdict, DumpState


def decide_protection(verdict: DleVerdict) -> Protection | None:
    """Return what a dump that ended like this asks for; None where the snapshot is true.

    A level that nobody knows counts as 0: a full dump builds on nothing.
    """
    has_failed = verdict.state in {DumpState.FAILED, DumpState.MISSING}
    if not has_failed or not verdict.has_begun:
        return None
    level = verdict.level or 0
    kind = ProtectionKind.FORCE_NO_BUMP if level else ProtectionKind.FORCE
    return Protection(verdict.host, verdict.disk, verdict.timestamp, kind, level)


def next_protection(known: Protection | None, verdict: DleVerdict) -> Protection | None:
    """Return what a DLE needs after `verdict`, its newest, where it needed `known` before.

    A dump that the server has, at the level of the false snapshot or below it, has made that
    snapshot anew, and nothing is needed any more. One above it was built on the false snapshot
    (Amanda was not told in time), and only a full dump helps. A further failure adds to what
    is needed, and Amanda is told anew, which does no harm.
    """
    is_confirmed = verdict.state.is_confirmed
    if known is None:
        return decide_protection(verdict)
    if verdict.timestamp < known.timestamp:
        return known
    if is_confirmed and (verdict.level or 0) <= known.level:
        return None
    if is_confirmed:
        full = replace(known, kind=ProtectionKind.FORCE, level=0)
        return replace(full, timestamp=verdict.timestamp, made_at=None)
    failed = decide_protection(verdict)
    if failed is None or verdict.timestamp == known.timestamp:  # the same, read once more
        return known
    lower = min(failed, known, key=lambda protection: protection.level)
    return replace(lower, timestamp=verdict.timestamp, made_at=None)

"""Amanda's usual reasons for a dump that failed, and who has to act.

A client's user hears them: "degraded mode" says nothing there. The words are the planner's,
driver's, dumper's, chunker's and taper's of Amanda 3.5.1; tests/e2e/test_reasons.py makes the real
ones say each.
"""

import re
from dataclasses import dataclass, replace

from asyncamanda.core.model import DleVerdict

ADMIN = "its administrator has to fix that"


@dataclass(frozen=True, slots=True)
class Reason:
    """What a reason means that matches; `is_of_room`: on volumes there may be room for the dump."""

    pattern: str
    meaning: str
    is_of_room: bool = False


# the first that matches counts; the comments name the tests in tests/e2e/test_reasons.py
REASONS = {
    "never": Reason(
        r"can't dump 'holdingdisk never' dle in degraded mode",
        "the backup server is told to hold no dump of this disk (`holdingdisk never`), and it was "
        f"not written to a volume either; {ADMIN}",
        is_of_room=True,
    ),
    "degraded": Reason(
        r"(?:Skipping: )?.* degraded mode",
        f"the backup server's holding disk has no room for this dump now; {ADMIN}, if that is said "
        "again",
        is_of_room=True,
    ),
    "full": Reason(
        r".*No space left on device|Not enough holding disk space",
        f"the backup server is full; {ADMIN}",
        is_of_room=True,
    ),
    "too-large": Reason(
        r"dump estimate \( [0-9]+ KB \) is larger than available tape space \( [0-9]+ KB \).*",
        f"this disk is larger than what the backup server may use of its volumes; {ADMIN}",
        is_of_room=True,
    ),
    "no-volume": Reason(
        r"No acceptable volumes found"
        r"|[0-9]+ tapes? filled; runtapes=[0-9]+ does not allow additional tapes",
        f"the backup server has no volume left that it may write to; {ADMIN}",
    ),
    "unreadable": Reason(
        r"\S+/runtar exited with status [0-9]+: see .*",
        "the client could not read the disk; is it there? `asyncamanda doctor` on it says more",
    ),
    "lost": Reason(
        r"Request to .+ failed: (?:EOF on read from|timeout waiting for) .+",
        "the connection to the client was lost; it is tried again",
    ),
}


def find_meaning(said: str) -> Reason | None:
    """Return what one of Amanda's reasons means; None if it is none of the usual ones."""
    return next((one for one in REASONS.values() if re.fullmatch(one.pattern, _bare(said))), None)


def explain_reason(said: str, remarks: str = "") -> str:
    """Return a reason as people are told it: what it means, with Amanda's words behind.

    `remarks` are the run's own troubles: where it was to write to a volume and could not, the
    reason says no more than that the dump was not held.
    """
    found = find_meaning(said)
    if found and found.is_of_room:
        for cause in REASONS.values():
            if not cause.is_of_room and (remark := re.search(cause.pattern, remarks)):
                return f"{cause.meaning} (Amanda: {remark[0]})"
    return f"{found.meaning} (Amanda: {_bare(said)})" if found else said


def explain_verdict(word: DleVerdict, refused: str, remarks: str = "") -> DleVerdict:
    """Return a verdict with its reason in words for people.

    `refused` is why the disk cannot go to volumes, "" where nothing speaks against that. It is said
    of an incremental as well that the server has instead of the full that was due: else nobody
    hears that there will be no further full.
    """
    if refused:
        return replace(word, reason=refused)
    if word.state.is_confirmed or not word.reason:
        return word
    return replace(word, reason=explain_reason(word.reason, remarks))


def is_of_room(said: str) -> bool:
    """Return whether a dump failed because it was not to be held, and volumes may take it."""
    found = find_meaning(said)
    return found is not None and found.is_of_room


def _bare(said: str) -> str:
    """Return a reason without the brackets and quotes that the planner's have in a log."""
    return said.strip('"').removeprefix("[").removesuffix("]")

"""Leaving the note by which the next start can end quickly."""

import contextlib
import os
from pathlib import Path

from asyncamanda import quick
from asyncamanda.client.start.folders import make_folder
from asyncamanda.client.state.assessment import Assessment
from asyncamanda.core.agent.due import NotDue
from asyncamanda.system.files import write_whole

KEPT_SECONDS = 30 * 86_400
RACY = 2.0  # seconds: a file written this recently may change again without a trace


def leave_note(assessment: Assessment, place: tuple[str, str] | None) -> None:
    """Leave a note at `place` (path and whose it is) that nothing is due, if that is certain.

    A note saves time and nothing else, so failing to leave one does not matter.
    """
    if place is None or assessment.damage or assessment.memory.started:
        return
    if not isinstance(assessment.decision, NotDue):
        return
    made_at = assessment.now.timestamp()
    if any(_is_racy(glimpse.partition("=")[2], made_at) for glimpse in assessment.glimpses):
        return
    path, identity = place
    ends = [assessment.decision.until, *([assessment.contact_at] if assessment.contact_at else [])]
    until = min(ends).timestamp()
    with contextlib.suppress(OSError):
        make_folder(Path(path).parent)
        _clear_old_notes(Path(path).parent, made_at)
        write_whole(
            Path(path), quick.render_note(identity, made_at, until, assessment.glimpses), 0o600
        )


def _clear_old_notes(folder: Path, now: float) -> None:
    """Remove what other arguments, folders and versions have left, once it is long unused."""
    for note in folder.glob("note-*"):
        if note.stat().st_mtime < now - KEPT_SECONDS:
            note.unlink()


def _is_racy(path: str, now: float) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116 - as in quick
    except OSError:
        return False
    return max(status.st_mtime, status.st_ctime) > now - RACY

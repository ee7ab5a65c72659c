"""Who is enrolled in a test's authorized_keys."""

from pathlib import Path

from asyncamanda.server.enrol.enrolled import Enrolled, plan_enroll
from asyncamanda.server.enrol.registry import change


def enroll(path: Path, entry: Enrolled) -> bool:
    """Enroll a client that is new, or known by this key; return whether that changed anything."""
    return change(path, lambda text: plan_enroll(text, entry))

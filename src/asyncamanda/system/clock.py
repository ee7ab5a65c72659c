"""The wall clock, read at the edge and handed on as a value.

Waiting goes by it too: the monotonic clock stands still while a machine sleeps.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)

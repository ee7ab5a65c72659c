"""Values in files that this program has written, which may be damaged."""

from datetime import UTC, datetime

from asyncamanda.core.model import EPOCH

LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # with room for whoever adds a span to it


def read_text(value: object) -> str:
    """Return a text. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def read_time(value: object) -> datetime:
    """Return a time. Raises TypeError or ValueError for anything else, or one that cannot be."""
    moment = datetime.fromisoformat(read_text(value))
    if moment.tzinfo is None:
        raise ValueError("a time has no time zone")
    moment = moment.astimezone(UTC)
    if not EPOCH <= moment <= LATEST:
        raise ValueError("a time is out of bounds")
    return moment

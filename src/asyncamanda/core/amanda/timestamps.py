"""How Amanda names its runs: 14 digits of the server's local time, without a zone."""

from datetime import datetime

_FIRST_YEAR, _LAST_YEAR = 1971, 9998  # so that no zone leads out of the calendar


def is_stamp(text: str) -> bool:
    """Return whether `text` is such a name: 14 digits, of a time that exists.

    Old configurations name runs by their day alone (`usetimestamps no`); those do not count.
    """
    if len(text) != 14 or not (text.isascii() and text.isdigit()):
        return False
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 - in no zone
    except ValueError:
        return False
    return _FIRST_YEAR <= moment.year <= _LAST_YEAR

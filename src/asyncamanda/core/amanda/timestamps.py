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


def format_stamp(text: str) -> str:
    """Return such a name as people write a time: "2026-11-28 16:24:09". Other text stays."""
    if not is_stamp(text):
        return text
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]}:{text[12:]}"

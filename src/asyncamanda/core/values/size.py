"""Amounts of bytes as people write them: `500GB`, `1.5 TB`, `200 GiB`."""

import re

ALLOWED = 'a number and its unit, such as "500GB", "1.5TB", "200 GiB"'

_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([kmgt])(i?)b?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Return how many bytes `text` means: 1 GB is 10^9, 1 GiB is 2^30, and G alone is GB.

    Raises ValueError where it means none.
    """
    size = _SIZE.fullmatch(text.strip())
    if not size:
        raise ValueError("not an amount of bytes")
    number, unit, binary = size.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[unit.lower()])


def format_size(count: int) -> str:
    """Return `count` bytes for people, in the largest unit that leaves a whole part.

    To two digits at least: "36 MB", "1.5 GB", "2 TB".
    """
    power = 0
    amount = float(count)
    while amount >= 999.5 and power < len(_POWERS):
        amount /= 1000
        power += 1
    if not power:
        return f"{count} B"
    digits = f"{amount:.0f}" if amount >= 9.95 else f"{amount:.1f}".removesuffix(".0")
    return f"{digits} {'kMGT'[power - 1]}B"

"""The key that opens encrypted dumps, as people write it down: short groups, each with a check.

    AGE-SECRET-KEY-1QPZRY9X8GF2TVDW0...     what age reads
    1-QPZRY9-K  2-X8GF2T-3  ...             what is on paper

Each group ends in a sign that follows from its number and its other signs, so that a slip of the
pen is found where it was made; the key's own sum (bech32, BIP 173) then proves the whole.
"""

import re

PREFIX = "AGE-SECRET-KEY-1"
ALPHABET = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
LENGTH = 58  # signs of a key behind the prefix
IN_GROUP = 6
GROUPS = -(-LENGTH // IN_GROUP)
_ALIKE = str.maketrans("OI1B", "0LL8")  # which no key has
_GROUP = re.compile(r"([0-9]{1,2})-([0-9A-Z]{1,6})-([0-9A-Z])")
_PLAIN = re.compile(rf"{PREFIX}[0-9A-Z]{{{LENGTH}}}")
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def split_key(key: str) -> tuple[str, ...]:
    """Return the groups of an age key, each as `NUMBER-SIGNS-CHECK`. Raises ValueError."""
    check_key(key)
    signs = key.removeprefix(PREFIX)
    parts = (signs[at : at + IN_GROUP] for at in range(0, LENGTH, IN_GROUP))
    return tuple(f"{number}-{part}-{_sign(number, part)}" for number, part in enumerate(parts, 1))


def join_key(text: str) -> str:
    """Return the age key that somebody has typed, in groups or as age writes it.

    Raises ValueError, which says which group is wrong.
    """
    typed = " ".join(text.upper().split())
    if plain := _PLAIN.search(typed.replace(" ", "")):
        check_key(plain[0])
        return plain[0]
    found: dict[int, str] = {}
    for word in typed.split(" "):
        group = _GROUP.fullmatch(word)
        if group is None:
            raise ValueError(f"{word[:20]!r} is no group such as 1-QPZRY9-K")
        number, part, check = int(group[1]), *(one.translate(_ALIKE) for one in group.groups()[1:])
        if not 1 <= number <= GROUPS or _sign(number, part) != check:
            raise ValueError(f"group {number} is mistyped")
        found[number] = part
    if missing := [number for number in range(1, GROUPS + 1) if number not in found]:
        raise ValueError(f"group {missing[0]} is missing")
    key = PREFIX + "".join(found[number] for number in range(1, GROUPS + 1))
    check_key(key)
    return key


def is_same_group(typed: str, group: str) -> bool:
    """Return whether somebody has typed that group; its number and its hyphens may be left out."""
    signs = typed.upper().translate(_ALIKE).replace("-", "").replace(" ", "")
    number, part, check = group.split("-")
    bare = (part + check).translate(_ALIKE)
    return signs in {bare, number.translate(_ALIKE) + bare}


def check_key(key: str) -> None:
    """Raise ValueError unless that is a key of age's, by its own sum."""
    signs = key.removeprefix(PREFIX)
    if not key.startswith(PREFIX) or len(signs) != LENGTH or not {*ALPHABET}.issuperset(signs):
        raise ValueError("this is no recovery key")
    readable = PREFIX[:-1].lower()
    values = [ord(sign) >> 5 for sign in readable] + [0] + [ord(sign) & 31 for sign in readable]
    if _sum([*values, *map(ALPHABET.index, signs)]) != 1:
        raise ValueError("the groups are not of one key")


def _sum(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check


def _sign(number: int, part: str) -> str:
    """Return the sign that ends a group: one that is wrong, or two exchanged, change it."""
    total = number
    for place, sign in enumerate(part, 2):
        total += place * (ALPHABET.index(sign) + 1 if sign in ALPHABET else 0)
    return ALPHABET[total % 31]

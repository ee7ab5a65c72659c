"""Patterns for names, as the shell has them: `*`, `?`, `[abc]`, `[!a-c]`; no name is special.

In a pattern for paths `*` and `?` match a `/` as well.
"""

import re

LONGEST = 4096


def compile_name(pattern: bytes) -> re.Pattern[bytes]:
    """Return what finds the records of such names in a folder's list: flag and name (head.py).

    Raises ValueError if the pattern is too long.
    """
    name = _translate(pattern, frozenset(range(1, 256)))
    return re.compile(rb"\0([YND])(" + name + rb")(?=\0)", re.DOTALL)


def compile_path(pattern: bytes) -> re.Pattern[bytes]:
    """Return what matches such paths as a whole. Raises ValueError if the pattern is too long."""
    return re.compile(_translate(pattern, frozenset(range(256))) + rb"\Z", re.DOTALL)


def _translate(pattern: bytes, every: frozenset[int]) -> bytes:
    """Return the regular expression of a pattern for text of the bytes `every`.

    What stands between two `*` is taken where it fits first, which is as good as any other place:
    by `(?>...)` the expression never goes back there. Else many `*` would take endless time.
    """
    if len(pattern) > LONGEST:
        raise ValueError("the pattern is too long")
    some = _class(every)
    pieces, at = [b""], 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        end = pattern.find(b"]", at + 3 if pattern[at + 1 : at + 2] == b"!" else at + 2)
        at += 1
        if byte == b"*":
            pieces += [b""] if pieces[-1] or len(pieces) == 1 else []
        elif byte == b"?":
            pieces[-1] += some
        elif byte == b"[" and end >= 0:
            pieces[-1] += _class(_parse_class(pattern[at:end], every))
            at = end + 1
        else:
            pieces[-1] += re.escape(byte)
    first, *rest = pieces
    if not rest:
        return first
    *between, last = rest
    return b"".join((first, *(b"(?>%b*?%b)" % (some, each) for each in between), some, b"*", last))


def _parse_class(inner: bytes, every: frozenset[int]) -> frozenset[int]:
    """Return the bytes that `[inner]` matches."""
    is_not = inner.startswith(b"!")
    found: set[int] = set()
    at = int(is_not)
    while at < len(inner):
        if inner[at + 1 : at + 2] == b"-" and at + 2 < len(inner):
            found |= set(range(inner[at], inner[at + 2] + 1))
            at += 3
        else:
            found.add(inner[at])
            at += 1
    return every - found if is_not else every & found


def _class(values: frozenset[int]) -> bytes:
    """Return what matches one byte of these; a set of none matches nothing."""
    if len(values) > 128:
        without = b"".join(rb"\x%02x" % each for each in sorted({*range(256)} - values))
        return b"[^" + without + b"]" if without else b"."
    within = b"".join(rb"\x%02x" % each for each in sorted(values))
    return b"[" + within + b"]" if within else b"(?!)"

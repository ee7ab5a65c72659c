r"""Amanda's quoted strings.

A name is quoted if it is empty or holds a colon, a quote of either kind, a backslash,
DEL, a blank or control character, or a byte above 0x7F. Within the quotes tab, newline,
carriage return, form feed, backslash and double quote are escaped with a backslash.
Source: quote_string() and unquote_string() of Amanda 3.5.1, pinned against the real
ones by tests/e2e/test_amanda_facts.py.

Names are str; a byte that is not UTF-8 is kept as a lone surrogate (PEP 383).
"""

import re

_NEEDS_QUOTES = re.compile(r"[^!#-&(-9;-\[\]-~]")  # all but these; listing them compiles slowly
_ESCAPED = str.maketrans(
    {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\f": r"\f", "\\": r"\\", '"': r"\""}
)
_PIECE = re.compile(rb'\\([0-7]{1,3}|.)|"|\\$', re.DOTALL)
_DECODED = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"f": b"\f"}


def quote(name: str) -> str:
    """Return `name` as Amanda writes it: bare if it can be, else in double quotes."""
    if name and not _NEEDS_QUOTES.search(name):
        return name
    return f'"{name.translate(_ESCAPED)}"'


def unquote(text: str) -> str:
    """Return the name that Amanda reads from `text`, which may be quoted or not.

    Bare double quotes are dropped, octal escapes stand for bytes, a backslash at the
    end is dropped. Amanda drops escaped NULs, and so do we.
    """
    if '"' not in text and "\\" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")
    return _PIECE.sub(_decode, raw).decode("utf-8", "surrogateescape")


def _decode(piece: re.Match[bytes]) -> bytes:
    escaped = piece[1]
    if escaped is None:
        return b""
    if escaped[0] in b"01234567":
        byte = int(escaped, 8) & 0xFF
        return bytes([byte]) if byte else b""
    return _DECODED.get(escaped, escaped)

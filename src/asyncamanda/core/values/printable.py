"""Text that others wrote, made safe to show.

A name, a reason or a program's words may hold what steers a terminal, turns a line round or ends
it, and so looks like a line of asyncamanda's. Each place that shows or keeps text for people
escapes it by these, so that nobody has to remember where it came from.

The gate imports this, and there are hundreds of them: so it imports nothing.
"""


def printable(text: str) -> str:
    r"""Return `text` in one line, with all that is not printable written out.

    As Python writes it: `\x1b`, `\x0a`, `\u202e`, and `\udcff` for a byte that is not UTF-8. What
    is printable already stays as it is, so nothing is escaped twice.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def printable_lines(text: str) -> str:
    """Return `text` with its lines, which end at newlines alone, each made printable()."""
    if text.isprintable():
        return text
    return "\n".join(map(printable, text.split("\n")))


def clip(text: str, longest: int) -> str:
    """Return `text`, or as much of it as `longest` characters hold, with dots for the rest."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

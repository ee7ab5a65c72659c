"""A disklist in which DLEs are dumped by amgtar that were dumped by GNUTAR; all else stays.

A line becomes a block, with its dumptype in it. Source: parse_diskline() in diskfile.c and
read_dapplication() in conffile.c of Amanda 3.5.1; tests/e2e/test_renumbered.py asks the real one.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from asyncamanda.core.amanda.disklist import Dle, NestedLines, split_words
from asyncamanda.core.amanda.quoting import unquote

# of amgtar: device numbers are left alone, and what GNUTAR loses is kept
PROPERTIES = {"CHECK-DEVICE": "NO", "XATTRS": "YES", "ACLS": "YES"}
_PROGRAM = re.compile(r"\s*program\s", re.IGNORECASE)


def modernise(text: str, dles: Collection[Dle]) -> tuple[str, list[Dle]]:
    """Return the disklist with `dles` by amgtar, and those of them that it has.

    What is in a file that it includes is not found.
    """
    wanted = {(dle.host.lower(), dle.disk): dle for dle in dles}
    found: list[Dle] = []
    lines = text.split("\n")
    made: list[str] = []
    at = 0
    while at < len(lines):
        size = _measure(lines, at)
        entry, dle = lines[at : at + size], _find(lines[at], wanted)
        if dle:
            found.append(dle)
            entry = list(_change(entry, dle))
        made += entry
        at += size
    return "\n".join(made), found


def _measure(lines: list[str], start: int) -> int:
    """Return of how many lines the entry is that begins at `start`."""
    nested = NestedLines()
    for count, line in enumerate(lines[start:], 1):
        if not nested.feed(line):
            return count
    return len(lines) - start


def _find(line: str, wanted: Mapping[tuple[str, str], Dle]) -> Dle | None:
    words = split_words(line)
    return wanted.get((unquote(words[0]).lower(), unquote(words[1]))) if len(words) > 2 else None


def _change(entry: list[str], dle: Dle) -> Iterator[str]:
    words = split_words(entry[0])
    head = 3 if dle.device else 2
    if len(entry) == 1:
        rest = words[head + 1 :]
        yield f"{' '.join(words[:head])} {{"
        yield f"    {words[head]}"
        yield from _program()
        yield " ".join(["}", *rest])
        return
    yield entry[0]
    yield from (line for line in entry[1:-1] if not _PROGRAM.match(line))
    yield from _program()
    yield entry[-1]


def render_program() -> str:
    """Return the lines that an entry gets."""
    return "\n".join(_program())


def _program() -> Iterator[str]:
    yield '    program "APPLICATION"'
    yield "    application {"
    yield '        plugin "amgtar"'
    yield from (f'        property "{name}" "{value}"' for name, value in PROPERTIES.items())
    yield "    }"

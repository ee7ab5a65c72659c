"""A disklist in which DLEs are dumped by amgtar that were dumped by GNUTAR; all else stays.

A line becomes a block, with its dumptype in it, below the comment that it had. Source:
parse_diskline() in diskfile.c and read_dapplication() in conffile.c of Amanda 3.5.1;
tests/e2e/test_disklist.py and test_renumbered.py ask the real one.
"""

import re
from collections.abc import Collection, Iterator

from asyncamanda.core.amanda.disklist import Dle, find_comment, split_words
from asyncamanda.core.amanda.disklist_lines import find_blocks

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
    for block in reversed(find_blocks(text)):
        if dle := wanted.get((block.host.lower(), block.disk)):
            found.append(dle)
            end = block.first + block.count
            lines[block.first : end] = _change(lines[block.first : end], dle)
    return "\n".join(lines), found[::-1]


def _change(entry: list[str], dle: Dle) -> Iterator[str]:
    words = split_words(entry[0])
    head = 3 if dle.device else 2
    if len(entry) == 1:
        rest = words[head + 1 :]
        if comment := find_comment(entry[0]):
            yield comment
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

"""Sizes as people read them: no count of bytes in what is printed or written into a log."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import asyncamanda

SOURCE = Path(asyncamanda.__file__).parent
# limits of names and messages; and what is compared, and may differ by a few bytes
EXACT = {
    "client/restore/images.py",
    "core/protocol/bounds.py",
    "core/protocol/mux.py",
    "core/restore/answer.py",
    "core/restore/proof.py",
    "core/restore/request.py",
    "server/restore/dump_files.py",
    "server/restore/reading.py",
}
UNIT = re.compile(r"\s?(?:[kKMGT]i?B|bytes?|[kmg]bytes|kilobytes|blocks)\b")


def find_counts(text: str) -> Iterator[str]:
    """Yield each f-string of a module in which a plain value stands before a unit of sizes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            for value, words in pairwise(node.values):
                is_value = isinstance(value, ast.FormattedValue)
                if is_value and isinstance(words, ast.Constant) and UNIT.match(str(words.value)):
                    yield ast.unparse(node)


def test_no_size_is_a_count_of_bytes() -> None:
    """format_size() says it; JSON has the count, and is made from values."""
    assert [*find_counts('f"{there} bytes of it"'), *find_counts('f"{a} {b}kB"')] != []
    found = {
        path.relative_to(SOURCE).as_posix(): counts
        for path in sorted(SOURCE.rglob("*.py"))
        if (counts := [*find_counts(path.read_text("utf-8"))])
    }
    assert found.keys() == EXACT, found

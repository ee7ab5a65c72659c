"""The documentation's pages, as this installation has them."""

import re
import sys
from pathlib import Path

FOLDER = "share/doc/asyncamanda"  # below the prefix: pyproject.toml, data-files
_PAGE = re.compile(r"\bdocs/([a-z][a-z-]*\.md)\b")


def name_pages(text: str, prefix: str | None = None) -> str:
    """Return `text` with each `docs/PAGE.md` that is installed named by its whole path.

    `prefix` is where asyncamanda is installed, this process's by default; a checkout has no such
    folder, and there the pages are where the text says.
    """
    folder = Path(prefix or sys.prefix, FOLDER)

    def name(found: re.Match[str]) -> str:
        path = folder / found[1]
        return str(path) if path.is_file() else found[0]

    return _PAGE.sub(name, text)

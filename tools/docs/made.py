"""The parts of the pages that are made from the code, each between two marks."""

import re
from collections.abc import Callable
from pathlib import Path

from tools.docs.protocol import describe_protocol, describe_restore

from asyncamanda.errors import Exit


def describe_exits() -> str:
    """Return the table of exit codes, in Markdown."""
    rows = [f"| {code.value} | {code.meaning} |" for code in Exit]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


PARTS: dict[tuple[str, str], Callable[[], str]] = {  # page and name of the part
    ("README.md", "exit codes"): describe_exits,
    ("docs/protocol.md", "messages"): describe_protocol,
    ("docs/protocol.md", "restore's lines"): describe_restore,
}


def with_part(text: str, name: str, part: str) -> str:
    """Return a page's `text` with `part` instead of that name.

    Raises ValueError if there is no such place.
    """
    place = re.compile(
        rf"(<!-- {name}: made by tools/write-docs -->\n).*?(<!-- end -->)", re.DOTALL
    )
    made, count = place.subn(lambda found: f"{found[1]}{part}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"there is no place for {name}")
    return made


def update_pages(root: Path, *, is_check: bool) -> list[str]:
    """Write each part into its page, unless `is_check`; return the pages that it was not in."""
    changed = []
    for (page, name), make in PARTS.items():
        path = root / page
        text = path.read_text("utf-8")
        made = with_part(text, name, make())
        if made != text:
            changed.append(page)
            if not is_check:
                path.write_text(made, "utf-8")
    return changed

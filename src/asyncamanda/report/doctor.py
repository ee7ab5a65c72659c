"""What a doctor finds, in words and as JSON's values."""

import sys
import textwrap
from collections.abc import Sequence

from asyncamanda.core.amanda.amcheck import Trouble
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.values.printable import printable
from asyncamanda.report.stream import styled
from asyncamanda.system.pages import name_pages

WIDTH = 79
HEAD = 16  # columns of a check's verdict and name
CLIENT_HEAD = 20  # ... of a client's own
_INDENT = " " * 5
_STYLES = {  # on light and dark backgrounds
    Health.OK: "green",
    Health.WARNING: "yellow",
    Health.BAD: "bold red",
    Health.ABSENT: "yellow",
    Health.SKIPPED: "",
}


def print_check(check: Check, columns: int) -> None:
    """Print the lines on a check, its verdict in a colour on a terminal."""
    head, *rest = render_check(check, columns)
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - costs much, and only this needs it
        from rich.text import Text  # noqa: PLC0415

        word = check.health.value
        console = Console(file=styled(sys.stdout), highlight=False, emoji=False)
        text = Text.assemble((word, _STYLES[check.health]), head.removeprefix(word))
        console.print(text, soft_wrap=True)
    else:
        print(head)  # noqa: T201 - the answer
    print("\n".join(rest), end="\n" * bool(rest), flush=True)  # noqa: T201


def is_unremarkable(check: Check) -> bool:
    """Return whether nobody has to see a check: it is well, or was not made."""
    return check.health in {Health.OK, Health.SKIPPED}


def count_unremarkable(checks: Sequence[Check]) -> str:
    """Return how many checks are well, and how many were not made, in a sentence."""
    well = sum(check.health is Health.OK for check in checks)
    skipped = sum(check.health is Health.SKIPPED for check in checks)
    are = "check is" if well == 1 else "checks are"
    were = f", {skipped} {'was' if skipped == 1 else 'were'} not made" if skipped else ""
    return f"{well} {are} well{were}: -v shows them"


def render_check(check: Check, columns: int = HEAD) -> list[str]:
    """Return the lines on a check: what was found, and below it what is to be known and done."""
    head = f"{check.health.value:<5}{check.name:<{columns - 5}}"
    lines = _fill(check.found, head, " " * columns)
    lines += _render_advice(check.why, check.fix)
    for trouble in check.troubles:
        lines += _fill(trouble.said, _INDENT, f"{_INDENT}    ")
        lines += _render_advice(trouble.why, trouble.fix)
    return lines


def _render_advice(why: str, fix: str) -> list[str]:
    lines = []
    for label, text in (("why", why), ("do", fix)):
        if text:
            lines += _fill(name_pages(text), f"{_INDENT}  {label + ':':<5}", f"{_INDENT}       ")
    return lines


def _fill(text: str, head: str, indent: str) -> list[str]:
    """Return `text` in lines that fit; a word that is longer, such as a path, stays whole."""
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]


def sum_up_checks(client: str, checks: Sequence[Check]) -> str:
    """Return all of it in a line."""
    bad = sum(max(len(check.troubles), 1) for check in checks if check.health is Health.BAD)
    if bad:
        return f"{client}: {bad} {'problem' if bad == 1 else 'problems'} to fix"
    if any(check.health is Health.ABSENT for check in checks):
        return f"{client}: nothing is wrong so far, but it is not connected"
    if odd := [check.name for check in checks if check.health is Health.WARNING]:
        return f"{client}: nothing to fix; warnings: {', '.join(odd)}"
    return f"{client}: all well"


def sum_up_client(checks: Sequence[Check]) -> str:
    """Return all that a client's own doctor found in a line."""
    bad = [check.name for check in checks if check.health is Health.BAD]
    odd = [check.name for check in checks if check.health is Health.WARNING]
    away = [check.name for check in checks if check.health is Health.ABSENT]
    parts = []
    if bad:
        parts.append(f"fix: {', '.join(bad)}")
    if away:
        parts.append(f"not reachable: {', '.join(away)}")
    if odd:
        parts.append(f"warnings: {', '.join(odd)}")
    return "; ".join(parts) or "all well"


def client_check_value(check: Check) -> dict[str, object]:
    """Return a check of a client's own doctor, by its health in a word."""
    value = check_value(check)
    del value["ok"]
    return {"check": check.name, "health": check.health.name.lower(), **value}


def check_value(check: Check) -> dict[str, object]:
    """Return a check; `ok` is null for one that was not made."""
    is_ok = None if check.health is Health.SKIPPED else check.health is Health.OK
    return {
        "check": check.name,
        "ok": is_ok,
        "found": check.found,
        "why": check.why or None,
        "fix": check.fix or None,
    }


def trouble_value(trouble: Trouble) -> dict[str, object]:
    """Return a trouble."""
    return {"said": trouble.said, "why": trouble.why, "fix": trouble.fix}

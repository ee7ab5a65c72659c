"""What `server doctor` finds, in words and as JSON's values."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from asyncamanda.core.amcheck import Trouble
from asyncamanda.report.text import printable

WIDTH = 79
HEAD = 16  # columns of a check's verdict and name
_INDENT = " " * 5


class Health(Enum):
    """How a check ended. Absent: nothing is wrong but that the client is not there."""

    OK = "ok"
    BAD = "bad"
    ABSENT = "away"
    SKIPPED = "-"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was found, and if that is not well why it matters and what mends it."""

    name: str
    health: Health
    found: str
    why: str = ""
    mend: str = ""
    troubles: tuple[Trouble, ...] = ()  # each with a why and a mend of its own
    is_partial: bool = False  # only a part of it is bad, and the rest can be looked at further


def render_check(check: Check) -> list[str]:
    """Return the lines on a check: what was found, and below it what is to be known and done."""
    head = f"{check.health.value:<5}{check.name:<{HEAD - 5}}"
    lines = _fill(check.found, head, " " * HEAD)
    lines += _render_advice(check.why, check.mend)
    for trouble in check.troubles:
        lines += _fill(trouble.said, _INDENT, f"{_INDENT}    ")
        lines += _render_advice(trouble.why, trouble.mend)
    return lines


def _render_advice(why: str, mend: str) -> list[str]:
    lines = []
    for label, text in (("why", why), ("do", mend)):
        if text:
            lines += _fill(text, f"{_INDENT}  {label + ':':<5}", f"{_INDENT}       ")
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
        return f"{client}: {bad} {'thing is' if bad == 1 else 'things are'} to be mended"
    if any(check.health is Health.ABSENT for check in checks):
        return f"{client}: nothing is wrong so far, but it is not connected"
    return f"{client}: all well"


def check_value(check: Check) -> dict[str, object]:
    """Return a check; `ok` is null for one that was not made."""
    is_ok = None if check.health is Health.SKIPPED else check.health is Health.OK
    return {
        "check": check.name,
        "ok": is_ok,
        "found": check.found,
        "why": check.why or None,
        "mend": check.mend or None,
    }


def trouble_value(trouble: Trouble) -> dict[str, object]:
    """Return a trouble."""
    return {"said": trouble.said, "why": trouble.why, "mend": trouble.mend}

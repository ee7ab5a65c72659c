"""A monitoring plugin's answer as text: a line of 80 characters, its numbers, further lines.

monitoring-plugins.org/doc/guidelines.html. Nagios takes 8 kB of it, and older NRPE 1 kB.
"""

import re

from asyncamanda.core.values.plugin import LONGEST, PREFIX, PerfValue, PluginAnswer
from asyncamanda.core.values.printable import clip, printable

_MOST = 4000  # characters of all further lines
_LONGEST_LINE = 200
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


def render_plugin_answer(answer: PluginAnswer) -> str:
    """Return all that the plugin prints, without the last line's end."""
    whole = f"{PREFIX} {answer.status.name}: {_tame(answer.text) or 'no reason is given'}"
    first = clip(whole, LONGEST)
    values = " ".join(_render_value(value) for value in answer.values)
    lines = [f"{first} | {values}" if values else first]
    room = _MOST
    for line in answer.lines:
        text = clip(_tame(line), _LONGEST_LINE)
        if first == whole and first.endswith(f": {text}"):
            continue  # it was said
        room -= len(text) + 1
        if room < 0:
            break
        lines.append(text)
    return "\n".join(lines)


def _tame(text: str) -> str:
    """Return `text` in one line, without the sign after which numbers begin."""
    return printable(" ".join(text.split())).replace("|", "/")


def _render_value(value: PerfValue) -> str:
    label = value.label if _PLAIN.fullmatch(value.label) else _quote(value.label)
    if value.value is None:
        return f"{label}=U"
    limits = value.thresholds
    fields = (
        f"{_number(value.value)}{value.unit}",
        "" if limits.warning is None else str(limits.warning),
        "" if limits.critical is None else str(limits.critical),
        "0",
        "" if value.most is None else _number(value.most),
    )
    return f"{label}={';'.join(fields).rstrip(';')}"


def _quote(label: str) -> str:
    text = _tame(label).replace("'", "''").replace("=", "_")
    return f"'{text}'"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else repr(value)

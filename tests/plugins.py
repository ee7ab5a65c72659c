"""A plugin's output, read by the grammar of monitoring-plugins.org/doc/guidelines.html."""

import re
from dataclasses import dataclass

STATUSES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")  # by exit code
UNITS = {"", "s", "ms", "us", "%", "B", "KB", "MB", "TB", "c"}

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_RANGE = re.compile(rf"@?(?:(?:~|{_NUMBER}):(?:{_NUMBER})?|{_NUMBER})")
_PERF = re.compile(
    r"(?P<label>'(?:[^'=|\n]|'')+'|[^' =|]+)="
    rf"(?:U|(?P<value>{_NUMBER})(?P<unit>[a-zA-Z%]*)"
    r"(?:;(?P<warn>[^; ]*))?(?:;(?P<crit>[^; ]*))?"
    rf"(?:;(?P<min>{_NUMBER})?)?(?:;(?P<max>{_NUMBER})?)?)"
)


@dataclass(frozen=True)
class Number:
    """A number of a plugin's; None where it is not known, "" where a limit is not set."""

    value: float | None
    unit: str = ""
    warn: str = ""
    crit: str = ""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Output:
    """What a plugin said."""

    status: str
    text: str
    numbers: dict[str, Number]
    lines: tuple[str, ...]


def read_output(text: str, code: int) -> Output:
    """Return what a plugin printed that ended with `code`; refuse what breaks the guidelines."""
    first, *lines = text.removesuffix("\n").split("\n")
    said, bar, perf = first.partition(" | ")
    assert len(said) <= 80, said
    assert "|" not in said + perf + "".join(lines), "numbers begin at a |"
    assert bool(perf) is bool(bar)
    assert len(text) < 8192, "Nagios reads no more"
    assert text.removesuffix("\n").replace("\n", "").isprintable()
    head = re.fullmatch(r"BACKUP ([A-Z]+): (.+)", said)
    assert head, said
    assert STATUSES[code] == head[1], "the exit code says another status than the line"
    return Output(head[1], head[2], _read_numbers(perf), tuple(lines))


def _read_numbers(perf: str) -> dict[str, Number]:
    numbers: dict[str, Number] = {}
    position = 0
    while position < len(perf):
        found = _PERF.match(perf, position)
        assert found, perf[position:]
        position = found.end()
        assert perf[position : position + 1] in {"", " "}
        position += 1
        label = found["label"].strip("'").replace("''", "'")
        assert label not in numbers
        for limit in (found["warn"], found["crit"]):
            assert not limit or _RANGE.fullmatch(limit), limit
        assert (found["unit"] or "") in UNITS
        assert not found[0].endswith(";"), "fields at the end that are not filled may be dropped"
        numbers[label] = Number(
            None if found["value"] is None else float(found["value"]),
            found["unit"] or "",
            found["warn"] or "",
            found["crit"] or "",
            None if found["min"] is None else float(found["min"]),
            None if found["max"] is None else float(found["max"]),
        )
    return numbers

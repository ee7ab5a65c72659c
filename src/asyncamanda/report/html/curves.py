"""The fleet's history as two pictures of lines, each with what it shows in words."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from asyncamanda.core.fleet.facts import FleetDay
from asyncamanda.report.html.words import show_use

WIDTH, HEIGHT = 320, 110  # of the lines; labels are around them
HOUR = timedelta(hours=1)
_STEPS = (1, 2, 4, 6, 12, 24, 48, 72, 120, 240, 480, 960, 1920, 4000, 10_000)  # hours


@dataclass(frozen=True, slots=True)
class PlotLine:
    """One line of a picture: its class in the style sheet, its name, and its path of SVG."""

    css: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A picture: its lines, the marks at its left side as (y, text), and `words` for all of it."""

    title: str
    lines: tuple[PlotLine, ...]
    marks: tuple[tuple[float, str], ...]
    first: date
    last: date
    words: str


def draw_share(days: Sequence[FleetDay]) -> Curve | None:
    """Return the share of the clients that were protected, None where fewer than 2 days are known.

    It begins at the ten below the lowest share, and says so at its side.
    """
    shares = [_share(day) for day in days]
    known = [(share, day.day) for share, day in zip(shares, days, strict=True) if share is not None]
    if len(known) < 2:
        return None
    lowest, lowest_day = min(known)
    floor = min(10 * int(lowest // 10), 90)
    line = _draw(shares, days, lambda share: (share - floor) / (100 - floor))
    marks = tuple(
        (_y((mark - floor) / (100 - floor)), f"{mark:g} %")
        for mark in (floor, (floor + 100) / 2, 100)
    )
    words = (
        f"{round_share(known[-1][0])} of all clients now, "
        f"{round_share(lowest)} at the lowest, on {lowest_day}"
    )
    return Curve(
        "Share protected", (PlotLine("share", "protected", line),), marks, *_ends(days), words
    )


def _share(day: FleetDay) -> float | None:
    """Return the share in per cent; that of no clients is not known."""
    return min(max(100 * day.protected / day.clients, 0.0), 100.0) if day.clients else None


def round_share(share: float) -> str:
    """Return a share in per cent, without calling 100 what is less."""
    return f"{int(share * 10) / 10:g} %" if 99 < share < 100 else f"{share:.0f} %"


def draw_exposure(days: Sequence[FleetDay]) -> Curve | None:
    """Return the exposure that half and that 95 % of the clients do not exceed, None without."""
    half = [_hours(day.half_exposed) for day in days]
    most = [_hours(day.most_exposed) for day in days]
    known = [hours for hours in (*half, *most) if hours is not None]
    if len(days) < 2 or not known:
        return None
    top = next((step for step in _STEPS if step >= max(known)), max(known))
    lines = (
        PlotLine("most", "95 % of the clients", _draw(most, days, lambda hours: hours / top)),
        PlotLine("half", "half of the clients", _draw(half, days, lambda hours: hours / top)),
    )
    marks = ((_y(0), "0"), (_y(0.5), show_use(top / 2 * HOUR)), (_y(1), show_use(top * HOUR)))
    words = (
        f"half of all clients have at most {show_use(days[-1].half_exposed)} of use without a "
        f"backup, 95 % at most {show_use(days[-1].most_exposed)}"
    )
    return Curve("Exposure", lines, marks, *_ends(days), words)


def _hours(span: timedelta | None) -> float | None:
    return None if span is None else max(span / HOUR, 0.0)


def _ends(days: Sequence[FleetDay]) -> tuple[date, date]:
    return days[0].day, days[-1].day


def _draw(
    values: Sequence[float | None], days: Sequence[FleetDay], scale: Callable[[float], float]
) -> str:
    """Return the path through all known values; a day that is missing interrupts it."""
    first, last = _ends(days)
    length = max((last - first).days, 1)
    points = [
        None if value is None else ((day.day - first).days, scale(value))
        for day, value in zip(days, values, strict=True)
    ]
    return "".join(_draw_stretch(stretch, length) for stretch in _stretches(points))


def _draw_stretch(points: Sequence[tuple[int, float]], length: int) -> str:
    places = [f"{WIDTH * day / length:.1f} {_y(share):.1f}" for day, share in points]
    return f"M{places[0]}" + ("".join(f"L{place}" for place in places[1:]) or "h1")


def _stretches(points: Sequence[tuple[int, float] | None]) -> Iterator[list[tuple[int, float]]]:
    for is_known, group in groupby(points, lambda point: point is not None):
        if is_known:
            yield [point for point in group if point is not None]


def _y(share: float) -> float:
    return HEIGHT * (1 - min(max(share, 0.0), 1.0))

"""The keys of client.toml that say what a good moment for a backup is."""

from datetime import timedelta

from asyncamanda.config.reader import (
    Keys,
    Wrong,
    one_of,
    read_flag,
    read_share,
    read_span,
    texts_like,
)
from asyncamanda.core.conditions import rate, windows
from asyncamanda.core.conditions.judge import MAINS_ONLY, Pause
from asyncamanda.core.conditions.rate import RateLimit
from asyncamanda.core.conditions.windows import Window
from asyncamanda.core.values import interval

NEVER = timedelta.max
LARGEST_LOAD = 10_000


def _read_battery(value: object) -> float | None:
    """Return from how many percent on a backup may run on battery; None for always."""
    if value == "allow":
        return None
    if value == "refuse":
        return MAINS_ONLY
    try:
        return read_share(value) * 100
    except Wrong:
        raise Wrong(value, '"refuse", "allow", or from what charge on: "50%"') from None


def _read_permission(value: object) -> bool:
    if not isinstance(value, str) or value not in {"allow", "refuse"}:
        raise Wrong(value, '"refuse" or "allow"')
    return value == "allow"


def _read_windows(value: object) -> tuple[Window, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Wrong(value, f"a list of {windows.ALLOWED}")
    parsed = []
    for text in value:
        try:
            parsed.append(windows.parse_window(text))
        except ValueError as error:
            raise Wrong(text, f"{windows.ALLOWED} ({error})") from error
    return tuple(parsed)


def _read_load(value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 < value < LARGEST_LOAD
    ):
        raise Wrong(value, "a load average above 0, such as 2.5")
    return float(value)


def _read_span_or_never(value: object) -> timedelta:
    if value == "never":
        return NEVER
    try:
        return read_span(value)
    except Wrong:
        raise Wrong(value, f'"never", or {interval.ALLOWED}') from None


def _read_rate(value: object) -> tuple[RateLimit, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Wrong(value, rate.ALLOWED)
    limits = []
    for text in texts:
        try:
            limits.append(rate.parse_rate(text))
        except ValueError as error:
            raise Wrong(text, f"{rate.ALLOWED} ({error})") from error
    return tuple(limits)


_PATTERNS = texts_like("a list of patterns for names, SSIDs and kinds", '["Office*", "ethernet"]')

MOMENT_KEYS: Keys = {
    "on_battery": _read_battery,
    "metered": _read_permission,
    "networks": _PATTERNS,
    "not_networks": _PATTERNS,
    "windows": _read_windows,
    "max_load": _read_load,
    "unknown": _read_permission,
    "relax_after": _read_span_or_never,
    "pause": one_of(Pause),
    "inhibit_for": read_span,
    "inhibit_lid": read_flag,
    "retry_within": read_span,
    "spread": read_span,
    "rate": _read_rate,
    "prove_every": _read_span_or_never,
}

"""Alerts left for root, who can reach a user's desktop where the Amanda user cannot.

The Amanda user owns the file and its folder, so root follows no link there, reads a bounded length
of it, and trusts only its shape.
"""

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asyncamanda.core.agent.alerts import Alert, AlertKind
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.system.files import write_whole

FILE_NAME = "desktop.json"
FORMAT = 1
KEPT = timedelta(days=3)
LARGEST = 262_144  # bytes
LONGEST_TEXT = 1_000  # characters of one part of an alert
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW

_UNDECODABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


def leave_alert(folder: Path, alert: Alert) -> None:
    """Leave `alert` for root, replacing an older one of its kind. Raises OSError."""
    with open_handoff(folder, os.geteuid()) as handoff:
        before = handoff.alerts if handoff else ()
    kept = [old for old in before if old.kind is not alert.kind]
    write_whole(folder / FILE_NAME, encode_alerts([*kept, alert]), 0o600)


@dataclass(frozen=True, slots=True)
class Handoff:
    """The alerts that were left, oldest first, and where they are."""

    alerts: tuple[Alert, ...]
    folder: int
    written: tuple[int, int]

    def remove(self) -> None:
        """Remove the file, unless there is a newer one in its place."""
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(FILE_NAME, dir_fd=self.folder, follow_symlinks=False)
            if (status.st_ino, status.st_mtime_ns) == self.written:
                os.unlink(FILE_NAME, dir_fd=self.folder)


@contextlib.contextmanager
def open_handoff(folder: Path, owner: int) -> Iterator[Handoff | None]:
    """Yield what is left in `folder` by the user `owner` or root; None if there is nothing.

    A file that is invalid, or is not theirs, counts as one without alerts. Raises OSError if it
    cannot be read for another reason.
    """
    with contextlib.ExitStack() as stack:
        try:
            place = os.open(folder, FLAGS | os.O_DIRECTORY)
            stack.callback(os.close, place)
            file = os.open(FILE_NAME, FLAGS | os.O_NONBLOCK, dir_fd=place)
            stack.callback(os.close, file)
        except FileNotFoundError:
            yield None
            return
        status = os.fstat(file)
        is_theirs = stat.S_ISREG(status.st_mode) and status.st_uid in {0, owner}
        raw = os.read(file, LARGEST + 1) if is_theirs else b""
        alerts: tuple[Alert, ...] = ()
        with contextlib.suppress(*_UNDECODABLE):
            alerts = decode_alerts(raw)
        yield Handoff(alerts, place, (status.st_ino, status.st_mtime_ns))


def keep_fresh(alerts: Sequence[Alert], now: datetime) -> tuple[Alert, ...]:
    """Return those that are still news; a time far ahead is no news, either."""
    return tuple(alert for alert in alerts if abs(now - alert.at) <= KEPT)


def encode_alerts(alerts: Sequence[Alert]) -> str:
    """Return the file's text."""
    values = [
        {
            "kind": alert.kind.value,
            "client": alert.client[:LONGEST_TEXT],
            "at": alert.at.isoformat(),
            "summary": alert.summary[:LONGEST_TEXT],
            "detail": alert.detail[:LONGEST_TEXT],
            "hint": alert.hint[:LONGEST_TEXT],
        }
        for alert in alerts
    ]
    return json.dumps({"format": FORMAT, "alerts": values}, indent=1) + "\n"


def decode_alerts(raw: bytes) -> tuple[Alert, ...]:
    """Return the alerts, the newest of each kind, oldest first.

    Raises one of _UNDECODABLE for what encode_alerts() would not write.
    """
    if len(raw) > LARGEST:
        raise ValueError("too large")
    value = parse_json(raw)
    if value["format"] != FORMAT or not isinstance(value["alerts"], list):
        raise ValueError("another format")
    alerts = sorted(map(_decode_alert, value["alerts"]), key=lambda alert: alert.at)
    newest = {alert.kind: alert for alert in alerts}
    return tuple(sorted(newest.values(), key=lambda alert: alert.at))


def _decode_alert(value: dict[str, Any]) -> Alert:
    if set(value) != {"kind", "client", "at", "summary", "detail", "hint"}:
        raise ValueError("another shape")
    texts = {key: value[key] for key in ("client", "summary", "detail", "hint")}
    for text in texts.values():
        if not isinstance(text, str) or len(text) > LONGEST_TEXT:
            raise ValueError("no text, or too long a one")
    at = datetime.fromisoformat(value["at"])
    if at.tzinfo is None:
        raise ValueError("no time zone")
    return Alert(AlertKind(value["kind"]), at=at.astimezone(UTC), **texts)

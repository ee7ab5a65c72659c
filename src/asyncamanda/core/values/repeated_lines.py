"""Lines of a log that say the same again and again, folded into one that counts them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

EVERY = timedelta(minutes=5)  # so often a line that goes on and on is written, and counted
MOST = 20  # lines that are known at a time


@dataclass(slots=True)
class _Known:
    """A line that was written, and how often it would have been since."""

    written_at: datetime
    count: int = 0


@dataclass(slots=True)
class Folder:
    """Remembers what was written a short while ago."""

    _known: dict[tuple[int, str], _Known] = field(default_factory=dict)

    def take(self, level: int, text: str, now: datetime) -> list[tuple[int, str]]:
        """Return what is to be written now that a line comes: levels and texts, oldest first.

        Not the line itself, if it was written less than EVERY ago; it is counted then.
        """
        lines = self._drop(now, MOST)
        if known := self._known.get((level, text)):
            known.count += 1
            return lines
        lines += self._drop(now, MOST - 1)
        self._known[level, text] = _Known(now)
        return [*lines, (level, text)]

    def end(self, now: datetime) -> list[tuple[int, str]]:
        """Return what is left to be written, and forget all."""
        return self._drop(now, 0)

    def _drop(self, now: datetime, most: int) -> list[tuple[int, str]]:
        """Forget what is older than EVERY, or beyond the `most` newest; return their counts."""
        lines = []
        beyond = len(self._known) - most
        for index, ((level, text), known) in enumerate(list(self._known.items())):
            if index < beyond or not known.written_at <= now < known.written_at + EVERY:
                del self._known[level, text]
                if known.count:
                    times = "once more" if known.count == 1 else f"{known.count} times"
                    lines.append((level, f"repeated {times}: {text}"))
        return lines

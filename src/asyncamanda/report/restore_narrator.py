"""What a restore says while it goes on: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from asyncamanda.core.restore.outcome import RestoreOutlook
from asyncamanda.core.values.printable import printable
from asyncamanda.report.json import render_event
from asyncamanda.report.narrator import can_draw, write_line
from asyncamanda.report.page import fold
from asyncamanda.report.restore import (
    describe_amount,
    describe_doubts,
    describe_outlook,
    outlook_value,
)

LINE_EVERY = 30.0  # seconds, where lines stay
EVENT_EVERY = 1.0  # seconds
SHOW_EVERY = 0.1  # seconds


class _RestoreView(Protocol):
    def begin(self, total: int | None) -> None: ...

    def show(self, files: int, size: int, total: int | None) -> None: ...


class RestoreNarrator:
    """Writes to stderr; `is_streaming`: and to stdout each step as a line of JSON."""

    def __init__(self, *, is_streaming: bool = False) -> None:
        self._is_streaming = is_streaming
        self._view: _RestoreView | None = None
        self._total: int | None = None
        self._files_total: int | None = None
        self._shown_at = time.monotonic()
        self._told_at = self._shown_at

    def tell(self, text: str) -> None:
        """Write a line."""
        write_line(sys.stderr, fold(printable(text), sys.stderr))

    def begin(self, outlooks: Sequence[RestoreOutlook], place: str) -> None:
        """Say what comes, and where to."""
        sizes = [each.size for each in outlooks]
        counts = [each.files for each in outlooks]
        self._total = None if None in sizes else sum(size for size in sizes if size)
        self._files_total = None if None in counts else sum(count for count in counts if count)
        self._told_at = time.monotonic()
        if self._is_streaming:
            disks = [outlook_value(each) for each in outlooks]
            write_line(sys.stdout, render_event("plan", {"target": place, "disks": disks}))
        if all(each.files == each.folders == 0 for each in outlooks):
            return  # what there is instead is said at the end
        lines: list[str] = []
        for outlook in outlooks:
            lines += [describe_outlook(outlook), *describe_doubts(outlook)]
        self._show_plan(place, lines)

    def begin_images(
        self, plan: dict[str, object], place: str, lines: Sequence[str], total: int | None
    ) -> None:
        """Say which images come, in these `lines`, and where to; `plan` is that for JSON."""
        self._total, self._files_total = total, None
        self._told_at = time.monotonic()
        if self._is_streaming:
            write_line(sys.stdout, render_event("plan", plan))
        self._show_plan(place, lines)

    def _show_plan(self, place: str, lines: Sequence[str]) -> None:
        self.tell(f"restoring to {place}:")
        for line in lines:
            write_line(sys.stderr, fold(line, sys.stderr, "  "))
        if self._view:
            self._view.begin(self._total)

    def progress(self, files: int, size: int) -> None:
        """Show how much has come, if it was not shown just now."""
        now = time.monotonic()
        if now - self._shown_at < SHOW_EVERY:
            return
        if self._view:
            self._shown_at = now
            self._view.show(files, size, self._files_total)
        elif self._is_streaming and now - self._shown_at > EVENT_EVERY:
            self._shown_at = now
            write_line(sys.stdout, render_event("progress", {"files": files, "bytes": size}))
        elif not self._is_streaming and now - self._told_at > LINE_EVERY:
            self._told_at = now
            whole = describe_amount(self._files_total, None, self._total)
            self.tell(f"so far {describe_amount(files, None, size)} of {whole}")

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show the bar, until the end of the block, if stderr is a terminal; beside JSON, none."""
        if self._is_streaming or not can_draw():
            yield
            return
        from asyncamanda.report.restore_view import open_bar  # noqa: PLC0415 - rich, where shown

        with open_bar() as view:
            self._view = view
            try:
                yield
            finally:
                self._view = None

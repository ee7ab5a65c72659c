"""What a terminal shows while files come back: how many, and a bar. By rich.

Loaded only where it is shown. Nothing is drawn by another thread: a restore starts processes.
"""

import contextlib
from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from asyncamanda.report.console import Narrowed, open_console


class RestoreBar:
    """The line with the bar; made by open_bar()."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._bar: TaskID | None = None

    def begin(self, total: int | None) -> None:
        """Show an empty bar; without a total it moves to and fro."""
        if self._bar is None:
            self._bar = self._bars.add_task("", total=total, count="")
        self._bars.refresh()

    def show(self, files: int, size: int, total: int | None) -> None:
        """Show how much has come."""
        if self._bar is None:
            return
        count = f"{files} of {total}" if total is not None else f"{files}"
        self._bars.update(self._bar, completed=size, count=f"{count} files")
        self._bars.refresh()


class _NarrowProgress(Progress):
    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what is drawn."""
        return map(Narrowed, super().get_renderables())


@contextlib.contextmanager
def open_bar() -> Iterator[RestoreBar]:
    """Yield a bar on stderr, gone with the block. What is printed meanwhile stands above it."""
    bars = _NarrowProgress(
        TextColumn("{task.fields[count]}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=open_console(),
        auto_refresh=False,
        transient=True,
    )
    with bars:
        yield RestoreBar(bars)

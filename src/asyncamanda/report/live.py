"""What a terminal shows while a run goes on: a line, and a bar for each disk. By rich.

Loaded only where it is shown.
"""

import contextlib
from collections.abc import Iterator

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.spinner import Spinner
from rich.table import Column
from rich.text import Text

from asyncamanda.core.model import DleProgress
from asyncamanda.core.values.printable import printable
from asyncamanda.report.console import Narrowed, open_console

WIDEST_DISK = 22  # characters; so that 80 columns have room for a bar


class LiveView:
    """The status line, and the bars below it; made by open_view()."""

    def __init__(self, live: Live, spinner: Spinner, bars: Progress) -> None:
        self._live = live
        self._spinner = spinner
        self._bars = bars
        self._of_disk: dict[str, TaskID] = {}
        self._limit = ""
        self._text = "looking"

    def update(self, text: str) -> None:
        """Show `text` as the line."""
        self._text = text
        limit = f" · {self._limit}" if self._limit and self._limit != text else ""
        self._spinner.update(text=Text(printable(f"{text}{limit}")))

    def show_limit(self, text: str) -> None:
        """Show, behind each line from now on, how fast data may go out; "" for nothing."""
        self._limit = text
        self.update(self._text)

    def show_dles(self, dles: tuple[DleProgress, ...]) -> None:
        """Show how far each disk is; where the size is not known yet the bar moves to and fro."""
        for dle in dles:
            if dle.disk not in self._of_disk:
                name = printable(dle.disk)
                self._of_disk[dle.disk] = self._bars.add_task("", disk=name, phase="", total=None)
            total = max(dle.total_kilobytes, dle.done_kilobytes) * 1024
            self._bars.update(
                self._of_disk[dle.disk],
                total=total or None,
                completed=dle.done_kilobytes * 1024,
                phase=printable(dle.phase),
            )
        if self._of_disk:
            self._live.update(Narrowed(Group(self._spinner, self._bars)))


@contextlib.contextmanager
def open_view() -> Iterator[LiveView]:
    """Yield a view on stderr, gone with the block. What is printed meanwhile stands above it."""
    console = open_console()
    spinner = Spinner("dots", text="looking", style="default")
    disk = Column(max_width=WIDEST_DISK, no_wrap=True, overflow="ellipsis")
    bars = Progress(
        TextColumn("{task.fields[disk]}", markup=False, table_column=disk),
        TextColumn("{task.fields[phase]}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        auto_refresh=False,
    )
    with Live(Narrowed(spinner), console=console, transient=True, refresh_per_second=8) as live:
        yield LiveView(live, spinner, bars)

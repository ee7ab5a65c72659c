"""The interface for reports on what the agent does."""

from datetime import datetime
from typing import Protocol

from asyncamanda.core.protocol.messages import Finished, Progress, Queued, Running


class StartNarrator(Protocol):
    """Something that reports what is going on."""

    @property
    def is_watching(self) -> bool:
        """Whether somebody wants to see each step of a run."""

    def note(self, text: str) -> None:
        """Report something that matters only on a terminal."""

    def tell(self, text: str) -> None:
        """Report something that belongs in every log."""

    def show_limit(self, rate: int | None) -> None:
        """Report how many bytes a second a run may send from now on, None for any."""

    def show_run(self, started_at: datetime, now: datetime, noted: int) -> None:
        """Report that the command still runs, and how many disks it has noted in amandates."""

    def hear(self, message: Queued | Running | Progress | Finished) -> None:
        """Report what the gate's server says of the request, or of its run."""

"""Who hears what the agent does: what it expects of them."""

from datetime import datetime
from typing import Protocol

from asyncamanda.core.protocol.messages import Finished, Progress, Queued, Running


class StartNarrator(Protocol):
    """Who hears what is going on."""

    @property
    def is_watching(self) -> bool:
        """Whether somebody wants to see each step of a run."""

    def note(self, text: str) -> None:
        """Hear of something that matters only to somebody who watches."""

    def tell(self, text: str) -> None:
        """Hear of something that belongs in every diary."""

    def show_run(self, started_at: datetime, now: datetime, noted: int) -> None:
        """Hear that the command still runs, and how many disks it has noted in amandates."""

    def hear(self, message: Queued | Running | Progress | Finished) -> None:
        """Hear what the gate's server says of the request, or of its run."""

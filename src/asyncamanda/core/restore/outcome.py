"""What a restore is about to do, and what it did: values for who shows them. Paths are absolute."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RestoreOutlook:
    """What of one disk is to come back: as it was when, how much; None where nobody counted."""

    disk: str
    run: str
    dumped_at: datetime
    files: int | None
    folders: int | None
    size: int | None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What a restore did. `target` is the folder, "" in place.

    `missing` are files that the server does not have, `failed` those that could not be made here,
    `unmatched` what was asked for and was not there then, each with names near it. `kept` were
    there already, `replaced` were, too. `notes` are what could not be set: what, why, how often.
    `overwrite` is what happens in place to files that are there, and `existing` are these after a
    dry run.
    """

    target: str
    outlooks: tuple[RestoreOutlook, ...]
    files: int = 0
    folders: int = 0
    size: int = 0
    seconds: float = 0.0
    missing: tuple[tuple[bytes, str], ...] = ()
    failed: tuple[tuple[bytes, str], ...] = ()
    unmatched: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    kept: tuple[bytes, ...] = ()
    replaced: int = 0
    notes: tuple[tuple[str, str, int], ...] = ()
    existing: tuple[bytes, ...] = ()
    overwrite: str | None = None
    is_dry_run: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for is there now."""
        return not (self.missing or self.failed or self.unmatched)

"""What the doctor works on: one configuration, and the user that it is for."""

from dataclasses import dataclass
from pathlib import Path

from asyncamanda.client.gate.streams import AMANDADS
from asyncamanda.client.start.settings import Plan


@dataclass(frozen=True, slots=True)
class Case:
    """What the agent would work on, and the Amanda user, to whom this process belongs."""

    plan: Plan
    user: str

    @property
    def is_by_command(self) -> bool:
        """Whether asyncamanda is not on the server."""
        return self.plan.command is not None

    @property
    def amandads(self) -> tuple[Path, ...]:
        """Where amandad is looked for, as client/gate/streams.py does."""
        return (self.plan.amandad,) if self.plan.amandad else AMANDADS


@dataclass(frozen=True, slots=True)
class Places:
    """Where Amanda keeps things on this client, by its own account."""

    amandates: Path
    gnutar_lists: Path
    programs: Path
    tar: Path
    logs: Path
    temporary: Path

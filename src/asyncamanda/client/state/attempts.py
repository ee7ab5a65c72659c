"""What one start in gate mode remembers, from step to step and at its end."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from asyncamanda.client.start.narrator import StartNarrator
from asyncamanda.client.state.memory import say_alive, write_memory
from asyncamanda.core.agent.remember import note_end, note_start
from asyncamanda.core.model import Attempt, Memory, Outcome, Started
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.clock import now as read_clock


class AttemptRecord:
    """The memory while a start goes on. It is written wherever a crash may not forget."""

    def __init__(self, folder: Path, memory: Memory, narrator: StartNarrator) -> None:
        self.memory = memory
        self._folder = folder
        self._narrator = narrator
        self._began_at = read_clock()

    @property
    def started(self) -> Started | None:
        """What was asked for, from the first Submit on: then a run may go on at the server."""
        return self.memory.started

    def write(self) -> None:
        """Write the memory down. Raises LaterError or RefusedError if that cannot be."""
        write_memory(self._folder, self.memory)

    def begin(self, now: datetime) -> None:
        """Write down that a backup is about to be asked for."""
        self.memory = note_start(self.memory, Started(now, now, os.getpid()))
        self.write()

    def note_run(self, run: str) -> None:
        """Write down which run serves this client, once that is known."""
        if self.started and run and run != self.started.run:
            self.memory = replace(self.memory, started=replace(self.started, run=run))
            self.write()

    def say_alive(self) -> None:
        """Write down once a minute that this start is alive."""
        self.memory = say_alive(self._folder, self.memory, read_clock())

    def end(self, attempt: Attempt, error: AsyncamandaError | None = None) -> None:
        """Write down how the attempt ended. Raises `error`, if there is one, in any case."""
        self.memory = note_end(self.memory, attempt)
        try:
            self.write()
        except AsyncamandaError as trouble:
            if error is None:
                raise
            self._narrator.tell(f"warning: {trouble.message}")
        if error:
            raise error

    def fail(
        self, outcome: Outcome, error: AsyncamandaError, *, in_doubt: Outcome = Outcome.LOST
    ) -> NoReturn:
        """Raise `error`, after writing down an attempt without a verdict.

        Its outcome is `in_doubt` if this client's run may go on at the server.
        """
        self.end(self.attempt(in_doubt if self.started else outcome, error.message), error)
        raise error

    def attempt(self, outcome: Outcome, detail: str) -> Attempt:
        """Return this start's attempt, ended now without a verdict."""
        started = self.started
        begun_at = started.started_at if started else self._began_at
        run = started.run if started else ""
        return Attempt(begun_at, read_clock(), outcome, detail, run=run)

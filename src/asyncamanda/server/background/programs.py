"""Programs run in threads, so that one that takes long or hangs stops nothing else."""

from collections.abc import Sequence
from functools import partial

from asyncamanda.errors import LaterError
from asyncamanda.server.background.threads import begin_apart
from asyncamanda.system.programs import Answer, run_program

PATIENCE = 120.0  # seconds, for a command that answers at once when all is well


async def run_apart(argv: Sequence[str], within: float = PATIENCE, *, text: str = "") -> Answer:
    """Run a program in a thread as run_program() does, and return its answer.

    That is read as UTF-8 in any locale, as Amanda's logs and its disklist are.
    """
    running = partial(run_program, argv, within, text=text, encoding="utf-8")
    try:
        return await begin_apart(" ".join(argv), running)
    except LaterError as error:  # there can be no more threads
        return Answer(None, fault=error.message, is_passing=True)

"""A stale backup is reported while a start still waits, or hangs: by it, and by later starts.

A start that does not hold the lock writes no memory: what was reported meanwhile is kept beside it,
until the next start that ends takes it over.
"""

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

from asyncamanda.client.notify import channels
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.assessment import Assessment
from asyncamanda.client.state.context import StartContext
from asyncamanda.client.state.summary import show_standing
from asyncamanda.client.state.use import refresh_use
from asyncamanda.core.agent.alerts import HINT, Alert, AlertKind, word_alert
from asyncamanda.core.agent.due import Decision, is_stale, stale_since
from asyncamanda.core.agent.hanging import tells_at
from asyncamanda.core.exposure.record import expose
from asyncamanda.core.model import BackupState
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.report.text import format_time
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.files import write_whole

FILE_NAME = "told.json"
LARGEST = 65536  # bytes
LOOK_EVERY = timedelta(seconds=5)
TOLD_WITHIN = 12.0  # seconds: notifying ends after ten by itself


class Vigil:
    """Reports once that the backup has become stale while its start waits."""

    def __init__(self, start: StartContext) -> None:
        self._start = start
        self._looked_at = start.assessment.now
        self._telling: Thread | None = None

    def tick(self, decide: Callable[[], Decision]) -> None:
        """Check whether it is time; to be called often. `decide` is what would be due now."""
        assessment, policy = self._start.assessment, self._start.plan.policy
        now = read_clock()
        if self._telling or timedelta() <= now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        decision, since = decide(), assessment.memory.since
        use = refresh_use(assessment.use) if assessment.use else None
        exposure = expose(use, decision.last_at)
        if not is_stale(decision, since, policy, now, exposure):
            return
        if now < tells_at(stale_since(decision, since, policy, now, exposure), assessment.now):
            return
        words = f"the start of {format_time(assessment.now)} (pid {os.getpid()}) still waits"
        self._start.narrator.tell(f"warning: the backup is stale, and {words}")
        stale = replace(assessment, now=now, decision=decision, is_stale=True, use=use)
        self._telling = Thread(target=tell_stale, args=(self._start.plan, stale, words))
        self._telling.daemon = True  # the server is not kept waiting
        self._telling.start()

    def close(self) -> None:
        """Return when all notifications that were begun are sent."""
        if self._telling:
            self._telling.join(TOLD_WITHIN)


def tell_stale(plan: Plan, assessment: Assessment, words: str) -> bool:
    """Notify those who do not know yet that the backup is stale; return whether that was news."""
    before = assessment.memory.told | read_told(plan.state)

    def word(kind: AlertKind) -> Alert:
        last_at = assessment.decision.last_at
        return word_alert(kind, socket.gethostname(), assessment.now, last_at, words, HINT)

    told, sent = channels.tell_change(
        plan.notify, before, outcome=None, is_stale=True, word=word, state_folder=plan.state
    )
    if told != before:
        text = json.dumps({channel: state.value for channel, state in told.items()})
        with suppress(OSError):
            write_whole(plan.state / FILE_NAME, text, 0o600)
    show_standing(plan, assessment)
    return any(each.problem is None for each in sent)


def read_told(folder: Path) -> dict[str, BackupState]:
    """Return what people were told, as kept beside the memory; nothing where that is invalid."""
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            value = parse_json(file.read(LARGEST))
        return {str(channel): BackupState(state) for channel, state in value.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def forget_told(folder: Path) -> None:
    """Remove what is in the memory by now."""
    with suppress(OSError):
        (folder / FILE_NAME).unlink(missing_ok=True)

"""What the agent sees when it looks: its memory, amandates, and what follows from them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda import quick
from asyncamanda.client.memory import FILE_NAME, read_memory
from asyncamanda.client.plan import Plan
from asyncamanda.core.amandates import Rejected, iterate_rows
from asyncamanda.core.due import Decision, Disk, decide_due, is_stale, survey_disks
from asyncamanda.core.model import Memory
from asyncamanda.core.remember import doubt_running, next_try_at, note_unseen_end, settles_at
from asyncamanda.system.files import open_shared
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.locks import Holder, read_holder

LOCK_WITHIN = timedelta(seconds=10)
LOCK_NAME = "lock"


@dataclass(frozen=True, slots=True)
class Look:
    """One look, at one time, with the verdict.

    `damage` says what is wrong with the memory (None: nothing); `settles_at` until when a
    run whose end nobody saw may go on; `next_try_at` until when one that is due is not tried
    again; `glimpses` what the verdict rests on.
    """

    now: datetime
    memory: Memory
    damage: str | None
    disks: tuple[Disk, ...]
    rejected: Rejected
    decision: Decision
    is_stale: bool
    settles_at: datetime | None
    next_try_at: datetime | None
    glimpses: list[str]


def look_around(plan: Plan, now: datetime, stop: StopRequest | None = None) -> Look:
    """Return what is to be seen at `now`. Changes nothing.

    While an agent runs, the command that it started is no run whose end nobody saw, and does
    not count yet. Who looks while holding the lock knows that none runs, and passes `stop`.

    Raises BadDataError, RefusedError or LaterError if amandates cannot be read.
    """
    rests_on = (*plan.depends_on, plan.amandates, plan.state / FILE_NAME)
    glimpses = [quick.glimpse(str(path)) for path in rests_on]
    is_running = stop is None and find_holder(plan) is not None
    memory, damage = read_memory(plan.state, now)
    # looked at twice, since it may have begun or ended while the memory was read
    is_running = is_running or (stop is None and find_holder(plan) is not None)
    memory = doubt_running(memory) if is_running else note_unseen_end(memory)
    disks, rejected = read_disks(plan.amandates, memory, now, stop=stop)
    decision = decide_due(disks, plan.policy, now)
    return Look(
        now=now,
        memory=memory,
        damage=damage,
        disks=disks,
        rejected=rejected,
        decision=decision,
        is_stale=is_stale(decision, memory.since, plan.policy, now),
        settles_at=settles_at(memory, plan.policy.settle, now),
        next_try_at=next_try_at(memory, decision.wanted, plan.policy.interval, now),
        glimpses=glimpses,
    )


def read_disks(
    path: Path,
    memory: Memory,
    now: datetime,
    lock_within: timedelta = LOCK_WITHIN,
    stop: StopRequest | None = None,
) -> tuple[tuple[Disk, ...], Rejected]:
    """Return the disks that the amandates file `path` lists, and the lines that Amanda skips."""
    rejected = Rejected()
    with open_shared(path, lock_within, stop) as text:
        rows = iterate_rows(text.blocks(), rejected)
        seen_at = min(now, text.written_at)
        return survey_disks(rows, memory.confirmed, memory.distrusted, seen_at), rejected


def find_holder(plan: Plan) -> Holder | None:
    """Return who holds the plan's lock, or None."""
    return read_holder(plan.state / LOCK_NAME)

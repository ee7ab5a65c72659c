"""The agent's assessment: its memory, amandates, and what follows from them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda import quick
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.memory import FILE_NAME, read_memory
from asyncamanda.client.state.peer import find_peer
from asyncamanda.client.state.use import count_now
from asyncamanda.core.agent.by_gate import contact_at, decide_by_gate, find_witness
from asyncamanda.core.agent.due import (
    Decision,
    Disk,
    Witness,
    decide_due,
    is_stale,
    survey_disks,
)
from asyncamanda.core.agent.peer import own
from asyncamanda.core.agent.remember import doubt_running, note_unseen_end
from asyncamanda.core.agent.starting import Waits, survey_waits
from asyncamanda.core.amanda.amandates import Rejected, iterate_rows
from asyncamanda.core.exposure.record import UseRecord, expose
from asyncamanda.core.exposure.values import Exposure
from asyncamanda.core.model import Memory
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.files import open_shared
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.locks import Holder, read_holder

LOCK_WITHIN = timedelta(seconds=10)
LOCK_NAME = "lock"


@dataclass(frozen=True, slots=True)
class Assessment:
    """An assessment at one time, with the decision, which relies on `witness`.

    `damage` says what is wrong with the memory (None: nothing); `waits` what keeps a backup that is
    due from being made; `contact_at` when the gate's server is to be greeted though nothing is due;
    `differences` what makes this another server or client than was remembered, in words; and
    `glimpses` the state of the files that the decision rests on. `use` is for how long the machine
    was used, None where that is not counted.
    """

    now: datetime
    memory: Memory
    damage: str | None
    disks: tuple[Disk, ...]
    rejected: Rejected
    decision: Decision
    witness: Witness
    is_stale: bool
    waits: Waits
    contact_at: datetime | None
    differences: tuple[str, ...]
    glimpses: list[str]
    use: UseRecord | None = None

    @property
    def since(self) -> datetime:
        """From when on there is no backup: the last one's time, else the first start's."""
        return self.decision.last_at or self.memory.since

    @property
    def exposure(self) -> Exposure:
        """For how long the machine was used since the last backup began."""
        return expose(self.use, self.decision.last_at)

    @property
    def is_contact_due(self) -> bool:
        """Whether the gate's server is to be greeted, whatever else is due."""
        return self.contact_at is not None and self.contact_at <= self.now

    @property
    def settles_at(self) -> datetime | None:
        """Until when a run whose end nobody saw may go on."""
        return self.waits.settles_at

    @property
    def next_try_at(self) -> datetime | None:
        """Until when a run that is due is not made again."""
        return self.waits.next_try_at

    @property
    def come_back_at(self) -> datetime | None:
        """Until when the gate's server wants not to be asked."""
        return self.waits.come_back_at

    @property
    def retry_at(self) -> datetime | None:
        """When an unsuccessful attempt is repeated."""
        return self.waits.last_at


def assess(
    plan: Plan, now: datetime, stop: StopRequest | None = None, *, with_hints: bool = False
) -> Assessment:
    """Return the assessment at `now`. Changes nothing.

    While an agent runs, the command that it started is not a run whose end nobody saw, and does not
    count yet. Who holds the lock knows that no agent runs, and passes `stop`.

    In gate mode the server's report decides, and amandates is read only `with_hints`.

    Raises BadDataError, RefusedError or LaterError if amandates decides and cannot be read.
    """
    is_by_command = plan.command is not None
    rests_on = (
        *plan.depends_on,
        *([plan.amandates] if is_by_command else []),
        plan.state / FILE_NAME,
    )
    glimpses = [quick.glimpse(str(path)) for path in rests_on]
    is_running = stop is None and find_holder(plan) is not None
    memory, damage = read_memory(plan.state, now)
    # checked twice, since it may have begun or ended while the memory was read
    is_running = is_running or (stop is None and find_holder(plan) is not None)
    memory = doubt_running(memory) if is_running else note_unseen_end(memory)
    peer, seen = find_peer(plan, memory.peer)
    memory, differences = own(memory, peer, now)
    if is_by_command:
        disks, rejected = read_disks(plan.amandates, memory, now, stop=stop)
        decision = decide_due(disks, plan.policy, now)
    else:
        disks, rejected = _read_hints(plan, now) if with_hints else ((), Rejected())
        decision = decide_by_gate(memory, plan.policy, disks, now)
    use = count_now(plan, _list_dumps(decision))
    exposure = expose(use, decision.last_at)
    return Assessment(
        now=now,
        memory=memory,
        damage=damage,
        disks=disks,
        rejected=rejected,
        decision=decision,
        witness=Witness.AMANDATES if is_by_command else find_witness(memory),
        is_stale=is_stale(decision, memory.since, plan.policy, now, exposure),
        waits=survey_waits(memory, decision, plan.policy, plan.patience, now),
        contact_at=None if is_by_command else contact_at(memory, now),
        differences=differences,
        glimpses=[*glimpses, *seen],
        use=use,
    )


def _list_dumps(decision: Decision) -> list[datetime]:
    return [verdict.disk.last.started_at for verdict in decision.disks if verdict.disk.last]


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


def _read_hints(plan: Plan, now: datetime) -> tuple[tuple[Disk, ...], Rejected]:
    """Return what amandates says where it decides nothing; nothing if it cannot be read now."""
    try:
        return read_disks(plan.amandates, Memory(since=now), now, lock_within=timedelta(0))
    except AsyncamandaError:
        return (), Rejected()


def find_holder(plan: Plan) -> Holder | None:
    """Return who holds the plan's lock, or None."""
    return read_holder(plan.state / LOCK_NAME)

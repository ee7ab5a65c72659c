"""Gate mode's decisions: what the server has said of this client, and what follows from it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from asyncamanda.core.agent.by_command import NotBackedUp
from asyncamanda.core.agent.due import (
    FUTURE_AFTER,
    TOLERANCE,
    Decision,
    Disk,
    NotDue,
    Witness,
    decide_due,
    force_due,
    is_all_parked,
)
from asyncamanda.core.agent.finished import conclude, judge_finished
from asyncamanda.core.agent.peer import be_named
from asyncamanda.core.agent.remember import last_run, trim_attempts
from asyncamanda.core.model import (
    END_OF_TIME,
    EPOCH,
    DumpRecord,
    DumpState,
    Memory,
    Outcome,
    Policy,
)
from asyncamanda.core.protocol.bounds import LATEST
from asyncamanda.core.protocol.messages import DleState, Finished, Refused, Welcome
from asyncamanda.core.protocol.tickets import SECOND_MACHINE

SKEW_BORNE = timedelta(minutes=1)  # by how much two clocks may differ without a warning
LONGEST_PUT_OFF = timedelta(days=1)
CONTACT_EVERY = timedelta(days=1)
_ENDLESS = {Outcome.UNSEEN, Outcome.LOST, Outcome.INTERRUPTED, Outcome.PAUSED}


def shift_clock(welcome: Welcome, now: datetime) -> tuple[Welcome, timedelta]:
    """Return `welcome`, which came at `now`, with its times by this machine's clock.

    Also returns by how much the server's clock is ahead (below zero: behind), in whole
    seconds; zero up to SKEW_BORNE, and then the dumps keep the times that the server has.
    """
    ahead = timedelta(seconds=round((welcome.now - now).total_seconds()))
    last = welcome.last and replace(
        welcome.last, ended_at=_shift(welcome.last.ended_at, welcome.now - now)
    )
    if abs(ahead) <= SKEW_BORNE:
        return replace(welcome, last=last), timedelta(0)
    return replace(
        welcome, last=last, dles=tuple(_shift_dle(d, ahead) for d in welcome.dles)
    ), ahead


def _shift_dle(dle: DleState, ahead: timedelta) -> DleState:
    return replace(
        dle,
        confirmed_at=dle.confirmed_at and _shift(dle.confirmed_at, ahead),
        restorable_since=dle.restorable_since and _shift(dle.restorable_since, ahead),
        proved_at=dle.proved_at and _shift(dle.proved_at, ahead),
    )


def _shift(moment: datetime, ahead: timedelta) -> datetime:
    try:
        shifted = moment - ahead
    except OverflowError:  # beyond the calendar's ends
        return moment
    return shifted if EPOCH <= shifted < LATEST else moment


def heed_welcome(memory: Memory, welcome: Welcome, now: datetime) -> Memory:
    """Return `memory` with what the server says of its DLEs, replacing all that it said before.

    Nothing that was said of another client stays. `welcome` has to be by this machine's clock, see
    shift_clock().
    """
    memory = be_named(memory, welcome.client, welcome.amanda_config, now)
    return replace(
        memory,
        dles=tuple(dict.fromkeys(dle.disk for dle in welcome.dles)),
        parked=tuple(dle.disk for dle in welcome.dles if dle.is_parked),
        confirmed={
            dle.disk: DumpRecord(dle.disk, dle.level or 0, dle.confirmed_at, dle.kilobytes)
            for dle in welcome.dles
            if dle.confirmed_at and EPOCH < dle.confirmed_at < END_OF_TIME
        },
        restorable={
            dle.disk: dle.restorable_since
            for dle in welcome.dles
            if dle.restorable_since and dle.restorable_since <= now + FUTURE_AFTER
        },
        proved={
            dle.disk: dle.proved_at
            for dle in welcome.dles
            if dle.proved_at and dle.proved_at <= now + FUTURE_AFTER
        },
        unproved={
            dle.disk: dle.proof_fault
            for dle in welcome.dles
            if dle.proof_fault and not dle.is_parked  # which nothing makes good
        },
        asked_at=now,
        not_before=None,
        ticket=welcome.ticket or memory.ticket,
        is_doubted=False,
    )


def heed_refusal(memory: Memory, refused: Refused) -> Memory:
    """Return `memory` after the server refused.

    Where two machines are this client, nobody knows whose dumps the server has, so a backup is
    due until the server, asked again, says otherwise.
    """
    return replace(memory, is_doubted=memory.is_doubted or refused.reference == SECOND_MACHINE)


def find_end(welcome: Welcome, run: str, started_at: datetime) -> Finished | None:
    """Return how what was asked for at `started_at` ended, None if that is not known.

    By its `run`. Where that is not known, by the time: whichever run of this client's ended
    since, if nothing of it goes on.
    """
    last = welcome.last
    if last is None:
        return None
    if run:
        return last if last.run == run else None
    return last if welcome.standing == "idle" and last.ended_at >= started_at else None


def settle_unseen(memory: Memory, welcome: Welcome) -> Memory:
    """Return `memory` with the end of its last run as the server saw it, if the agent did not."""
    unseen = last_run(memory)
    if unseen is None or unseen.outcome not in _ENDLESS:
        return memory
    end = find_end(welcome, unseen.run, unseen.started_at)
    if end is None:
        return memory
    meant = tuple(v.disk for v in end.verdicts if v.state is not DumpState.SKIPPED)
    verdict = judge_finished(meant, end, memory.confirmed)
    if unseen.outcome is Outcome.PAUSED and isinstance(verdict, NotBackedUp):
        return memory  # as was to be expected of a run that was left
    settled = conclude(verdict, unseen.started_at, max(end.ended_at, unseen.started_at), end.run)
    return replace(
        memory,
        attempts=trim_attempts(
            tuple(settled if each is unseen else each for each in memory.attempts)
        ),
    )


def asked_every(interval: timedelta) -> timedelta:
    """Return how long a run may keep a start from asking the gate's server again."""
    return min(interval, CONTACT_EVERY)


def come_back_at(memory: Memory, now: datetime) -> datetime | None:
    """Return until when the server wants not to be asked, None if it may be now.

    A time that is further ahead than a server allows was set by a wrong clock.
    """
    until = memory.not_before
    return until if until and now < until <= now + LONGEST_PUT_OFF else None


def contact_at(memory: Memory, now: datetime) -> datetime:
    """Return when the server is to be greeted again, though nothing is due by what it said.

    Once a day: it may have new disks, or have lost what it had, or no longer serve this machine. A
    little early is in time, as with backups. A server that was never greeted, or in the future, is
    greeted now.
    """
    if memory.asked_at is None or memory.asked_at > now + FUTURE_AFTER:
        return now
    return memory.asked_at + CONTACT_EVERY * (1 - TOLERANCE)


def find_witness(memory: Memory) -> Witness:
    """Return on whose report gate mode relies."""
    return Witness.NOBODY if memory.dles is None else Witness.SERVER


def decide_by_gate(
    memory: Memory, policy: Policy, hints: Iterable[Disk], now: datetime
) -> Decision:
    """Return whether a backup is due, by what the server has confirmed.

    It is due if the server was never asked, and if it doubts who this is. What the server has in
    its disklist is waited for, however long it has gone without a backup, unless it is parked.
    Where all of it is, nothing is due but to ask again, once in an interval. `hints` are the disks
    of amandates, which decide nothing.
    """
    disks = survey_by_gate(memory, hints, now)
    waited_for = policy.disks or tuple(disk.name for disk in disks)
    decision = decide_due(disks, replace(policy, disks=waited_for), now)
    if memory.is_doubted:
        return force_due(decision, policy)
    if is_all_parked(decision) and memory.asked_at and memory.asked_at <= now + FUTURE_AFTER:
        until = memory.asked_at + policy.interval * (1 - TOLERANCE)
        lasts = [v.disk.last.started_at for v in decision.disks if v.disk.last]
        if now < until:
            return NotDue(decision.disks, until, max(lasts, default=None))
    return decision


def survey_by_gate(memory: Memory, hints: Iterable[Disk], now: datetime) -> tuple[Disk, ...]:
    """Return each disk that the server has for this client, by name.

    A dump that amandates has is a hint, and stands as `distrusted`, if it is newer than the
    server's last report: older dumps the server knows, and has confirmed or not.
    """
    said = {disk.name: disk.last for disk in hints}
    horizon = now + FUTURE_AFTER
    return tuple(
        _survey_disk(name, memory, said.get(name), horizon) for name in sorted(memory.dles or ())
    )


def _survey_disk(name: str, memory: Memory, hint: DumpRecord | None, horizon: datetime) -> Disk:
    confirmed = memory.confirmed.get(name)
    is_news = hint and memory.asked_at and hint.started_at > memory.asked_at
    is_parked = name in memory.parked
    disk = Disk(
        name,
        distrusted=hint if is_news else None,
        is_parked=is_parked,
        restorable_since=memory.restorable.get(name),
        proved_at=memory.proved.get(name),
        proof_fault=memory.unproved.get(name, ""),
    )
    if confirmed and confirmed.started_at > horizon:
        return replace(disk, in_future=confirmed)
    return replace(disk, last=confirmed)

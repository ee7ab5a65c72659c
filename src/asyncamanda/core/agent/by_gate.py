"""Gate mode's thinking: what the server has said of this client, and what follows from it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from asyncamanda.core.agent.by_command import BackedUp, DirectVerdict, NotBackedUp
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
from asyncamanda.core.agent.peer import be_named
from asyncamanda.core.agent.remember import last_run, trim_attempts
from asyncamanda.core.model import (
    END_OF_TIME,
    EPOCH,
    Attempt,
    DleVerdict,
    DumpRecord,
    DumpState,
    Memory,
    Outcome,
    Policy,
)
from asyncamanda.core.protocol.bounds import LATEST
from asyncamanda.core.protocol.messages import DleState, Finished, Refused, Welcome
from asyncamanda.core.protocol.tickets import SECOND_MACHINE

SKEW_BORNE = timedelta(minutes=1)  # by which two clocks may differ without a word
LONGEST_PUT_OFF = timedelta(days=1)
NAMED = 20  # disks in one verdict's words; more are counted
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
    return replace(dle, confirmed_at=dle.confirmed_at and _shift(dle.confirmed_at, ahead))


def _shift(moment: datetime, ahead: timedelta) -> datetime:
    try:
        shifted = moment - ahead
    except OverflowError:  # beyond the calendar's ends
        return moment
    return shifted if EPOCH <= shifted < LATEST else moment


def heed_welcome(memory: Memory, welcome: Welcome, now: datetime) -> Memory:
    """Return `memory` with what the server says of its DLEs, in the place of all it said before.

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
        asked_at=now,
        not_before=None,
        ticket=welcome.ticket or memory.ticket,
        is_doubted=False,
    )


def heed_refusal(memory: Memory, refused: Refused) -> Memory:
    """Return `memory` after the server's no.

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

    A time that is further ahead than a server says comes of a clock that was wrong.
    """
    until = memory.not_before
    return until if until and now < until <= now + LONGEST_PUT_OFF else None


def contact_at(memory: Memory, now: datetime) -> datetime:
    """Return when the server is to be greeted again, though nothing is due by what it said.

    Once a day: it may have new disks, or have lost what it had, or serve this machine no more. A
    little early is in time, as with backups. Who was never greeted, or in the future, is now.
    """
    if memory.asked_at is None or memory.asked_at > now + FUTURE_AFTER:
        return now
    return memory.asked_at + CONTACT_EVERY * (1 - TOLERANCE)


def find_witness(memory: Memory) -> Witness:
    """Return by whose word gate mode judges."""
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
    server's last word: what is older the server knows of, and has confirmed or not.
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
    disk = Disk(name, distrusted=hint if is_news else None, is_parked=is_parked)
    if confirmed and confirmed.started_at > horizon:
        return replace(disk, in_future=confirmed)
    return replace(disk, last=confirmed)


def judge_finished(
    wanted: tuple[str, ...], finished: Finished, confirmed: Mapping[str, DumpRecord]
) -> DirectVerdict:
    """Return what a run is worth by the server's verdicts; no disks `wanted` means any.

    `confirmed` are the newest confirmed dumps, this run's among them. Where the run only
    brought an older dump to a volume, that is none of its own.
    """
    verdicts = {
        verdict.disk: verdict
        for verdict in finished.verdicts
        if not finished.run or verdict.timestamp in {"", finished.run}
    }
    # what the server does not confirm to this machine is no backup of it, whatever it holds
    good = (disk for disk, verdict in verdicts.items() if verdict.state.is_confirmed)
    stored = {disk: None for disk in good if disk in confirmed}
    dumps = tuple(confirmed[disk] for disk in stored)
    lacking = [disk for disk in wanted or (() if stored else verdicts) if disk not in stored]
    if not stored and not lacking:
        return NotBackedUp(
            "nothing-dumped",
            "the run ended, and has no disk of this client",
            "does the server's disklist have a line for this client?",
            dumps,
            Outcome.INCOMPLETE,
        )
    if lacking:
        return _judge_lacking(lacking, verdicts, dumps)
    return BackedUp(dumps, _remark(verdicts))


def _judge_lacking(
    lacking: list[str], verdicts: Mapping[str, DleVerdict], dumps: tuple[DumpRecord, ...]
) -> NotBackedUp:
    lines = [_explain(disk, verdicts.get(disk)) for disk in lacking[:NAMED]]
    if len(lacking) > NAMED:
        lines.append(f"and {len(lacking) - NAMED} more")
    if any(disk in verdicts and _has_failed(verdicts[disk]) for disk in lacking):
        return NotBackedUp(
            "disk-failed",
            "\n".join(lines),
            "it is asked for again after a wait; amreport on the server shows more",
            dumps,
        )
    return NotBackedUp(
        "disk-not-dumped",
        "\n".join(lines),
        "is each of them still in the server's disklist for this client, and meant to be "
        "dumped? If not, list those that are in `disks`",
        dumps,
        Outcome.INCOMPLETE,
    )


def _has_failed(verdict: DleVerdict) -> bool:
    return verdict.state in {DumpState.FAILED, DumpState.MISSING}


def _explain(disk: str, verdict: DleVerdict | None) -> str:
    if verdict is None:
        return f"{disk}: the run ended without it"
    word = "failed" if _has_failed(verdict) else verdict.state.value
    if verdict.state.is_confirmed:
        word = "the server has a dump of it, which is no backup of this machine alone"
    reason = " ".join(verdict.reason.split())
    return f"{disk}: {word}: {reason}" if reason else f"{disk}: {word}"


def _remark(verdicts: Mapping[str, DleVerdict]) -> str:
    """Return what a good run is to be remembered with, "" for nothing."""
    strange = _few([disk for disk, verdict in verdicts.items() if verdict.is_strange])
    failed = _few([_explain(disk, each) for disk, each in verdicts.items() if _has_failed(each)])
    remarks = []
    if strange:
        remarks.append(f"with warnings on {', '.join(strange)} (amreport on the server shows them)")
    if failed:
        remarks.append(f"beside others that are not due yet ({'; '.join(failed)})")
    return ", ".join(remarks)


def _few(words: list[str]) -> list[str]:
    more = len(words) - NAMED
    return [*words[:NAMED], f"{more} more"] if more > 0 else words


def conclude(verdict: DirectVerdict, started_at: datetime, ended_at: datetime, run: str) -> Attempt:
    """Return the attempt that is to be remembered of a run with that `verdict`."""
    if isinstance(verdict, BackedUp):
        outcome, detail = Outcome.BACKED_UP, verdict.remark
    else:
        outcome, detail = verdict.outcome, verdict.message.replace("\n", "; ")
    return Attempt(started_at, ended_at, outcome, detail, dumps=verdict.dumps, run=run)

"""What is to be proved now: found out as the Amanda user, whose memory says what is confirmed."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from asyncamanda.client.moments.moment import judge_conditions
from asyncamanda.client.notify import channels
from asyncamanda.client.start.settings import Plan, plan_configured
from asyncamanda.client.state.assessment import find_holder
from asyncamanda.client.state.memory import read_memory
from asyncamanda.client.state.proof_record import read_proofs
from asyncamanda.config.client import candidate_files, load_client_config
from asyncamanda.core.conditions.judge import MAINS_ONLY, Deferred, explain_deferred
from asyncamanda.core.model import BackupState, Memory
from asyncamanda.core.restore.proofs import choose_due, count_drills, judge_proved, list_untold
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import (
    AsyncamandaError,
    ConfigurationError,
    LaterError,
    error_value,
    parse_error,
)
from asyncamanda.report.json import render_json, time_value
from asyncamanda.system.account import ask_as
from asyncamanda.system.clock import now as read_clock

TOLD_FOR = timedelta(days=2)  # for so long a proof is reported that did not arrive


@dataclass(frozen=True, slots=True)
class ProofStart:
    """What one start is to do: prove these disks, report earlier proofs, or nothing.

    `disks` has when the newest confirmed dump of each began, and `deferred` says why they are not
    to be proved now, "" for now. `is_untold`: the server has not heard of a proof; `has_news`:
    something is to be remembered, or people told, whatever else is done.
    """

    disks: dict[str, datetime]
    is_untold: bool = False
    has_news: bool = False
    deferred: str = ""

    @property
    def is_idle(self) -> bool:
        """Whether nothing at all is to be done."""
        return not (self.disks or self.is_untold or self.has_news)


def as_amanda_user(named: str | None, asking: Callable[[str], dict[str, object]]) -> dict[str, Any]:
    """Return what `asking` returns, in a process of the Amanda user's; it gets the file's name.

    That user is the configuration's; `named` is its file, None for the usual one. Raises what
    load_client_config() raises, and the AsyncamandaError that `asking` does.
    """
    path, settings = load_client_config(candidate_files(dict(os.environ), named))

    def answer() -> str:
        try:
            return render_json({"answer": asking(str(path))})
        except AsyncamandaError as error:
            return render_json({"error": error_value(error)})

    try:
        value = parse_json(ask_as(settings.user, answer))
    except OSError as error:
        raise LaterError(
            "proof-not-made", f"the Amanda user's process ended: {error.strerror}", "try again"
        ) from error
    if "error" in value:
        raise parse_error(value["error"])
    answered = value["answer"]
    assert isinstance(answered, dict)
    return answered


def plan_proof(named: str | None, *, is_if_due: bool) -> ProofStart:
    """Return what is to be done. Raises what as_amanda_user() raises.

    `is_if_due`: only what is due, and only at a good moment. Raises ConfigurationError for a client
    whose server gives no files back.
    """
    value = as_amanda_user(named, lambda path: _encode(_plan(path, is_if_due=is_if_due)))
    return ProofStart(
        {disk: datetime.fromisoformat(at) for disk, at in value["disks"]},
        value["is_untold"],
        value["has_news"],
        value["deferred"],
    )


def _encode(start: ProofStart) -> dict[str, object]:
    return {
        "disks": [[disk, time_value(at)] for disk, at in start.disks.items()],
        "is_untold": start.is_untold,
        "has_news": start.has_news,
        "deferred": start.deferred,
    }


def _plan(config: str, *, is_if_due: bool) -> ProofStart:
    plan, now = plan_configured(config), read_clock()
    if plan.command is not None:
        if is_if_due:
            return ProofStart({})
        raise ConfigurationError(
            "no-gate",
            "this client backs up by a command of its own, and its server gives no files back",
            "docs/restore.md says how files come back by hand",
        )
    memory, _ = read_memory(plan.state, now)
    disks = list_confirmed(memory)
    if not is_if_due:
        return ProofStart(disks)
    known = read_proofs(plan.state)
    due = choose_due(disks, known, plan.prove_every, now)
    is_untold = any(now - one.tried_at < TOLD_FOR for one in list_untold(known))
    has_news = bool(disks) and {*known.disks} != {*disks}
    if plan.prove_every:
        state = judge_proved(
            count_drills(known.disks.values(), memory.proved), plan.prove_every, now
        )
        has_news |= state is not known.told.get(channels.JOURNAL, BackupState.WELL)
    start = ProofStart({disk: disks[disk] for disk in due}, is_untold, has_news)
    return replace(start, deferred=_find_hindrance(plan, now)) if due or is_untold else start


def list_confirmed(memory: Memory) -> dict[str, datetime]:
    """Return when the newest confirmed dump began of each disk that is backed up."""
    return {
        disk: dump.started_at
        for disk, dump in memory.confirmed.items()
        if disk in (memory.dles or ()) and disk not in memory.parked
    }


def _find_hindrance(plan: Plan, now: datetime) -> str:
    """Return why a proof has to wait now, "" if it has not to: it is never urgent."""
    if find_holder(plan):
        return "deferred, because a backup is running"
    if plan.moments is None:
        return ""
    conditions = replace(
        plan.moments.conditions,
        battery_from=MAINS_ONLY,
        is_metered_allowed=False,
        relax_after=None,
    )
    moment = judge_conditions(conditions, now)
    return explain_deferred(moment) if isinstance(moment, Deferred) else ""

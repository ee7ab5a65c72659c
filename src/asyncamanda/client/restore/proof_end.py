"""What follows from proofs, as the Amanda user: they are remembered, shown, and told.

People are notified on a change of state; each proof is reported to the server, and what did not
arrive there is reported again by a later start.
"""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.client.notify import channels
from asyncamanda.client.restore.proof_start import as_amanda_user, list_confirmed
from asyncamanda.client.restore.proof_telling import tell_server
from asyncamanda.client.start.settings import Plan, plan_configured
from asyncamanda.client.state.assessment import assess
from asyncamanda.client.state.memory import read_memory
from asyncamanda.client.state.proof_record import change_proofs, decode_disk_proof
from asyncamanda.client.state.summary import leave_summary
from asyncamanda.core.agent.alerts import Alert, AlertKind, one_line
from asyncamanda.core.model import BackupState
from asyncamanda.core.restore.proof import ClientProof, sum_up_faults
from asyncamanda.core.restore.proofs import (
    LastProof,
    ProofMemory,
    count_drills,
    judge_proved,
    keep_disks,
    list_failed,
    list_unproved,
    list_untold,
    note_proofs,
    note_told,
)
from asyncamanda.errors import AsyncamandaError
from asyncamanda.report.text import name_disks
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.ssh import NotConnected

HINT = (
    "as root on that machine: `asyncamanda prove`, which tries again; `asyncamanda run --force` "
    "makes a backup now"
)


def conclude_proofs(
    named: str | None, proofs: Sequence[ClientProof], *, with_server: bool
) -> tuple[str, ...]:
    """Remember `proofs`, and tell whom they concern; return what of that did not work, in words.

    `named` is the configuration file; `with_server`: the server may be told now. Raises what
    as_amanda_user() raises.
    """
    told = [{**asdict(proof), "standing": proof.standing.value} for proof in proofs]

    def conclude(config: str) -> dict[str, object]:
        return {"problems": _conclude(config, told, with_server)}

    answer = as_amanda_user(named, conclude)
    return tuple(answer["problems"])


def _conclude(config: str, told: Iterable[dict[str, Any]], with_server: bool) -> list[str]:
    plan, now = plan_configured(config), read_clock()
    proofs = [decode_disk_proof(each) for each in told]
    memory, _ = read_memory(plan.state, now)
    disks = list_confirmed(memory)
    try:
        known = change_proofs(
            plan.state,
            lambda before: keep_disks(note_proofs(before, proofs, now), disks, now),
        )
    except OSError as error:
        # else people would be told at each start
        return [f"{plan.state} cannot be written ({error.strerror}): nobody is told"]
    problems = _tell_people(plan, known, memory.proved, now)
    problems += _tell_server(plan, known) if with_server else []
    with suppress(AsyncamandaError):
        leave_summary(plan, assess(plan, now))
    return problems


def _remember(plan: Plan, change: Callable[[ProofMemory], ProofMemory]) -> list[str]:
    try:
        change_proofs(plan.state, change)
    except OSError as error:
        return [f"{plan.state} cannot be written: {error.strerror}"]
    return []


# -- people


def _tell_people(
    plan: Plan, known: ProofMemory, drilled: Mapping[str, datetime], now: datetime
) -> list[str]:
    """Notify people if the state is another than they were told; return what did not work.

    `drilled` is when the server proved each disk; of what its drills found `run` tells.
    """
    if plan.prove_every is None:
        return []
    disks = count_drills(known.disks.values(), drilled)
    state = judge_proved(disks, plan.prove_every, now)
    unproved = list_unproved(disks, plan.prove_every, now)
    told, sent = channels.tell_state(
        plan.notify,
        known.told,
        state,
        lambda _: word_proof_alert(state, list_failed(disks), unproved, now),
        plan.state,
    )
    problems = [
        f"{each.channel} could not be notified: {each.problem}" for each in sent if each.problem
    ]
    if told != known.told:
        problems += _remember(plan, lambda now_known: replace(now_known, told=told))
    return problems


def word_proof_alert(
    state: BackupState, failed: Sequence[LastProof], unproved: Sequence[str], now: datetime
) -> Alert:
    """Return the notification about proofs."""
    name = socket.gethostname()
    shown = one_line(name)
    if state is BackupState.WELL:
        # no more than that: what a drill has found wrong may still be so
        summary = f"what {shown} has backed up comes back as it is"
        return Alert(AlertKind.PROVED, name, now, summary)
    if state is BackupState.FAILED:
        detail = "\n".join(f"{one.proof.disk}: {sum_up_faults(one.proof.faults)}" for one in failed)
        summary = f"what {shown} has backed up did not come back as it is"
        return Alert(AlertKind.UNPROVED, name, now, summary, detail, HINT)
    summary = f"no proof for long that the backup of {shown} can be restored"
    detail = f"not proved: {name_disks(unproved)}"
    return Alert(AlertKind.UNPROVED, name, now, summary, detail, HINT)


# -- the server


def _tell_server(plan: Plan, known: ProofMemory) -> list[str]:
    """Tell the server of proofs that it has not heard of; return what did not work."""
    untold = [one.proof for one in list_untold(known)]
    if not untold:
        return []
    try:
        told = tell_server(plan, untold)
    except NotConnected as failure:
        _, error = explain_not_connected(failure.fault, plan.target, has_gate=True)
        return [f"not reported to the server: {error.message}"]
    except (AsyncamandaError, OSError) as error:
        return [f"not reported to the server: {error}"]
    problems = _remember(plan, lambda now_known: note_told(now_known, told)) if told else []
    if len(told) < len(untold):
        problems.append("not reported to the server: it did not take every proof")
    return problems

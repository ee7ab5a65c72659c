"""One start of the agent: lock, look, decide, and back up by whichever way the plan says."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from asyncamanda.client import direct, gate
from asyncamanda.client.look import LOCK_NAME, Look, look_around
from asyncamanda.client.memory import make_folder, set_aside, unwritable
from asyncamanda.client.narrator import Narrator
from asyncamanda.client.plan import Plan
from asyncamanda.core.due import NotDue, force_due
from asyncamanda.core.interval import format_age
from asyncamanda.core.model import Attempt
from asyncamanda.core.remember import last_run
from asyncamanda.errors import EverydayError, LaterError
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import catch_stop
from asyncamanda.system.locks import Held, Holder, hold_lock


def back_up(plan: Plan, narrator: Narrator, *, force: bool) -> Attempt | NotDue:
    """Back up, if that is due or `force` says so, and return how it went.

    Raises LaterError (running already, unreachable, put off by the server, the end not seen),
    RefusedError, ProtocolError, and NotStoredError if the run ended and a wanted disk is not
    backed up; what happened is remembered by then.
    """
    with ExitStack() as stack:
        _lock(stack, plan)
        stop = stack.enter_context(catch_stop())
        look = look_around(plan, read_clock(), stop)
        if look.damage:
            aside = set_aside(plan.state, look.memory, look.now)
            narrator.tell(
                f"warning: {look.damage}; it is set aside as {aside.name}. Whether the last "
                "backup was good is forgotten with it, so a new one is due"
            )
        if isinstance(look.decision, NotDue) and not force:
            return look.decision
        if look.settles_at:
            raise _unsettled(last_run(look.memory), look.settles_at)
        if not force:
            _refuse_too_early(plan, look)
        if plan.command is None:
            return gate.back_up(plan, look, narrator, stop, force=force)
        if force:
            look = replace(look, decision=force_due(look.decision, plan.policy))
        return direct.back_up(plan, look, narrator, stop)


def _lock(stack: ExitStack, plan: Plan) -> None:
    try:
        make_folder(plan.state)
        stack.enter_context(hold_lock(plan.state / LOCK_NAME, read_clock()))
    except Held as held:
        raise already_running(held.holder, read_clock()) from None
    except OSError as error:
        raise unwritable(plan.state, error) from error


def already_running(holder: Holder, now: datetime) -> LaterError:
    """Return the error that names who runs, and since when."""
    who = f"pid {holder.pid}" if holder.pid else "another asyncamanda"
    since = ""
    if holder.since:
        since = f" since {format_time(holder.since)} ({format_age(now - holder.since)} ago)"
    return LaterError(
        "already-running",
        f"a backup is running already: {who}{since}",
        "one at a time is enough; the next start looks again",
    )


def _unsettled(last: Attempt | None, settles_at: datetime) -> LaterError:
    assert last  # or nothing would have to settle
    return LaterError(
        "run-unsettled",
        f"the run of {format_time(last.started_at)} may still go on at the server "
        f"({last.detail}); no second one is started before {format_time(settles_at)}",
        "`settle` in client.toml says how long that is (classic form: one hour); amstatus on "
        "the server shows whether it runs",
    )


def _refuse_too_early(plan: Plan, look: Look) -> None:
    """Raise EverydayError if a try now would come to nothing, or the server wants none yet."""
    if until := look.next_try_at:
        raise EverydayError(
            "tried-lately",
            f"the last run went well and did not dump {name_disks(look.decision.wanted)}; "
            f"the next try is at {format_time(until)}",
            "--force tries now; `disks` in client.toml names the disks that matter",
        )
    if until := look.come_back_at:
        raise EverydayError(
            "come-back",
            f"{plan.target.host} said to come back at {format_time(until)}",
            "the first start after that asks again; --force asks now",
        )

"""Taking over what the gate's server says, wherever it was spoken with beside a run."""

from dataclasses import replace

from asyncamanda.client.start.folders import make_folder
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.assessment import LOCK_NAME, assess
from asyncamanda.client.state.memory import write_memory
from asyncamanda.client.state.summary import show_standing
from asyncamanda.core.agent.by_gate import heed_welcome, settle_unseen, shift_clock
from asyncamanda.core.agent.remember import note_end
from asyncamanda.core.model import Attempt, Outcome
from asyncamanda.core.protocol.messages import Welcome
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.locks import Held, hold_lock


def note_refusal(plan: Plan, error: AsyncamandaError, stop: StopRequest) -> bool:
    """Remember that the server does not accept this client, as a start of the agent does.

    Returns whether that could be done; where take_over() leaves it to the next start, so does this.
    """
    try:
        make_folder(plan.state)
        with hold_lock(plan.state / LOCK_NAME, read_clock()):
            now = read_clock()
            assessment = assess(plan, now, stop)
            if assessment.damage:
                return False
            attempt = Attempt(now, now, Outcome.REFUSED, error.message)
            memory = note_end(assessment.memory, attempt)
            write_memory(plan.state, memory)
            show_standing(plan, replace(assessment, memory=memory))
    except (Held, OSError, AsyncamandaError):
        return False
    return True


def take_over(plan: Plan, welcome: Welcome, stop: StopRequest) -> bool:
    """Remember what the server has just said, and return whether that could be done.

    It is left to the next start where an agent runs, which hears for itself, where the memory is
    damaged, and where it cannot be written. This process has to be the user's whose memory it is.
    """
    try:
        make_folder(plan.state)
        with hold_lock(plan.state / LOCK_NAME, read_clock()):
            now = read_clock()
            assessment = assess(plan, now, stop)
            if assessment.damage:
                return False
            said, _ = shift_clock(welcome, now)
            write_memory(
                plan.state, settle_unseen(heed_welcome(assessment.memory, said, now), said)
            )
    except (Held, OSError, AsyncamandaError):
        return False
    return True

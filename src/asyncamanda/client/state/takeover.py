"""Taking over what the gate's server says, wherever it was spoken with beside a run."""

from asyncamanda.client.start.folders import make_folder
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.assessment import LOCK_NAME, assess
from asyncamanda.client.state.memory import write_memory
from asyncamanda.core.agent.by_gate import heed_welcome, settle_unseen, shift_clock
from asyncamanda.core.protocol.messages import Welcome
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.locks import Held, hold_lock


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

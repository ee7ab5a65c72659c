"""What one start of the agent works with."""

from dataclasses import dataclass

from asyncamanda.client.look import Look
from asyncamanda.client.narrator import Narrator
from asyncamanda.client.plan import Plan
from asyncamanda.system.interrupts import StopRequest


@dataclass(frozen=True, slots=True)
class Start:
    """What is to be done, what was seen, who hears of it, and who may stop it."""

    plan: Plan
    look: Look
    narrator: Narrator
    stop: StopRequest

"""What one start of the agent works with."""

from dataclasses import dataclass

from asyncamanda.client.start.narrator import StartNarrator
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.assessment import Assessment
from asyncamanda.system.interrupts import StopRequest


@dataclass(frozen=True, slots=True)
class StartContext:
    """The plan, the assessment, the narrator, and the request to stop."""

    plan: Plan
    assessment: Assessment
    narrator: StartNarrator
    stop: StopRequest

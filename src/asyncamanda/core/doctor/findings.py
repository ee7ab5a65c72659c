"""A doctor's check, the order of checks, and the exit code that follows from all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from asyncamanda.core.amanda.amcheck import Trouble
from asyncamanda.errors import Exit

# the first that a check ends with is what all of them end with
SEVERITY = (Exit.CONFIGURATION, Exit.REFUSED, Exit.PROTOCOL, Exit.STALE, Exit.LATER)

# the client's checks in their order, and for each those without which it would mislead
NEEDS: dict[str, tuple[str, ...]] = {
    "configuration": (),
    "encryption": ("configuration",),
    "user": ("configuration",),
    "state": ("user",),
    "amanda-client": ("user",),
    "amanda-conf": ("user",),
    "programs": ("amanda-client", "amanda-conf"),
    "tar": ("amanda-conf",),
    "amandates": ("amanda-conf",),
    "gnutar-lists": ("amanda-conf",),
    "logs": ("amanda-conf",),
    "space": ("user",),
    "amandad": ("amanda-client", "logs", "space"),
    "ssh": ("user",),
    "password": ("user",),
    "key": ("ssh",),
    "host-key": ("ssh",),
    "server": ("space", "ssh", "password", "key", "host-key"),
    "login": ("server",),
    "gate": ("login",),
    "disks": ("gate",),
    "devices": ("gate",),
    "clock": ("gate",),
    "schedule": ("user",),
    "users": ("user",),
    "inetd": ("user",),
    "notify": ("user",),
    "memory": ("state",),
    "backup": ("memory",),
    "proof": ("memory",),
}


class Health(Enum):
    """How a check ended. Absent: nothing is wrong but that the other side is not there."""

    OK = "ok"
    WARNING = "warn"
    BAD = "bad"
    ABSENT = "away"
    SKIPPED = "-"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was found, and if that is not well why it matters and what fixes it.

    `exit` is what the program ends with if this one is bad, and none is worse.
    """

    name: str
    health: Health
    found: str
    why: str = ""
    fix: str = ""
    troubles: tuple[Trouble, ...] = ()  # each with a why and a fix of its own
    is_partial: bool = False  # only a part of it is bad, and the rest can be checked further
    exit: Exit = Exit.CONFIGURATION

    @property
    def is_hindrance(self) -> bool:
        """Whether the checks that need this one are skipped."""
        return self.health in {Health.BAD, Health.ABSENT} and not self.is_partial


def well(name: str, found: str) -> Check:
    """Return a check that is well."""
    return Check(name, Health.OK, found)


def too_slow(name: str, fault: str) -> Check:
    """Return the check of a program that did not end in time, which says nothing of the program."""
    why = "this machine may be busy; so it is not known whether all is well"
    fix = "asyncamanda doctor, when it is less busy"
    return Check(name, Health.BAD, fault, why, fix, exit=Exit.LATER)


def not_needed(name: str, why: str) -> Check:
    """Return a check that is not to be made."""
    return Check(name, Health.SKIPPED, f"not needed: {why}")


def find_cause(
    needs: Sequence[str], done: Mapping[str, Check], causes: Mapping[str, str]
) -> str | None:
    """Return what is to be fixed before what `needs` these can be made; None if nothing is.

    `causes` has that of each check that was skipped so far.
    """
    for needed in needs:
        if needed in causes:
            return causes[needed]
        if needed in done and done[needed].is_hindrance:
            return needed
    return None


def skip(name: str, cause: str, done: Mapping[str, Check]) -> Check:
    """Return the check as skipped because of `cause`."""
    is_absence = done[cause].health is Health.ABSENT
    words = f"the {cause} cannot be reached" if is_absence else f"fix {cause} first"
    return Check(name, Health.SKIPPED, f"skipped: {words}")


def conclude(checks: Iterable[Check]) -> Exit:
    """Return the exit code for all `checks`, by SEVERITY; warnings are no failure."""
    codes = {check.exit for check in checks if check.health is Health.BAD}
    codes |= {Exit.LATER for check in checks if check.health is Health.ABSENT}
    ranked = [code for code in SEVERITY if code in codes]
    return next(iter(ranked), min(codes, default=Exit.OK))

"""What `doctor --fix` offers after its report, one question each."""

import pwd
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from asyncamanda.client.repair.steps import Patient, Repair, find_patient, plan_repairs
from asyncamanda.client.setup import hostkey, keys
from asyncamanda.client.setup.options import SetupOptions
from asyncamanda.commands.asking import is_agreed
from asyncamanda.commands.confirming import look, settle_host_key
from asyncamanda.commands.printing import tell
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.ssh.argv import Target
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.steps import SetupStep, make_step

_NOTHING = "--fix can do nothing about {}; what helps stands below each problem."
_HOST_KEY = "host-key"


class FixOutcome(StrEnum):
    """The result of an offer."""

    FIXED = "fixed"
    DECLINED = "declined"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Fixed:
    """An offer and its result; `reason` where it failed."""

    check: str
    what: str
    outcome: FixOutcome
    reason: str = ""


def fixed_value(fixed: Fixed) -> dict[str, object]:
    """Return it for JSON."""
    return {
        "check": fixed.check,
        "what": fixed.what,
        "outcome": fixed.outcome,
        "reason": fixed.reason or None,
    }


class Fixing:
    """Offers each thing once, however often the checks are made; `done` has them all."""

    def __init__(self, named: str | None, *, is_asking: bool, is_silent: bool) -> None:
        """`named` is the configuration's file, None for the usual ones."""
        self.done: list[Fixed] = []
        self._named = named
        self._is_asking = is_asking
        self._is_silent = is_silent

    def fix(self, checks: Collection[Check]) -> bool:
        """Offer what fixes `checks`; return whether something was made, so that they change."""
        bad = [check for check in checks if check.health in {Health.BAD, Health.WARNING}]
        before = len(self.done)
        if bad and (patient := find_patient(self._named)):
            for found in plan_repairs(patient, bad):
                if isinstance(found, Repair):
                    self._offer(found)
                elif not self._is_known(found.what):
                    self._fail(found.check, found.what, found.error)
            if self._is_asking and any(check.name == _HOST_KEY for check in bad):
                self._offer_host_key(patient)
        offered = self.done[before:]
        known = {each.check for each in self.done}
        if rest := [check.name for check in bad if check.name not in known]:
            self._say(_NOTHING.format(", ".join(rest)))
        is_changed = any(each.outcome is FixOutcome.FIXED for each in offered)
        if is_changed:
            self._say("checking again ...")
        return is_changed

    def _offer(self, repair: Repair) -> None:
        """Make the repair, if that is wanted, and keep the result."""
        check, what = repair.check, repair.step.what
        if self._is_known(what):
            return
        if self._is_asking and not is_agreed(f"Fix {check}, so that {what}?", ""):
            self.done.append(Fixed(check, what, FixOutcome.DECLINED))
            return
        try:
            make_step(repair.step)
        except AsyncamandaError as error:
            self._fail(check, what, error)
            return
        self.done.append(Fixed(check, what, FixOutcome.FIXED))
        self._say(f"done: {what}")

    def _is_known(self, what: str) -> bool:
        return any(each.what == what for each in self.done)

    def _fail(self, check: str, what: str, error: AsyncamandaError) -> None:
        self.done.append(Fixed(check, what, FixOutcome.FAILED, error.message))
        self._say(f"not fixed: {check}: {error.message}; {error.hint}")

    def _offer_host_key(self, patient: Patient) -> None:
        """Offer to fetch the server's host key, for somebody to compare, and to pin it."""
        server, account = patient.settings.server, patient.account
        what = f"{account.pw_name} knows the host key of {server.host}"
        self._offer(Repair(_HOST_KEY, _plan_host_key(what, server, account)))

    def _say(self, text: str) -> None:
        if not self._is_silent:
            tell(text)


def _plan_host_key(what: str, server: Target, account: pwd.struct_passwd) -> SetupStep:
    """Return the step that asks for the server's host key, and after a yes pins it."""
    options = SetupOptions(
        server=server,
        name="",
        amanda_config=None,
        disks=(),
        exclude=(),
        interval=None,
        fingerprint=None,
        via=None,
        wait=None,
    )
    pinned: list[SetupStep] = []

    def make() -> None:
        place = hostkey.find_place(server, account)
        offer = look(options, place, account)
        key, is_known = settle_host_key(options, place, account, offer, is_asking=True)
        pinned.append(keys.plan_pin(key, place, account, is_known=is_known))
        make_step(pinned[0])

    return SetupStep(what, lambda: bool(pinned) and pinned[0].is_so(), make)

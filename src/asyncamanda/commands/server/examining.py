"""All checks of one client, for `server doctor CLIENT`."""

import sys
import time
from collections.abc import Iterator
from datetime import timedelta

from asyncamanda.commands.server.options import (
    ask_dispatcher,
    not_understood,
    open_ledger_to_read,
    warn,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.protocol.tickets import Machine
from asyncamanda.core.values.interval import format_interval
from asyncamanda.errors import LaterError
from asyncamanda.report.narrator import write_line
from asyncamanda.server.enrol import doctor
from asyncamanda.server.enrol.capacity import check_capacity
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import registry_path
from asyncamanda.server.enrol.sshd import SshdAnswer, check_sshd
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.programs import Answer, run_program

POLL = 0.5  # seconds
GREETED_WITHIN = timedelta(seconds=5)  # a client that has a session already


class ServerExamination:
    """All checks of one client; `answer` is amcheck's, None as long as it was not run."""

    def __init__(
        self,
        config: ServerConfig,
        client: str,
        wait: timedelta,
        enrolled: tuple[Enrolled, ...],
        sshd: SshdAnswer | None,
    ) -> None:
        """`enrolled`: all enrolled clients, this one among them. `sshd`: what it says to root."""
        self._sshd = sshd
        self._config = config
        self._client = client
        self._wait = wait
        self._enrolled = enrolled
        self.own = [entry for entry in enrolled if entry.client == client]
        self.answer: Answer | None = None

    def checks(self) -> Iterator[Check]:
        """Yield each check as soon as it is made. Raises what options.ask_dispatcher() raises."""
        client, entry = self._client, self.own[0]
        is_direct = doctor.is_direct(self.own)
        yield doctor.check_enrolled(self.own)
        if lost := doctor.check_lost(self.own):
            yield lost
            return
        if self._sshd:
            yield check_sshd(self._sshd)
        if (machine := self._read_machine()) and machine.disputed_at:
            self._wait = timedelta()
            yield doctor.check_machine(machine)
        disklist = doctor.check_disklist(entry, is_relayed=not is_direct)
        is_useless = disklist.health is Health.BAD and not disklist.is_partial
        if is_direct:
            alias = _skipped("alias", "not needed: Amanda reaches it directly")
            connected = _skipped("connected", "not needed: Amanda reaches it directly")
            yield from (alias, disklist, connected)
        else:
            alias = self._check_alias()
            yield from (alias, disklist)
            if is_useless or alias.health is Health.BAD:
                self._wait = timedelta()
            connected = doctor.check_connected(client, is_there=self._is_connected())
            yield connected
            is_there = connected.health is Health.OK
            if penalties := doctor.check_penalties(is_there=is_there):
                yield penalties
        if is_useless:
            yield _skipped("amcheck", "not run: fix the disklist first")
            return
        yield from self._dump_checks(entry)
        if alias.health is Health.BAD:
            yield _skipped("amcheck", "not run: fix the alias first")
        elif connected.health is Health.ABSENT:
            yield _skipped("amcheck", "not run: the client is not connected")
        else:
            patience = doctor.patience(self._config.grace)
            self.answer = run_program(doctor.plan_amcheck(entry), patience)
            yield doctor.check_answer(client, self.answer, self._config.user)

    def _dump_checks(self, entry: Enrolled) -> Iterator[Check]:
        verdicts = self._read_verdicts(entry)
        if levels := doctor.check_levels(entry, verdicts):
            yield levels
        yield check_capacity(entry)
        if proof := self._check_proofs(entry, verdicts):
            yield proof

    def _check_proofs(self, entry: Enrolled, verdicts: list[DleVerdict]) -> Check | None:
        """Return whether the client's disks are proved restorable, as far as the ledger is read."""
        try:
            ledger = open_ledger_to_read(self._config)
        except LaterError:  # told already
            return None
        if ledger is None:
            return None
        try:
            proofs = ledger.proofs.of_disks(entry.amanda_config, entry.client)
            began_at = ledger.proofs.drills_begun_at(entry.amanda_config)
        finally:
            ledger.close()
        after = self._config.drill.alarm_after
        return doctor.check_proofs(entry, verdicts, proofs, read_clock(), began_at, after)

    def _read_machine(self) -> Machine | None:
        """Return which machine the client is according to the ledger, None if that is not known."""
        try:
            ledger = open_ledger_to_read(self._config)
            if ledger is None:
                return None
            from asyncamanda.server.ledger.machines import read_machines  # noqa: PLC0415 - loads much

            try:
                return read_machines(ledger).get(self._client)
            finally:
                ledger.close()
        except LaterError as error:
            warn(error.message)
            return None

    def _read_verdicts(self, entry: Enrolled) -> list[DleVerdict]:
        """Return the verdicts on the client's dumps, as far as the ledger can be read."""
        try:
            ledger = open_ledger_to_read(self._config)
        except LaterError:  # told already
            return []
        if ledger is None:
            return []
        try:
            known = ledger.verdicts.of_host(entry.amanda_config, entry.client)
            return [dump.verdict for dump in known]
        finally:
            ledger.close()

    def _check_alias(self) -> Check:
        user = self._config.user
        folder = registry_path(user).parent
        return doctor.check_alias(folder, user, self._client, self._enrolled)

    def _is_connected(self) -> bool:
        """Return whether Amanda can reach the client, as soon as it can or the wait is over."""
        begun_at = read_clock()
        is_told = False
        while True:
            view = self._view()
            if self._client in view["reachable"]:
                return True
            has_line = self._client in view["connected"]
            waited = read_clock() - begun_at
            if waited >= max(self._wait, GREETED_WITHIN if has_line else timedelta()):
                return False
            if self._wait and not is_told:
                is_told = True
                span = format_interval(self._wait)
                write_line(
                    sys.stderr,
                    f"waiting up to {span} for {self._client}: run `asyncamanda run --force` there",
                )
            time.sleep(POLL)

    def _view(self) -> dict[str, list[str]]:
        view = ask_dispatcher(self._config.user, "view") or {}
        lists = {key: view.get(key, []) for key in ("connected", "reachable")}
        if not all(isinstance(clients, list) for clients in lists.values()):
            raise not_understood()
        return lists


def _skipped(name: str, why: str) -> Check:
    return Check(name, Health.SKIPPED, why)

"""asyncamanda server doctor: check everything a client's backup needs and suggest fixes."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain

from asyncamanda.commands.server.options import (
    add_common,
    ask_dispatcher,
    load_as_amanda_user,
    not_understood,
    open_ledger_to_read,
    unknown_client,
    warn,
)
from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.amanda.server_check import THE_SERVER
from asyncamanda.core.doctor.capacity import CAPACITY
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.protocol.tickets import Machine
from asyncamanda.core.values.interval import ALLOWED, format_interval, parse_interval
from asyncamanda.errors import Exit, LaterError, UsageError
from asyncamanda.report.doctor import (
    CLIENT_HEAD,
    check_value,
    render_check,
    sum_up_checks,
    trouble_value,
)
from asyncamanda.report.json import render_json
from asyncamanda.report.narrator import write_line
from asyncamanda.server.enrol import doctor
from asyncamanda.server.enrol.amanda_configs import find_amanda_configs
from asyncamanda.server.enrol.capacity import check_capacity
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.own_checks import examine_server
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.enrol.sshd import SshdAnswer, ask_sshd, check_sshd
from asyncamanda.server.export.check import check_export
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
        if levels := doctor.check_levels(entry, self._read_verdicts(entry)):
            yield levels
        yield check_capacity(entry)
        if proof := self._check_proofs(entry):
            yield proof

    def _check_proofs(self, entry: Enrolled) -> Check | None:
        """Return whether the client's disks are proved restorable, as far as the ledger is read."""
        try:
            ledger = open_ledger_to_read(self._config)
        except LaterError:  # told already
            return None
        if ledger is None:
            return None
        try:
            proofs = ledger.proofs.of_disks(entry.amanda_config, entry.client)
        finally:
            ledger.close()
        return doctor.check_proofs(entry, self._read_verdicts(entry), proofs, read_clock())

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "client",
        metavar="CLIENT",
        nargs="?",
        help="the client's name as `asyncamanda server clients` lists it (default: check the "
        "server itself)",
    )
    parser.add_argument(
        "--wait",
        metavar="SPAN",
        help="how long to wait for the client to connect, such as 10m",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print each check, of a client or of the server, and return the exit code they lead to.

    Raises UsageError for an invalid SPAN, BadDataError if there is no such client, and what
    Examination.checks() raises.
    """
    client = arguments.client
    wait = _parse_wait(arguments.wait)
    _, config = load_server_config(arguments.config)
    if client is None:
        return _examine_server(config, arguments)
    sshd = ask_sshd(config.user, client)
    load_as_amanda_user(arguments)
    enrolled = read_registry(registry_path(config.user))
    known = sorted({entry.client for entry in enrolled})
    if client not in known:
        raise unknown_client(client, known)
    examination = ServerExamination(config, client, wait, enrolled, sshd)
    checks = []
    for check in examination.checks():
        checks.append(check)
        if not arguments.json:
            print("\n".join(render_check(check)), flush=True)
    if arguments.json:
        print(render_json(_value(client, examination, checks)))
    else:
        print(f"\n{sum_up_checks(client, checks)}")
    return _conclude(checks)


def _conclude(checks: list[Check]) -> Exit:
    healths = {check.health for check in checks}
    if Health.BAD in healths:
        return Exit.CONFIGURATION
    return Exit.LATER if Health.ABSENT in healths else Exit.OK


def _examine_server(config: ServerConfig, arguments: argparse.Namespace) -> Exit:
    if arguments.wait is not None:
        raise UsageError("usage", "--wait is for a client", "name one, or leave it out")
    enrolled = read_registry(registry_path(config.user))
    checks = []
    is_default = not arguments.config
    found = examine_server(config, enrolled, ask_sshd(config.user), is_default=is_default)
    for check in chain(found, _check_lost(config.user, enrolled), check_export(config)):
        checks.append(check)
        if not arguments.json:
            print("\n".join(render_check(check, CLIENT_HEAD)), flush=True)
    if arguments.json:
        values = _check_values(checks)
        print(
            render_json({"client": None, "amanda_config": None, "checks": values, "amcheck": None})
        )
    else:
        print(f"\n{sum_up_checks(THE_SERVER, checks)}")
    return _conclude(checks)


def _check_lost(user: str, enrolled: Sequence[Enrolled]) -> Iterator[Check]:
    from asyncamanda.server.restore.lost_checks import check_lost  # noqa: PLC0415 - loads much

    for name in find_amanda_configs():
        own = [entry for entry in enrolled if entry.amanda_config == name]
        if check := check_lost(name, user, own):
            yield check


def _parse_wait(text: str | None) -> timedelta:
    try:
        return timedelta() if text is None else parse_interval(text)
    except ValueError as error:
        raise UsageError("bad-span", f"--wait: {error}", f"allowed: {ALLOWED}") from error


def _skipped(name: str, why: str) -> Check:
    return Check(name, Health.SKIPPED, why)


def _value(client: str, examination: ServerExamination, checks: list[Check]) -> dict[str, object]:
    answer = examination.answer
    amcheck = None
    if answer is not None:
        ours = [check for check in checks if check.name != CAPACITY]
        troubles = [trouble for check in ours for trouble in check.troubles]
        amcheck = {
            "exit_status": answer.status,
            "lines": doctor.lines_of(answer),
            "troubles": [trouble_value(trouble) for trouble in troubles],
        }
    return {
        "client": client,
        "amanda_config": examination.own[0].amanda_config,
        "checks": _check_values(checks),
        "amcheck": amcheck,
    }


def _check_values(checks: list[Check]) -> list[dict[str, object]]:
    return [
        {**check_value(check), "troubles": list(map(trouble_value, check.troubles))}
        for check in checks
    ]

"""asyncamanda doctor: check everything this client's backup needs and suggest fixes."""

import argparse
import os
from collections.abc import Iterable

from asyncamanda.client.doctor.examination import ClientExamination
from asyncamanda.client.repair.apart import examine_apart
from asyncamanda.commands.asking import check_can_ask
from asyncamanda.commands.fixing import Fixing, fixed_value
from asyncamanda.commands.options import add_common
from asyncamanda.core.doctor.findings import Check, conclude
from asyncamanda.errors import Exit, RefusedError, UsageError
from asyncamanda.report.doctor import (
    CLIENT_HEAD,
    client_check_value,
    count_unremarkable,
    is_unremarkable,
    print_check,
    sum_up_client,
)
from asyncamanda.report.json import render_json
from asyncamanda.system.clock import now as read_clock

_UNASKED = "--fix --yes fixes without asking; without --fix nothing is changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="also print the checks that are well"
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="offer to fix what can be fixed safely (modes, owners, the timer, amandad on the "
        "network), and check again",
    )
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask")


def run(arguments: argparse.Namespace) -> Exit:
    """Print each check that is not well, fix what is wanted, and return the exit code at the end.

    Raises UsageError where nobody can be asked, RefusedError to everybody but root who wants
    something fixed, and what Examination.checks() raises.
    """
    _check(arguments)
    if not arguments.fix:
        checks = _report(ClientExamination(arguments.config, read_clock()).checks(), arguments)
        return _end(checks, arguments, {})
    fixing = Fixing(arguments.config, is_asking=not arguments.yes, is_silent=arguments.json)
    while True:
        checks = _report(examine_apart(arguments.config, read_clock()), arguments)
        if not fixing.fix(checks):
            break
    return _end(checks, arguments, {"fixed": [*map(fixed_value, fixing.done)]})


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.fix:
        if arguments.yes:
            raise UsageError("usage", "--yes is for --fix", "leave it out")
        return
    if os.geteuid() != 0:
        raise RefusedError(
            "not-root",
            "doctor --fix changes files of root",
            "run it as root; without --fix the Amanda user can run it, too",
        )
    if not arguments.yes:
        if arguments.json:
            raise UsageError("nobody-to-ask", "--json cannot ask questions", _UNASKED)
        check_can_ask(_UNASKED)


def _report(made: Iterable[Check], arguments: argparse.Namespace) -> list[Check]:
    """Return the checks, each printed as soon as it is made, and all summed up."""
    checks = []
    for check in made:
        checks.append(check)
        if not arguments.json and (arguments.verbose or not is_unremarkable(check)):
            print_check(check, CLIENT_HEAD)
    if not arguments.json:
        if not arguments.verbose:
            print(count_unremarkable(checks))
        print(f"\n{sum_up_client(checks)}", flush=True)
    return checks


def _end(checks: list[Check], arguments: argparse.Namespace, more: dict[str, object]) -> Exit:
    code = conclude(checks)
    if arguments.json:
        value = {"checks": [*map(client_check_value, checks)], **more, "exit": int(code)}
        print(render_json(value))
    return code

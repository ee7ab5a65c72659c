"""asyncamanda doctor: check everything this client's backup needs and suggest fixes."""

import argparse

from asyncamanda.client.doctor.examination import ClientExamination
from asyncamanda.commands.options import add_common
from asyncamanda.core.doctor.findings import conclude
from asyncamanda.errors import Exit
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_common(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="also print the checks that are well"
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Print each check that is not well, and return the exit code they lead to.

    Raises what Examination.checks() raises.
    """
    checks = []
    for check in ClientExamination(arguments.config, read_clock()).checks():
        checks.append(check)
        if not arguments.json and (arguments.verbose or not is_unremarkable(check)):
            print_check(check, CLIENT_HEAD)
    code = conclude(checks)
    if arguments.json:
        print(render_json({"checks": [*map(client_check_value, checks)], "exit": int(code)}))
    else:
        if not arguments.verbose:
            print(count_unremarkable(checks))
        print(f"\n{sum_up_client(checks)}")
    return code

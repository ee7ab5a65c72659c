"""asyncamanda server doctor: check everything a client's backup needs and suggest fixes."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain

from asyncamanda.commands.server.examining import ServerExamination
from asyncamanda.commands.server.options import (
    add_common,
    load_as_amanda_user,
    unknown_client,
)
from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.amanda.server_check import THE_SERVER
from asyncamanda.core.doctor.capacity import CAPACITY
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.values.interval import ALLOWED, parse_interval
from asyncamanda.errors import Exit, UsageError
from asyncamanda.report.doctor import (
    CLIENT_HEAD,
    check_value,
    render_check,
    sum_up_checks,
    trouble_value,
)
from asyncamanda.report.json import render_json
from asyncamanda.server.enrol import doctor
from asyncamanda.server.enrol.amanda_configs import find_amanda_configs
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.fleet_timer import check_fleet_timer
from asyncamanda.server.enrol.own_checks import examine_server
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.enrol.sshd import ask_sshd
from asyncamanda.server.export.check import check_export


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
    timer = check_fleet_timer(config) if is_default else ()
    for check in chain(found, _check_lost(config.user, enrolled), check_export(config), timer):
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

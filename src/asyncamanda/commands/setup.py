"""asyncamanda setup: make this machine a client, from its key to the first backup."""

import argparse
import os
import socket
from dataclasses import replace

from asyncamanda.client.schedule import install
from asyncamanda.client.schedule.machine import choose_kind
from asyncamanda.client.setup import clienttoml, hostkey, inetd, keys
from asyncamanda.client.setup.naming import needs_name
from asyncamanda.client.setup.options import DEFAULT_INTERVAL, Said, SetupOptions, read_options
from asyncamanda.client.start.network_offers import find_network_offers
from asyncamanda.client.start.sealing import is_sealing
from asyncamanda.commands.asking import is_agreed, is_terminal
from asyncamanda.commands.confirming import look, settle_host_key
from asyncamanda.commands.enrolment import Applicant
from asyncamanda.commands.first_backup import back_up_first
from asyncamanda.commands.printing import again, see_to, tell
from asyncamanda.commands.sealed.making import add_sealing, check_sealing, settle_sealing
from asyncamanda.commands.settling import settle_enrolment
from asyncamanda.config.client import SYSTEM_FILE
from asyncamanda.core.doctor.inetd import NEEDLESS, PORT
from asyncamanda.core.ssh.probe_rate import punishes
from asyncamanda.errors import (
    ConfigurationError,
    Exit,
    LaterError,
    RefusedError,
)
from asyncamanda.system.steps import make_step, plan_link


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("server", metavar="SERVER", help="the Amanda server, [user@]host[:port]")
    add(
        "--name",
        metavar="CLIENT",
        help="this machine in the disklist (default: as client.toml has it, or its host name)",
    )
    add(
        "--amanda-config",
        metavar="NAME",
        help="the Amanda configuration (default: the server's only one)",
    )
    add(
        "--disk",
        metavar="DISK",
        action="append",
        default=[],
        help="disk to back up, such as /home; may be repeated (default: those in the disklist)",
    )
    add(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out names like this, such as '*.iso'; may be repeated",
    )
    add("--interval", metavar="SPAN", help=f"how often to back up (default: {DEFAULT_INTERVAL})")
    add("--fingerprint", metavar="SHA256:...", help="the server's host key, by its fingerprint")
    add("--code", metavar="CODE", help="join by a code of `asyncamanda server invite`")
    add("--via", metavar="ADMIN@SERVER", help="enroll there by ssh, as an administrator")
    add(
        "--wait",
        metavar="SPAN",
        help="how long to wait to be enrolled (default: 30m on a terminal, otherwise 2m)",
    )
    add(
        "--new-client-toml",
        action="store_true",
        help="write a new client.toml (the old one is kept as client.toml.old)",
    )
    add(
        "--replace",
        action="store_true",
        help="replace the key that the server has of this client, if it has another one",
    )
    add(
        "--new-key",
        action="store_true",
        help="make a new key if the server knows this one from another machine (when this one is "
        "a copy)",
    )
    add_sealing(parser)
    add("--no-schedule", action="store_true", help="install no timer")
    add(
        "--backup",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="back up at the end, or not (default: ask)",
    )
    add(
        "--yes",
        action="store_true",
        help="do not ask, and back up if due; a new host key needs --fingerprint",
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Make this machine a client in steps of which each looks first whether it is needed.

    Raises UsageError with every mistake in the arguments, RefusedError to everybody but root,
    for a host key that is not the right one and where a step fails, ConfigurationError for what
    is missing here, and LaterError where a second start goes on.
    """
    try:
        return _run(arguments)
    except (KeyboardInterrupt, EOFError) as error:
        print()
        raise LaterError(
            "stopped",
            "stopped; nothing done so far is lost",
            f"to continue, run the same command again: {again()}",
        ) from error


def _run(arguments: argparse.Namespace) -> Exit:
    if os.geteuid() != 0:
        raise RefusedError("not-root", "setup changes files of root", "run it as root")
    options = _read_options(arguments)
    present = None if arguments.new_client_toml else clienttoml.read_present()
    note = clienttoml.check_present(present, options) if present else ""
    if present and present.name and arguments.name is None:
        options = replace(options, name=present.name)
    account = keys.find_account(present)
    if not arguments.no_schedule:
        _check_schedule()
    is_asking = is_terminal() and not arguments.yes
    check_sealing(arguments, is_asking=is_asking)
    place = hostkey.find_place(options.server, account)
    offer = look(options, place, account)
    host_key, is_known = settle_host_key(options, place, account, offer, is_asking=is_asking)
    path = keys.find_key_path(present, account)
    steps = [
        plan_link("your shell"),
        *keys.plan_key(path, account),
        keys.plan_pin(host_key, place, account, is_known=is_known),
        clienttoml.plan_client_toml(options, account, is_replacing=arguments.new_client_toml),
    ]
    is_key_new = not path.exists()
    for step in steps:
        see_to(step)
    if note:
        tell(f"note: {note}")
    if present and arguments.replace:
        tell(f"note: --replace is about the key; client.toml is kept, and {clienttoml.NEW_FILE}")
    applicant = Applicant(
        options=options,
        account=account,
        is_named=arguments.name is not None or (present is not None and present.name is not None),
        key=keys.read_key(path, account),
        pinned=(host_key, place.known_as),
        is_watched=is_terminal(),
        is_key_new=is_key_new,
        is_gentle=punishes(offer.banner),
        is_replacing=arguments.replace,
        is_encrypting=arguments.encrypt or is_sealing(),
    )
    ready = settle_enrolment(applicant, path, is_new_key=arguments.new_key, is_asking=is_asking)
    recorded = clienttoml.read_present()
    if needs_name(ready.client, recorded.name if recorded else None, socket.gethostname()):
        see_to(clienttoml.plan_name(ready.client))
    if arguments.encrypt:  # before anything starts a backup
        settle_sealing(arguments, ready.client, is_asking=is_asking)
    if not arguments.no_schedule:
        _schedule(is_asking=is_asking, may_start=arguments.yes)
    _see_to_inetd(is_asking=is_asking)
    return back_up_first(arguments, account.pw_name, is_asking=is_asking)


def _read_options(arguments: argparse.Namespace) -> SetupOptions:
    said = Said(
        server=arguments.server,
        name=arguments.name or socket.gethostname(),
        amanda_config=arguments.amanda_config,
        disks=tuple(arguments.disk),
        exclude=tuple(arguments.exclude),
        interval=arguments.interval,
        fingerprint=arguments.fingerprint,
        via=arguments.via,
        wait=arguments.wait,
        code=arguments.code,
    )
    return read_options(said, os.path.exists)


# -- what follows


def _check_schedule() -> None:
    """Raise ConfigurationError if nothing on this machine could start the agent."""
    install.find_own_program()
    try:
        choose_kind(None)
    except ConfigurationError as error:
        raise ConfigurationError(
            error.reference,
            error.message,
            "apt install cron; or --no-schedule, and let something else start `asyncamanda run`",
        ) from error


def _schedule(*, is_asking: bool, may_start: bool) -> None:
    """Let something start the agent from now on, and say whether that was needed.

    `may_start`: a cron that does not run is started without a question.
    """
    settings = clienttoml.read_present()
    assert settings
    plan = install.plan_install(None, install.find_own_program(), settings, SYSTEM_FILE)
    kind, waits_for = plan.kind.value, ""
    if plan.starting and not may_start:
        how = " && ".join(" ".join(command) for command in plan.starting)
        idle = " and ".join(map(_name_idle, plan.starting))
        if not (is_asking and is_agreed(f"{idle} does not run. Start it ({how})?", how)):
            tell(f"note: {idle} does not run, so nothing is backed up by itself.")
            tell(f"To start it, as root: {how}")
            others = tuple(each for each in plan.commands if each not in plan.starting)
            plan = replace(plan, commands=others, starting=())
            waits_for = f", once {idle} runs"
    if plan.is_needed:
        install.install(plan)
    how = "done" if plan.is_needed else "unchanged"
    tell(f"{how}: {kind} starts `asyncamanda run`, which backs up when due{waits_for}")
    for path in plan.kept:
        tell(f"note: {path} was changed by hand, and is kept")


def _name_idle(command: tuple[str, ...]) -> str:
    """Return the name of what a command of `starting` starts."""
    return (command[1] if command[0] == "service" else command[-1]).partition(".")[0]


def _see_to_inetd(*, is_asking: bool) -> None:
    """Say who offers amandad to the network, if somebody does, and offer to switch that off."""
    offers = [*find_network_offers()]
    if not offers:
        return
    names = " and ".join(dict.fromkeys(offer.program for offer in offers))
    tell(f"note: {names} offers amandad to the network, on port {PORT}; {NEEDLESS}.")
    how = " && ".join(dict.fromkeys(offer.switch_off for offer in offers))
    if is_asking and is_agreed("Switch it off, if no other Amanda server uses it?", how):
        try:
            make_step(inetd.plan_offer_off())
        except RefusedError as error:  # all else is done
            tell(f"warning: {error.message}; {error.hint}")
        else:
            tell(f"done: {names} offers amandad no longer")
    else:
        tell(f"To switch it off, as root: {how}")

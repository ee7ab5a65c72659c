"""What every client's backup needs at the server, looked at one after the other."""

import os
from collections.abc import Iterator, Sequence

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.server_check import interpret_server_check
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.errors import AsyncamandaError
from asyncamanda.report.restore import count_things
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.amanda_configs import find_amanda_configs
from asyncamanda.server.enrol.capacity import check_capacity_for_all
from asyncamanda.server.enrol.disklist import AUTH, Configured, read_configured
from asyncamanda.server.enrol.disklist_file import ask_amanda
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER
from asyncamanda.server.enrol.packages import find_missing_packages
from asyncamanda.server.enrol.setup import plan_setup
from asyncamanda.server.enrol.sshd import SshdAnswer, check_sshd

SETUP = "as root: asyncamanda server setup"


def examine_server(
    config: ServerConfig, enrolled: Sequence[Enrolled], sshd: SshdAnswer | None, *, is_default: bool
) -> Iterator[Check]:
    """Yield each check as soon as it is made; `sshd` is what it says to root.

    Raises ConfigurationError if there is no such account.
    """
    yield _check_packages()
    if sshd:
        yield check_sshd(sshd)
    if os.geteuid() == 0:
        yield _check_setup(config, is_default=is_default)
    if config.ledger.startswith("postgresql"):
        yield _warn_of_database()
    names = find_amanda_configs()
    yield _check_enrolled(enrolled, names)
    for name in names:
        yield from _check_config(
            name, config.user, [e for e in enrolled if e.amanda_config == name]
        )


def _warn_of_database() -> Check:
    return Check(
        "ledger",
        Health.WARNING,
        "the ledger is in PostgreSQL, which is experimental",
        "a question that the database server is slow to answer keeps clients waiting",
        "leave `ledger` out of server.toml: the default is a file, which every test uses",
    )


def _check_packages() -> Check:
    if missing := find_missing_packages():
        fix = f"as root: apt install {' '.join(missing)}"
        why = "without these no client can be backed up, or nothing restored"
        return Check("packages", Health.BAD, f"missing: {' '.join(missing)}", why, fix)
    return Check("packages", Health.OK, "Amanda and sshd are installed")


def _check_setup(config: ServerConfig, *, is_default: bool) -> Check:
    try:
        steps = plan_setup(config, None, is_default=is_default)
        lacking = [step.what for step in steps if not step.is_so()]
    except AsyncamandaError as error:
        return Check("setup", Health.BAD, error.message, fix=error.hint)
    if lacking:
        found = f"it is not so that {'; '.join(lacking)}"
        return Check("setup", Health.BAD, found, "clients need it", SETUP)
    return Check("setup", Health.OK, "nothing to change")


def _check_enrolled(enrolled: Sequence[Enrolled], names: Sequence[str]) -> Check:
    lost = [entry for entry in enrolled if entry.amanda_config not in names]
    if not names:
        why = "without one nothing is backed up"
        fix = "as root: asyncamanda server setup --new-config NAME --vtapes DIR --size SIZE"
        found = f"there is no Amanda configuration in {AMANDA_FOLDER}"
        return Check("enrolled", Health.BAD, found, why, fix)
    if lost:
        why = "their Amanda configuration does not exist"
        fix = (
            f"as root: asyncamanda server enroll {lost[0].client} --amanda-config {names[0]} --move"
        )
        strays = name_disks([f"{entry.client} ({entry.amanda_config})" for entry in lost])
        return Check("enrolled", Health.BAD, strays, why, fix)
    count = "1 client" if len(enrolled) == 1 else f"{len(enrolled)} clients"
    return Check("enrolled", Health.OK, f"{count}, for {name_disks(names)}")


def _check_config(name: str, user: str, own: Sequence[Enrolled]) -> Iterator[Check]:
    try:
        configured = read_configured(name, user)
    except AsyncamandaError as error:
        why = "nothing of this configuration can be backed up, for any client"
        yield Check("amanda-config", Health.BAD, error.message, why, error.hint)
        return
    yield _check_disks(name, configured, own)
    clients = {entry.client for entry in own}
    dles = [dle for dle in configured.dles if dle.host in clients]
    yield check_capacity_for_all(name, dles, user)
    answer = ask_amanda(user, "amcheck", "-s", name)
    complaint = "\n".join((answer.stderr, answer.fault))
    found = interpret_server_check(answer.status, answer.stdout, complaint, user)
    if found.bad:
        yield Check("amcheck", Health.BAD, f"`amcheck -s {name}` complains", troubles=found.bad)
    if found.warnings:
        said = f"`amcheck -s {name}` warns"
        yield Check("amcheck", Health.WARNING, said, troubles=found.warnings)
    if not found.bad and not found.warnings:
        yield Check("amcheck", Health.OK, f"{name}: holding disk and volumes are usable")


def _check_disks(name: str, configured: Configured, own: Sequence[Enrolled]) -> Check:
    """Return whether Amanda's configuration suits the clients that are enrolled for it."""
    empty = [entry.client for entry in own if not configured.of_host(entry.client)]
    relayed = {entry.client for entry in own if not entry.is_direct}
    strays = [
        f"{dle.host} {dle.disk} (auth {dle.auth})"
        for dle in configured.dles
        if dle.host in relayed and dle.auth.lower() != AUTH and not dle.is_parked
    ]
    if strays:
        why = "Amanda contacts these clients directly, not through their own connections"
        fix = f'auth "{AUTH}" in the dumptypes of these'
        return Check("amanda-config", Health.BAD, f"{name}: {name_disks(strays)}", why, fix)
    if empty:
        why = "nothing of these is backed up"
        fix = f"as root: asyncamanda server disk add {empty[0]} /home"
        found = f"{name}: no disk of {name_disks(empty)}"
        return Check("amanda-config", Health.WARNING, found, why, fix)
    if configured.warnings:
        found = "; ".join(configured.warnings)
        return Check("amanda-config", Health.WARNING, found, "Amanda goes on with this")
    return Check(
        "amanda-config", Health.OK, f"{name}: {count_things(len(configured.dles), 'disk')}"
    )

"""asyncamanda server enroll: enroll a client by its public key."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from asyncamanda.commands.server.entry import check_disks, read_entry
from asyncamanda.commands.server.options import (
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
    warn,
)
from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.protocol.authority import DIRECT, NO_RESTORE
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.size import ALLOWED, parse_size
from asyncamanda.errors import BadDataError, Exit, RefusedError, UsageError
from asyncamanda.report.json import render_json
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.capacity import check_capacity, check_largest
from asyncamanda.server.enrol.disklist import (
    DUMPTYPE,
    Addition,
    check_dumptype,
    describe_dles,
    find_missing,
    read_configured,
)
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.packages import (
    find_missing_packages,
    is_amanda_there,
    refuse_without_amanda,
)
from asyncamanda.server.enrol.registry import check_enroll, enroll, read_registry, registry_path
from asyncamanda.server.enrol.setup import plan_setup
from asyncamanda.server.enrol.sshd import ask_sshd, describe_hindrances
from asyncamanda.system.steps import make_step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "client", metavar="CLIENT", help="the client's host name in Amanda's disklist"
    )
    parser.add_argument(
        "--amanda-config",
        metavar="NAME",
        help="the Amanda configuration to use (default: the only one)",
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="the client's public key: the line itself, a file, or - for stdin (default: the one "
        "already enrolled)"
        "",
    )
    parser.add_argument(
        "--disk",
        metavar="DISK",
        action="append",
        default=[],
        help="add this disk of the client to the disklist if missing; may be repeated",
    )
    parser.add_argument(
        "--dumptype",
        metavar="NAME",
        default=DUMPTYPE,
        help="dumptype for disks added by --disk (default: %(default)s)",
    )
    parser.add_argument(
        "--largest",
        metavar="SIZE",
        help="about how much the largest of these disks holds, such as 250GB: if there is no room "
        "for that, nothing is changed",
    )
    parser.add_argument(
        "--setup", action="store_true", help="first do what `server setup --yes` does"
    )
    parser.add_argument("--replace", action="store_true", help="replace the client's key")
    parser.add_argument(
        DIRECT,
        action="store_true",
        help="no relay: Amanda connects to this client itself",
    )
    _add_restore(parser)
    add_common(parser)


def _add_restore(parser: argparse.ArgumentParser) -> None:
    """Let the command line say whether the client may restore; else that stays as it is."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        NO_RESTORE,
        dest="may_restore",
        action="store_const",
        const=False,
        help="do not let this client list or restore files of its backups",
    )
    either.add_argument(
        "--restore",
        dest="may_restore",
        action="store_const",
        const=True,
        help="let it restore its own files again (a new client may)",
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Write the client's line into authorized_keys, and say what is still missing.

    With --setup and --disk what is missing there is made first. Where two machines use the
    client's key, or it gets another, the next that comes is the client. Raises what read_entry(),
    registry.enroll() and open_client_anew() raise, and BadDataError for a dumptype that there is
    not.
    """
    check_disks(arguments.disk)
    _, config = load_server_config(arguments.config)
    path = registry_path(config.user)
    entry = _read_entry(arguments, path)
    plan_disks = _plan_disks(entry, arguments, config)
    check_enroll(path, entry, is_replacing=arguments.replace)
    if arguments.largest is not None:
        size = _read_size(arguments.largest)
        what = " or ".join(arguments.disk) or f"a disk of {entry.client}"
        check_largest(what, size, entry.amanda_config, config.user)
    changed = [*(_set_up(arguments, config) if arguments.setup else []), *plan_disks()]
    hindrances = describe_hindrances(ask_sshd(config.user, entry.client))
    load_as_amanda_user(arguments)
    known = [one for one in read_registry(path) if one.client == entry.client]
    keys = [one.key.key for one in known]
    # first, for the same command has to fix what is cut off between the two
    is_settled = bool(keys) and open_client_anew(
        config, entry.client, is_settling=entry.key.key in keys
    )
    is_changed = enroll(path, entry, is_replacing=arguments.replace)
    if is_settled or any(_connects_otherwise(one, entry) for one in known):
        end_sessions(entry.client)  # of the key that was replaced, or of either machine
    disks, troubles = _find_disks(entry, config.user)
    outcome = ("replaced" if keys else "enrolled") if is_changed else "unchanged"
    _say(entry, outcome, disks, changed, is_settled=is_settled, is_json=arguments.json)
    for words in [*hindrances, *troubles]:
        warn(words)
    if not troubles:
        _say_capacity(entry, is_json=arguments.json)
    return Exit.OK


def _say_capacity(entry: Enrolled, *, is_json: bool) -> None:
    """Say what the server has room for, and what in its configuration is in the way."""
    check = check_capacity(entry)
    if not is_json:
        print(f"  room: {check.found}")
    for trouble in check.troubles:
        warn(f"{trouble.said}: {trouble.why}; {trouble.fix}")


def _read_entry(arguments: argparse.Namespace, path: Path) -> Enrolled:
    """Return whom the arguments name: without a key, the client as it is enrolled already.

    Another key does not let a client restore that might not.
    """
    key, amanda_config, is_direct = arguments.key, arguments.amanda_config, arguments.direct
    own = [one for one in read_registry(path) if one.client == arguments.client]
    may_restore = arguments.may_restore
    if may_restore is None:
        may_restore = all(one.may_restore for one in own)
    if key is None:
        if not own:
            raise UsageError(
                "no-key",
                f"{printable(arguments.client)} is not enrolled yet: its key is needed",
                "--key 'ssh-ed25519 AAAA...', as `asyncamanda setup` prints it on the client",
            )
        known = own[0]
        key = f"{known.key.key_type} {known.key.key} {known.key.comment}".strip()
        amanda_config = amanda_config or known.amanda_config
        is_direct = is_direct or known.is_direct
    return read_entry(
        arguments.client, amanda_config, key, is_direct=is_direct, may_restore=may_restore
    )


def _read_size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError("bad-size", f"--largest: {error}", f"allowed: {ALLOWED}") from error


def _connects_otherwise(one: Enrolled, other: Enrolled) -> bool:
    """Return whether a session of one's is not as those of the other will be.

    Whether it may restore is looked at by what restores, again and again.
    """
    return (one.key.key, one.identity, one.is_direct) != (
        other.key.key,
        other.identity,
        other.is_direct,
    )


def _plan_disks(
    entry: Enrolled, arguments: argparse.Namespace, config: ServerConfig
) -> Callable[[], list[str]]:
    """Look what the disklist lacks, and return what adds that and says so.

    Raises BadDataError if a dumptype is needed that there is not, or Amanda would refuse the
    disklist.
    """
    if not arguments.disk:
        return list
    configured = read_configured(entry.amanda_config, config.user)
    missing, told = find_missing(configured.of_host(entry.client), arguments.disk)
    for words in told:
        warn(words)
    if not missing:
        return list
    check_dumptype(configured, arguments.dumptype)
    addition, file = Addition(entry.client, missing, arguments.dumptype), configured.disklist
    addition.check(file)

    def add() -> list[str]:
        addition.make(file)
        return [f"{file.path} has {entry.client} {disk}" for disk in missing]

    return add


def _set_up(arguments: argparse.Namespace, config: ServerConfig) -> list[str]:
    """Make what `server setup --yes` would; return what was changed, in words."""
    if os.geteuid() != 0:
        raise RefusedError("not-root", "--setup changes files of root", "run it as root")
    if not is_amanda_there():
        raise refuse_without_amanda()
    if missing := find_missing_packages():
        warn(f"missing (not installed automatically): apt install {' '.join(missing)}")
    made = []
    for step in plan_setup(config, None, is_default=not arguments.config):
        if not step.is_so():
            make_step(step)
            made.append(step.what)
    return made


def _find_disks(entry: Enrolled, user: str) -> tuple[list[str], list[str]]:
    """Return the client's disks in the disklist, and warnings about them."""
    try:
        configured = read_configured(entry.amanda_config, user)
    except BadDataError as error:
        return [], [error.message]
    disks = [dle.disk for dle in configured.of_host(entry.client)]
    return disks, describe_dles(configured, entry.client, is_direct=entry.is_direct)


def _say(  # noqa: PLR0913 (all that is to be said)
    entry: Enrolled,
    outcome: str,
    disks: list[str],
    changed: list[str],
    *,
    is_settled: bool,
    is_json: bool,
) -> None:
    if is_json:
        value = {
            "outcome": outcome,
            "client": entry.client,
            "amanda_config": entry.amanda_config,
            "key_type": entry.key.key_type,
            "fingerprint": entry.key.fingerprint,
            "direct": entry.is_direct,
            "restore": entry.restore,
            "settled": is_settled,
            "disks": disks,
            "changed": changed,
        }
        print(render_json(value))
        return
    for what in changed:
        print(f"changed: {printable(what)}")
    words = {
        "enrolled": "is enrolled",
        "replaced": "is enrolled again; the previous entry was replaced",
        "unchanged": "is enrolled already",
    }
    print(f"{entry.client} {words[outcome]}, for {entry.amanda_config}")
    print(f"  key: {entry.key.key_type} {entry.key.fingerprint}")
    way = "directly" if entry.is_direct else "through the client's own connection"
    print(f"  Amanda connects {way}")
    print(f"  it may {'' if entry.may_restore else 'not '}restore files of its own backups")
    if disks:
        print(f"  disks: {name_disks(disks)}")
    if is_settled:
        print(
            f"  the next machine that connects with its key is {entry.client}: start that one first"
        )
        print("  its earlier dumps no longer count: each disk starts with a full dump")
    elif changed and outcome == "unchanged":
        print("  it learns of new disks within a day; `asyncamanda doctor` there asks at once")

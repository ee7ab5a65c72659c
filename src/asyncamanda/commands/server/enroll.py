"""asyncamanda server enroll: enroll a client by its public key."""

import argparse
from collections.abc import Callable, Sequence

from asyncamanda.commands.asking import is_terminal
from asyncamanda.commands.server.enroll_words import say_enrolled, say_room
from asyncamanda.commands.server.entry import check_disks, read_entry
from asyncamanda.commands.server.options import (
    add_common,
    end_sessions,
    load_as_amanda_user,
    open_client_anew,
    warn,
)
from asyncamanda.commands.server.preparing import set_up_server
from asyncamanda.commands.server.recognising import Enrolment, settle
from asyncamanda.commands.server.rename import check_name_free, rename_disks, say_renamed
from asyncamanda.commands.server.withdrawing import withdraw_codes
from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.amanda.sealing import SEALED_DUMPTYPE
from asyncamanda.core.protocol.authority import DIRECT, NO_RESTORE
from asyncamanda.core.values.size import ALLOWED, parse_size
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.server.enrol.capacity import check_largest
from asyncamanda.server.enrol.disklist import (
    DUMPTYPE,
    Addition,
    check_dumptype,
    check_encryption,
    check_new_disks,
    describe_dles,
    find_missing,
    read_configured,
)
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.key_refusals import refuse_to_move
from asyncamanda.server.enrol.recognition import connects_otherwise, recognise
from asyncamanda.server.enrol.registry import change, check_change, read_registry, registry_path
from asyncamanda.server.enrol.sshd import ask_sshd, describe_hindrances


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "client",
        metavar="CLIENT",
        nargs="?",
        help="the client's host name in Amanda's disklist",
    )
    parser.add_argument(
        "--from",
        metavar="LIST",
        dest="list",
        help="enroll many clients at once: a file, or - for stdin, with a client and its public "
        "key in each line",
    )
    parser.add_argument(
        "--amanda-config",
        metavar="NAME",
        help="the Amanda configuration to use (default: that of an enrolled client, or the only "
        "one)",
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="the client's public key: the line itself, a file, or - for stdin (default: the one "
        "already enrolled)",
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
        help=f"dumptype for disks added by --disk (default: {DUMPTYPE})",
    )
    parser.add_argument(
        "--encrypt",
        action="store_true",
        help=f"the client encrypts its dumps: the default is the dumptype {SEALED_DUMPTYPE}",
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
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace the client's key by the one of --key (on a terminal: asks)",
    )
    parser.add_argument(
        "--move",
        action="store_true",
        help="let an enrolled client be backed up by another Amanda configuration, that of "
        "--amanda-config",
    )
    _add_way(parser)
    _add_restore(parser)
    add_common(parser)


def _add_way(parser: argparse.ArgumentParser) -> None:
    """Let the command line say how Amanda reaches the client; else that stays as it is."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        DIRECT,
        dest="is_direct",
        action="store_const",
        const=True,
        help="no relay: Amanda connects to this client itself",
    )
    either.add_argument(
        "--relay",
        dest="is_direct",
        action="store_const",
        const=False,
        help="Amanda connects through the client's own connection (a new client has this)",
    )


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
    """Enroll the client, or all of a list. Raises what enroll_many() and _enroll() raise."""
    check_disks(arguments.disk)
    if arguments.dumptype is None:
        arguments.dumptype = SEALED_DUMPTYPE if arguments.encrypt else DUMPTYPE
    _, config = load_server_config(arguments.config)
    if arguments.list is not None:
        from asyncamanda.commands.server.enroll_many import enroll_many  # noqa: PLC0415 - for a few

        return enroll_many(arguments, config)
    if arguments.client is None:
        raise UsageError("usage", "CLIENT is missing", "or name a list of clients: --from LIST")
    return _enroll(arguments, config)


def _enroll(arguments: argparse.Namespace, config: ServerConfig) -> Exit:
    """Write the client's line into authorized_keys, and say what is still missing.

    With --setup and --disk what is missing there is made first. Where two machines use the
    client's key, or it gets another, the next that comes is the client. Who is known by another
    name or another key is asked about. Raises what read_entry(), settle(), registry.change() and
    open_client_anew() raise, and BadDataError for a dumptype that there is not.
    """
    path = registry_path(config.user)
    everybody = read_registry(path)
    enrolment = _settle(arguments, everybody, config)
    entry, was = enrolment.entry, enrolment.was
    plan_disks = _plan_disks(enrolment, arguments, config)
    check_change(path, enrolment.plan)
    if arguments.largest is not None:
        size = _read_size(arguments.largest)
        what = " or ".join(arguments.disk) or f"a disk of {entry.client}"
        check_largest(what, size, entry.amanda_config, config.user)
    changed = [
        *(set_up_server(config, is_default=not arguments.config) if arguments.setup else []),
        *plan_disks(),
    ]
    hindrances = describe_hindrances(ask_sshd(config.user, entry.client))
    load_as_amanda_user(arguments)
    known = [one for one in everybody if one.client == entry.client]
    keys = [one.key.key for one in known]
    # first, for the same command has to fix what is cut off between the two
    if was is not None:
        open_client_anew(config, entry.client, is_settling=False)  # of who had that name before
    is_settled = bool(keys) and open_client_anew(
        config, entry.client, is_settling=entry.key.key in keys
    )
    is_changed = change(path, enrolment.plan)
    if is_changed:
        withdraw_codes(path, entry.client)
    if was is not None:
        end_sessions(was)
    if is_settled or any(connects_otherwise(one, entry) for one in known):
        end_sessions(entry.client)  # of the key that was replaced, or of either machine
    disks, troubles = _find_disks(entry, config.user)
    outcome = _name_outcome(entry, keys, is_changed=is_changed)
    if was is not None:
        say_renamed(was, entry.client, entry.amanda_config, disks)
    say_enrolled(entry, outcome, disks, changed, is_settled=is_settled, is_json=arguments.json)
    for words in [*hindrances, *troubles]:
        warn(words)
    if not troubles:
        say_room(entry, is_json=arguments.json)
    return Exit.OK


def _settle(
    arguments: argparse.Namespace, everybody: Sequence[Enrolled], config: ServerConfig
) -> Enrolment:
    """Return who is to be enrolled, and what that may change, after asking where it is needed."""
    entry = read_entry(arguments, everybody)
    enrolment = Enrolment(entry, is_replacing=arguments.replace, is_moving=arguments.move)
    for one in everybody:
        if one.client == entry.client and one.identity != entry.identity and not arguments.move:
            raise refuse_to_move(one)
    is_asking = is_terminal() and not arguments.json
    return settle(enrolment, recognise(everybody, entry), config, is_asking=is_asking)


def _name_outcome(entry: Enrolled, keys: Sequence[str], *, is_changed: bool) -> str:
    """Return the outcome for a client that had these `keys`, in a word."""
    if not is_changed:
        return "unchanged"
    if not keys:
        return "enrolled"
    return "changed" if set(keys) == {entry.key.key} else "replaced"


def _read_size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError("bad-size", f"--largest: {error}", f"allowed: {ALLOWED}") from error


def _plan_disks(
    enrolment: Enrolment, arguments: argparse.Namespace, config: ServerConfig
) -> Callable[[], list[str]]:
    """Look what the disklist lacks, and return what adds that and says so.

    A client with another name gets it there, too. Raises UsageError for a disk to be added that is
    not a path, BadDataError if a dumptype is needed that
    there is not, or Amanda would refuse the disklist.
    """
    entry, was = enrolment.entry, enrolment.was
    if not arguments.disk and was is None and not arguments.encrypt:
        return list
    configured = read_configured(entry.amanda_config, config.user)
    dles = configured.of_host(was or entry.client) or configured.of_host(entry.client)
    missing, told = find_missing(dles, arguments.disk)
    for words in (*told, *check_encryption(configured, dles, is_wanted=arguments.encrypt)):
        warn(words)
    if missing:
        check_new_disks(missing)
        check_dumptype(configured, arguments.dumptype)
    if was is not None:
        check_name_free(configured, was, entry.client)
    addition, file = Addition(entry.client, missing, arguments.dumptype), configured.disklist
    if missing and was is None:
        addition.check(file)

    def add() -> list[str]:
        if was is not None:
            rename_disks(configured, was, entry.client)
        if missing:
            addition.make(file)
        return [f"{file.path} has {entry.client} {disk}" for disk in missing]

    return add


def _find_disks(entry: Enrolled, user: str) -> tuple[list[str], list[str]]:
    """Return the client's disks in the disklist, and warnings about them."""
    try:
        configured = read_configured(entry.amanda_config, user)
    except BadDataError as error:
        return [], [error.message]
    disks = [dle.disk for dle in configured.of_host(entry.client)]
    return disks, describe_dles(configured, entry.client, is_direct=entry.is_direct)

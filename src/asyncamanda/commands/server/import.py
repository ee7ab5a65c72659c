# ruff: noqa: N999 - a file is called like its command
"""asyncamanda server import: make this machine the server that an export is of."""

import argparse
import os
from pathlib import Path

from asyncamanda.core.ssh.publickey import parse_public_key
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import Exit, RefusedError, UsageError
from asyncamanda.report.exports import describe_export, head_value
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.restore import count_things
from asyncamanda.server.enrol.packages import is_amanda_there, refuse_without_amanda
from asyncamanda.server.export.imported import ImportedServer
from asyncamanda.server.export.importing import ServerImport
from asyncamanda.server.export.sources import SSH_FOLDER
from asyncamanda.server.export.verified import ExportFile, VerifiedExport, verify
from asyncamanda.system.clock import now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="what `asyncamanda server export` has written")
    parser.add_argument(
        "--look", action="store_true", help="only check the file and show what is in it"
    )
    parser.add_argument(
        "--identity",
        metavar="FILE",
        action="append",
        default=[],
        help="the secret key of age's or ssh's that an encrypted export is for; repeatable",
    )
    parser.add_argument(
        "--host-keys-from",
        metavar="FILE",
        help="take the ssh host keys from this export, made with --host-keys",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="set aside what is there: registry, ledger, configurations",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> Exit:
    """Check an export; show it, or import it and say what is left to do.

    Raises BadDataError if it is none or something is in the way, RefusedError, ConfigurationError
    and LaterError.
    """
    if not arguments.look and os.geteuid() != 0:
        raise RefusedError("not-root", "an import changes files of root", "run it as root")
    if arguments.look and (arguments.force or arguments.host_keys_from):
        raise UsageError("usage", "--look changes nothing", "leave the other options out")
    export = verify(_file(arguments, arguments.file))
    if arguments.look:
        _show(export, is_json=arguments.json)
        return Exit.OK
    if not is_amanda_there():
        raise refuse_without_amanda()
    host_keys = export.host_keys
    if arguments.host_keys_from:
        host_keys = verify(_file(arguments, arguments.host_keys_from)).host_keys
        if not host_keys:
            raise RefusedError(
                "no-host-keys",
                f"{arguments.host_keys_from} has no host keys",
                "that is for one made with --host-keys; nothing was changed",
            )
    done = ServerImport(export, host_keys, now(), force=arguments.force).run()
    if arguments.json:
        print(render_json(_value(export, done)))
    else:
        _tell(export, done)
    return Exit.OK


def _file(arguments: argparse.Namespace, name: str) -> ExportFile:
    identities = [str(Path(each).absolute()) for each in arguments.identity]
    return ExportFile(Path(name).absolute(), identities)


def _show(export: VerifiedExport, *, is_json: bool) -> None:
    keys = sorted(name for name in export.host_keys if not name.endswith(".pub"))
    if is_json:
        value = head_value(export.head, len(export.members))
        value |= {"bytes": export.size, "host_keys": keys, "encrypted": export.is_encrypted}
        print(render_json(value))
        return
    for line in describe_export(export.head, len(export.members), export.size, keys):
        print_folded(line)


def _value(export: VerifiedExport, done: ImportedServer) -> dict[str, object]:
    return {
        **head_value(export.head, len(export.members)),
        "enrolled": done.clients,
        "set_aside": [str(path) for path in done.aside],
        "left_out": len(done.left),
        "missing": done.missing,
        "has_host_keys": done.has_host_keys,
        "remarks": done.told,
    }


def _tell(export: VerifiedExport, done: ImportedServer) -> None:
    """Say what was done, and what is left to do."""
    print_folded(
        f"this machine is the server that {printable(export.head.host)} was: "
        f"{count_things(len(done.clients), 'client')} may come in"
    )
    for path in done.aside:
        print_folded(f"set aside: {path}")
    for words in done.told:
        print_folded(words)
    if done.left:
        print_folded(
            f"{count_things(len(done.left), 'line')} of authorized_keys left out: invitations "
            "(make new ones for who has not joined yet), and what is no client's or says more "
            "than asyncamanda writes"
        )
    for place in done.missing:
        print_folded(f"not there: {printable(place)}: put the volumes there before the first run")
    print_folded(
        "each disk's next dump is a full one: what was dumped after the export is not known here"
    )
    print()
    if done.has_host_keys:
        print("Clients need nothing, once sshd has read its old host keys again:")
        print("  systemctl restart ssh")
    else:
        _tell_new_key()
    print_folded("Then check this server: asyncamanda server doctor")


def _tell_new_key() -> None:
    """Say what to type on each client, since this server has another host key."""
    print_folded(
        "This machine has another host key, and clients refuse it. On each, as root, with the "
        "name or address of the server that it uses for SERVER:"
    )
    print("  runuser -u backup -- ssh-keygen -R SERVER")
    print(f"  asyncamanda setup SERVER{_fingerprint()}")


def _fingerprint() -> str:
    path = SSH_FOLDER / "ssh_host_ed25519_key.pub"
    try:
        return f" --fingerprint {parse_public_key(path.read_text('utf-8')).fingerprint}"
    except (OSError, ValueError):
        return ""

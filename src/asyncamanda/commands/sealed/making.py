"""`setup --encrypt`: a key that only this machine has, or the one of the machine it replaces."""

import argparse
import contextlib
import os
import random
import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path

from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.images import ask_images
from asyncamanda.client.restore.line import open_own_line
from asyncamanda.client.start import sealing
from asyncamanda.commands.asking import ask
from asyncamanda.commands.printing import see_to, tell
from asyncamanda.commands.sealed.dumps import Drawer, RemoteDump, open_image
from asyncamanda.core.restore.answer import DiskAnswer
from asyncamanda.core.restore.request import NEWEST
from asyncamanda.core.values.recovery import is_same_group, join_key, split_key
from asyncamanda.core.values.sheet import Sheet, render_sheet
from asyncamanda.errors import BadDataError, LaterError, RefusedError, UsageError
from asyncamanda.system.files import read_regular
from asyncamanda.system.interrupts import catch_stop

ASKED = 2  # groups of the sheet that have to be typed
TRIES = 3
LARGEST = 10_000  # bytes of a file with a key


def add_sealing(parser: argparse.ArgumentParser) -> None:
    """Let the command line ask for encryption."""
    parser.add_argument(
        "--encrypt",
        action="store_true",
        help="encrypt the dumps here, with a key that the server does not get",
    )
    add_sheet(parser)
    parser.add_argument(
        "--recovery-key",
        metavar="FILE",
        help="with --encrypt: the key of the machine that this one replaces (default: ask)",
    )


def add_sheet(parser: argparse.ArgumentParser) -> None:
    """Let the command line say where the recovery sheet goes."""
    parser.add_argument(
        "--recovery-sheet",
        metavar="FILE",
        help="write the recovery sheet to a new file instead of the terminal",
    )


def check_sealing(arguments: argparse.Namespace, *, is_asking: bool) -> None:
    """Raise UsageError or ConfigurationError for what would stop it later on."""
    if not arguments.encrypt:
        if arguments.recovery_key or arguments.recovery_sheet:
            raise UsageError(
                "usage",
                "--recovery-key and --recovery-sheet are for --encrypt",
                "asyncamanda setup --help lists the options",
            )
        return
    sealing.check_age()
    if not is_asking and not (
        arguments.recovery_key or arguments.recovery_sheet or sealing.is_confirmed()
    ):
        raise UsageError(
            "nobody-to-ask",
            "the recovery sheet has to be written down, and there is nobody to show it to",
            "run setup on a terminal, without --yes; or name a file: --recovery-sheet FILE",
        )
    if arguments.recovery_sheet:
        check_sheet_file(arguments.recovery_sheet)


def settle_sealing(arguments: argparse.Namespace, client: str, *, is_asking: bool) -> None:
    """Let this machine encrypt its dumps, and somebody have what opens them.

    A key that does not open what the server has already is refused before it is put in place. Who
    has given the recovery key has the sheet. Raises RefusedError for such, LaterError where the
    sheet is not confirmed, and what asking the server raises.
    """
    key, is_recovered = sealing.read_key(), False
    if key is None:
        key, is_recovered = _find_key(arguments, is_asking=is_asking)
    for step in sealing.plan_sealing(key):
        see_to(step)
    if sealing.is_confirmed() and not arguments.recovery_sheet:
        return
    if arguments.recovery_sheet or not is_recovered:
        hand_over(make_sheet(client, arguments.server, key), arguments.recovery_sheet)
    see_to(sealing.plan_confirmed(key))


def make_sheet(client: str, server: str, key: str) -> Sheet:
    """Return the sheet of this machine."""
    setup = ["asyncamanda", "setup", server, "--encrypt", "--name", client, "--replace"]
    return Sheet(client, server, key, shlex.join(setup))


def check_sheet_file(named: str) -> None:
    """Raise UsageError if there is something where the sheet is to be written."""
    if os.path.lexists(named):
        raise UsageError(
            "target-exists", f"{named} is there already", "name a file that does not exist yet"
        )


def hand_over(sheet: Sheet, named: str | None) -> None:
    """Write the sheet to a new file, or show it until some of its groups were typed again.

    Raises LaterError if they were not, and RefusedError if the file cannot be written.
    """
    text = render_sheet(sheet)
    if named:
        _write(Path(named), text)
        tell(f"done: the recovery sheet is in {named}; bring it away from this machine")
        return
    print(f"\n{text}", flush=True)
    tell("Write it down now, or print it. Some of it is asked for again:")
    groups = split_key(sheet.key)
    for group in sorted(random.SystemRandom().sample(groups, ASKED), key=groups.index):
        number = group.partition("-")[0]
        for _ in range(TRIES):
            if is_same_group(ask(f"Group {number}, from your paper:"), group):
                break
            tell(f"That is not group {number}.")
        else:
            raise LaterError(
                "sheet-not-confirmed",
                "the recovery sheet was not confirmed: without it the backups are lost with this "
                "machine",
                "asyncamanda recovery-sheet shows it again",
            )


def _write(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                path.unlink()
                raise
    except OSError as error:
        raise RefusedError(
            "cannot-write", f"{path} cannot be written: {error.strerror}", "name another file"
        ) from error


def _find_key(arguments: argparse.Namespace, *, is_asking: bool) -> tuple[str, bool]:
    """Return the key of the machine that this one replaces, and True, else a new one, and False."""
    with catch_stop() as stop:
        gateway = Gateway(partial(open_own_line, None, stop), stop, tell)
        with contextlib.closing(gateway):
            disks = _list_sealed(gateway)
            if arguments.recovery_key:
                key = read_sheet(Path(arguments.recovery_key))
            elif not disks:
                return sealing.make_key(), False
            elif not is_asking:
                raise UsageError(
                    "recovery-key-needed",
                    "the server has encrypted dumps of this client, of which this machine lacks "
                    "the key",
                    "run setup on a terminal, or name a file with it: --recovery-key FILE",
                )
            else:
                tell("The server has encrypted dumps of this client. Its recovery key is needed.")
                key = _ask_key()
            sealing.find_recipient(key)
            for disk in disks:
                _try_key(gateway, disk, key)
    return key, True


def _list_sealed(gateway: Gateway) -> list[DiskAnswer]:
    """Return the disks of which the server has dumps that are sealed, as far as it tells."""
    try:
        return [disk for disk in gateway.ask_disks() if disk.is_sealed and disk.has_images]
    except RefusedError as error:
        if error.reference != "no-restore":
            raise
        tell(f"note: {error.message}; so it is not known whether it has encrypted dumps of it")
        return []


def read_sheet(path: Path) -> str:
    """Return the key in a file, "-" for standard input: of a sheet, its groups, or age's own text.

    Raises UsageError if it cannot be read, and BadDataError if it has no key.
    """
    try:
        text = sys.stdin.read(LARGEST) if str(path) == "-" else _read_text(path)
        # lines with nothing but groups: among other words a machine's name may look like one
        lines = [line for line in text.splitlines() if line and all(map(_is_group, line.split()))]
        return join_key(" ".join(lines) if "".join(lines).strip() else text)
    except OSError as error:
        words_of = f"{path} cannot be read: {error.strerror}"
        raise UsageError("no-recovery-key", words_of, "name the file with the key") from error
    except ValueError as error:
        raise BadDataError(
            "bad-recovery-key", f"{path}: {error}", "compare it with the recovery sheet"
        ) from None


def _is_group(word: str) -> bool:
    return word[:1].isdigit() and word.count("-") == 2


def _read_text(path: Path) -> str:
    return read_regular(path, LARGEST).decode("utf-8", "replace")


def _ask_key() -> str:
    """Return the key that somebody types, line by line, in any number of lines."""
    tell("Type its groups as they stand on the sheet, and an empty line at the end:")
    typed: list[str] = []
    while line := ask(">"):
        typed.append(line)
    try:
        return join_key(" ".join(typed))
    except ValueError as error:
        raise BadDataError(
            "bad-recovery-key", f"that is not the key: {error}", "try again, with the sheet at hand"
        ) from None


def _try_key(gateway: Gateway, disk: DiskAnswer, key: str) -> None:
    """Raise RefusedError unless the key opens the newest dump of a disk that is sealed."""
    plan = ask_images(gateway, disk.disk, NEWEST)
    with tempfile.TemporaryDirectory(prefix="asyncamanda-") as folder:
        identity = Path(folder, "identity")
        _write(identity, f"{key}\n")
        files = RemoteDump(Drawer(gateway, tell), disk.disk, plan.images[-1].run, plan.images[-1])
        with contextlib.closing(open_image(files, identity, is_raw=True)) as image:
            image.read_at(0, 1)

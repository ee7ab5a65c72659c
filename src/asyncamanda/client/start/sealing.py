"""What encrypts this machine's dumps: root's key, the public half of it, and Amanda's program."""

import os
import stat
from pathlib import Path

from asyncamanda.core.amanda.sealing import (
    AGE,
    AGE_KEYGEN,
    CONFIRMED,
    IDENTITY,
    PROGRAM,
    RECIPIENT,
    SCRIPT,
    parse_recipient,
)
from asyncamanda.core.values.recovery import PREFIX, check_key
from asyncamanda.errors import ConfigurationError, RefusedError
from asyncamanda.system.files import open_folder, read_regular, replace_in
from asyncamanda.system.programs import run_program
from asyncamanda.system.steps import SetupStep

LARGEST = 10_000  # bytes of any of the files
MODES = {IDENTITY: 0o600, RECIPIENT: 0o644, PROGRAM: 0o755, CONFIRMED: 0o600}


def is_sealing() -> bool:
    """Return whether this machine encrypts its dumps."""
    return os.path.lexists(RECIPIENT)


def check_age() -> None:
    """Raise ConfigurationError if age is not installed."""
    missing = [program for program in (AGE, AGE_KEYGEN) if not os.access(program, os.X_OK)]
    if missing:
        raise ConfigurationError(
            "no-age", f"{missing[0]}, which encrypts dumps, is not here", "apt install age"
        )


def make_key() -> str:
    """Return a new key, as age writes it. Raises RefusedError."""
    printed = run_program([AGE_KEYGEN]).stdout.splitlines()
    keys = [line for line in printed if line.startswith(PREFIX)]
    if len(keys) != 1:
        raise RefusedError("no-key", f"{AGE_KEYGEN} made no key", "does it work by itself?")
    return keys[0]


def find_recipient(key: str) -> str:
    """Return the public half of a key. Raises RefusedError if age does not take it for one."""
    answer = run_program([AGE_KEYGEN, "-y"], text=f"{key}\n")
    recipient = parse_recipient(answer.stdout)
    if answer.status != 0 or recipient is None:
        raise RefusedError("bad-key", f"age refuses the key: {answer.first_line}", "is it whole?")
    return recipient


def read_key() -> str | None:
    """Return this machine's key, None if it has none. Raises RefusedError if that is broken."""
    try:
        text = read_regular(Path(IDENTITY), LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _broken(f"it cannot be read: {error.strerror}") from error
    keys = [line.strip() for line in text.splitlines() if line.startswith(PREFIX)]
    try:
        check_key(keys[0] if len(keys) == 1 else "")
    except ValueError as error:
        raise _broken(str(error)) from None
    return keys[0]


def is_confirmed() -> bool:
    """Return whether somebody has the recovery sheet of this key."""
    try:
        noted = read_regular(Path(CONFIRMED), LARGEST).decode("ascii", "replace").strip()
        return noted == read_regular(Path(RECIPIENT), LARGEST).decode("ascii", "replace").strip()
    except OSError:
        return False


def plan_sealing(key: str) -> list[SetupStep]:
    """Return the steps after which this machine encrypts its dumps for `key`.

    The key comes first: nothing is ever encrypted that it is not there for.
    """
    recipient = find_recipient(key)
    return [
        _plan_text(IDENTITY, f"{key}\n", "the key that opens its dumps, root's alone"),
        _plan_text(PROGRAM, SCRIPT, "what encrypts its dumps"),
        _plan_text(RECIPIENT, f"{recipient}\n", "the public half of the key"),
    ]


def plan_confirmed(key: str) -> SetupStep:
    """Return the step that notes that somebody has the recovery sheet."""
    return _plan_text(CONFIRMED, f"{find_recipient(key)}\n", "a note that its sheet is on paper")


def _plan_text(name: str, text: str, what: str) -> SetupStep:
    path, mode = Path(name), MODES[name]

    def is_so() -> bool:
        try:
            status = path.lstat()
            is_roots = stat.S_ISREG(status.st_mode) and (status.st_uid, status.st_gid) == (0, 0)
            is_fit = is_roots and stat.S_IMODE(status.st_mode) == mode
            return is_fit and read_regular(path, LARGEST) == text.encode()
        except OSError:
            return False

    def make() -> None:
        folder = open_folder(path.parent, make=True)
        try:
            replace_in(folder, path.name, text, mode)
        finally:
            os.close(folder)

    return SetupStep(f"{path} is there, {what}", is_so, make)


def _broken(why: str) -> RefusedError:
    return RefusedError(
        "broken-identity",
        f"{IDENTITY} holds no key: {why}",
        "move it away; `asyncamanda setup SERVER --encrypt` then asks for the recovery key",
    )

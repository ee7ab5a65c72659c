"""What encrypts this client's dumps, as root sees it, and as the Amanda user can use it."""

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from asyncamanda.client.start.sealing import (
    LARGEST,
    MODES,
    find_recipient,
    is_confirmed,
    is_sealing,
    read_key,
)
from asyncamanda.core.amanda.sealing import (
    AGE,
    IDENTITY,
    PROGRAM,
    RECIPIENT,
    SCRIPT,
    parse_recipient,
)
from asyncamanda.core.doctor.findings import Check
from asyncamanda.core.doctor.sealing import SealingSeen, judge_sealing
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.files import read_regular
from asyncamanda.system.programs import run_program


def check_sealing(user: str) -> Check:
    """Return whether dumps are encrypted as they should be; `user` is the Amanda user."""
    if not is_sealing():
        return judge_sealing(SealingSeen(is_sealing=False))
    is_root = os.geteuid() == 0
    return judge_sealing(
        SealingSeen(
            is_sealing=True,
            has_age=os.access(AGE, os.X_OK),
            has_key=os.path.lexists(IDENTITY),
            is_private=_is_roots(IDENTITY),
            is_match=_is_match() if is_root else None,
            is_program=_is_roots(PROGRAM) and _read(PROGRAM) == SCRIPT,
            is_confirmed=is_confirmed() if is_root else True,
            fault=_try_program(user),
        )
    )


def _is_roots(name: str) -> bool:
    """Return whether a file is root's, with the mode that setup gives it."""
    try:
        status = os.lstat(name)
    except OSError:
        return False
    is_right = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == MODES[name]
    return is_right and status.st_uid == 0


def _read(name: str) -> str:
    with suppress(OSError):
        return read_regular(Path(name), LARGEST).decode("utf-8", "replace")
    return ""


def _is_match() -> bool:
    try:
        key = read_key()
        return key is not None and find_recipient(key) == parse_recipient(_read(RECIPIENT))
    except AsyncamandaError:
        return False


def _try_program(user: str) -> str:
    """Return what stops the Amanda user from encrypting something, "" if nothing does."""
    account = None
    if os.geteuid() == 0:
        with suppress(KeyError):
            account = pwd.getpwnam(user)
    answer = run_program([PROGRAM], text="a word", account=account, encoding="latin-1")
    if answer.status == 0 and answer.stdout.startswith("age-encryption.org/v1"):
        return ""
    return f"does not work: {answer.fault or answer.first_line or 'it printed nothing'}"

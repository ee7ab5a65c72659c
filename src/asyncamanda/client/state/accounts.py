"""Which accounts this machine has, and since when: kept beside the agent's memory.

Written at each backup, and by the broker for whoever comes from a network's directory. Nobody but
the Amanda user reads or writes it. One that cannot be read begins again: accounts are as young then
as their homes.
"""

import fcntl
import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from asyncamanda.core.restore.accounts import (
    SeenAccount,
    SeenAccounts,
    look_again,
    meet,
    parse_passwd,
)
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.report.json import time_value
from asyncamanda.system.files import write_whole

FILE_NAME = "accounts.json"
LOCK_NAME = "accounts.lock"  # of who changes it
PASSWD = Path("/etc/passwd")

_UNDECODABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def read_accounts(folder: Path) -> SeenAccounts | None:
    """Return what was written down in `folder`; None if nothing was, or it is damaged."""
    try:
        return _decode(parse_json((folder / FILE_NAME).read_text("utf-8")))
    except (OSError, *_UNDECODABLE):
        return None


def write_accounts(folder: Path, seen: SeenAccounts) -> None:
    """Write `seen` down. Raises OSError."""
    value = {
        "began_at": time_value(seen.began_at),
        "looked_at": time_value(seen.looked_at),
        "accounts": [
            {
                "uid": one.uid,
                "name": one.name,
                "since": time_value(one.since),
                "local": one.is_local,
            }
            for one in seen.accounts
        ],
    }
    write_whole(folder / FILE_NAME, json.dumps(value, indent=1) + "\n", 0o600)


def note_accounts(folder: Path, now: datetime) -> None:
    """Look which accounts there are, and write it down; what prevents that prevents no backup."""
    with suppress(OSError), _hold(folder):
        local = parse_passwd(PASSWD.read_text("utf-8", "surrogateescape"))
        write_accounts(folder, look_again(read_accounts(folder), local, _ask_name, now))


def meet_account(folder: Path, uid: int, name: str, now: datetime) -> SeenAccounts | None:
    """Return what is written down in `folder`, and one more account, which is written down if new.

    None if nothing was written down before.
    """
    seen = read_accounts(folder)
    if seen is None or seen.find(uid, name):
        return seen
    with suppress(OSError), _hold(folder):
        changed = read_accounts(folder)  # by who held it before
        if changed is not None:
            changed = meet(changed, uid, name, now)
            write_accounts(folder, changed)
        return changed
    return meet(seen, uid, name, now)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Let nobody else change it meanwhile: an account that has gone must not come back so.

    Raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(folder / LOCK_NAME, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for as long as it takes to write it
        yield
    finally:
        os.close(descriptor)


def _ask_name(uid: int) -> str | None:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return None


def _decode(value: dict[str, Any]) -> SeenAccounts:
    return SeenAccounts(
        _time(value["began_at"]),
        _time(value["looked_at"]),
        tuple(_decode_account(one) for one in value["accounts"]),
    )


def _decode_account(value: dict[str, Any]) -> SeenAccount:
    uid, name, is_local = value["uid"], value["name"], value["local"]
    if type(uid) is not int or not isinstance(name, str) or not isinstance(is_local, bool):
        raise TypeError("no account")
    return SeenAccount(uid, name, _time(value["since"]), is_local)


def _time(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time has no time zone")
    return moment

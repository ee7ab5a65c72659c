"""What one user of this machine may ask the broker for: so much at a time, and so often.

The server limits what this machine asks for. So without limits for each user here one of them could
use up what is everybody's, and root's.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.dispatch.rate_limit import Allowance, Bucket, fill, take
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.core.values.interval import format_interval
from asyncamanda.errors import LaterError
from asyncamanda.system.files import write_whole

AT_ONCE = 2  # of one user's
RESTORES = Allowance(per=timedelta(minutes=3), burst=20)  # a third of the server's, in an hour
TURNS, TIMES = "restores.lock", "restores.json"

_OF_TIMES = 0  # the byte whose lock is for whoever writes TIMES; root has no turns


class UserTurn:
    """One of a user's turns, held; made by take_turn()."""

    def __init__(self, state: Path, descriptor: int, uid: int) -> None:
        self._state = state
        self._descriptor = descriptor
        self._uid = uid

    def count_restore(self, now: datetime) -> None:
        """Count a restore of the user's. Raises LaterError if there were too many lately."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, _OF_TIMES)
        try:
            self._count(now)
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _OF_TIMES)

    def _count(self, now: datetime) -> None:
        path = self._state / TIMES
        buckets = _read_buckets(path)
        bucket, wait = take(buckets.get(self._uid) or fill(RESTORES, now), RESTORES, now)
        if wait is not None:
            raise LaterError(
                "too-many-restores",
                "this user has asked for files too often",
                f"try again in {format_interval(wait)}, and ask for several files at once",
            )
        buckets[self._uid] = bucket
        value = {str(uid): [one.tokens, one.at.isoformat()] for uid, one in buckets.items()}
        with contextlib.suppress(OSError):  # a full disk: the server has a limit, too
            write_whole(path, json.dumps(value) + "\n", 0o600)


@contextlib.contextmanager
def take_turn(state: Path, uid: int) -> Iterator[UserTurn]:
    """Hold one of the user's turns for as long as the block. Raises LaterError if all are taken.

    They are bytes of a file, which nobody but the Amanda user can open. A lock ends with its
    process, and as soon as that closes the file anywhere: it is opened once.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(state / TURNS, flags, 0o600)
    except OSError as error:
        raise LaterError(
            "state-not-writable", f"{state} cannot be written: {error.strerror}", "see its mode"
        ) from error
    try:
        if not any(_lock(descriptor, AT_ONCE * uid + turn) for turn in range(AT_ONCE)):
            raise LaterError(
                "too-many-restores",
                f"{AT_ONCE} requests of this user's are being answered already",
                "wait until one of them has ended",
            )
        yield UserTurn(state, descriptor, uid)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, byte: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except OSError:
        return False
    return True


def _read_buckets(path: Path) -> dict[int, Bucket]:
    """Return what each user has left; nothing is known of anybody if that cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        value = parse_json(path.read_text("utf-8"))
        return {
            int(uid): Bucket(float(tokens), datetime.fromisoformat(at))
            for uid, (tokens, at) in value.items()
        }
    return {}

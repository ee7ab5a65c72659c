"""One at a time: a lock on a folder that only its owner and root can open, which leaves nothing."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from asyncamanda.errors import LaterError
from asyncamanda.system.clock import now

LOCK_POLL = 0.05  # seconds


@contextlib.contextmanager
def hold_folder(folder: Path, what: str, within: timedelta) -> Iterator[None]:
    """Be the only one of us who holds `folder`, to change `what`.

    Raises OSError if it cannot be opened, and LaterError if another holds it for longer than
    `within`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_up_at = now() + within
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if now() >= give_up_at:
                    raise LaterError(
                        "registry-locked",
                        f"{what} is being changed by another asyncamanda",
                        f"`fuser -v {folder}` names who; try again",
                    ) from error
            time.sleep(LOCK_POLL)
        yield
    finally:
        os.close(descriptor)

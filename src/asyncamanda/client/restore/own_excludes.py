"""What this client itself leaves out of its backups: nothing of that is missing in a restore."""

import os
import stat
from collections.abc import Callable

from asyncamanda.core.amanda.excludes import CLIENT_LIST, check_pattern, compile_patterns

LARGEST = 1 << 16  # bytes of the list


def read_own_excludes() -> Callable[[bytes], bool]:
    """Return what tells whether a path in a disk is left out by client.toml as of the last backup.

    Nothing is, by what this user may not read. The list is the Amanda user's, and this may be
    root's process: it waits for nothing, and follows no link.
    """
    patterns: list[str] = []
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(CLIENT_LIST, flags)
    except OSError:
        return compile_patterns(patterns)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            text = os.read(descriptor, LARGEST).decode("utf-8", "surrogateescape")
            patterns = [line for line in text.split("\n") if _is_pattern(line)]
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return compile_patterns(patterns)


def _is_pattern(line: str) -> bool:
    try:
        check_pattern(line)
    except ValueError:
        return False
    return True

"""What this client itself leaves out of its backups: nothing of that is missing in a restore."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.amanda.excludes import CLIENT_LIST, check_pattern, compile_patterns
from asyncamanda.system.files import read_regular

LARGEST = 1 << 16  # bytes of the list


def read_own_excludes() -> Callable[[bytes], bool]:
    """Return what tells whether a path in a disk is left out by client.toml as of the last backup.

    Nothing is, by what this user may not read. The list is the Amanda user's, and this may be
    root's process: it waits for nothing, and follows no link.
    """
    text = ""
    with suppress(OSError):
        text = read_regular(Path(CLIENT_LIST), LARGEST).decode("utf-8", "surrogateescape")
    return compile_patterns(line for line in text.split("\n") if _is_pattern(line))


def _is_pattern(line: str) -> bool:
    try:
        check_pattern(line)
    except ValueError:
        return False
    return True

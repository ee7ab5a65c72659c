"""The exclude list of client.toml, in the file that Amanda reads on this client."""

import errno

from asyncamanda.client.start.settings import Plan
from asyncamanda.config.client import SYSTEM_FILE
from asyncamanda.core.amanda.excludes import render_list
from asyncamanda.errors import AsyncamandaError, ConfigurationError, LaterError, RefusedError
from asyncamanda.system.files import read_regular, write_whole

LARGEST = 1 << 20  # bytes that are compared

_HINTS = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EROFS: "its file system is mounted read-only: after a device error? dmesg says so",
    errno.EISDIR: "it is a folder: remove what is there",
}


def write_excludes(plan: Plan) -> None:
    """Let the file say what client.toml does; without any patterns there need not be one.

    What is there and cannot be read is replaced. Raises LaterError or RefusedError if it cannot be
    written: nothing is to be backed up that is meant to be left out, nor left out that is not.
    ConfigurationError: there are patterns, and no file that Amanda would read them in.
    """
    path = plan.excludes_file
    if path is None:
        if plan.exclude:
            raise ConfigurationError(
                "exclude-unread",
                f"`exclude` has no effect but in {SYSTEM_FILE}: Amanda reads that list alone",
                f"move it there, or take it out of this client.toml: {', '.join(plan.exclude)}",
            )
        return
    wanted = render_list(plan.exclude)
    present: bytes | None = None
    try:
        present = read_regular(path, LARGEST)
    except FileNotFoundError:
        present = b""
    except OSError:
        pass
    if wanted.encode("utf-8", "surrogateescape") == present:
        return
    try:
        write_whole(path, wanted, 0o600)
    except OSError as error:
        raise _unwritten(f"{path} cannot be written: {error.strerror}", error) from error


def _unwritten(words: str, error: OSError) -> AsyncamandaError:
    """Return the error: later if it is a matter of room."""
    kind = LaterError if error.errno in {errno.ENOSPC, errno.EDQUOT} else RefusedError
    usual = "is the folder the Amanda user's? `asyncamanda doctor` checks that"
    hint = _HINTS.get(error.errno or 0, usual)
    return kind(
        "excludes-not-written",
        words,
        f"{hint}. Without it a backup would have in it what `exclude` in client.toml leaves out",
    )

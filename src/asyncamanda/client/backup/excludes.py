"""The exclude list of client.toml, in the file that Amanda reads on this client."""

from contextlib import suppress
from pathlib import Path

from asyncamanda.client.start.settings import Plan
from asyncamanda.core.amanda.excludes import render_list
from asyncamanda.errors import LaterError
from asyncamanda.system.files import write_whole


def write_excludes(plan: Plan) -> None:
    """Let the file say what client.toml does; without any patterns there need not be one.

    Raises LaterError if it cannot be written: nothing is to be backed up that is meant to be left
    out.
    """
    if plan.excludes_file is None:
        return
    wanted, present = render_list(plan.exclude), ""
    with suppress(FileNotFoundError):
        present = _read(plan.excludes_file)
    if wanted == present:
        return
    try:
        write_whole(plan.excludes_file, wanted, 0o600)
    except OSError as error:
        raise LaterError(
            "excludes-not-written",
            f"{plan.excludes_file} cannot be written: {error.strerror}",
            "is there room, and is the folder the Amanda user's? `asyncamanda doctor` checks both",
        ) from error


def _read(path: Path) -> str:
    return path.read_text("utf-8", "surrogateescape")

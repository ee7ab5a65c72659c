"""Making an export: one at a time, whole or not at all."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from asyncamanda.core.export.manifest import ExportHead
from asyncamanda.errors import LaterError, RefusedError
from asyncamanda.server.export.archive import ExportWriter
from asyncamanda.server.export.output import new_file
from asyncamanda.server.export.sealing import sealing
from asyncamanda.server.export.sources import ServerSources, write_members
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.system.account import act_as, find_user
from asyncamanda.system.locks import Held, hold_lock


@dataclass(frozen=True, slots=True)
class MadeExport:
    """An export: what it says of itself, how many files it holds, and their bytes."""

    head: ExportHead
    files: int
    size: int


def export_to(
    path: Path, sources: ServerSources, recipients: Sequence[str], at: datetime
) -> MadeExport:
    """Export into a file, which is there whole at the end.

    Raises RefusedError where that cannot be, LaterError while another is being made, and
    ConfigurationError if it cannot be encrypted.
    """
    with new_file(path) as output:
        return export(output, sources, recipients, at)


def export(
    output: int, sources: ServerSources, recipients: Sequence[str], at: datetime
) -> MadeExport:
    """Do the same into an open file or a pipe. Raises OSError, too, if that cannot be written."""
    account = find_user(sources.config.user)
    with sealing(recipients, output) as file, act_as(account), _alone(at):
        writer = ExportWriter(file, int(at.timestamp()))
        head = write_members(writer, sources, at)
        writer.end()
    return MadeExport(head, writer.count, writer.size)


@contextmanager
def _alone(at: datetime) -> Iterator[None]:
    if not Path(STATE).is_dir():
        raise RefusedError(
            "no-server",
            f"there is no {STATE}: nothing is here to be exported",
            "as root: asyncamanda server setup",
        )
    try:
        with hold_lock(Path(STATE, "export.lock"), at):
            yield
    except Held as held:
        raise LaterError(
            "export-running",
            f"another export is being made, by process {held.holder.pid}",
            "again in a while",
        ) from held
    except PermissionError as error:
        raise RefusedError(
            "not-amanda-user",
            f"{error.filename or STATE} may not be read by uid {os.geteuid()}",
            "run the same command as root, and let what is in Amanda's folders be its user's",
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EPIPE}:
            raise
        raise RefusedError(
            "not-exported",
            f"{error.filename or STATE} cannot be read: {error.strerror}",
            "`asyncamanda server doctor` may say why",
        ) from error

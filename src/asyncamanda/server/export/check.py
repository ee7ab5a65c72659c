"""A doctor's look at the exports that are made by themselves."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.doctor.exports import judge_export
from asyncamanda.core.doctor.findings import Check
from asyncamanda.errors import LaterError
from asyncamanda.server.export.daily import find_newest_end, read_last
from asyncamanda.system.account import act_as, find_user
from asyncamanda.system.clock import now


def check_export(config: ServerConfig) -> Iterator[Check]:
    """Yield the check, if exports are configured. Raises ConfigurationError without the account."""
    folder = config.export.folder
    if not folder:
        return
    with act_as(find_user(config.user)):
        last, ended_at = read_last(), None
        with suppress(LaterError):  # other checks are about the ledger
            ended_at = find_newest_end(config.ledger)
        is_there = bool(last and last.path) and Path(last.path if last else "").is_file()
    yield judge_export(folder, last, ended_at, now(), is_there=is_there)

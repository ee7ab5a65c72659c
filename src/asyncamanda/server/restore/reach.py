"""How far back each client's files can be restored, and what the volumes say of how long."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.tapelist import parse_tapelist
from asyncamanda.core.model import EPOCH
from asyncamanda.core.restore.retention import describe_volumes, find_reach
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.amanda.commands import plan_config
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.disks import describe_disks
from asyncamanda.server.restore.shelves import Catalogue
from asyncamanda.server.restore.source import Source, Stock, read_stock
from asyncamanda.system.programs import run_program

_ASKED_WITHIN = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Reach:
    """Since when all of a client's disks can be restored, None if not all can; each disk's own.

    `seen_until` is of what date the newest dump of each was that was looked for.
    """

    since: datetime | None
    disks: dict[str, datetime | None]
    seen_until: dict[str, datetime]


def find_reaches(
    config: ServerConfig, ledger: Ledger, amanda_config: str, clients: Iterable[str]
) -> dict[str, Reach | AsyncamandaError]:
    """Return how far back each client's backups go, or why that cannot be told.

    Each dump that is there is looked at; Amanda is asked once, for all of them. Raises what
    read_stock() raises.
    """
    return find_reaches_in(read_stock(amanda_config), config, ledger, clients)


def find_reaches_in(
    stock: Stock,
    config: ServerConfig,
    ledger: Ledger,
    clients: Iterable[str],
    ask: Callable[[str, str], str] | None = None,
) -> dict[str, Reach | AsyncamandaError]:
    """Do what find_reaches() does, by what Amanda said; `ask` is as in Catalogue."""
    found: dict[str, Reach | AsyncamandaError] = {}
    catalogue, allow_list = Catalogue(stock.settings, ask), config.restore.filters
    since = _find_oldest(stock.settings.tapelist)
    for client in clients:
        try:
            source = stock.find_source(ledger, client, allow_list, catalogue, since)
            found[client] = _find_reach(source)
        except AsyncamandaError as error:
            found[client] = error
    return found


def _find_oldest(tapelist: Path) -> str:
    """Return the timestamp of the run that wrote the oldest volume; "" if that is not known.

    What was stored before is gone: the tapelist has each volume that Amanda knows, with the run
    that began with it last (tapelist(5)).
    """
    try:
        volumes = parse_tapelist(tapelist.read_text("utf-8", "replace"))
    except (OSError, ValueError):
        return ""
    return min((volume.timestamp for volume in volumes if volume.timestamp), default="")


def _find_reach(source: Source) -> Reach:
    """Return how far back they go of one. Disks that are parked do not count."""
    meant = [disk for disk, dle in source.dles.items() if not dle.is_parked]
    found = {each.disk: each.dumps for each in describe_disks(source)}
    first_at = {
        disk: dumps[0].verdict.dumped_at if (dumps := found.get(disk)) else None for disk in meant
    }
    newest_at = {}
    for disk in meant:
        dates = [dump.verdict.dumped_at or EPOCH for dump in source.dumps_of(disk)]
        newest_at[disk] = max(dates, default=EPOCH)
    return Reach(find_reach(meant, first_at), first_at, newest_at)


def tell_volumes(amanda_config: str) -> str:
    """Return what the volumes of a configuration say, "" if Amanda or its tapelist cannot."""
    answer = run_program(plan_config(amanda_config), _ASKED_WITHIN, encoding="utf-8")
    if answer.status != 0:
        return ""
    said = parse_config(answer.stdout)
    path = AMANDA_FOLDER / amanda_config / (said.value("TAPELIST") or "tapelist")
    try:
        # Amanda makes it with the first volume
        text = path.read_text("utf-8", "replace") if path.exists() else ""
        return describe_volumes(parse_tapelist(text), int(said.value("TAPECYCLE")))
    except (OSError, ValueError):
        return ""

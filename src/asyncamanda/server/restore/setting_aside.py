"""Setting aside what a lost client is to be restored from: each disk's newest chain that is whole.

Its files are kept as they are, so that neither a volume nor a flush is in the way. Where there is
no room for that, the volumes that have them are kept instead, if Amanda has enough others.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import BadDataError, NotStoredError
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.aside import AsidePlace, AsideStore, count_stored
from asyncamanda.server.restore.disks import describe_disks
from asyncamanda.server.restore.dump_files import DumpFiles, WantedDump
from asyncamanda.server.restore.kept_volumes import KeptVolumes
from asyncamanda.server.restore.source import Source, read_source


@dataclass(frozen=True, slots=True)
class SetAside:
    """What is kept for a client: how many dumps, of how many bytes in all; or these volumes.

    `lost_disks` are those of which the server once had dumps, and can restore nothing any more.
    """

    dumps: int = 0
    size: int = 0
    volumes: tuple[str, ...] = ()
    lost_disks: tuple[str, ...] = ()


def set_aside(config: ServerConfig, ledger: Ledger, amanda_config: str, client: str) -> SetAside:
    """Keep what `client` is to be restored from; return what that is. Again it changes nothing.

    Raises NotStoredError, with the sum, where neither the disks have room for it nor Amanda has
    volumes to spare; and what read_source() and Shelves.open() raise.
    """
    source = read_source(ledger, amanda_config, client, config.restore.filters)
    wanted, lost_disks = _find_wanted(source)
    store, kept = source.shelves.aside, KeptVolumes(source.settings, client)
    with ExitStack() as stack:
        lacking: list[tuple[WantedDump, DumpFiles]] = []
        on_volumes = False  # which only Amanda can read
        for dump in wanted:
            if store.has(dump):
                continue
            files = source.shelves.open(dump)
            stack.callback(files.close)
            if isinstance(files, DumpFiles):
                lacking.append((dump, files))
            else:
                on_volumes = True
        need = sum(count_stored(files) for _, files in lacking)
        place = None if on_volumes else _choose_place(store.places, need)
        if place is None:
            labels = _find_labels(source, wanted, kept, need)
            kept.keep(labels)
            return SetAside(len(wanted), 0, tuple(labels), lost_disks)
        for dump, files in lacking:
            _store(store, dump, files, place)
    store.supersede(wanted)
    kept.release()  # of a time when there was no room
    return SetAside(len(wanted), store.count_bytes(), (), lost_disks)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept for a client just now: how many bytes are set aside, and which volumes."""

    size: int = 0
    volumes: tuple[str, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether anything is."""
        return bool(self.size or self.volumes)


def find_kept(settings: Settings, client: str) -> Kept:
    """Return what is kept for a client."""
    return Kept(AsideStore(settings, client).count_bytes(), KeptVolumes(settings, client).labels)


def find_cut_off(
    config: ServerConfig, ledger: Ledger, amanda_config: str, client: str
) -> list[str]:
    """Return the disks whose newest dump could not be restored but for what is set aside.

    Raises what read_source() and Shelves.peek() raise.
    """
    source = read_source(ledger, amanda_config, client, config.restore.filters)
    source.shelves.aside = AsideStore(source.settings, client, ())
    return [disk for disk in source.dles if source.dumps_of(disk) and _is_cut_off(source, disk)]


def _is_cut_off(source: Source, disk: str) -> bool:
    try:
        chain = source.choose(disk)
    except BadDataError:  # its full was never there
        return True
    return any(source.shelves.peek(source.wanted(dump)) is None for dump in chain.dumps)


def release(settings: Settings, client: str) -> Kept:
    """Keep nothing for a client any more; return what was.

    Raises NotStoredError if something cannot be removed.
    """
    store, kept = AsideStore(settings, client), find_kept(settings, client)
    try:
        store.keep_only(())
    except OSError as error:
        raise NotStoredError(
            "not-removed",
            f"what is set aside for {client} cannot be removed: {error.strerror}",
            "the same command tries again",
        ) from error
    KeptVolumes(settings, client).release()
    return kept


def _find_wanted(source: Source) -> tuple[list[WantedDump], tuple[str, ...]]:
    """Return the dumps of each disk's newest chain, and the disks that have none any more."""
    wanted: dict[WantedDump, None] = {}
    lost = []
    for found in describe_disks(source):
        if found.dumps:
            chain = source.choose(found.disk, run=found.dumps[-1].verdict.timestamp)
            wanted |= dict.fromkeys(map(source.wanted, chain.dumps))
        elif source.dumps_of(found.disk):
            lost.append(found.disk)
    return [*wanted], tuple(lost)


def _choose_place(places: Sequence[AsidePlace], need: int) -> AsidePlace | None:
    return next((place for place in places if place.free >= need), None)


def _store(store: AsideStore, dump: WantedDump, files: DumpFiles, place: AsidePlace) -> None:
    try:
        store.store(dump, files, place)
    except OSError as error:
        raise NotStoredError(
            "not-set-aside",
            f"the dump {dump.timestamp} of {dump.host}:{dump.disk} cannot be set aside in "
            f"{place.folder}: {error.strerror}",
            "the same command goes on with those that are missing",
        ) from error


def _find_labels(
    source: Source, wanted: Sequence[WantedDump], kept: KeptVolumes, need: int
) -> list[str]:
    """Return the volumes on which all of it is, if Amanda can do without them.

    Raises NotStoredError if it cannot, or not all of it is on volumes.
    """
    labels: dict[str, None] = {}
    why = ""
    for dump in wanted:
        if source.shelves.aside.has(dump):
            continue
        found = source.shelves.list_volumes(dump)
        labels |= dict.fromkeys(found)
        if not found:
            why = f"the dump {dump.timestamp} of {dump.disk} is not on volumes yet"
    why = why or kept.judge(labels)
    if not why:
        return [*labels]
    places = source.shelves.aside.places
    free = max((place.free for place in places), default=0)
    raise NotStoredError(
        "no-room-aside",
        f"the newest backup of {source.host} is not kept from being overwritten: it has "
        f"{format_size(need)}, and {' and '.join(str(place.folder) for place in places)} have "
        f"room for {format_size(free)}; its volumes cannot be kept instead, since {why}",
        f"make room in one of these folders, and run again: asyncamanda server lost {source.host}",
    )

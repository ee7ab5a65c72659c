"""What of this server goes into an export, read with the Amanda user's rights but for root's keys.

Volumes and held dumps do not: they are what the rest is for. Kept heads and Amanda's indexes go
only if asked for: both are large, and are in the dumps.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from asyncamanda import __version__
from asyncamanda.config.server import SERVER_FILE, ServerConfig
from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.export.manifest import ExportedConfig, ExportHead, render_head
from asyncamanda.core.export.members import (
    AMANDA,
    BEFORE_IMPORT,
    COMMON,
    CONF,
    HEAD,
    HEADS,
    HOST_KEYS,
    INDEX,
    INFO,
    KEPT,
    LEDGER,
    LOGS,
    OWN_PARTS,
    REGISTRY,
    SERVER_TOML,
    TAPELIST,
    parse_member_name,
)
from asyncamanda.errors import RefusedError
from asyncamanda.server.amanda.commands import Settings, parse_settings, plan_config
from asyncamanda.server.enrol.amanda_configs import find_amanda_configs
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.export.archive import PIECE, ExportWriter
from asyncamanda.server.export.ledger_copy import copy_ledger
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.server.ledger.schema import FORMAT as LEDGER_FORMAT
from asyncamanda.system.account import find_user
from asyncamanda.system.programs import run_program

SSH_FOLDER = Path("/etc/ssh")
OWN_FOLDERS = {part: Path(STATE, part) for part in OWN_PARTS}  # each has one of a configuration
SCRATCH = Path(STATE, ".export")


@dataclass(frozen=True, slots=True)
class AmandaPlaces:
    """An Amanda configuration: what it says, and where its indexes lie."""

    settings: Settings
    indexdir: Path


@dataclass(frozen=True, slots=True)
class ServerSources:
    """A server that is to be exported. `host_keys` are files of root's, by name, with their text.

    `with_heads`: with what is in the dumps, too.
    """

    config: ServerConfig
    configs: tuple[AmandaPlaces, ...]
    host_keys: dict[str, bytes]
    with_heads: bool
    server_file: Path = SERVER_FILE


def find_places(user: str) -> tuple[AmandaPlaces, ...]:
    """Return where all Amanda configurations of this server have what.

    To be called by root or the Amanda user. Raises what parse_settings() raises.
    """
    account = find_user(user) if os.geteuid() == 0 else None
    found = []
    for name in find_amanda_configs():
        answer = run_program(plan_config(name), account=account)
        settings = parse_settings(name, answer)
        index = parse_config(answer.stdout).value("INDEXDIR")
        found.append(AmandaPlaces(settings, settings.folder / (index or "index")))
    return tuple(found)


def read_host_keys() -> dict[str, bytes]:
    """Return the files of this machine's host keys, by name. Raises RefusedError if there is none.

    For root alone.
    """
    found = {path.name: path.read_bytes() for path in sorted(SSH_FOLDER.glob("ssh_host_*_key*"))}
    kept = {name: text for name, text in found.items() if _is_member(f"{HOST_KEYS}/{name}")}
    if not kept:
        raise RefusedError(
            "no-host-keys", f"there are no host keys in {SSH_FOLDER}", "export without --host-keys"
        )
    return kept


def write_members(writer: ExportWriter, sources: ServerSources, made_at: datetime) -> ExportHead:
    """Write all of an export but its end; return its head.

    The ledger comes before Amanda's logs: what these have more is read from them later. Raises
    RefusedError, LaterError, OSError.
    """
    config = sources.config
    registry = registry_path(config.user)
    with copy_ledger(config.ledger, SCRATCH) as ledger:
        head = ExportHead(
            made_at=made_at,
            host=os.uname().nodename,
            version=__version__,
            user=config.user,
            ledger_format=LEDGER_FORMAT if ledger else None,
            is_remote=not config.ledger.startswith("/"),
            configs=tuple(map(_describe, sources.configs)),
            clients=tuple(dict.fromkeys(entry.client for entry in read_registry(registry))),
        )
        writer.add_text(HEAD, render_head(head))
        for name, path in ((SERVER_TOML, sources.server_file), (REGISTRY, registry)):
            _add_file(writer, name, path)
        for name, text in sources.host_keys.items():
            writer.add_text(f"{HOST_KEYS}/{name}", text, 0o644 if name.endswith(".pub") else 0o600)
        if ledger:
            size = os.fstat(ledger.fileno()).st_size
            writer.add(LEDGER, size, _pieces(ledger.fileno()))
    _add_common(writer)
    for places in sources.configs:
        _add_config(writer, places, with_heads=sources.with_heads)
    return head


def _describe(places: AmandaPlaces) -> ExportedConfig:
    settings = places.settings
    named = {
        LOGS: settings.logdir,
        INFO: settings.infofile,
        INDEX: places.indexdir,
        TAPELIST: settings.tapelist,
    }
    return ExportedConfig(
        settings.name,
        {part: os.path.normpath(path) for part, path in named.items()},
        tuple(os.path.normpath(path) for path in settings.vtapes),
        tuple(os.path.normpath(path) for path in settings.holding),
    )


def _add_common(writer: ExportWriter) -> None:
    """Add what lies in Amanda's folder beside the configurations, and may be included by them."""
    own = {*find_amanda_configs()}
    for path in sorted(AMANDA_FOLDER.iterdir()) if AMANDA_FOLDER.is_dir() else []:
        name = path.name
        if name in own or BEFORE_IMPORT in name:
            continue
        if path.is_dir() and not path.is_symlink():
            _add_folder(writer, f"{COMMON}/{name}", path)
        else:
            _add_file(writer, f"{COMMON}/{name}", path)


def _add_config(writer: ExportWriter, places: AmandaPlaces, *, with_heads: bool) -> None:
    settings = places.settings
    head = f"{AMANDA}/{settings.name}"
    _add_folder(writer, f"{head}/{CONF}", settings.folder)
    if not settings.tapelist.is_relative_to(settings.folder):
        _add_file(writer, f"{head}/{TAPELIST}/{settings.tapelist.name}", settings.tapelist)
    for path in sorted(settings.logdir.glob("log.*")):
        if not path.is_symlink():
            _add_file(writer, f"{head}/{LOGS}/{path.name}", path)
    _add_folder(writer, f"{head}/{INFO}", settings.infofile)
    _add_folder(writer, f"{head}/{KEPT}", OWN_FOLDERS[KEPT] / settings.name)
    if with_heads:
        _add_folder(writer, f"{head}/{INDEX}", places.indexdir)
        _add_folder(writer, f"{head}/{HEADS}", OWN_FOLDERS[HEADS] / settings.name)


def _add_folder(writer: ExportWriter, name: str, folder: Path) -> None:
    for place, folders, files in os.walk(folder):
        folders.sort()
        below = Path(place).relative_to(folder)
        for file in sorted(files):
            _add_file(writer, f"{name}/{(below / file).as_posix()}", Path(place, file))


def _add_file(writer: ExportWriter, name: str, path: Path) -> None:
    """Add a file, if it is a regular one that is there still; links are followed."""
    if not _is_member(name):
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            mode = 0o600 | (stat.S_IMODE(status.st_mode) & 0o755)
            writer.add(name, status.st_size, _pieces(descriptor), mode)
    finally:
        os.close(descriptor)


def _pieces(descriptor: int) -> Iterator[bytes]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    while piece := os.read(descriptor, PIECE):
        yield piece


def _is_member(name: str) -> bool:
    try:
        parse_member_name(name)
    except ValueError:
        return False
    return True

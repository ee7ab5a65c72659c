"""What an export says of itself: its head, which comes first, and its manifest, which comes last.

Both are JSON in ASCII; names that are no UTF-8 are escaped. What is read may be anybody's: each
value is checked.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from asyncamanda.core.export.members import INDEX, INFO, LOGS, TAPELIST, parse_member_name
from asyncamanda.core.protocol.authority import check_amanda_config_name, check_client_name
from asyncamanda.core.values.foreign import parse_json

FORMAT = 1  # raised with every change that an older asyncamanda would misread
PLACED = (LOGS, INFO, INDEX, TAPELIST)  # the parts of which the configuration says where they lie

_SHA = re.compile(r"[0-9a-f]{64}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class ExportedConfig:
    """An Amanda configuration: its `places` by their parts, its volumes' folders, holding disks."""

    name: str
    places: Mapping[str, str]
    vtapes: tuple[str, ...] = ()
    holding: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportHead:
    """What an export is: made when, of which host, by which version; whose configurations.

    `user` is the Amanda user, `ledger_format` that of the ledger in it, None where there was none.
    `is_remote`: that was kept by a database server. `clients` are those that are enrolled.
    """

    made_at: datetime
    host: str
    version: str
    user: str
    ledger_format: int | None
    is_remote: bool
    configs: tuple[ExportedConfig, ...]
    clients: tuple[str, ...]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class ExportedMember:
    """A member's name, its bytes, their SHA-256, and the file's mode."""

    name: str
    size: int
    sha256: str
    mode: int


class TooNew(ValueError):  # noqa: N818 - it says what an export is
    """The export is of a newer format; `version` is that of the asyncamanda that made it."""

    def __init__(self, version: str) -> None:
        super().__init__("it was made by a newer asyncamanda")
        self.version = version


def render_head(head: ExportHead) -> bytes:
    """Return the head as JSON."""
    value = asdict(head) | {"made_at": head.made_at.isoformat()}
    return json.dumps(value, indent=1).encode("ascii") + b"\n"


def parse_head(text: bytes) -> ExportHead:
    """Return the head that render_head() has rendered.

    Raises TooNew, by what every format has, and ValueError.
    """
    said = parse_json(text)
    try:
        version = str(said["version"])[:40]
        if _number(said["format"]) > FORMAT:
            raise TooNew(version if version.isprintable() else "")
        made_at = datetime.fromisoformat(said["made_at"])
        if made_at.tzinfo is None or not _USER.fullmatch(said["user"]):
            raise ValueError("its date or its user cannot be one")
        for client in said["clients"]:
            check_client_name(client)
        return ExportHead(
            made_at=made_at,
            host=str(said["host"])[:255],
            version=version,
            user=said["user"],
            ledger_format=None if said["ledger_format"] is None else _number(said["ledger_format"]),
            is_remote=bool(said["is_remote"]),
            configs=tuple(map(_parse_config, said["configs"])),
            clients=tuple(said["clients"]),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"its head cannot be read: {error!r}") from error


def _parse_config(said: Any) -> ExportedConfig:
    check_amanda_config_name(said["name"])
    places = {str(part): _check_place(place) for part, place in said["places"].items()}
    if not {*places} <= {*PLACED}:
        raise ValueError("it names a place that no configuration has")
    folders = (tuple(map(_check_place, said[key])) for key in ("vtapes", "holding"))
    return ExportedConfig(said["name"], places, *folders)


def _check_place(place: Any) -> str:
    is_whole = isinstance(place, str) and place.startswith("/") and not place.startswith("//")
    if not is_whole or place == "/" or posixpath.normpath(place) != place or "\0" in place:
        raise ValueError("a place in it is no whole path")
    return str(place)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a number in it is none")
    return value


def render_manifest(members: list[ExportedMember]) -> bytes:
    """Return the manifest of these members as JSON."""
    rows = [[each.name, each.size, each.sha256, each.mode] for each in members]
    return json.dumps({"members": rows}).encode("ascii") + b"\n"


def parse_manifest(text: bytes) -> dict[str, ExportedMember]:
    """Return the members by their names. Raises ValueError."""
    said = parse_json(text)
    found: dict[str, ExportedMember] = {}
    try:
        for name, size, sha256, mode in said["members"]:
            parse_member_name(name)
            if not _SHA.fullmatch(sha256) or name in found:
                raise ValueError("its manifest has a wrong line")
            found[name] = ExportedMember(name, _number(size), sha256, _number(mode))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"its manifest cannot be read: {error!r}") from error
    return found

"""Where an export's members go on a new server, and what is there already."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.export.manifest import ExportedConfig, ExportHead
from asyncamanda.core.export.members import (
    COMMON,
    CONF,
    OWN_PARTS,
    TAPELIST,
    MemberName,
    parse_member_name,
)
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER
from asyncamanda.server.export.sources import OWN_FOLDERS
from asyncamanda.server.export.verified import VerifiedExport

SPARE = 50_000_000  # bytes that are to be free beyond what is written
BLOCK = 4096  # bytes that the smallest file takes


@dataclass(frozen=True, slots=True)
class PlacedMember:
    """A member that is a file of the Amanda user's. `unit` is what it is a part of.

    That is a folder, or the file itself: what is there before the import is judged by units.
    """

    path: Path
    unit: Path


def place_members(export: VerifiedExport) -> dict[str, PlacedMember]:
    """Return where each member goes that is one of Amanda's files, by its name.

    Raises RefusedError if the export has a configuration's file, and not the configuration.
    """
    configs = {each.name: each for each in export.head.configs}
    found = {}
    for name in export.members:
        if placed := _place(parse_member_name(name), configs):
            found[name] = placed
    return found


def _place(member: MemberName, configs: dict[str, ExportedConfig]) -> PlacedMember | None:
    if member.group == COMMON:
        path = AMANDA_FOLDER / member.path
        return PlacedMember(path, AMANDA_FOLDER / path.relative_to(AMANDA_FOLDER).parts[0])
    if not member.amanda_config:
        return None
    config = configs.get(member.amanda_config)
    if config is None or (
        member.group not in {CONF, *OWN_PARTS} and member.group not in config.places
    ):
        raise RefusedError(
            "bad-export",
            f"the export has files of {member.amanda_config}, and does not say where they belong",
            "take another one",
        )
    if member.group == TAPELIST:
        path = Path(config.places[TAPELIST])
        return PlacedMember(path, path)
    if member.group == CONF:
        unit = AMANDA_FOLDER / config.name
    elif member.group in OWN_PARTS:
        unit = OWN_FOLDERS[member.group] / config.name
    else:
        unit = Path(config.places[member.group])
    return PlacedMember(unit / member.path, unit)


def check_places(placed: Iterable[PlacedMember], own: Sequence[Path]) -> None:
    """Raise RefusedError if a member would be in a folder of asyncamanda's `own`.

    Who may come in is not decided there by files that an export has, whatever it calls them.
    """
    for each in placed:
        if any(map(each.unit.is_relative_to, OWN_FOLDERS.values())):
            continue
        real = Path(os.path.realpath(each.path))
        if folder := next((one for one in own if real.is_relative_to(one.resolve())), None):
            raise RefusedError(
                "bad-export",
                f"the export says that files of Amanda's are in {folder}, where none are",
                "take another one; nothing was changed",
            )


def find_units(placed: dict[str, PlacedMember]) -> list[Path]:
    """Return the units of these members, each once, one before those that lie in it."""
    return sorted({each.unit for each in placed.values()}, key=lambda unit: unit.parts)


def find_conflicts(units: list[Path]) -> Iterator[Path]:
    """Yield the units that are there already, with a file in them or as one."""
    for unit in units:
        if not unit.is_dir():
            if os.path.lexists(unit):
                yield unit
        elif any(files for _, _, files in os.walk(unit)):
            yield unit


def check_room(sizes: dict[Path, int]) -> None:
    """Raise RefusedError if a file system has no room for its files, by their sizes; say how much.

    `sizes`: of what is to be written, by its path.
    """
    wanted: dict[int, int] = {}
    examples: dict[int, Path] = {}
    for path, size in sizes.items():
        there = next(parent for parent in path.parents if parent.is_dir())
        device = there.stat().st_dev
        wanted[device] = wanted.get(device, SPARE) + size + BLOCK
        examples.setdefault(device, there)
    for device, size in wanted.items():
        free = shutil.disk_usage(examples[device]).free
        if free < size:
            raise RefusedError(
                "no-room",
                f"the import needs {format_size(size)} in the file system of {examples[device]}, "
                f"and {format_size(free)} are free",
                "make room, and import again; nothing was changed",
            )


def find_missing_volumes(head: ExportHead) -> list[str]:
    """Return the folders of volumes and holding disks that are not there."""
    named = [place for config in head.configs for place in (*config.vtapes, *config.holding)]
    return [place for place in dict.fromkeys(named) if not Path(place).is_dir()]


def in_the_way(conflicts: list[Path]) -> BadDataError:
    """Return the error for what a machine has already."""
    shown = ", ".join(map(str, conflicts[:5]))
    more = f", and {len(conflicts) - 5} more" if len(conflicts) > 5 else ""
    return BadDataError(
        "server-exists",
        f"this machine has these already: {shown}{more}",
        "nothing was changed. With --force they are set aside, under another name beside their "
        "place",
    )

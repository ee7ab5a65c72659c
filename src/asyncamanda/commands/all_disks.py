"""`restore --all`: all disks of this client come back, each at its place below one folder.

The same command goes on with what was cut: a folder, or a disk in place, is known by its record.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from asyncamanda.client.restore.delivery import Delivery, InPlace, NewFolder
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.in_place import Overwrite
from asyncamanda.client.restore.new_folder import find_records
from asyncamanda.client.restore.record_lines import Errand, Part
from asyncamanda.commands.dates import parse_date
from asyncamanda.core.restore.answer import DiskAnswer
from asyncamanda.core.restore.outcome import RestoreOutcome
from asyncamanda.core.restore.request import At
from asyncamanda.core.restore.whereabouts import folder_of
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.errors import BadDataError, RefusedError, UsageError
from asyncamanda.report.text import format_time

ROOT = b"/"
_WHOLE = (b"",)  # the paths of a whole disk


@dataclass(frozen=True, slots=True)
class Everything:
    """Where each disk goes that comes, and why others do not come, by their paths."""

    deliveries: Sequence[Delivery]
    lacking: tuple[tuple[bytes, str], ...] = ()

    def sum_up(self, outcome: RestoreOutcome) -> RestoreOutcome:
        """Return the outcome with the disks that did not come; nothing is to be gone on with."""
        for delivery in self.deliveries:
            if isinstance(delivery, InPlace) and not outcome.is_dry_run:
                delivery.clear()
        return replace(outcome, failed=(*outcome.failed, *self.lacking))


def add_all(parser: argparse.ArgumentParser) -> None:
    """Let the command line ask for all disks."""
    parser.add_argument(
        "--all",
        action="store_true",
        help="all disks, each at its place below the folder of --to, or with --to / where it was; "
        "the same command goes on with one that was cut",
    )


def settle_all(arguments: argparse.Namespace, *, may_be_in_place: bool = True) -> None:
    """Check what --all goes with, and let --to / mean in place. Raises UsageError."""
    is_root = bool(arguments.to) and os.path.realpath(arguments.to) == "/"
    wrong = ""
    if arguments.paths or arguments.disk is not None:
        wrong = "--all brings all disks: name no PATH and no --disk with it"
    elif arguments.raw is not None:
        wrong = "--all and --raw exclude each other"
    elif not arguments.to and not arguments.in_place:
        wrong = "--all needs --to DIR, or --to / to put everything where it was"
    elif is_root and not may_be_in_place:
        wrong = "--to / would put a client's files over those of this server"
    if wrong:
        raise UsageError("usage", wrong, "asyncamanda restore --help lists the options")
    if is_root:
        arguments.in_place, arguments.to = True, None


def refuse_all() -> RefusedError:
    """Return the error for an ordinary user who asks for all."""
    return RefusedError(
        "only-root",
        "--all brings everybody's files, so only root may have them",
        "you or your administrator can do it, as root: asyncamanda restore",
    )


def plan_all(
    arguments: argparse.Namespace, gateway: Gateway, target: Path | None, keyed_at: datetime | None
) -> Everything:
    """Return what is to be done; `target` is the folder, None for in place.

    Of each disk that is the newest date that can be restored whole. `keyed_at` is when this machine
    got its key, if that is known. Raises BadDataError if there is no disk at all, UsageError where
    a date has to be chosen, and what Gateway.ask_disks() and NewFolder raise.
    """
    at = parse_date(arguments.at)
    disks = gateway.ask_disks(asks_on=True)
    if arguments.at is None and keyed_at:
        _check_whose(arguments, disks, keyed_at)
    parts: list[Part] = []
    lacking: dict[str, str] = {}
    for disk in disks:
        found = _find_run(disk, at)
        if isinstance(found, At):
            parts.append(Part(disk.disk, disk.device, _WHOLE, found))
        else:
            lacking[disk.disk] = found
    if not parts:
        raise _explain_nothing(lacking)
    parts.sort(key=lambda part: (folder_of(part) or b"", part.disk))  # what is above comes first
    named = tuple((_name(disk), lacking[disk.disk]) for disk in disks if disk.disk in lacking)
    if target is None:
        deliveries: list[Delivery] = [*_plan_in_place(arguments, parts)]
        return Everything(deliveries, named)
    return Everything([_plan_folder(arguments, parts, target)], named)


def _check_whose(
    arguments: argparse.Namespace, disks: Sequence[DiskAnswer], keyed_at: datetime
) -> None:
    """Raise UsageError if the newest backup of a disk may have less than that of a lost machine.

    That is where a machine that replaces another was backed up before all had come back to it.
    """
    for disk in disks:
        times = [dump.dumped_at for dump in disk.runs] if disk.is_listable else []
        if not times or not min(times) < keyed_at < times[-1]:
            continue
        then = format_time(keyed_at)
        words = ["--to", "/" if arguments.in_place else arguments.to]
        if arguments.overwrite:
            words += ["--overwrite", arguments.overwrite]
        rest = " ".join(map(quote_word, words))
        raise UsageError(
            "which-machine",
            f"there are backups of before {then}, when this machine got its key, and of since "
            "then: if it replaces another machine, only the former have what was on that one",
            f"as it was before: asyncamanda restore --all --at {quote_word(then)} {rest}\n"
            f"as it was last: asyncamanda restore --all --at latest {rest}",
        )


def _plan_folder(arguments: argparse.Namespace, parts: Sequence[Part], target: Path) -> NewFolder:
    """Return what goes on in the folder, or begins."""
    again, words = _say_at(arguments), ("--all",)
    if target.parent.is_dir() and target in find_records(target.parent):
        delivery = NewFolder.resume(target, again, words)
        if _is_of_all(delivery.errand, parts):
            return delivery
        delivery.close()
        raise UsageError(
            "other-paths",
            f"another restore to {target} was cut, and --all is more than that",
            "go on with that one: asyncamanda restore --resume --to "
            f"{quote_word(str(target))}; or name another folder",
        )
    return NewFolder(Errand(tuple(parts), ROOT), target, again, words)


def _is_of_all(errand: Errand, parts: Sequence[Part]) -> bool:
    """Return whether what was begun is all of these disks, and each at its place."""
    begun = {part.disk: part.paths for part in errand.parts}
    is_whole = {*begun.values()} == {_WHOLE} and begun.keys() >= {part.disk for part in parts}
    return is_whole and errand.base == ROOT


def _plan_in_place(arguments: argparse.Namespace, parts: Sequence[Part]) -> list[InPlace]:
    """Return a delivery for each disk, which goes on if it was begun."""
    again = ["--all", *_say_at(arguments), "--to", "/"]
    if arguments.overwrite:
        again += ["--overwrite", arguments.overwrite]
    overwrite = arguments.overwrite or Overwrite.NEVER.value
    deliveries = [InPlace.one_of_all(Errand((part,), b"", overwrite), again) for part in parts]
    for delivery in deliveries:
        delivery.check_overwrite(arguments.overwrite)
    return deliveries


def _say_at(arguments: argparse.Namespace) -> list[str]:
    return ["--at", arguments.at] if arguments.at else []


def _find_run(disk: DiskAnswer, at: At) -> At | str:
    """Return of which run a disk comes, or why its files cannot come."""
    if not disk.is_listable:
        return disk.reason or "single files cannot be restored"
    if folder_of(disk) is None:
        return "it has no place of its own: its device is not a path"
    if at.run:
        return at
    runs = [dump for dump in disk.runs if at.before is None or dump.dumped_at <= at.before]
    if not runs:
        return "the server has no backup of it that is so old"
    return At(run=runs[-1].run)


def _explain_nothing(lacking: dict[str, str]) -> BadDataError:
    why = "; ".join(f"{disk}: {reason}" for disk, reason in lacking.items())
    return BadDataError(
        "nothing-to-restore",
        f"nothing of this client can be restored{f' ({why})' if why else ''}",
        "`asyncamanda list` shows what the server has; is this the client's right name?",
    )


def _name(disk: DiskAnswer) -> bytes:
    return (disk.device or disk.disk).encode("utf-8", "surrogateescape")

"""asyncamanda restore: files come back, into a new folder or where they were."""

import argparse
import contextlib
from functools import partial
from pathlib import Path

from asyncamanda.client.restore.delivery import (
    Delivery,
    InPlace,
    NewFolder,
    find_here,
    list_wanted,
    plan_errand,
)
from asyncamanda.client.restore.exchange import Interrupted
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.in_place import Overwrite
from asyncamanda.client.restore.new_folder import find_records, no_record
from asyncamanda.client.restore.peer import only_root
from asyncamanda.client.restore.record_lines import Errand, Part
from asyncamanda.client.restore.restoring import restore_all
from asyncamanda.client.restore.seeking import FindNames, Seeker, absolute_names, name_here
from asyncamanda.client.restore.way import OpenWay, Way, choose_way, open_line
from asyncamanda.client.setup.keys import read_key_time
from asyncamanda.commands.all_disks import (
    Everything,
    add_all,
    plan_all,
    refuse_all,
    settle_all,
)
from asyncamanda.commands.dates import add_date, parse_date
from asyncamanda.commands.hints import name_options, naming, settle_paths
from asyncamanda.commands.images import add_images, run_images
from asyncamanda.commands.options import add_common
from asyncamanda.core.restore.outcome import RestoreOutcome
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.report.json import render_event
from asyncamanda.report.page import print_folded
from asyncamanda.report.restore import describe_outcome, describe_rehearsal, outcome_value
from asyncamanda.report.restore_narrator import RestoreNarrator
from asyncamanda.system.interrupts import catch_stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a file or folder, as it was")
    add_date(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--to", metavar="DIR", help="the new folder (default: restored-HOST-DATE in this one)"
    )
    where.add_argument(
        "--in-place", action="store_true", help="put files where they were; nothing is deleted"
    )
    parser.add_argument(
        "--overwrite",
        choices=[each.value for each in Overwrite],
        help="with --in-place: which files that are there are replaced (default: never)",
    )
    add_all(parser)
    add_images(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show what would come back")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a restore that was cut or stopped"
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Bring files back, and say what was done.

    Raises what run_over() raises, and RefusedError to an ordinary user who wants a whole image.
    """
    typed = settle_paths(arguments.typed, arguments.paths, name_here())
    with naming(name_options(config=arguments.config), typed=typed):
        if arguments.raw is not None and choose_way(arguments.config) is Way.BROKER:
            raise only_root()
        if arguments.all and choose_way(arguments.config) is Way.BROKER:
            raise refuse_all()
        return run_over(arguments, partial(open_line, arguments.config))


def run_over(
    arguments: argparse.Namespace, open_way: OpenWay, find_names: FindNames = absolute_names
) -> Exit:
    """Bring files back from the other end of the line that `open_way` yields.

    Raises what Restoring.restore() raises, and BadDataError for paths on no disk; for whole images
    what run_images() raises.
    """
    if arguments.all:
        settle_all(arguments, may_be_in_place=find_names is absolute_names)
    if arguments.raw is not None:
        return run_images(arguments, open_way)
    _check(arguments)
    narrator = RestoreNarrator(is_streaming=arguments.json)
    with catch_stop() as stop, narrator.live():
        gateway = Gateway(partial(open_way, stop), stop, narrator.tell)
        with contextlib.closing(gateway):
            try:
                planned = _plan_all_or_some(arguments, gateway, find_names)
            except Interrupted:
                raise gateway.explain_stop() from None
            deliveries = planned.deliveries
            outcome = restore_all(gateway, deliveries, narrator, is_dry_run=arguments.dry_run)
            outcome = planned.sum_up(outcome)
    code = _judge(outcome, arguments)
    if arguments.json:
        print(render_event("finished", outcome_value(outcome, int(code))))
        return code
    place = _place(arguments)
    lines = describe_rehearsal(outcome, place) if outcome.is_dry_run else describe_outcome(outcome)
    for line in lines:
        print_folded(line)
    return code


def _check(arguments: argparse.Namespace) -> None:
    wrong = ""
    if not (arguments.all or arguments.paths) and (arguments.in_place or not arguments.resume):
        wrong = "name at least one PATH to restore"
    elif arguments.overwrite and not arguments.in_place:
        wrong = "--overwrite is for --in-place: a new folder has no files to overwrite"
    elif arguments.level is not None:
        wrong = "--level is for --raw: files come back from all levels that they need"
    elif arguments.dry_run and arguments.resume:
        wrong = "--dry-run and --resume exclude each other"
    if wrong:
        raise UsageError("usage", wrong, "asyncamanda restore --help lists the options")


def _plan_all_or_some(
    arguments: argparse.Namespace, gateway: Gateway, find_names: FindNames
) -> Everything:
    if arguments.all:
        is_here = find_names is absolute_names
        keyed_at = read_key_time(arguments.config) if is_here else None
        return plan_all(arguments, gateway, _name_target(arguments), keyed_at)
    return Everything(_plan(arguments, gateway, find_names))


def _plan(arguments: argparse.Namespace, gateway: Gateway, find_names: FindNames) -> list[Delivery]:
    if arguments.resume and not arguments.in_place:
        return [_resume(arguments, find_names)]
    at = parse_date(arguments.at)
    seeker = Seeker(gateway, gateway.ask_disks(asks_on=True), arguments.disk, find_names)
    parts = seeker.group(arguments.paths, at, is_in_place=arguments.in_place)
    if arguments.in_place:
        return [*_plan_in_place(arguments, parts)]
    return [NewFolder(plan_errand(parts), _name_target(arguments), _say_again(arguments))]


def _plan_in_place(arguments: argparse.Namespace, parts: tuple[Part, ...]) -> list[InPlace]:
    """Return a delivery for each disk; where nothing was begun before, it begins now."""
    deliveries: list[InPlace] = []
    missing: BadDataError | None = None
    again = _say_again(arguments)
    for number, part in enumerate(parts):
        errand = Errand((part,), b"", arguments.overwrite or Overwrite.NEVER.value)
        try:
            delivery = InPlace(errand, is_resumed=arguments.resume, again=again)
        except BadDataError as error:
            missing = error
            delivery = InPlace(errand, is_resumed=False, again=again)
        delivery.later = parts[number + 1 :]
        deliveries.append(delivery)
    if missing and all(delivery.folder is None for delivery in deliveries):
        raise missing
    for delivery in deliveries:
        delivery.check_overwrite(arguments.overwrite)
    return deliveries


def _say_again(arguments: argparse.Namespace) -> list[str]:
    """Return the options that a command has to have, too, which goes on with this one."""
    given: dict[str, str | None] = {}
    if arguments.in_place:
        given |= {"--overwrite": arguments.overwrite, "--at": arguments.at}
    return [word for name, value in given.items() if value for word in (name, value)]


def _resume(arguments: argparse.Namespace, find_names: FindNames) -> Delivery:
    """Return the one that was cut: in the folder that was named, or the only one in this one."""
    if named := _name_target(arguments):
        delivery = NewFolder.resume(named, _say_again(arguments))
    else:
        found = find_records(find_here())
        if len(found) > 1:
            places = ", ".join(map(str, found))
            raise UsageError(
                "several", f"several restores were cut here: {places}", "name one of them with --to"
            )
        if not found:
            raise no_record(find_here())
        delivery = NewFolder.resume(found[0], _say_again(arguments))
    wanted = {*list_wanted(delivery.errand.parts)}
    for path in arguments.paths:
        if wanted.isdisjoint(find_names(path)):
            delivery.close()
            raise UsageError(
                "other-paths",
                f"{path} is not what is being restored to {delivery.place}",
                f"asyncamanda restore {delivery.resume_command()}",
            )
    return delivery


def _judge(outcome: RestoreOutcome, arguments: argparse.Namespace) -> Exit:
    """Return the exit code. What was kept, without --overwrite, is well only beside other files."""
    is_idle = bool(outcome.kept) and (arguments.all or not outcome.files)
    is_well = outcome.is_whole and not (is_idle and arguments.overwrite is None)
    return Exit.OK if is_well else Exit.NOT_STORED


def _place(arguments: argparse.Namespace) -> str:
    if arguments.in_place:
        return "where the files were"
    return str(_name_target(arguments) or "a new folder in this one")


def _name_target(arguments: argparse.Namespace) -> Path | None:
    """Return the folder that was named, with its whole path; None if none was."""
    if not arguments.to:
        return None
    named = Path(arguments.to)
    return named if named.is_absolute() else find_here() / named

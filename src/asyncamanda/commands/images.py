"""`restore --raw`: the images in a disk's dumps come back whole, whatever program made them."""

import argparse
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from asyncamanda.client.restore.delivery import find_here
from asyncamanda.client.restore.exchange import Interrupted
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.image_files import is_there
from asyncamanda.client.restore.image_restoring import ImageErrand, ImageRestoring
from asyncamanda.client.restore.images import ask_images, find_disk
from asyncamanda.client.restore.way import OpenWay
from asyncamanda.commands.dates import parse_date
from asyncamanda.core.restore.answer import ImageOfDisk, ImagesPlan
from asyncamanda.core.restore.whereabouts import name_folder
from asyncamanda.errors import BadDataError, Exit, UsageError
from asyncamanda.report.images import (
    ImagesOutcome,
    describe_end,
    describe_images,
    describe_reading,
    images_value,
)
from asyncamanda.report.json import render_event
from asyncamanda.report.narrator import write_line
from asyncamanda.report.page import print_folded
from asyncamanda.report.restore_narrator import RestoreNarrator
from asyncamanda.system.interrupts import catch_stop
from asyncamanda.system.pages import name_pages

STDOUT = "-"


def add_images(parser: argparse.ArgumentParser) -> None:
    """Let the command line ask for whole images."""
    parser.add_argument(
        "--raw",
        metavar="DISK",
        help="instead of files: the whole images of DISK's backup, one for each level; --to names "
        "a new folder with a slash at its end, a file for a single image, or - for stdout",
    )
    parser.add_argument(
        "--level",
        metavar="N",
        type=int,
        help="with --raw: only the image of this level",
    )


def run_images(arguments: argparse.Namespace, open_way: OpenWay) -> Exit:
    """Bring images back over the line that `open_way` yields, and say what was done.

    Raises UsageError, and what find_disk(), ask_images() and ImageRestoring raise.
    """
    _check(arguments)
    narrator = RestoreNarrator(is_streaming=arguments.json)
    with catch_stop() as stop, narrator.live():
        gateway = Gateway(partial(open_way, stop), stop, narrator.tell)
        with contextlib.closing(gateway):
            try:
                disk = find_disk(gateway, arguments.raw).disk
                plan = ask_images(gateway, disk, parse_date(arguments.at))
            except Interrupted:
                raise gateway.explain_stop() from None
            errand = _plan(arguments, disk, plan)
            outcome = _outcome(errand, plan, is_stdout=arguments.to == STDOUT)
            if arguments.dry_run:
                return _rehearse(replace(outcome, is_dry_run=True), plan, is_json=arguments.json)
            outcome = _restore(ImageRestoring(gateway, errand, narrator), outcome, plan, narrator)
    _print_end(outcome, narrator.tell, is_json=arguments.json)
    return Exit.OK


def _check(arguments: argparse.Namespace) -> None:
    wrong = ""
    if arguments.paths or arguments.disk is not None:
        wrong = "--raw brings the whole images of one disk: name no PATH and no --disk with it"
    elif arguments.in_place or arguments.overwrite:
        wrong = "--raw brings images, which have no place of their own: not with --in-place"
    elif arguments.dry_run and arguments.resume:
        wrong = "--dry-run and --resume exclude each other"
    elif arguments.to == STDOUT and (arguments.json or arguments.resume):
        wrong = "--to - writes the image alone to stdout: not with --json or --resume"
    elif arguments.to == STDOUT and not arguments.dry_run and sys.stdout.isatty():
        wrong = "an image is not for a terminal: let --to name a file, or use a pipe"
    if wrong:
        raise UsageError("usage", wrong, "asyncamanda restore --help lists the options")


def _plan(arguments: argparse.Namespace, disk: str, plan: ImagesPlan) -> ImageErrand:
    """Return what is to be fetched, and where to. Raises UsageError and BadDataError."""
    images = plan.images
    levels = ", ".join(str(image.level) for image in images)
    if arguments.level is not None:
        images = tuple(image for image in images if image.level == arguments.level)
        if not images:
            raise BadDataError(
                "no-such-level",
                f"there is no image of level {arguments.level} of {disk} at that date",
                f"there are the levels {levels}",
            )
    is_stdout = arguments.to == STDOUT
    is_folder = not is_stdout and _is_folder(arguments.to)
    if len(images) > 1 and not is_folder:
        raise UsageError(
            "several-images",
            f"{disk} as it was then is in {len(images)} images, of the levels {levels}",
            "all of them: --to DIR/ (with a slash); a single one: --level N",
        )
    target = Path(STDOUT) if is_stdout else _name_target(arguments.to, plan.images[-1])
    if not is_stdout and os.path.lexists(target):
        raise is_there(target)
    is_one = arguments.level is not None
    run = plan.images[-1].run
    return ImageErrand(disk, run, images, target, is_folder, is_one, arguments.resume)


def _is_folder(named: str | None) -> bool:
    return named is None or named.endswith("/") or Path(named).is_dir()


def _name_target(named: str | None, newest: ImageOfDisk) -> Path:
    """Return the whole path of what is to be made."""
    if named:
        return Path(named) if Path(named).is_absolute() else find_here() / named
    here = find_here()
    host = socket.gethostname().partition(".")[0]
    date = f"{newest.dumped_at.astimezone():%Y-%m-%d}"
    return here / name_folder(host, date, lambda each: os.path.lexists(here / each))


def _outcome(errand: ImageErrand, plan: ImagesPlan, *, is_stdout: bool) -> ImagesOutcome:
    images = tuple((errand.name(image), image) for image in errand.images)
    target = "" if is_stdout else str(errand.target)
    return ImagesOutcome(errand.disk, target, images, plan.doubts, is_folder=errand.is_folder)


def _restore(
    restoring: ImageRestoring, outcome: ImagesOutcome, plan: ImagesPlan, narrator: RestoreNarrator
) -> ImagesOutcome:
    began = time.monotonic()
    lines = describe_images(outcome, plan)

    def begin() -> None:
        place = outcome.target or "stdout"
        narrator.begin_images(images_value(outcome), place, lines, outcome.total)

    if outcome.target:
        size = restoring.restore(begin)
    else:
        os.set_blocking(sys.stdout.fileno(), True)
        size = restoring.write(sys.stdout.fileno(), begin)
    return replace(outcome, size=size, seconds=time.monotonic() - began)


def _rehearse(outcome: ImagesOutcome, plan: ImagesPlan, *, is_json: bool) -> Exit:
    if is_json:
        print(render_event("finished", images_value(outcome, int(Exit.OK))))
        return Exit.OK
    print_folded(f"would restore to {outcome.target or 'stdout'}:")
    for line in describe_images(outcome, plan):
        print_folded(line, "  ")
    return Exit.OK


def _print_end(outcome: ImagesOutcome, tell: Callable[[str], None], *, is_json: bool) -> None:
    """Say what came: on stderr where stdout has the image."""
    if is_json:
        print(render_event("finished", images_value(outcome, int(Exit.OK))))
        return
    reading, commands = describe_reading(outcome)
    for line in map(name_pages, (describe_end(outcome), reading)):
        if outcome.target:
            print_folded(line)
        else:
            tell(line)
    for command in commands:  # in one piece, to be pasted
        write_line(sys.stdout if outcome.target else sys.stderr, f"  {command}")

"""What is said of whole images: which come, which came, and what reads them."""

from dataclasses import dataclass

from asyncamanda.core.restore.answer import ImageOfDisk, ImagesPlan
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.restore import count_things, format_interval_of
from asyncamanda.report.text import format_time

_READERS = {
    "dump": "restore -r -f {}",
    "xfsdump": "xfsrestore -r -f {} .",
}
_TAR = "tar --extract --incremental --file {}"


@dataclass(frozen=True, slots=True)
class ImagesOutcome:
    """What a restore of images did, or would do: the images in order, each by its file's name.

    `target` is the file or (`is_folder`) the folder, "" for stdout. `doubts` say what may be wrong
    with them.
    """

    disk: str
    target: str
    images: tuple[tuple[str, ImageOfDisk], ...]
    doubts: tuple[str, ...] = ()
    is_folder: bool = False
    size: int = 0
    seconds: float = 0.0
    is_dry_run: bool = False

    @property
    def total(self) -> int | None:
        """How many bytes all images have, None if that is not known of one."""
        sizes = [image.size for _, image in self.images if image.size is not None]
        return sum(sizes) if len(sizes) == len(self.images) else None


def describe_images(outcome: ImagesOutcome, plan: ImagesPlan) -> list[str]:
    """Return which images of the plan are meant, in the order in which they have to be read."""
    lines = []
    for name, image in outcome.images:
        size = "of an unknown size" if image.size is None else format_size(image.size)
        whose = f"level {image.level} of {printable(outcome.disk)}"
        made = f"made by {printable(image.maker)} at {format_time(image.dumped_at)}"
        lines.append(f"{f'{name}: ' if name else ''}{whose}, {made} (run {image.run}), {size}")
    fetched = [image for _, image in outcome.images]
    for image in plan.images:
        if image.level < fetched[0].level:
            whose = f"the image of level {image.level} (run {image.run})"
            lines.append(f"note: it builds on {whose}, which does not come with it")
    doubts = [f"warning: {printable(outcome.disk)}: {printable(one)}" for one in outcome.doubts]
    return lines + doubts


def describe_end(outcome: ImagesOutcome) -> str:
    """Return what came and where it is."""
    amount = f"{count_things(len(outcome.images), 'image')}, {format_size(outcome.size)}"
    where = printable(outcome.target) or "stdout"
    span = format_interval_of(outcome.seconds)
    return f"restored {amount} to {where} in {span}"


def describe_reading(outcome: ImagesOutcome) -> tuple[str, list[str]]:
    """Return how the images are read, and the commands for it, one for each image if known."""
    image = outcome.images[-1][1]
    reader = _TAR if image.is_tar else _READERS.get(image.maker.rpartition("/")[2], "")
    if not reader:
        words = f"the documentation of {printable(image.maker)} says what reads "
        return words + ("it" if len(outcome.images) == 1 else "them; level 0 comes first"), []
    if any(image.claims for _, image in outcome.images):
        return (
            "the client has encrypted it: its root gets it readable by the same command there",
            [],
        )
    paths = [f"{outcome.target}/{name}".rstrip("/") or "-" for name, _ in outcome.images]
    *steps, last = [reader.format(quote_word(path)) for path in paths]
    words = "to unpack, in an empty folder (more: docs/restore-by-hand.md):"
    return words, [*(f"{step} &&" for step in steps), last]


def images_value(outcome: ImagesOutcome, code: int | None = None) -> dict[str, object]:
    """Return what comes or came, for JSON; with `code`, the exit code, what came."""
    value: dict[str, object] = {
        "target": outcome.target or None,
        "disk": outcome.disk,
        "images": [
            {
                "name": name or None,
                "level": image.level,
                "run": image.run,
                "dumped_at": time_value(image.dumped_at),
                "maker": image.maker,
                "is_tar": image.is_tar,
                "bytes": image.size,
            }
            for name, image in outcome.images
        ],
        "doubts": list(outcome.doubts),
    }
    if code is None:
        return value
    return {
        "outcome": "dry run" if outcome.is_dry_run else "restored",
        **value,
        "bytes": outcome.size,
        "seconds": round(outcome.seconds, 3),
        "exit": code,
    }

"""What `list` and `restore` say: what can be had, what comes, and what came."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from asyncamanda.core.restore.answer import DiskAnswer, FileVersion
from asyncamanda.core.restore.outcome import RestoreOutcome, RestoreOutlook
from asyncamanda.core.values.interval import format_interval
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.text import format_time

GET_IMAGES = "the whole images, as root: asyncamanda restore --raw {}"
SHOWN = 10  # names of a kind; --json has all of them


def show(path: bytes) -> str:
    """Return a path for a terminal."""
    return printable(path.decode("utf-8", "surrogateescape"))


def count_things(count: int, what: str) -> str:
    """Return a number and what is counted: "1 file", "3 files"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def describe_amount(files: int | None, folders: int | None, size: int | None) -> str:
    """Return how much there is: "3 files, 1 folder, 36 MB"."""
    words = [count_things(files, "file")] if files is not None else []
    words += [count_things(folders, "folder")] if folders else []
    words += [format_size(size)] if size is not None else []
    return ", ".join(words) or "of an unknown size"


def describe_outlook(outlook: RestoreOutlook) -> str:
    """Return what of a disk comes back."""
    amount = describe_amount(outlook.files, outlook.folders, outlook.size)
    return (
        f"{printable(outlook.disk)} as it was at {format_time(outlook.dumped_at)} "
        f"(run {outlook.run}): {amount}"
    )


def describe_doubts(outlook: RestoreOutlook) -> list[str]:
    """Return what may be wrong with what comes back."""
    return [f"warning: {printable(outlook.disk)}: {printable(each)}" for each in outlook.doubts]


def describe_rehearsal(outcome: RestoreOutcome, place: str) -> list[str]:
    """Return what a restore would do."""
    lines = [f"would restore to {printable(place)}:"]
    for outlook in outcome.outlooks:
        lines += [f"  {describe_outlook(outlook)}", *describe_doubts(outlook)]
    return lines + _describe_existing(outcome) + _describe_rest(outcome)


def _describe_existing(outcome: RestoreOutcome) -> list[str]:
    """Return what would become of files that are there."""
    what = {"never": "kept", "newer": "replaced by a newer one in the backup"}
    words = f"that {{are}} there already would be {what.get(outcome.overwrite or '', 'replaced')}"
    return _list(words, [(path, "") for path in outcome.existing])


def describe_outcome(outcome: RestoreOutcome) -> list[str]:
    """Return what a restore did: how much, where to, and whatever is not as it was."""
    amount = describe_amount(outcome.files, outcome.folders, outcome.size)
    where = f"to {printable(outcome.target)}" if outcome.target else "in place"
    span = format_interval_of(outcome.seconds)
    lines = [f"restored {amount} {where} in {span}"]
    if outcome.replaced:
        lines.append(_were(outcome.replaced, "that {was} there {was} replaced"))
    if outcome.kept:
        is_one = len(outcome.kept) == 1
        it, those = ("it", "the one") if is_one else ("them", "those")
        words = "that {was} there already {was} kept"
        again = f"--overwrite newer or always replaces {it}"
        if outcome.overwrite == "newer":
            words += f", since {those} in the backup {{are}} not newer"
            again = f"--overwrite always replaces {it}"
        lines.append(f"{_were(len(outcome.kept), words)}; {again}")
    return lines + _describe_rest(outcome)


def _were(count: int, words: str) -> str:
    """Return a number of files and what is said of them."""
    are, were = ("is", "was") if count == 1 else ("are", "were")
    return f"{count_things(count, 'file')} {words.format(was=were, are=are)}"


def format_interval_of(seconds: float) -> str:
    """Return a span for people; of less than a minute with a tenth of a second."""
    return f"{seconds:.1f}s" if seconds < 60 else format_interval(timedelta(seconds=seconds))


def _describe_rest(outcome: RestoreOutcome) -> list[str]:
    """Return what is not as it was asked for."""
    lines = _list("{are} in no backup of then", outcome.missing)
    lines += _list("could not be restored", outcome.failed)
    if outcome.unmatched:
        lines.append(f"{count_things(len(outcome.unmatched), 'path')} did not exist then:")
        for path, near in outcome.unmatched[:SHOWN]:
            beside = f" (near it: {', '.join(map(show, near[:3]))})" if near else ""
            lines.append(f"  {show(path)}{beside}")
    for what, why, count in outcome.notes:
        files = count_things(count, "file")
        lines.append(f"note: the {what} of {files} was not set: {printable(why)}")
    return lines


def _list(head: str, named: Sequence[tuple[bytes, str]]) -> list[str]:
    if not named:
        return []
    lines = [f"{_were(len(named), head)}:"]
    lines += [
        f"  {show(path)}{f': {printable(why)}' if why else ''}" for path, why in named[:SHOWN]
    ]
    if len(named) > SHOWN:
        lines.append(f"  and {len(named) - SHOWN} more (--json has them all)")
    return lines


def disk_rows(disks: Iterable[DiskAnswer]) -> list[tuple[str, str, str, str]]:
    """Return a row for each disk: its name, from when, to when, how many dumps there are."""
    return [
        (
            disk.disk if disk.device in {"", disk.disk} else f"{disk.disk} ({disk.device})",
            format_time(disk.first_at) if disk.first_at else "-",
            format_time(disk.last_at) if disk.last_at else "-",
            str(len(disk.runs)),
        )
        for disk in disks
    ]


def disk_remarks(disks: Iterable[DiskAnswer], command: str = GET_IMAGES) -> list[str]:
    """Return what else is to be known of disks: what is gone, and what cannot be listed.

    `command` gets whole images, with {} for the disk.
    """
    lines = []
    for disk in disks:
        if not disk.is_listable:
            why = f": {printable(disk.reason)}" if disk.reason else ""
            lines.append(f"{printable(disk.disk)}: single files cannot be restored{why}")
            if disk.has_images:
                lines.append(f"  {command.format(quote_word(disk.disk))}")
        if disk.gone_at:
            volume = f", since volume {printable(disk.gone_with)} was used again" * bool(
                disk.gone_with
            )
            lines.append(f"{printable(disk.disk)}: gone up to {format_time(disk.gone_at)}{volume}")
    return lines


def version_rows(versions: Iterable[FileVersion]) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each version of a file: dump, size, its own time, whether it differs."""
    return [
        (
            format_time(each.dumped_at),
            each.run,
            "-" if each.size is None else format_size(each.size),
            format_time(each.modified_at) if each.modified_at else "-",
            "changed" if each.is_changed else "the same",
        )
        for each in versions
    ]


def disk_value(disk: DiskAnswer) -> dict[str, object]:
    """Return a disk for JSON."""
    return {
        "disk": disk.disk,
        "device": disk.device,
        "first_at": time_value(disk.first_at),
        "last_at": time_value(disk.last_at),
        "is_listable": disk.is_listable,
        "reason": disk.reason or None,
        "gone_at": time_value(disk.gone_at),
        "gone_with": disk.gone_with or None,
        "has_images": disk.has_images,
        "dumps": [
            {"run": dump.run, "dumped_at": time_value(dump.dumped_at), "level": dump.level}
            for dump in disk.runs
        ],
    }


def version_value(version: FileVersion) -> dict[str, object]:
    """Return a version of a file for JSON."""
    return {
        "run": version.run,
        "dumped_at": time_value(version.dumped_at),
        "size": version.size,
        "modified_at": time_value(version.modified_at),
        "is_changed": version.is_changed,
    }


def outlook_value(outlook: RestoreOutlook) -> dict[str, object]:
    """Return what comes back of one disk, for JSON."""
    return {
        "disk": outlook.disk,
        "run": outlook.run,
        "dumped_at": time_value(outlook.dumped_at),
        "files": outlook.files,
        "folders": outlook.folders,
        "bytes": outlook.size,
        "doubts": list(outlook.doubts),
    }


def outcome_value(outcome: RestoreOutcome, code: int) -> dict[str, object]:
    """Return what a restore did, for JSON."""
    return {
        "outcome": "dry run" if outcome.is_dry_run else "restored",
        "target": outcome.target or None,
        "disks": [outlook_value(each) for each in outcome.outlooks],
        "files": outcome.files,
        "folders": outcome.folders,
        "bytes": outcome.size,
        "seconds": round(outcome.seconds, 3),
        "replaced": outcome.replaced,
        "kept": [text_of(path) for path in outcome.kept],
        "missing": [{"path": text_of(p), "reason": why} for p, why in outcome.missing],
        "failed": [{"path": text_of(p), "reason": why} for p, why in outcome.failed],
        "unmatched": [
            {"path": text_of(path), "near": [*map(text_of, near)]}
            for path, near in outcome.unmatched
        ],
        "existing": [text_of(path) for path in outcome.existing],
        "overwrite": outcome.overwrite,
        "notes": [
            {"what": what, "reason": why, "count": count} for what, why, count in outcome.notes
        ],
        "exit": code,
    }


def text_of(path: bytes) -> str:
    """Return a path as JSON has it: bytes that are not UTF-8 as Python escapes them."""
    return path.decode("utf-8", "surrogateescape")

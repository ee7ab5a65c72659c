"""Why a dump that the ledger has is nowhere to be found: mostly its volume was used again."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.amanda.header import HEADER_BYTES, parse_volume_stamp
from asyncamanda.core.amanda.runlog import parse_run_log
from asyncamanda.core.amanda.timestamps import format_stamp
from asyncamanda.errors import BadDataError
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.logs import has_log_name, list_names, read_log, sort_names, stamp_of
from asyncamanda.server.amanda.vtapes import VirtualTapes
from asyncamanda.server.restore.dump_files import WantedDump

DUMP_GONE = "dump-gone"
OVERWRITTEN = "dump-overwritten"  # as was to be
_USED_AGAIN = "was used again on"


def explain_gone(
    settings: Settings, vtapes: VirtualTapes, dump: WantedDump, reasons: Collection[str]
) -> BadDataError:
    """Return the error for a dump that is not there; `reasons` are what was found instead."""
    named = (
        f"the dump of {format_stamp(dump.timestamp)} of {dump.host}:{dump.disk} (level "
        f"{dump.level})"
    )
    if reasons:
        return BadDataError(
            DUMP_GONE,
            f"{named} cannot be read: {'; '.join(reasons)}",
            "put back the volume, or choose an earlier time",
        )
    labels = {label: _describe(vtapes, dump, label) for label in find_labels(settings, dump)}
    if labels:
        is_meant = any(_USED_AGAIN in words for words in labels.values())
        return BadDataError(
            OVERWRITTEN if is_meant else DUMP_GONE,
            f"{named} is gone: {'; '.join(labels.values())}",
            "choose another time: what was dumped later does not need it, or is gone with it",
        )
    return BadDataError(
        DUMP_GONE,
        f"{named} is gone: neither the holding disk nor a volume has it",
        "was it removed from the holding disk by hand? Choose another time",
    )


def find_labels(settings: Settings, dump: WantedDump) -> Iterator[str]:
    """Yield the volumes to which the logs of its runs say that it was written."""
    seen = set()
    with suppress(OSError):
        names = filter(has_log_name, list_names(settings.logdir))
        for name in sort_names(name for name in names if stamp_of(name) in dump.runs):
            log = parse_run_log(read_log(settings.logdir, name))
            places = log.places if log else {}
            for label, _ in places.get((dump.host, dump.disk, dump.timestamp), ()):
                if label not in seen:
                    seen.add(label)
                    yield label


def _describe(vtapes: VirtualTapes, dump: WantedDump, label: str) -> str:
    for slot in vtapes.find_slots(label):
        stamp = _read_stamp(Path(slot) / f"00000.{label}")
        if stamp and stamp not in dump.runs:
            return f"its volume {label} {_USED_AGAIN} {format_stamp(stamp)}"
    if vtapes.find_slots(label):
        return f"its volume {label} does not have it any more"
    return f"its volume {label} has another label by now, or was taken away"


def _read_stamp(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        return parse_volume_stamp(file.read(HEADER_BYTES))
    return ""

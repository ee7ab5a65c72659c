"""What can be restored at all: each disk of a host, from when to when, and what is gone."""

from dataclasses import dataclass
from datetime import datetime

from asyncamanda.core.amanda.dump_form import SEALED, DumpForm
from asyncamanda.core.amanda.filters import FiltersRefused
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.reading import find_refusal
from asyncamanda.server.restore.source import Source


@dataclass(frozen=True, slots=True)
class DiskDumps:
    """A disk, and the dumps whose dates can be restored whole, by when their runs began.

    `device` is the path that is dumped. `fault` says why single files of it cannot be had, "" if
    they can; `has_images`: whole images can; `is_sealed`: the client has encrypted some of its
    dumps. `gone_at` is the newest date that could be restored
    once and cannot be any more, and `gone_with` the volume whose dump is not there, "" if that is
    not known.
    """

    disk: str
    device: str
    dumps: tuple[RecordedDump, ...] = ()
    fault: str = ""
    gone_at: datetime | None = None
    gone_with: str = ""
    has_images: bool = False
    is_sealed: bool = False


def describe_disks(source: Source) -> list[DiskDumps]:
    """Return each disk of the host. Each file of each dump is looked at, and none is read.

    Raises LaterError or ConfigurationError if Amanda cannot be asked where the dumps are.
    """
    return [_describe(source, disk) for disk in source.list_disks()]


def _describe(source: Source, disk: str) -> DiskDumps:
    known = source.dumps_of(disk)
    forms: dict[str, DumpForm | None] = {
        dump.verdict.timestamp: source.shelves.peek(source.wanted(dump)) for dump in known
    }
    whole = []
    gone: tuple[RecordedDump, RecordedDump] | None = None
    for dump in known:
        try:
            chain = source.choose(disk, run=dump.verdict.timestamp)
        except BadDataError:  # its full was never there
            continue
        missed = next((one for one in chain.dumps if not forms[one.verdict.timestamp]), None)
        if missed is None:
            whole.append(dump)
        else:
            gone = dump, missed
    dle = source.dles.get(disk)
    fault, has_images = "nothing of it is there", False
    if whole:
        fault, has_images = _find_fault(source, disk, whole[-1], forms)
    return DiskDumps(
        disk=disk,
        device=(dle.device if dle else "") or disk,
        dumps=tuple(whole),
        fault=fault,
        gone_at=gone[0].verdict.dumped_at if gone else None,
        gone_with=source.shelves.find_volume(source.wanted(gone[1])) if gone else "",
        has_images=has_images,
        is_sealed=any(form.is_sealed for form in forms.values() if form),
    )


def _find_fault(
    source: Source, disk: str, dump: RecordedDump, forms: dict[str, DumpForm | None]
) -> tuple[str, bool]:
    """Return why single files of a dump cannot be had, and whether its whole image can."""
    form = forms[dump.verdict.timestamp]
    assert form
    if form.is_sealed:
        return SEALED, True
    refused = find_refusal(source, disk, dump, form)
    if isinstance(refused, FiltersRefused):
        return f"{refused.step.program or 'its filter'}: {refused.reason}", False
    if form.is_tar:
        return "", True
    return f"{form.maker} makes its dumps: only the whole image can be had", True

"""A drill: proof that a disk can be restored from the dumps that are there, without restoring it.

It is proved as it is now, and as it was at one earlier date that can still be restored, chosen by
chance. What a volume had that was used again is not promised any more, and no date that needs it.
Nothing that was kept of a dump is believed: all is read from the dump itself.
"""

import random
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC

from asyncamanda.core.amanda.dump_form import DumpForm
from asyncamanda.core.amanda.excludes import compile_patterns
from asyncamanda.core.amanda.filters import FiltersRefused, FilterStep
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.names_proof import NamesProof, describe_lost, prove_names
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.core.restore.search import Located
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import AsyncamandaError, BadDataError, ConfigurationError, RefusedError
from asyncamanda.server.restore.dump_files import DumpFiles
from asyncamanda.server.restore.gone import DUMP_GONE
from asyncamanda.server.restore.reading import (
    find_refusal,
    judge_form,
    make_image,
    read_whole_head,
)
from asyncamanda.server.restore.samples import PausedImage, read_sample
from asyncamanda.server.restore.source import Source
from asyncamanda.server.restore.streams import FilteredImage, Image
from asyncamanda.server.restore.sums import find_wrong_sum, sum_dump

SEALED = "sealed: contents are proved by the client"
NOT_TAR = "{} makes its dumps: contents are not looked into"
ELSEWHERE = "a dump is on volumes that only Amanda can read: it is not read"


@dataclass(frozen=True, slots=True)
class Drill:
    """How a disk is proved. `is_full`: all bytes are read, and their checksums compared.

    `sample` is how many files are read, chosen by `chance`. `pause` is called between any two
    pieces that are read. `bad_dates` are timestamps of dumps whose last proof failed: what shares a
    dump with one of these is no earlier date to choose, since that is known already.
    """

    is_full: bool = False
    sample: int = 20
    chance: random.Random = field(default_factory=random.Random)
    pause: Callable[[], None] = lambda: None
    bad_dates: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a drill found, in words, of the newest dump, or of the earlier one that is bad.

    `size` is how many bytes were read.

    `needs_full`: a full dump makes good what is wrong or in doubt. `reference` is that of the
    error, "" where there was none.
    """

    dump: RecordedDump
    is_good: bool
    what: str
    size: int
    needs_full: bool = False
    reference: str = ""


def prove_disk(read_source: Callable[[], Source], disk: str, drill: Drill) -> Finding | None:
    """Return whether a disk can be restored; None where nothing of it is promised.

    `read_source` tells what there is; it is asked again where a dump is not where it was: a flush
    or a run may have moved it. Raises LaterError or ConfigurationError where that cannot be told.
    """
    finding = _Proving(read_source(), disk, drill).prove()
    if finding and finding.reference == DUMP_GONE:
        finding = _Proving(read_source(), disk, drill).prove()
    return finding


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open dump; `steps` undo its filters, None where its contents are not looked into."""

    files: DumpFiles
    steps: tuple[FilterStep, ...] | None

    @property
    def form(self) -> DumpForm:
        return self.files.form


class _Proving:
    """One look at one disk."""

    def __init__(self, source: Source, disk: str, drill: Drill) -> None:
        self._source = source
        self._disk = disk
        self._drill = drill
        self._size = 0
        self._said: dict[str, None] = {}
        self._is_unsure = False
        self._has_sampled = False
        self._summed: set[str] = set()

    def prove(self) -> Finding | None:
        """Return what was found."""
        promised = self._source.list_promised(self._disk)
        if not promised:
            return None
        newest = promised[-1]
        if fault := self._find_fault(newest):
            # what may not be unpacked here will not be after another dump either
            return self._fail(newest, fault, needs_full=isinstance(fault, BadDataError))
        if (older := self._choose_older(promised)) and (fault := self._find_fault(older)):
            return self._fail(older, fault, needs_full=False)  # which brings no old date back
        self._say(f"{format_size(self._size)} read in all")
        return Finding(newest, True, "; ".join(self._said), self._size, self._is_unsure)

    def _fail(self, dump: RecordedDump, fault: AsyncamandaError, *, needs_full: bool) -> Finding:
        return Finding(
            dump, False, fault.message, self._size, needs_full, reference=fault.reference
        )

    def _find_fault(self, dump: RecordedDump) -> AsyncamandaError | None:
        """Return why the disk cannot be restored as it was at a dump."""
        try:
            self._prove_date(dump)
        except (BadDataError, RefusedError) as error:
            return error
        except ConfigurationError as error:
            if error.reference != "filter-missing":
                raise
            return error
        return None

    def _choose_older(self, promised: list[RecordedDump]) -> RecordedDump | None:
        """Return an earlier dump, all of whose chain is promised, and not in doubt."""
        there = {dump.verdict.timestamp for dump in promised}
        bad = {run for date in self._drill.bad_dates for run in self._list_runs(date)}
        there -= bad.difference(self._list_runs(promised[-1].verdict.timestamp))
        whole = [
            dump
            for dump in promised[:-1]
            if (runs := self._list_runs(dump.verdict.timestamp)) and there.issuperset(runs)
        ]
        return self._drill.chance.choice(whole) if whole else None

    def _list_runs(self, date: str) -> tuple[str, ...]:
        """Return the runs of the chain of a date, none where there is none that is not in doubt."""
        try:
            chosen = self._source.choose(self._disk, run=date)
        except BadDataError:
            return ()
        return () if chosen.doubts else chosen.runs

    def _prove_date(self, dump: RecordedDump) -> None:
        """Prove the chain of a dump. Raises AsyncamandaError if it is not whole."""
        chosen = self._source.choose(self._disk, run=dump.verdict.timestamp)
        if chosen.doubts:
            raise BadDataError("false-base", "; ".join(chosen.doubts), "a full dump builds on none")
        with ExitStack() as stack:
            opened = []
            for each in chosen.dumps:  # all of them, before anything is read
                if one := self._open(each):
                    stack.callback(one.files.close)
                    opened.append(one)
            for one in opened:
                self._sum(one)
            levels = ", ".join(str(each.verdict.level) for each in chosen.dumps)
            at = dump.verdict.dumped_at
            date = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else dump.verdict.timestamp
            self._say(f"as of {date} (levels {levels})")
            if len(opened) < len(chosen.dumps):
                self._say(ELSEWHERE)
            elif all(one.steps is not None for one in opened):
                self._prove_contents(opened, stack)

    def _open(self, dump: RecordedDump) -> _Opened | None:
        """Return a dump, whose headers are compared and bytes counted; None if it is not read."""
        source, disk = self._source, self._disk
        files = source.shelves.open_files(source.wanted(dump))
        if not isinstance(files, DumpFiles):
            return None
        try:
            form = files.form
            if isinstance(find_refusal(source, disk, dump, form), FiltersRefused) and (
                form.is_sealed
            ):
                self._say(SEALED)
                return _Opened(files, None)
            steps = judge_form(source, disk, dump, files, is_raw=True)
            if not form.is_tar:
                self._say(NOT_TAR.format(form.maker))
        except BaseException:
            files.close()
            raise
        return _Opened(files, steps)

    def _sum(self, one: _Opened) -> None:
        """Compare the checksums of all bytes of a dump, if that is wanted and was not done yet."""
        header = one.files.header
        if not self._drill.is_full or header.timestamp in self._summed:
            return
        stored, unpacked = sum_dump(one.files, one.steps or (), self._drill.pause)
        self._size += stored.size
        fault = find_wrong_sum(one.files, stored, None if one.steps is None else unpacked)
        if fault:
            raise fault
        self._summed.add(header.timestamp)
        if header.checksum is None:
            self._say("Amanda has noted no checksum of a dump")

    def _prove_contents(self, opened: list[_Opened], stack: ExitStack) -> None:
        """Prove that all names are found, and read a sample of the files."""
        if not all(one.form.is_tar for one in opened):
            return
        images = [make_image(one.files, one.steps or ()) for one in opened]
        heads: list[Head] = []
        for image in images:
            stack.callback(_stop, image)
            heads.append(read_whole_head(PausedImage(image, self._drill.pause)))
            self._size += heads[-1].end
        form = opened[-1].form
        extent = form.extent
        found = prove_names(
            heads,
            compile_patterns(form.excludes),
            has_own_list=extent is None or any("<list" in each for each in extent),
            chance=self._drill.chance,
            sample=self._drill.sample,
        )
        if not found.names and not len(heads[-1]):
            raise BadDataError(
                "no-names",
                f"the image of {self._source.host}:{self._disk} does not begin with a list of "
                "what is in it",
                "is it made by GNUTAR or amgtar, with `record`?",
            )
        self._judge_names(found)
        self._read_sample(images, heads, found.sample)

    def _judge_names(self, found: NamesProof) -> None:
        if found.lost.count:
            raise BadDataError(
                "names-lost", describe_lost(found.lost), "a full dump has all of them again"
            )
        self._say(f"{found.names} names found, {found.older} of them in older dumps")
        if found.unsure.count:
            self._is_unsure = True
            self._say(
                f"{describe_lost(found.unsure)}; the client's own list may exclude that, or it was "
                "deleted meanwhile, and a full dump is forced to be sure"
            )

    def _read_sample(
        self, images: list[Image], heads: list[Head], sample: tuple[Located, ...]
    ) -> None:
        """Read these files, once: it may take the unpacking of all images.

        Where all bytes were read already it is only looked whether the files are there, and not
        even that where it takes unpacking. Raises BadDataError if a file is not to be had.
        """
        if self._has_sampled:
            return
        self._has_sampled = True
        if self._drill.is_full:
            sample = tuple(
                each for each in sample if not isinstance(images[each.image], FilteredImage)
            )
        paused = [PausedImage(image, self._drill.pause) for image in images]
        count, size = read_sample(paused, heads, sample, is_whole=not self._drill.is_full)
        self._size += size
        if sample:
            self._say(f"{count} files read")

    def _say(self, words: str) -> None:
        self._said[words] = None


def _stop(image: Image) -> None:
    """End what unpacks an image; its files are closed by who has opened them."""
    if isinstance(image, FilteredImage):
        image.stop()

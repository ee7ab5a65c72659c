"""The whole way to a disk's files at a date: choose the dumps, open them, list, plan, and write."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from asyncamanda.core.amanda.dump_form import SEALED, DumpForm, decide_steps
from asyncamanda.core.amanda.filters import FiltersRefused, FilterStep
from asyncamanda.core.restore.chain import find_changed_extents
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.image import BadImage
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.core.restore.selection import Selection, select
from asyncamanda.core.values.shellwords import quote_word
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.restore.archive import ArchiveWriter, Hear, Written
from asyncamanda.server.restore.dump_files import OpenDump
from asyncamanda.server.restore.gzip_image import GzipImage, is_gzip
from asyncamanda.server.restore.kept_members import find_size
from asyncamanda.server.restore.members import find_members, read_head
from asyncamanda.server.restore.sinks import Sink
from asyncamanda.server.restore.source import ChosenDumps, Source
from asyncamanda.server.restore.streams import FilteredImage, Image, PlainImage


@dataclass(slots=True)
class OpenChain:
    """The dumps of a chain, and their images, the full first. close() ends it.

    `openers` open their images. `heads` are those that are known by now, by the timestamps of the
    runs.
    """

    chosen: ChosenDumps
    openers: tuple[Callable[[], Image], ...]
    heads: dict[str, Head] = field(default_factory=dict)
    _opened: dict[int, Image] = field(default_factory=dict)

    @property
    def images(self) -> tuple[Image, ...]:
        """All images. Raises as open_chain() does, if they are not open by now."""
        return tuple(map(self.image, range(len(self.openers))))

    def image(self, number: int = -1) -> Image:
        """Return one of the images, if not said the newest. Raises as open_chain() does."""
        number %= len(self.openers)
        if number not in self._opened:
            self._opened[number] = self.openers[number]()
        return self._opened[number]

    @property
    def keeps_acls(self) -> bool:
        """Whether all of its images were made with access control lists."""
        return all(map(self._keeps_acls, range(len(self.openers))))

    def _keeps_acls(self, number: int) -> bool:
        head = self.heads.get(self.chosen.runs[number])
        if isinstance(head, KeptHead):
            return head.index.keeps_acls
        return self.image(number).files.form.keeps_acls

    @property
    def doubts(self) -> tuple[str, ...]:
        """What may be wrong with it, in words, as far as the images that are open tell."""
        opened = sorted(self._opened.items())
        extents = [(self.chosen.runs[number], image.files.form.extent) for number, image in opened]
        return (*self.chosen.doubts, *find_changed_extents(extents))

    def read_heads(self) -> tuple[Head, ...]:
        """Return the lists of all that was there at each dump, each read once.

        Raises BadDataError if an image is broken before its end.
        """
        return tuple(map(self.read_head, range(len(self.openers))))

    def read_head(self, number: int = -1) -> Head:
        """Return the list of all that was there at one of the dumps, if not said at the newest.

        Raises as read_heads() does.
        """
        run = self.chosen.runs[number]
        if run not in self.heads:
            self.heads[run] = read_whole_head(self.image(number))
        return self.heads[run]

    def close(self) -> None:
        """Close the dumps, and end what was started for them."""
        for image in self._opened.values():
            image.close()


@contextmanager
def open_chain(  # noqa: PLR0913 - half of it by keyword only
    source: Source,
    disk: str,
    before: datetime | None = None,
    run: str = "",
    *,
    expected: Sequence[str] = (),
    is_raw: bool = False,
    is_list: bool = False,
) -> Iterator[OpenChain]:
    """Yield the dumps of which a disk can be restored as it was, all open.

    For a mere list (`is_list`) one whose head is kept is not, but it has to be there. `before` and
    `run` are as in Source.choose(); `expected` are the runs of a chain that was chosen before,
    which has to be the same. Raises BadDataError if there is none, if one of its dumps is gone, or
    (unless `is_raw`) not of GNU tar's; RefusedError if a filter may not be undone; and what
    Shelves.open() raises.
    """
    chosen = source.choose(disk, before, expected[-1] if expected else run)
    if expected and tuple(expected) != chosen.runs:
        raise BadDataError(
            "chain-changed",
            f"{source.host}:{disk} would be restored from other dumps than before",
            "begin again, without --resume",
        )
    heads = {
        dump.verdict.timestamp: head for dump in chosen.dumps if (head := source.find_head(dump))
    }
    openers = tuple(
        partial(_open_image, source, disk, dump, heads.get(dump.verdict.timestamp), is_raw=is_raw)
        for dump in chosen.dumps
    )
    with closing(OpenChain(chosen, openers, dict(heads))) as chain:
        for number, dump in enumerate(chosen.dumps):  # all of them, before anything is read
            is_kept = is_list and dump.verdict.timestamp in heads
            if not is_kept or source.shelves.peek(source.wanted(dump)) is None:
                chain.image(number)
        yield chain


def _open_image(
    source: Source, disk: str, dump: RecordedDump, head: KeptHead | None, *, is_raw: bool
) -> Image:
    """Return the image of a dump, open. Raises as open_chain() does."""
    files = source.shelves.open(source.wanted(dump))
    try:
        steps = judge_form(source, disk, dump, files, is_raw=is_raw)
        return make_image(files, steps, None if is_raw else head)
    except BaseException:
        files.close()
        raise


def judge_form(
    source: Source, disk: str, dump: RecordedDump, files: OpenDump, *, is_raw: bool = False
) -> tuple[FilterStep, ...]:
    """Return the programs that undo a dump's filters.

    Raises RefusedError if one of them may not run here, and BadDataError if files cannot be had
    of the dump one by one; with `is_raw` nobody wants that.
    """
    if files.form.is_sealed:
        if is_raw:
            return ()
        raise RefusedError(
            "sealed",
            f"the dump {dump.verdict.timestamp} of {source.host}:{disk} is {SEALED}",
            "restore on the client, as its root; the image as it lies here: "
            f"asyncamanda restore --raw {quote_word(disk)}",
        )
    fault = find_refusal(source, disk, dump, files.form)
    if isinstance(fault, FiltersRefused):
        raise RefusedError(
            "filter-refused",
            f"the dump {dump.verdict.timestamp} of {source.host}:{disk} cannot be unpacked here: "
            f"{fault.step.program or 'its filter'}: {fault.reason}",
            "`filters` in [restore] of server.toml allows a program; what the client has "
            "encrypted has to be decrypted there (docs/restore.md)",
        )
    if not is_raw and not files.form.is_tar:
        raise BadDataError(
            "no-tar-image",
            f"{files.form.maker} has made the dump {dump.verdict.timestamp} of "
            f"{source.host}:{disk}, of which only the whole image can be had",
            f"as root: asyncamanda restore --raw {quote_word(disk)}",
        )
    return fault


def find_refusal(
    source: Source, disk: str, dump: RecordedDump, form: DumpForm
) -> tuple[FilterStep, ...] | FiltersRefused:
    """Return the programs that undo a dump's filters, or why they may not run here."""
    dle = source.dles.get(disk)
    return decide_steps(form, dle.filters if dle else None, dump.filters, source.allow_list)


def make_image(files: OpenDump, steps: Sequence[FilterStep], head: KeptHead | None = None) -> Image:
    """Return the image that is in a dump, for reading; `head` is what is kept of it."""
    if head and is_gzip(steps):
        return GzipImage(files, head)
    return FilteredImage(files, steps) if steps else PlainImage(files)


def plan_restore(chain: OpenChain, paths: Sequence[bytes]) -> Selection:
    """Return what to send of these files, and of all below these folders.

    Raises BadDataError if an image is broken.
    """
    return select(chain.read_heads(), paths)


def count_size(chain: OpenChain, selection: Selection, *, is_walking: bool) -> int | None:
    """Return how many bytes of contents a selection is, None if that is not known.

    `is_walking`: images of which nothing is kept are gone through, unless they are packed.
    """
    size = 0
    for number, wanted in enumerate(selection.members):
        own: int | None = 0
        if wanted:
            own = find_size(chain.read_head(number), wanted)
            if own is None and is_walking:
                own = _walk_size(chain.image(number), chain.read_head(number), wanted)
        if own is None:
            return None
        size += own
    return size


def _walk_size(image: Image, head: Head, wanted: Collection[bytes]) -> int | None:
    if not isinstance(image, PlainImage):
        return None
    try:
        found = find_members(image, head.end, wanted, folders=False)
        return sum(member.stored for member in found)
    except BadImage:
        return None


def write_restore(  # noqa: PLR0913 - what it is made of, by keyword
    chain: OpenChain,
    selection: Selection,
    sink: Sink,
    hear: Hear,
    *,
    skip: int = 0,
    written: Written | None = None,
) -> Written:
    """Write the archive of a selection; return what that was, which `written` counts meanwhile.

    `hear` is given each file that is not there after all, and the reason; those of
    `selection.missing` are known already. The first `skip` members are passed over. Raises
    BadDataError if a dump breaks off in the middle of a file, and OSError, such as
    BrokenPipeError, if nobody takes it.
    """
    writer = ArchiveWriter(sink, hear, skip, written)
    writer.write(chain.images, chain.read_heads(), selection)
    return writer.written


def find_image_size(image: Image) -> int | None:
    """Return how many bytes write_raw() writes in all: as the dump was confirmed, or None.

    What the client has encrypted is written as it lies.
    """
    if isinstance(image, PlainImage):
        return image.files.size or None  # what Amanda brings from a tape may not say it
    return image.files.header.unpacked_size


def write_raw(image: Image, sink: Sink, skip: int = 0) -> int:
    """Write a whole image as it is, whatever program made it; return how many bytes it has.

    The first `skip` bytes are passed over. Raises BadDataError if it cannot be read, or is not as
    large as it was when it was confirmed, and OSError if nobody takes it.
    """
    count = skip + image.copy_rest(sink, skip)
    sink.flush()
    expected = find_image_size(image)
    if expected is not None and count != expected:
        header = image.files.header
        raise BadDataError(
            "image-short",
            f"the image of {header.host}:{header.disk} in the dump {header.timestamp} has {count} "
            f"bytes, and had {expected} when it was dumped",
            "an earlier dump may be whole",
        )
    return count


def read_whole_head(image: Image) -> Head:
    """Return the list with which an image begins. Raises BadDataError if it is broken."""
    try:
        return read_head(image)
    except BadImage as error:
        header = image.files.header
        raise BadDataError(
            "image-broken",
            f"the dump {header.timestamp} of {header.host}:{header.disk} is broken {error}",
            "an earlier dump may be whole",
        ) from error

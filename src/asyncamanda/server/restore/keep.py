"""Keeping heads: of each dump that is in the holding disk, before it lies on a volume.

Each dump is read once. Where that fails it is left alone from then on: whoever wants to know what
is in it has to read it, which is slow and no more.
"""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from itertools import chain
from pathlib import Path

from asyncamanda.core.amanda.dump_form import decide_steps
from asyncamanda.core.amanda.filters import FiltersRefused, FilterStep
from asyncamanda.core.amanda.found_dumps import parse_found
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.keep_order import HeldDump, KeepOrder
from asyncamanda.core.restore.keeping import find_next_place, plan_removals
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.kept_facts import KeptFolder, keep_folder
from asyncamanda.core.restore.kept_index import DumpName
from asyncamanda.core.restore.kept_writer import KeptWriter, Unkeepable
from asyncamanda.core.restore.member import Member
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.restore.dump_files import DumpFiles, WantedDump
from asyncamanda.server.restore.gzip_image import is_gzip
from asyncamanda.server.restore.gzip_members import GzipMembers
from asyncamanda.server.restore.heads import LEAST_FREE, HeadStore, is_keepable
from asyncamanda.server.restore.held_dumps import open_held
from asyncamanda.server.restore.members import walk_members
from asyncamanda.server.restore.streams import FilteredImage, Image, PlainImage

NO_ROOM = "there was no room for it: see keep_heads in server.toml"

Say = Callable[[str], None]
Bound = Callable[[], AbstractContextManager[None]]


@contextmanager
def bound_reading(seconds: float) -> Iterator[None]:
    """Raise Unkeepable in the block, which has to be the main thread's, if it takes longer."""

    def end(*_: object) -> None:
        raise Unkeepable("reading it takes too long")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # and again, should something pass it over
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Keeper:
    """Keeps the heads of one Amanda configuration; `say` is given what is to be in a log.

    `bound` bounds the reading of one dump.
    """

    def __init__(
        self, order: KeepOrder, store: HeadStore, say: Say, bound: Bound = nullcontext
    ) -> None:
        self._order = order
        self._store = store
        self._say = say
        self._bound = bound

    def remove_old(self, found: str, aside: Iterable[WantedDump] = ()) -> None:
        """Remove what is not needed any more; `found` is what Amanda has on volumes.

        Dumps that are set `aside` are there, whatever Amanda says. Raises OSError.
        """
        held = {self._name(dump) for dump in self._held()}
        parts = parse_found(found)
        there = {(part.host, part.disk, part.timestamp, part.level) for part in parts}
        there |= {(each.host, each.disk, each.timestamp, each.level) for each in aside}
        present = held | {DumpName(self._order.amanda_config, *dump) for dump in there}
        self._store.tidy(held)
        stored = [*self._store.list_stored()]
        unneeded = {each.dump for each in plan_removals(stored, present, sys.maxsize)}
        for each in plan_removals(stored, present, self._order.room):
            self._store.remove(each.dump)
            if each.dump in held - unneeded:  # else the next run's end would have it read again
                self._store.refuse(each.dump, NO_ROOM)

    def keep_new(self) -> None:
        """Keep the heads of those dumps that are held and were not read yet. Raises OSError.

        All are opened before any is read, so that a flush takes none away; each is closed when it
        was read, since what a flush has removed takes its room until then.
        """
        if not self._order.room:
            return
        with ExitStack() as stack:
            opened = []
            for dump in self._held():
                files = None if self._store.is_known(self._name(dump)) else self._open(dump)
                if files:
                    stack.callback(files.close)
                    opened.append((dump, files))
            for dump, files in opened:
                if not self._store.has_room(LEAST_FREE):
                    self._say("no heads are kept: the disk that the ledger is on is nearly full")
                    return
                self._keep(dump, files)
                files.close()

    def _held(self) -> Iterator[HeldDump]:
        """Yield the dumps that are held, but for such as no head can be of."""
        return (dump for dump in self._order.held if is_keepable(dump.timestamp, dump.level))

    def _open(self, dump: HeldDump) -> DumpFiles | None:
        places = [Path(place) for place in self._order.holding]
        wanted = WantedDump(dump.host, dump.disk, dump.timestamp, dump.level)
        copies = open_held(places, wanted)
        return next((copy for copy in copies if isinstance(copy, DumpFiles)), None)

    def _keep(self, dump: HeldDump, files: DumpFiles) -> None:
        """Keep the head of a dump, or note that this cannot be done."""
        allowed = self._order.allow_list
        steps = decide_steps(files.form, dump.today, dump.recorded, allowed)
        if isinstance(steps, FiltersRefused) or not files.form.is_tar:
            return
        name = self._name(dump)
        place, base = self._find_base(name)
        try:
            writer = KeptWriter(name, base, place)
            writer.index.keeps_acls = files.form.keeps_acls
            with self._bound():
                self._store.write(name, read_kept(files, steps, writer))
        except (ValueError, MemoryError) as error:
            reason = str(error) or "it takes too much memory"
        except AsyncamandaError as error:
            reason = error.message
        else:
            return
        self._store.refuse(name, reason)
        self._say(
            f"the dump {dump.timestamp} (level {dump.level}) of {dump.host}:{dump.disk} cannot be "
            f"read as an image of tar's, and single files of it may be lost: {reason}"
        )

    def _find_base(self, name: DumpName) -> tuple[int, KeptHead | None]:
        """Return the place of a kept head, and on what it builds."""
        following = find_next_place(self._store.of_disk(name), self._order.room)
        if following.base is None:
            return 0, None
        known = following.base.dump
        base = self._store.find(known.host, known.disk, known.timestamp, known.level)
        return (following.place, base) if base else (0, None)

    def _name(self, dump: HeldDump) -> DumpName:
        config = self._order.amanda_config
        return DumpName(config, dump.host, dump.disk, dump.timestamp, dump.level)


def read_kept(files: DumpFiles, steps: Sequence[FilterStep], writer: KeptWriter) -> Iterator[bytes]:
    """Yield the kept head of a dump, whose filters `steps` undo.

    Raises ValueError where it is no image of tar's, or broken, and AsyncamandaError where it cannot
    be read or unpacked.
    """
    if is_gzip(steps):
        packed = GzipMembers(files)
        yield from _write(writer, iter(packed))
        yield from writer.end(packed.points)
        return
    image: Image = FilteredImage(files, steps) if steps else PlainImage(files)
    with closing(image):
        yield from _write(writer, walk_members(image))
        yield from writer.end()


def _write(writer: KeptWriter, members: Iterator[Member]) -> Iterator[bytes]:
    head = Head()
    folders: dict[bytes, KeptFolder] = {}
    first = next(members, None)
    while first and first.dumpdir is not None:
        head.add(first)
        folders[first.path] = keep_folder(first)
        first = next(members, None)
    if not len(head):
        raise Unkeepable("it has no lists of folders")
    return writer.begin(head, folders, chain([first] if first else [], members))

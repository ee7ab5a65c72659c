"""Where the dumps of a DLE lie: the holding disks, what is set aside, virtual tapes, then others.

All files of a dump are opened, and each header is compared with what is wanted, before anything is
read: a name proves nothing. Nothing is reserved, so no run and no flush waits for this, and each
may move or overwrite what was found: so it is looked for twice.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from asyncamanda.core.amanda.dump_form import DumpForm
from asyncamanda.core.amanda.found_dumps import FoundPart, parse_found
from asyncamanda.core.amanda.header import FileKind
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.amanda.commands import Settings, check_answer
from asyncamanda.server.amanda.vtapes import VirtualTapes
from asyncamanda.server.restore.aside import AsideStore
from asyncamanda.server.restore.dump_files import (
    MOST_FILES,
    DumpFile,
    DumpFiles,
    OpenDump,
    Unfit,
    WantedDump,
    close_files,
    find_fault,
    open_dump_file,
)
from asyncamanda.server.restore.fetched import Drive, FetchedDump
from asyncamanda.server.restore.gone import explain_gone, find_labels
from asyncamanda.server.restore.held_dumps import open_held
from asyncamanda.system.programs import run_program

ATTEMPTS = 2  # whatever is moved once between two looks is found by the second
UNREAD = DumpForm("tar")  # by what its header says is known when it is read
_FIND_WITHIN = 120.0  # seconds


class Catalogue:
    """Where the dumps of all hosts lie on volumes: Amanda is asked once, the first time.

    `ask` is as ask_find(), which it is by default.
    """

    def __init__(self, settings: Settings, ask: Callable[[str, str], str] | None = None) -> None:
        self.vtapes = VirtualTapes(settings)
        self._name = settings.name
        self._ask = ask or ask_find
        self._parts: dict[str, list[FoundPart]] | None = None
        self._fault: AsyncamandaError | None = None

    def list_parts(self, host: str) -> Sequence[FoundPart]:
        """Return what Amanda has of a host. Raises what ask_find() raised, each time."""
        if self._fault:
            raise self._fault
        if self._parts is None:
            try:
                text = self._ask(self._name, "")
            except AsyncamandaError as error:
                self._fault = error
                raise
            self._parts = {}
            for part in parse_found(text):
                self._parts.setdefault(part.host, []).append(part)
        return self._parts.get(host, [])


class Shelves:
    """Where the dumps of one host lie, as far as that was looked for."""

    def __init__(
        self,
        settings: Settings,
        host: str,
        ask: Callable[[str, str], str] | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        """Begin to look for dumps of `host`; `ask` is as ask_find(), which it is by default.

        `catalogue` has what Amanda said of all hosts: it is looked at first.
        """
        self.settings = settings
        self.host = host
        self._ask = ask or ask_find
        self._catalogue = catalogue
        self._found: list[FoundPart] | None = None
        self._vtapes = catalogue.vtapes if catalogue else VirtualTapes(settings)
        self._drive = Drive(settings.name)
        self.aside = AsideStore(settings, host)

    def open(self, dump: WantedDump) -> OpenDump:
        """Return the dump, open. Raises BadDataError if it is nowhere, with the reason.

        Raises LaterError or ConfigurationError if Amanda cannot be asked where it is, or cannot
        bring it now.
        """
        reasons: list[str] = []
        for _ in range(ATTEMPTS):
            for copy in self._open_copies(dump):
                if isinstance(copy, DumpFiles):
                    return copy
                reasons.append(copy.reason)
            if labels := self._list_others(dump):
                return FetchedDump(self._drive, dump, labels)
            self._found, self._vtapes = None, VirtualTapes(self.settings)
            self._catalogue = None
        raise explain_gone(self.settings, self._vtapes, dump, dict.fromkeys(reasons))

    def peek(self, dump: WantedDump) -> DumpForm | None:
        """Return the form of the dump if all of it is there, None if not.

        That of one that only Amanda can bring is not looked at, but UNREAD.

        Raises LaterError or ConfigurationError if Amanda cannot be asked where it is.
        """
        for copy in self._open_copies(dump):
            if isinstance(copy, DumpFiles):
                copy.close()
                return copy.form
        return UNREAD if self._list_others(dump) else None

    def has_volumes(self, dump: WantedDump) -> bool:
        """Return whether Amanda has the dump on volumes, which may be missing. Raises as peek().

        One whose volume has been used again it has no more.
        """
        return bool(self._list_copies(dump))

    def open_files(self, dump: WantedDump) -> OpenDump | None:
        """Return the dump as open() does, None if only Amanda could bring it from its volumes."""
        return None if self._is_elsewhere(dump) else self.open(dump)

    def list_volumes(self, dump: WantedDump) -> list[str]:
        """Return the volumes that have a whole copy of the dump, of one copy; none if none do.

        Raises as peek() does.
        """
        for parts in self._list_copies(dump):
            labels = list(dict.fromkeys(part.label for part in parts))
            if {part.part for part in parts} >= {*range(1, parts[0].parts + 1)}:
                return labels
        return []

    def find_volume(self, dump: WantedDump) -> str:
        """Return a volume to which the dump was written, by its runs' logs; "" if to none."""
        return next(find_labels(self.settings, dump), "")

    def _open_copies(self, dump: WantedDump) -> Iterator[DumpFiles | Unfit]:
        """Yield the dump, or why it is not there, for each place in which it may be."""
        yield from open_held(self.settings.holding, dump)
        yield from self.aside.open(dump)
        for parts in self._list_copies(dump):
            yield self._open_taped(dump, parts)

    # -- virtual tapes

    def _list_copies(self, dump: WantedDump) -> Collection[list[FoundPart]]:
        """Return the parts of each copy of the dump that Amanda knows of on volumes."""
        copies: dict[tuple[str, int], list[FoundPart]] = {}
        for part in self._find():
            if (part.disk, part.timestamp, part.level) == (dump.disk, dump.timestamp, dump.level):
                copies.setdefault((part.storage, part.parts), []).append(part)
        return copies.values()

    def _list_others(self, dump: WantedDump) -> list[str]:
        """Return the volumes of the dump that are no virtual tapes, none if there are not all."""
        if not self.settings.has_other_volumes:
            return []
        for parts in self._list_copies(dump):
            labels = list(dict.fromkeys(part.label for part in parts))
            if not any(map(self._vtapes.find_slots, labels)):
                return labels
        return []

    def _is_elsewhere(self, dump: WantedDump) -> bool:
        """Return whether the dump is on volumes alone that are no virtual tapes."""
        if not self._list_others(dump):
            return False
        for copy in self._open_copies(dump):
            if isinstance(copy, DumpFiles):
                copy.close()
                return False
        return True

    def _find(self) -> Sequence[FoundPart]:
        """Return what Amanda has of the host on volumes; asked once, since it reads its logs."""
        if self._catalogue:
            return self._catalogue.list_parts(self.host)
        if self._found is None:
            parts = parse_found(self._ask(self.settings.name, self.host))
            self._found = [part for part in parts if part.host == self.host]
        return self._found

    def _open_taped(self, dump: WantedDump, parts: Sequence[FoundPart]) -> DumpFiles | Unfit:
        """Return the dump by these parts, any of which may be there several times."""
        opened: list[DumpFile] = []
        labels = dict.fromkeys(part.label for part in parts)
        for number in range(1, min(parts[0].parts, MOST_FILES) + 1):
            file = self._open_part(dump, [part for part in parts if part.part == number], number)
            if isinstance(file, Unfit):
                close_files(opened)
                return file
            opened.append(file)
        fault = find_fault(opened)
        if fault:
            close_files(opened)
            return Unfit(f"{', '.join(labels)}: {fault}")
        return DumpFiles(opened, f"volume {', '.join(labels)}")

    def _open_part(
        self, dump: WantedDump, places: Sequence[FoundPart], number: int
    ) -> DumpFile | Unfit:
        unfit = Unfit(f"Amanda does not know where part {number} is")
        for place in places:
            if not self._vtapes.find_slots(place.label):
                unfit = Unfit(f"no virtual tape is labelled {place.label}")
                continue
            unfit = Unfit(f"{place.label} has no file {place.file}")
            for path in self._vtapes.find_parts(place.label, place.file):
                file = open_dump_file(path)
                if isinstance(file, Unfit):
                    unfit = file
                elif _is_part(dump, file, number):
                    return file
                else:
                    close_files([file])
                    unfit = Unfit(f"{path} holds something else by now")
        return unfit


def ask_find(amanda_config: str, host: str) -> str:
    """Return what Amanda prints of where it has the dumps of a host, of all where that is "".

    Raises LaterError if it cannot be asked, and ConfigurationError if it cannot tell.
    """
    # the host alone: a disk might be a word that means something on a command line
    argv = ["amadmin", amanda_config, "find", *(["--exact-match", host] if host else [])]
    answer = run_program(argv, _FIND_WITHIN, encoding="utf-8")
    check_answer(amanda_config, answer)
    return answer.stdout


def _is_part(dump: WantedDump, file: DumpFile, number: int) -> bool:
    header = file.header
    return header.kind is FileKind.PART and header.part == number and dump.is_of(header)

"""Which dumps of a host there are: by the ledger, which has a witness for each.

Who asks for them is known by its key (server/gate), and gets those of the host of that name alone.
A chain is of one machine's dumps: where another one has been this client before, its dumps can be
had as well, but none builds on the other's.
"""

import resource
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from asyncamanda.core.amanda.disklist import Dle, parse_disklist
from asyncamanda.core.model import DumpState
from asyncamanda.core.restore.chain import Candidate, Failure, NoChain, choose_chain
from asyncamanda.core.restore.kept import KeptHead
from asyncamanda.core.restore.recorded import FUTURE_AFTER, RecordedDump
from asyncamanda.errors import BadDataError
from asyncamanda.server.amanda.commands import (
    Settings,
    check_answer,
    parse_settings,
    plan_config,
)
from asyncamanda.server.restore.dump_files import WantedDump
from asyncamanda.server.restore.heads import HeadStore
from asyncamanda.server.restore.shelves import Catalogue, Shelves
from asyncamanda.system.clock import now
from asyncamanda.system.programs import run_program

if TYPE_CHECKING:  # what reads dumps is for clients as well, which have no ledger
    from asyncamanda.server.ledger.ledger import Ledger

_ASKED_WITHIN = 120.0  # seconds, for what Amanda answers at once when all is well


@dataclass(frozen=True, slots=True)
class ChosenDumps:
    """A chain: what the ledger has of each of its dumps, the full first. `doubts` are in words."""

    dumps: tuple[RecordedDump, ...]
    doubts: tuple[str, ...] = ()

    @property
    def newest(self) -> RecordedDump:
        """The dump whose date is meant."""
        return self.dumps[-1]

    @property
    def runs(self) -> tuple[str, ...]:
        """The timestamps of the runs that have made them."""
        return tuple(dump.verdict.timestamp for dump in self.dumps)


class Source:
    """The dumps of one host in one configuration, and where they lie.

    `allow_list` are the programs that may undo filters though no dumptype names them. `heads` are
    those that are kept.
    """

    def __init__(  # noqa: PLR0913 - by keyword only
        self,
        *,
        settings: Settings,
        host: str,
        dles: Iterable[Dle],
        dumps: Iterable[RecordedDump],
        allow_list: Collection[str] = (),
        ask: Callable[[str, str], str] | None = None,
        heads: HeadStore | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.settings = settings
        self.host = host
        self.allow_list = allow_list
        self._heads = heads
        self.shelves = Shelves(settings, host, ask, catalogue)
        self.dles: Mapping[str, Dle] = {dle.disk: dle for dle in dles if dle.host == host}
        self._dumps: dict[str, list[RecordedDump]] = {}
        for dump in dumps:
            self._dumps.setdefault(dump.verdict.disk, []).append(dump)

    def list_disks(self) -> list[str]:
        """Return the disks that are dumped, or were: those of the disklist first."""
        return list(dict.fromkeys((*self.dles, *sorted(self._dumps))))

    def dumps_of(self, disk: str) -> list[RecordedDump]:
        """Return the dumps of a disk that the server has, or had, by when their runs began."""
        return [dump for dump in self._dumps.get(disk, ()) if _is_candidate(dump)]

    def list_promised(self, disk: str) -> list[RecordedDump]:
        """Return the dumps of a disk that should be there, by when their runs began.

        Those in the holding disk should, those that are set aside, and those on volumes that were
        not used again. Raises LaterError or ConfigurationError if Amanda cannot be asked.
        """
        return [dump for dump in self.dumps_of(disk) if self._is_promised(dump)]

    def _is_promised(self, dump: RecordedDump) -> bool:
        wanted = self.wanted(dump)
        is_kept = dump.verdict.state is DumpState.HELD or self.shelves.aside.knows(wanted)
        return is_kept or self.shelves.has_volumes(wanted)

    def choose(self, disk: str, before: datetime | None = None, run: str = "") -> ChosenDumps:
        """Return the chain of the newest dump at or before a time, or of that of a run.

        With neither it is that of the newest. Raises BadDataError if there is none.
        """
        top = self._find_top(disk, before, run)
        kin = [dump for dump in self._dumps[disk] if _is_kin(dump, top)]
        chain = choose_chain(
            [_as_candidate(dump) for dump in kin if _is_candidate(dump)],
            [failure for dump in kin if (failure := _as_failure(dump))],
            run=top.verdict.timestamp,
        )
        if isinstance(chain, NoChain):
            raise BadDataError(
                "no-chain",
                f"{self.host}:{disk} cannot be restored as it was then: {chain.reason}",
                "`asyncamanda list` without a path shows from when to when it can be",
            )
        by_stamp = {dump.verdict.timestamp: dump for dump in kin}
        dumps = tuple(by_stamp[candidate.timestamp] for candidate in chain.dumps)
        return ChosenDumps(dumps, tuple(chain.doubts))

    def find_head(self, dump: RecordedDump) -> KeptHead | None:
        """Return the dump's head if it is kept."""
        verdict = dump.verdict
        if self._heads is None or verdict.level is None:
            return None
        return self._heads.find(verdict.host, verdict.disk, verdict.timestamp, verdict.level)

    def wanted(self, dump: RecordedDump) -> WantedDump:
        """Return what to look for on the shelves."""
        verdict = dump.verdict
        assert verdict.level is not None
        return WantedDump(verdict.host, verdict.disk, verdict.timestamp, verdict.level, dump.runs)

    def _find_top(self, disk: str, before: datetime | None, run: str) -> RecordedDump:
        """Return the dump whose date is meant."""
        known = self.dumps_of(disk)
        if not known:
            raise BadDataError(
                "nothing-dumped",
                f"the server has no dump of {self.host}:{disk}",
                f"it has dumps of: {', '.join(sorted(self._dumps)) or 'no disk'}",
            )
        if run:
            found = [dump for dump in known if dump.verdict.timestamp == run]
            what = f"run {run} has made no dump of {self.host}:{disk}"
        else:
            # what was dumped while the clock was ahead would hide all that comes
            horizon = before or now() + FUTURE_AFTER
            found = [dump for dump in known if _time_of(dump) <= horizon]
            found = found or (known if before is None else [])
            what = f"the server has no dump of {self.host}:{disk} that is so old"
        if not found:
            raise BadDataError(
                "nothing-then",
                what,
                f"the oldest is of run {known[0].verdict.timestamp}; `asyncamanda list` without a "
                "path shows all",
            )
        return found[-1]


@dataclass(frozen=True, slots=True)
class Stock:
    """What Amanda says of a configuration: how it is configured, and its DLEs, by their hosts."""

    settings: Settings
    dles: Mapping[str, Sequence[Dle]]

    def find_source(
        self,
        ledger: "Ledger",
        host: str,
        allow_list: Collection[str],
        catalogue: Catalogue | None = None,
        since: str = "",
    ) -> Source:
        """Return the dumps of a host as they are known now. Raises what the ledger raises.

        `since` leaves out what was stored by runs before that timestamp.
        """
        name = self.settings.name
        return Source(
            settings=self.settings,
            host=host,
            dles=self.dles.get(host, ()),
            dumps=ledger.verdicts.of_host(name, host, since),
            allow_list=allow_list,
            heads=HeadStore(name),
            catalogue=catalogue,
        )


def read_stock(amanda_config: str) -> Stock:
    """Return what Amanda says of a configuration.

    From here on this process may have as many files open as the system allows: a dump may be in a
    thousand. Raises ConfigurationError or LaterError if Amanda cannot tell how it is configured.
    """
    with suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    config = run_program(plan_config(amanda_config), _ASKED_WITHIN, encoding="utf-8")
    settings = parse_settings(amanda_config, config)
    argv = ["amadmin", amanda_config, "disklist"]
    listed = run_program(argv, _ASKED_WITHIN, encoding="utf-8")
    check_answer(amanda_config, listed)
    dles: dict[str, list[Dle]] = {}
    for dle in parse_disklist(listed.stdout):
        dles.setdefault(dle.host, []).append(dle)
    return Stock(settings, dles)


def read_source(
    ledger: "Ledger", amanda_config: str, host: str, allow_list: Collection[str]
) -> Source:
    """Return the dumps of a host as they are known now.

    Raises what read_stock() and the ledger raise.
    """
    return read_stock(amanda_config).find_source(ledger, host, allow_list)


def _time_of(dump: RecordedDump) -> datetime:
    assert dump.verdict.dumped_at is not None  # the ledger's column is never NULL
    return dump.verdict.dumped_at


def _is_candidate(dump: RecordedDump) -> bool:
    return dump.verdict.state.is_confirmed and dump.verdict.level is not None


def _is_kin(dump: RecordedDump, top: RecordedDump) -> bool:
    """Return whether `top` may build on a dump, or is it: it is older, and of the same machine."""
    is_same = None in {dump.machine, top.machine} or dump.machine == top.machine
    return dump is top or (is_same and _time_of(dump) < _time_of(top))


def _as_candidate(dump: RecordedDump) -> Candidate:
    verdict = dump.verdict
    assert verdict.level is not None
    is_held = verdict.state is DumpState.HELD
    return Candidate(verdict.timestamp, verdict.level, _time_of(dump), verdict.kilobytes, is_held)


def _as_failure(dump: RecordedDump) -> Failure | None:
    """Return the attempt that may have left a snapshot of what no dump has; None for others."""
    verdict = dump.verdict
    if not verdict.is_false_base:
        return None
    return Failure(verdict.timestamp, verdict.level, _time_of(dump))

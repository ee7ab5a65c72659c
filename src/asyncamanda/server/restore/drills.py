"""Drills of several disks: each one's proof is written into the ledger, with what follows from it.

A drill takes no turn of a restore's, and waits as long as one goes on.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from asyncamanda.core.dispatch.drills import DRILLS, Dle, DueDrills, must_be_full
from asyncamanda.core.dispatch.records import (
    ProofKind,
    ProofRow,
    Protection,
    ProtectionKind,
)
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, LaterError
from asyncamanda.server.background.log import LOG
from asyncamanda.server.gate import ipc
from asyncamanda.server.ledger.ledger import Ledger, LedgerBusy, LedgerUnavailable
from asyncamanda.server.restore.proving import Drill, Finding, prove_disk
from asyncamanda.server.restore.serve import TURNS
from asyncamanda.server.restore.source import Source
from asyncamanda.server.restore.turns import RESTORES, is_any_served
from asyncamanda.system.clock import now

FOLDER = Path(ipc.STATE, "drills")  # of locks, and of when was looked for drills that are due
_LOOK_EVERY = 1.0  # seconds
_WAIT_AT_MOST = 3600.0  # seconds in all, of one drill
TOO_LONG = "drill-too-long"
LONGEST = 6 * 3600.0  # seconds that one disk may take, so that the others have their turn


class GiveWay:
    """Lets restores go first: a call waits as long as one goes on, but not forever."""

    def __init__(self, folder: Path | None = None, longest: float = LONGEST) -> None:
        """`folder` is that of the restores' turns; a drill ends after `longest` seconds."""
        self._ends_at = time.monotonic() + longest
        self._folder = folder or Path(ipc.STATE, TURNS)
        self._looked_at = 0.0
        self._left = _WAIT_AT_MOST

    def __call__(self) -> None:
        """Look, now and then, and wait if need be. Raises LaterError if it takes too long."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY:
            return
        while self._left > 0 and is_any_served(self._folder, RESTORES):
            time.sleep(_LOOK_EVERY)
            self._left -= _LOOK_EVERY
        self._looked_at = time.monotonic()
        if self._looked_at > self._ends_at:
            raise LaterError(
                TOO_LONG,
                "its drill takes too long, and is ended",
                "asyncamanda server drill, when the server is less busy",
            )


class Drills:
    """Drills of one configuration's disks; `read_source` tells what there is of a host."""

    def __init__(  # noqa: PLR0913 - half of it by keyword only
        self,
        ledger: Ledger,
        amanda_config: str,
        read_source: Callable[[str], Source],
        sample: int,
        *,
        hear: Callable[[Dle, AsyncamandaError], None] = lambda _dle, _error: None,
        longest: float = LONGEST,
    ) -> None:
        """`hear` is given a disk that cannot be drilled now, and why."""
        self._hear = hear
        self._longest = longest
        self._ledger = ledger
        self._name = amanda_config
        self._read_source = read_source
        self._sample = sample

    def drill(self, dles: Iterable[tuple[Dle, bool]]) -> Iterator[tuple[Dle, ProofRow | None]]:
        """Drill these disks, each with whether all bytes are read; yield each with its proof.

        That is None where nothing of the disk is promised. One of which that cannot be told now is
        left out, which the log has. Raises what the ledger raises.
        """
        known = self._ledger.proofs.of_dles(self._name, kinds=DRILLS)
        for dle, is_full in dles:
            must_be = must_be_full(known[dle].newest if dle in known else None)
            try:
                yield dle, self._drill_fully(dle, must_be=must_be, is_full=is_full or must_be)
            except (LedgerUnavailable, LedgerBusy):
                raise
            except AsyncamandaError as error:
                self._pass_over(dle, error)
            except MemoryError:
                self._pass_over(dle, _lacks_memory())
            except OSError as error:  # as where no program can be started
                self._pass_over(dle, _lacks_means(error))

    def drill_due(self, due: DueDrills) -> int:
        """Drill disks that are due, as many as are to be now; return how many were."""
        count = wholes = 0

        def choose() -> Iterator[tuple[Dle, bool]]:
            for dle, is_whole in due.order:
                yield dle, is_whole and wholes < due.most_whole

        for _, proof in self.drill(choose()):
            count += proof is not None
            wholes += proof is not None and proof.kind is ProofKind.FULL_DRILL
            if count >= due.most:
                break
        return count

    def _pass_over(self, dle: Dle, error: AsyncamandaError) -> None:
        LOG.warning("%s: %s: not drilled: %s", self._name, printable(":".join(dle)), error.message)
        self._hear(dle, error)

    def _drill_fully(self, dle: Dle, *, must_be: bool, is_full: bool) -> ProofRow | None:
        """Drill a disk; where all bytes take too long, and need not be read, a lesser one does."""
        try:
            return self._drill_one(dle, is_full=is_full)
        except LaterError as error:
            if must_be or not is_full or error.reference != TOO_LONG:
                raise
            LOG.info("%s: %s: not of all bytes: %s", self._name, printable(":".join(dle)), error)
        return self._drill_one(dle, is_full=False)

    def _drill_one(self, dle: Dle, *, is_full: bool) -> ProofRow | None:
        host, disk = dle
        bad = self._ledger.proofs.bad_dates(self._name, host, disk)
        drill = Drill(is_full, self._sample, pause=GiveWay(longest=self._longest), bad_dates=bad)
        finding = prove_disk(lambda: self._read_source(host), disk, drill)
        if finding is None:
            LOG.info("%s: %s:%s: nothing of it is promised", self._name, host, printable(disk))
            return None
        proof = make_proof(self._name, finding, is_full=is_full)
        proof = self._ledger.proofs.record(proof, _plan_full(finding, proof))
        words = "proved restorable" if proof.is_good else "NOT PROVED RESTORABLE"
        level = LOG.info if proof.is_good else LOG.warning
        what = printable(proof.what)
        level("%s: %s:%s: %s: %s", self._name, host, printable(disk), words, what)
        return proof


def _lacks_memory() -> LaterError:
    return LaterError(
        "no-memory",
        "there is not enough memory for the lists of what is in its dumps",
        "try again when the server is less busy",
    )


def _lacks_means(error: OSError) -> LaterError:
    return LaterError(
        "not-drilled", f"the server lacks what it takes: {error.strerror}", "try again later"
    )


def make_proof(amanda_config: str, finding: Finding, *, is_full: bool) -> ProofRow:
    """Return what the ledger is to keep of a finding."""
    verdict = finding.dump.verdict
    return ProofRow(
        amanda_config=amanda_config,
        host=verdict.host,
        disk=verdict.disk,
        kind=ProofKind.FULL_DRILL if is_full else ProofKind.DRILL,
        proved_at=now(),
        timestamp=verdict.timestamp,
        level=verdict.level,
        is_good=finding.is_good,
        what=finding.what,
        size=finding.size,
    )


def _plan_full(finding: Finding, proof: ProofRow) -> Protection | None:
    """Return what Amanda is to be told before the next dump, which is then a full one.

    Only a run that begins after the proof counts as that one.
    """
    if not finding.needs_full:
        return None
    need = Protection(proof.host, proof.disk, proof.timestamp, ProtectionKind.FORCE, 0)
    return replace(need, dumped_at=proof.proved_at)

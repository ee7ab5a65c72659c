"""What the server remembers, as values: the rows of its ledger, without their storage."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from asyncamanda.core.model import DleVerdict, DumpState


class RequestState(Enum):
    """The state of a request."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    WITHDRAWN = "withdrawn"

    @property
    def is_open(self) -> bool:
        """Whether the client still waits for its end."""
        return self in {RequestState.QUEUED, RequestState.RUNNING}


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One client's request for a backup.

    `run_id` is the run that serves it, None before there is one. `outcome` says how it ended,
    in words; empty while it is open. `machine` is the lineage (tickets.py) of who asked, None
    where Amanda does not reach it by that session.
    """

    id: int
    client: str
    amanda_config: str
    submitted_at: datetime
    state: RequestState
    run_id: int | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    machine: int | None = None


class RunKind(Enum):
    """Whose run it is, and what for."""

    BATCH = "batch"  # the dispatcher's, for requests
    FLUSH = "flush"  # the dispatcher's, to bring held dumps to a volume
    OTHER = "other"  # started by somebody else (cron, an administrator), known by its log


WELL = (None, 0, 2)  # exit statuses: amdump's is a sum of bits, of which 2 is a strange dump
WITH_TAPER = "it may write to volumes"  # the remark on a batch, as long as it is not judged


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of Amanda.

    `timestamp` is Amanda's name for it, 14 digits in the server's local time; None until it is
    known. `hosts` are those it was started for; for OTHER those its log names. `pid` on the boot
    `boot_id` is the run's process, which began `pid_started` ticks after that. `exit_status` is
    None while it goes on, and where nobody saw it. `labels` are the volumes it wrote. `report` is
    the file that reports it. `remark` is any further remark.
    """

    id: int
    amanda_config: str
    kind: RunKind
    hosts: tuple[str, ...]
    begun_at: datetime
    timestamp: str | None = None
    pid: int | None = None
    pid_started: int | None = None
    boot_id: str | None = None
    ended_at: datetime | None = None
    exit_status: int | None = None
    is_clean: bool = False
    labels: tuple[str, ...] = ()
    report: str | None = None
    remark: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it did not end in good order, or a dump of it failed."""
        return not self.is_clean or self.exit_status not in WELL

    @property
    def has_taper(self) -> bool:
        """Whether it may write to volumes; of a run that is not judged yet."""
        return self.kind is RunKind.FLUSH or self.remark == WITH_TAPER


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended, as the ledger records it.

    `verdicts` are all that its log has, those of older dumps that it only brought to a volume
    included.
    """

    exit_status: int | None
    is_clean: bool
    verdicts: tuple[DleVerdict, ...] = ()
    labels: tuple[str, ...] = ()
    report: str | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A run's log as it lies in Amanda's `logdir`.

    `size` is in bytes. `begun_at` is when its run began, `written_at` the time of its last line.
    """

    name: str
    size: int
    begun_at: datetime
    written_at: datetime


class ProtectionKind(Enum):
    """What `amadmin` is to be told about a DLE, by the name of its subcommand."""

    FORCE = "force"
    FORCE_NO_BUMP = "force-no-bump"


@dataclass(frozen=True, slots=True)
class Protection:
    """A DLE whose next dump must not build on the client's false snapshot of level `level`.

    `timestamp` is that of the dump that failed, in a run that began at `dumped_at` (None: as the
    timestamp says). `made_at` is when Amanda was told; None: it is still to be.
    """

    host: str
    disk: str
    timestamp: str
    kind: ProtectionKind
    level: int
    made_at: datetime | None = None
    dumped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RestoreRow:
    """A time that files were given back.

    `who` got them: "client", or "admin:USER". `paths` are the first of those that were asked for,
    below the disk's folder, and `more_paths` is how many more there were. `run` is the dump's.
    `pid` on the boot `boot_id`, which began `pid_started` ticks after that, serves it. `files` and
    `size` are what was sent, and `outcome` says how it ended, in words; "" until then.
    """

    id: int
    amanda_config: str
    client: str
    who: str
    disk: str
    paths: tuple[str, ...]
    more_paths: int
    run: str
    begun_at: datetime
    pid: int
    pid_started: int
    boot_id: str
    ended_at: datetime | None = None
    files: int = 0
    size: int = 0
    outcome: str = ""


class ProofKind(Enum):
    """How a disk was proved restorable."""

    DRILL = "drill"  # on the server: chain, files, headers, names, and a sample of the members
    FULL_DRILL = "full drill"  # the checksums of the whole images as well
    CLIENT = "client"  # by the client: files came back, and were compared with the live ones


@dataclass(frozen=True, slots=True)
class ProofRow:
    """A time that a disk was proved restorable, or was found not to be.

    `timestamp` and `level` are those of the newest dump of what was proved, "" and None where it
    did not come to one. `what` says what was proved, or what failed, in words and with the paths.
    `size` is how many bytes were read or compared. `id` is 0 until the ledger gives it one.
    """

    amanda_config: str
    host: str
    disk: str
    kind: ProofKind
    proved_at: datetime
    timestamp: str
    level: int | None
    is_good: bool
    what: str = ""
    size: int = 0
    id: int = 0


_RANKS = {DumpState.HELD: 1, DumpState.STORED: 2}  # the others: 0


def join_verdicts(known: DleVerdict, word: DleVerdict, *, is_own: bool) -> DleVerdict:
    """Return what is known of one dump after a further verdict on it.

    A dump on a volume stays there, and one in the holding disk is not lost because another run
    reports less. `is_own` says that the verdict is from the run that made the dump: it may take
    back what was noted while that run went on. What one verdict leaves open, the other fills in.
    """
    rises = _RANKS.get(word.state, 0) > _RANKS.get(known.state, 0)
    counts = rises or (is_own and known.state is not DumpState.STORED)
    verdict, other = (word, known) if counts else (known, word)
    return replace(
        verdict,
        level=other.level if verdict.level is None else verdict.level,
        kilobytes=verdict.kilobytes or other.kilobytes,
        is_strange=known.is_strange or word.is_strange,
        has_begun=known.has_begun or word.has_begun,
        dumped_at=known.dumped_at or word.dumped_at,
    )


def summarise_verdicts(verdicts: Iterable[DleVerdict]) -> str:
    """Return in a few words how a client's request ended whose DLEs' verdicts these are."""
    meant = [verdict for verdict in verdicts if verdict.state is not DumpState.SKIPPED]
    missed = [verdict for verdict in meant if not verdict.state.is_confirmed]
    if not meant:
        return "nothing was dumped"
    if not missed:
        return "backed up"
    return f"{len(missed)} of {len(meant)} not backed up: {missed[0].disk}" + (
        f" ({missed[0].reason})" if missed[0].reason else ""
    )

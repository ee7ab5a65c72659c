"""The values that decisions are made of: frozen, plain, comparable."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum


class DiskRule(Enum):
    """Which disks have to be fresh."""

    NEWEST = "newest"  # any disk's newest dump counts: the rule of the classic form
    EACH = "each"


@dataclass(frozen=True, slots=True)
class DumpRecord:
    """One dump of one disk, known by its start, as amandates has it.

    `kilobytes` is its size before compression, according to the server; 0 where nobody said.
    """

    disk: str
    level: int
    started_at: datetime
    kilobytes: int = 0


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line of amandates that Amanda would skip: its number from 1, text and fault."""

    number: int
    text: str
    fault: str


@dataclass(frozen=True, slots=True)
class Span:
    """A closed stretch of time."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment <= self.end


@dataclass(frozen=True, slots=True)
class Policy:
    """How fresh a backup has to be, and for what.

    `disks` names the disks to watch; where it is empty, those in amandates are watched.
    `stale_after_use` is for how many hours of use there may be no backup, None for no such limit;
    `is_by_use`: where the use is known, that holds instead of `stale_after`.
    """

    interval: timedelta
    watch: DiskRule = DiskRule.EACH
    disks: tuple[str, ...] = ()
    forget_after: timedelta = timedelta(days=30)
    stale_after: timedelta = timedelta(days=7)
    settle: timedelta = timedelta(hours=1)
    stale_after_use: timedelta | None = None
    is_by_use: bool = False


class Outcome(Enum):
    """How an attempt to back up ended."""

    BACKED_UP = "backed up"
    FAILED = "failed"  # the command ended, and a wanted disk is not backed up
    INCOMPLETE = "incomplete"  # the command ended well, and a wanted disk was not dumped
    DOUBTFUL = "doubtful"  # all that is wanted was dumped, and a dump failed, perhaps another's
    NOBODY = "nobody dumped"  # the command ended, and dumped no client at all
    KILLED = "killed"  # the command was killed at the server; what it started may go on
    LOST = "lost"  # the connection broke while the command ran
    INTERRUPTED = "interrupted"  # the agent was told to stop while the command ran
    UNSEEN = "unseen"  # the agent died while the command ran
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    LATER = "later"  # the server said: come back later
    STOPPED = "stopped"  # the agent was told to stop before the command ran
    DEFERRED = "deferred"  # the moment was not a good one
    PAUSED = "paused"  # conditions were no longer met during the run, and the run was left

    @property
    def is_settled(self) -> bool:
        """Whether it is certain that no run of this attempt goes on at the server."""
        return self not in _UNSETTLED

    @property
    def has_run(self) -> bool:
        """Whether the command may have run at the server."""
        return self not in _WITHOUT_RUN


_UNSETTLED = frozenset(
    {
        Outcome.KILLED,
        Outcome.LOST,
        Outcome.INTERRUPTED,
        Outcome.UNSEEN,
        Outcome.PAUSED,
    }
)
_WITHOUT_RUN = frozenset(
    {
        Outcome.UNREACHABLE,
        Outcome.REFUSED,
        Outcome.LATER,
        Outcome.STOPPED,
        Outcome.DEFERRED,
    }
)


class BackupState(Enum):
    """The states that people are notified about: only a change is news."""

    WELL = "well"
    FAILED = "failed"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to back up, from connecting to its end.

    `times` counts attempts in a row that ended alike without reaching the command; they
    are kept as one, whose `started_at` is the first's and whose `ended_at` is the last's.
    `run` is the timestamp of the run that the gate's server made for it, "" where none is known.
    """

    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    detail: str = ""
    exit_status: int | None = None
    dumps: tuple[DumpRecord, ...] = ()
    times: int = 1
    run: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """A command that was started at the server, and whose end is not recorded yet.

    `alive_at` is when the agent, whose process `pid` was, last recorded that it is alive. `run` is
    as in an Attempt.
    """

    started_at: datetime
    alive_at: datetime
    pid: int
    run: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """What a memory is about: which server, and which client.

    `address` is the server's as configured, `host_keys` are the fingerprints by which this machine
    knows it, `keys` those of this machine's own keys, and `name` is this machine's. `command` and
    `amandates` are direct mode's, "" by gate, where the server says in its Welcome what `client`
    this is, and of which `amanda_config`: "" until then.

    `files` are what host keys, keys and name were read from, and `digest` is of what they held.
    """

    address: str
    host_keys: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    name: str = ""
    command: str = ""
    amandates: str = ""
    client: str = ""
    amanda_config: str = ""
    files: tuple[str, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the agent remembers from one start to the next.

    `confirmed` is the newest dump of each disk from a run that was judged good; in gate mode,
    according to the server. `distrusted` are the times in which amandates may have lied.

    `tries` counts the unsuccessful attempts in a row, `retry_at` is when the next one is to be,
    unless the surroundings differ from those `seen` then. `told` is the state of the backup that
    each channel was last told, nothing where that is well.

    In gate mode `dles` are the disks that the server has for this client, None until it was asked,
    and `parked` those that it is configured to leave out; `asked_at` is when it last said so;
    `restorable` is since when each can be restored, where it said that; `proved` is when it was
    proved last that it can be, and `unproved` why the last proof of it failed, where it did, of
    which people know if `is_unproved_told`;
    `not_before` is when it said to come back; `ticket` is what it will know this machine by
    (tickets.py), "" for nothing; `is_doubted` says that it knows of another machine that is this
    client, so that what it said may be the other's.

    `peer` is which server and client this is about, None while no server was asked. `past` are the
    attempts at other servers, or as other clients: they are shown, and nothing follows from them.
    """

    since: datetime
    confirmed: dict[str, DumpRecord] = field(default_factory=dict)
    distrusted: tuple[Span, ...] = ()
    started: Started | None = None
    attempts: tuple[Attempt, ...] = ()
    dles: tuple[str, ...] | None = None
    parked: tuple[str, ...] = ()
    restorable: dict[str, datetime] = field(default_factory=dict)
    proved: dict[str, datetime] = field(default_factory=dict)
    unproved: dict[str, str] = field(default_factory=dict)
    is_unproved_told: bool = False
    asked_at: datetime | None = None
    not_before: datetime | None = None
    ticket: str = ""
    is_doubted: bool = False
    tries: int = 0
    retry_at: datetime | None = None
    seen: str = ""
    told: dict[str, BackupState] = field(default_factory=dict)
    peer: Peer | None = None
    past: tuple[Attempt, ...] = ()


class DumpState(Enum):
    """The result of one DLE in one run, according to the server."""

    STORED = "stored"  # on a volume
    HELD = "held"  # whole, in the holding disk
    FAILED = "failed"
    MISSING = "missing"  # the run ended without reporting it
    CLAIMED = "claimed"  # Amanda's log says that it was dumped, and nothing witnesses it
    SKIPPED = "skipped"  # by the configuration (skip-incr and the like): not meant to be dumped

    @property
    def is_confirmed(self) -> bool:
        """Whether the server has the dump."""
        return self in {DumpState.STORED, DumpState.HELD}


@dataclass(frozen=True, slots=True)
class DleVerdict:
    """The result of one DLE in one run.

    `timestamp` is the dump's, 14 digits in the server's local time: its run's, and an older
    one's where a run only brought a held dump to a volume. `level` is None where nobody
    said. `kilobytes` is the dump's size before compression. `has_begun` says that the client
    may have been at it, so that its snapshot may claim what the server does not have.
    `has_failed_since`: the server has the dump, and a later attempt of the same run failed,
    so that the snapshot may claim more than that. `dumped_at` is when its run began, by
    the server's clock and not by a timestamp; None where that is not known yet.
    """

    host: str
    disk: str
    timestamp: str
    state: DumpState
    level: int | None = None
    reason: str = ""
    kilobytes: int = 0
    is_strange: bool = False
    has_begun: bool = False
    has_failed_since: bool = False
    dumped_at: datetime | None = None

    @property
    def is_false_base(self) -> bool:
        """Whether the client's snapshot may claim files that no dump of the server's has."""
        if self.state.is_confirmed:
            return self.has_failed_since
        return self.has_begun and self.state is not DumpState.SKIPPED


@dataclass(frozen=True, slots=True)
class DleProgress:
    """How far one DLE's dump is in a run in progress; `total_kilobytes` is the estimate."""

    host: str
    disk: str
    level: int
    phase: str  # estimating, waiting, dumping, writing, done, failed
    done_kilobytes: int
    total_kilobytes: int


EPOCH = datetime.fromtimestamp(0, UTC)
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)

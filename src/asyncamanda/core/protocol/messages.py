"""The messages between agent and gate: one JSON object a line, versioned.

`{"type":"queued","place":2,"of":3,...}`: a message's keys are its fields. Times are RFC 3339 in
UTC, spans are seconds, and everything is ASCII, so that a name that is not UTF-8 (a lone surrogate,
PEP 383) survives as its escape.

The client begins with Hello, which keeps its keys forever; the server answers with Welcome in the
highest protocol that both speak, or with Refused. A reader skips message types and keys that it
does not know, but requires every key that it does, unless that is marked MAY_LACK. So within a
protocol a side may add what only it sends, and what the other side does well without; what that has
to send needs a new protocol.

Nothing that a client can send names a client, a configuration, a path or a command: who it
is comes from its key (authority.py).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asyncamanda.core.model import DleProgress, DleVerdict, DumpState
from asyncamanda.core.protocol.codec import (
    MAY_LACK,
)

PROTOCOLS: tuple[int, ...] = (1,)
ALL_PARKED = "all-parked"  # the reference of a Refused: Amanda leaves out every disk
NOT_ENROLLED = "revoked"  # and of another: the client is not enrolled, or not any more
LARGEST_FROM_CLIENT = 4096  # bytes a line, its end aside
LARGEST_FROM_SERVER = 1 << 20


@dataclass(frozen=True, slots=True)
class Hello:
    """The client's first message: what it speaks, and whether it wants Progress.

    `ticket` is the one of its last Welcome, "" if it has none. `host_name` is what the machine
    calls itself, which is shown where two use one key. `is_probe`: it only asks how it would be
    received, or reports proofs; it gets no ticket, and may not ask for a backup.
    """

    protocols: tuple[int, ...]
    software: str
    is_watching: bool
    ticket: str = ""
    host_name: str = ""
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Submit:
    """The client wants a backup; this joins its own request or run, if there is one."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The client leaves in good order; its request is withdrawn if it is still queued."""


@dataclass(frozen=True, slots=True)
class Shut:
    """The stream of that token has ended, or never began: amandad's exit status, and why.

    The status is as a shell has it: 127 where there is no amandad, 128 and more after a signal,
    255 where the gate did not take the stream. `is_refused`: the server's sshd allowed no session.
    """

    token: str
    status: int
    reason: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """The client had files of a disk given back, and has compared them with those it has.

    `disk_number` is the disk's place in the last Welcome, from 0, `run` the dump's timestamp, "" if
    it did not come to one. `is_good`: so many `files`, of `size` bytes, came back as they are; if
    not, `reason` says what failed. Only a server whose Welcome `takes_proofs` knows this.
    """

    disk_number: int
    run: str
    is_good: bool
    files: int
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """The client's settings, whether it has put a due backup off, and how much it is used.

    `stale_after_use` is null where it has no limit by use. `deferred_for` is how long a due backup
    has been put off, null if none is, and `deferred_reason` says why. `used` is for how long the
    machine was awake since the client began to count, null if it does not count; `gaps` is how
    often it could not count for a while. `use_days` has the seconds of each day, the newest first,
    which is `day` by the client's calendar; null for each that is not known. Only a server whose
    Welcome `takes_reports` knows this. A probe may report, too: that counts if it came with the
    client's newest ticket.
    """

    interval: timedelta
    stale_after: timedelta
    stale_after_use: timedelta | None
    deferred_for: timedelta | None
    deferred_reason: str
    used: timedelta | None
    gaps: int
    day: str
    use_days: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? Either side may ask."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Here."""


@dataclass(frozen=True, slots=True)
class DleState:
    """A DLE's newest confirmed dump; `confirmed_at` is None where there never was one.

    `kilobytes` is the dump's size before compression, 0 where nobody said.
    `is_parked`: Amanda is configured to leave the DLE out. `restorable_since` is the first date
    that can be restored, None where that is not known. `program` is what dumps it (GNUTAR, DUMP or
    APPLICATION), "" where nobody said, and `device` the path that is dumped, "" if that is `disk`.
    `proved_at` is when it was proved last that the disk can be restored, None if it never was;
    `proof_fault` says why the last proof failed, "" if it did not.
    """

    disk: str
    state: DumpState | None
    level: int | None
    confirmed_at: datetime | None
    kilobytes: int = 0
    is_parked: bool = False
    restorable_since: datetime | None = field(default=None, metadata=MAY_LACK)
    program: str = field(default="", metadata=MAY_LACK)
    device: str = field(default="", metadata=MAY_LACK)
    proved_at: datetime | None = field(default=None, metadata=MAY_LACK)
    proof_fault: str = field(default="", metadata=MAY_LACK)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run has ended: the results of this client's DLEs.

    `run` is amdump's timestamp, "" if it never had one.
    """

    run: str
    ended_at: datetime
    verdicts: tuple[DleVerdict, ...]


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to Hello: the protocol from here on, who the client is, and how it stands.

    `heartbeat` is how often a silent session is asked. `standing` is the state of the client's
    request: "idle" (there is none), "queued" or "running". `last` is how the client's last run
    ended, None if there was none. `ticket` is what to say at the next Hello; it is written down
    before anything else is said. "": the last one holds. `is_direct`: Amanda connects to the client
    by itself, so that no data of its dumps comes through this connection. `takes_proofs`: the
    client may send a Proof. `takes_reports`: it may send a Report.
    """

    protocol: int
    software: str
    client: str
    amanda_config: str
    now: datetime
    heartbeat: timedelta
    dles: tuple[DleState, ...]
    standing: str
    last: Finished | None
    ticket: str = ""
    is_direct: bool = field(default=False, metadata=MAY_LACK)
    takes_proofs: bool = field(default=False, metadata=MAY_LACK)
    takes_reports: bool = field(default=False, metadata=MAY_LACK)


@dataclass(frozen=True, slots=True)
class Noted:
    """The Proof of the disk in that place is written down."""

    disk_number: int


@dataclass(frozen=True, slots=True)
class Queued:
    """The request waits: its place from 1, how long to the run's start if that is known.

    `reason` is what is waited for: "collecting", "starting", "runs", "flush" or "others", or in
    words what keeps the server from starting a run.
    """

    place: int
    of: int
    estimate: timedelta | None
    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: end the session, and come back `after` that."""

    after: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Running:
    """The run with this client in it has begun; `run` is "" until its timestamp is known."""

    run: str
    since: datetime
    clients: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far this client's DLEs are."""

    run: str
    dles: tuple[DleProgress, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """Start amandad, and join it to a new ssh session, `asyncamanda gate attach TOKEN`.

    The token is good once, and for a short time.
    """

    token: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal, with what an error needs (errors.py); the agent ends with the code `exit`."""

    reference: str
    message: str
    hint: str
    exit: int


@dataclass(frozen=True, slots=True)
class Again:
    """The dispatcher was replaced: say Hello (and Submit) again."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a message, and why; the reason quotes nothing of it."""

    reason: str


ClientMessage = Hello | Submit | Ping | Pong | Bye | Shut | Proof | Report
ServerMessage = (
    Welcome
    | Queued
    | Later
    | Running
    | Progress
    | Finished
    | Refused
    | Again
    | Open
    | Noted
    | Ping
    | Pong
)

"""What the gate says of a restore or a list, judged for an ordinary user before it is told.

Of what the user could not have seen there is no word: no count, no name, no name near it, and no
difference to what is not there.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from asyncamanda.client.restore.voice import Voice
from asyncamanda.core.restore.answer import (
    MissingFile,
    QueuedRestore,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
    RestorePlan,
    UnmatchedPath,
)
from asyncamanda.core.restore.ownership import NewOwner
from asyncamanda.core.restore.permission import Asker
from asyncamanda.core.restore.visible import Ways
from asyncamanda.errors import (
    BadDataError,
    LaterError,
    ProtocolError,
    RefusedError,
    kind_by_exit,
)

NOTHING_MATCHED = "nothing-matched"
MOST_HELD = 100_000  # answers that wait for the folders which say whether they may be told
_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Claimant:
    """The user who asks: for judging, for what will be theirs, and since when they are here.

    `may_reach` says whether they may come to a folder by what lies above it; `read_clock` is this
    machine's clock.
    """

    asker: Asker
    owner: NewOwner
    since: datetime
    may_reach: Callable[[str], bool]
    read_clock: Callable[[], datetime]

    def check_age(self, dumped_at: datetime, server_now: datetime | None) -> None:
        """Raise RefusedError for a dump that is older than the account.

        A server whose clock is ahead makes no dump younger. Amanda's times are whole seconds.
        """
        ahead = server_now - self.read_clock() if server_now else _NO_TIME
        if dumped_at - max(ahead, _NO_TIME) < self.since.replace(microsecond=0):
            raise RefusedError(
                "account-younger",
                f"the account {self.asker.name} is known since {self.since:%Y-%m-%d %H:%M} UTC, and"
                f" this dump is of {dumped_at:%Y-%m-%d %H:%M} UTC: its uid may have been another's",
                "name a later date with --at; for this one, as root: asyncamanda restore",
            )


class Judgement:
    """What the user hears about one request; `ways` are known once the plan has come."""

    def __init__(
        self,
        claimant: Claimant,
        wanted: Collection[bytes],
        voice: Voice,
        *,
        is_told: bool = True,
    ) -> None:
        """`is_told`: the plan is told as soon as it has come."""
        self.claimant = claimant
        self.plan: RestorePlan | None = None
        self.ways: Ways | None = None
        self.is_done = False  # as far as the request goes that the gate answers now
        self.has_matched = True
        self._wanted = tuple(dict.fromkeys(wanted))
        self._voice = voice
        self._is_told = is_told
        self._held: list[MissingFile | UnmatchedPath] = []

    def begin_round(self) -> None:
        """Expect the answers to another request of the same dump."""
        self.is_done, self.has_matched = False, True

    def hear(self, answer: RestoreAnswer) -> None:
        """Take in what the gate says. Raises the gate's own error, and RefusedError."""
        match answer:
            case QueuedRestore():
                self._voice.answer(answer)
            case RestorePlan():
                self._heed_plan(answer)
            case MissingFile() | UnmatchedPath():
                self._hold(answer)
            case RestoreDone():
                self.is_done = True
            case RestoreFailed(reference=reference):
                if reference != NOTHING_MATCHED:
                    kind = kind_by_exit(answer.exit)
                    raise kind(reference, answer.message, answer.hint)
                self.is_done, self.has_matched = True, False
            case _:
                raise ProtocolError(
                    "not-understood", "the server answers what was not asked", "update the older"
                )

    def _hold(self, answer: MissingFile | UnmatchedPath) -> None:
        if len(self._held) >= MOST_HELD:
            raise LaterError(
                "too-much-missing",
                "more is missing of that than can be named",
                "ask for less at a time: one folder after another",
            )
        self._held.append(answer)

    def known_ways(self) -> Ways:
        """Return the ways. Raises ProtocolError if no plan has come."""
        if self.ways is None:
            raise ProtocolError(
                "not-understood",
                "the server does not say which dump it gives files of",
                "is its asyncamanda older? this may work, as root: asyncamanda restore",
            )
        return self.ways

    def tell_missing(self, path: bytes, reason: str) -> None:
        """Name a path that may be named and is not handed over."""
        self._voice.answer(MissingFile(path, reason))

    def tell_rest(self, seen: Collection[bytes]) -> None:
        """Tell what else of the wanted paths is missing, and what was not there.

        `seen` are those that were, as far as the user may know. Raises BadDataError if none is.
        """
        told = set(seen)
        near: dict[bytes, tuple[bytes, ...]] = {}
        for answer in self._held:
            if isinstance(answer, UnmatchedPath):
                near[answer.path] = self._show(answer.near)
            elif self.ways and self.ways.is_named(answer.path):
                self._voice.answer(answer)
                told.add(answer.path)
        unmatched = [path for path in self._wanted if path not in told]
        for path in unmatched:
            self._voice.answer(UnmatchedPath(path, near.get(path, ())))
        if len(unmatched) == len(self._wanted):
            raise nothing_matched()

    def _show(self, names: tuple[bytes, ...]) -> tuple[bytes, ...]:
        ways = self.ways
        return tuple(name for name in names if ways and ways.is_shown(name))

    def _heed_plan(self, plan: RestorePlan) -> None:
        self.claimant.check_age(plan.dumped_at, plan.now)
        if self.plan is not None:
            if plan.run != self.plan.run:
                raise LaterError(
                    "restore-changed", "the dump was replaced in the meantime", "try again"
                )
            return
        self.plan = plan
        self.ways = self.make_ways(plan.device, keeps_acls=plan.keeps_acls)
        if self._is_told:
            self.tell_plan()

    def make_ways(self, device: str, *, keeps_acls: bool) -> Ways:
        """Return ways of which nothing is known yet but what lies above the disk."""
        claimant = self.claimant
        return Ways(
            claimant.asker,
            self._wanted,
            is_reachable=claimant.may_reach(device),
            keeps_acls=keeps_acls,
        )

    def tell_plan(self, files: int | None = None, folders: int | None = None) -> None:
        """Tell the plan, with what may be known of its numbers."""
        if self.plan is not None:
            plan = replace(self.plan, excludes=(), has_all_excludes=False)  # which may have names
            self._voice.answer(replace(plan, files=files, folders=folders, size=None))


def nothing_matched() -> BadDataError:
    """Return the error for what was not there, or could not have been seen."""
    return BadDataError(
        NOTHING_MATCHED,
        "nothing of that was there at that date, as far as this user could have seen",
        "`asyncamanda list` shows what was; as root, the same shows what is others'",
    )


def check_done(*, is_done: bool) -> None:
    """Raise ProtocolError if the gate has not said that its answer is whole."""
    if not is_done:
        raise ProtocolError(
            "not-understood", "the server's answer has no end", "try again; see the server's log"
        )


@contextmanager
def understanding() -> Iterator[None]:
    """Raise ProtocolError for what the gate sends that is no list, or no tar stream."""
    try:
        yield
    except ValueError as error:
        raise ProtocolError(
            "not-understood",
            f"what the server sends cannot be judged: {error}",
            "is its asyncamanda of another version? this may work, as root: asyncamanda restore",
        ) from error

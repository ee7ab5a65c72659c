"""Files of a disk are asked for back by the whole way that `restore` takes, and compared here."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from asyncamanda.client.restore.comparing import UNREADABLE, compare
from asyncamanda.client.restore.exchange import Exchange, ExchangeEnd
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.listing import NOTHING_MATCHED
from asyncamanda.client.restore.own_excludes import read_own_excludes
from asyncamanda.client.restore.sampling import LiveDisk
from asyncamanda.core.amanda.excludes import compile_patterns
from asyncamanda.core.model import EPOCH
from asyncamanda.core.restore.answer import (
    DiskAnswer,
    MissingFile,
    RestoreAnswer,
    RestorePlan,
    UnmatchedPath,
)
from asyncamanda.core.restore.image import Kind
from asyncamanda.core.restore.proof import (
    Absence,
    ClientProof,
    LiveFile,
    ProofStanding,
    changed_limit,
    choose_files,
    conclude_proof,
    is_unchanged,
    judge_absence,
    judge_refusal,
)
from asyncamanda.core.restore.request import FilesRequest
from asyncamanda.core.restore.whereabouts import folder_of, join
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import LaterError, ProtocolError
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.incoming import StreamCut
from asyncamanda.system.tarstream import StreamedMember, read_members

TOO_LONG = "proof-too-long"
LONGEST = timedelta(minutes=45)  # of one start: the timer's next one is an hour later
ROUNDS = 3  # of asking, where it turns out that what was asked for is excluded


@dataclass(slots=True)
class Heard:
    """What the server said of one request."""

    plan: RestorePlan | None = None
    absent: dict[bytes, Absence] = field(default_factory=dict)
    end: ExchangeEnd | None = None


def stream_members(
    gateway: Gateway, request: FilesRequest, heard: Heard, on_tick: Callable[[], None]
) -> Iterator[StreamedMember]:
    """Yield the members of what is asked for as they come; `heard` has what the server says.

    This is the one way by which a proof gets contents back. `on_tick` is called at least twice a
    second. Raises what Gateway.ask() and `on_tick` raise, ProtocolError for what is no answer to
    this, and Interrupted.
    """

    def hear(answer: RestoreAnswer) -> None:
        match answer:
            case RestorePlan():
                heard.plan = answer
            case MissingFile():
                heard.absent[answer.path] = Absence(answer.reason)
            case UnmatchedPath():
                heard.absent.setdefault(answer.path, Absence())
            case _:
                gateway.note(answer)

    with closing(gateway.ask(request, hear, on_tick)) as exchange:
        while heard.plan is None and exchange.await_answer():
            pass
        if heard.plan is not None:
            yield from _understand(gateway, exchange)
        heard.end = exchange.conclude()


def _understand(gateway: Gateway, exchange: Exchange) -> Iterator[StreamedMember]:
    try:
        yield from read_members(exchange.source)
    except StreamCut:
        return  # how the exchange ended says why
    except ValueError as error:
        raise ProtocolError(
            "bad-stream",
            f"{gateway.host} sent what is no answer to this: {error}",
            "is it your server?",
        ) from error


class DiskProver:
    """Proves one disk. `dumped_at` is when its newest confirmed dump began, by this clock."""

    def __init__(
        self,
        gateway: Gateway,
        disk: DiskAnswer,
        dumped_at: datetime,
        chance: random.Random,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._gateway = gateway
        self._disk = disk
        self._chance = chance
        self._on_tick = on_tick
        self._dumped_at = dumped_at
        self._excludes: tuple[str, ...] = ()
        self._is_own_exclude = read_own_excludes()

    def prove(self) -> ClientProof:
        """Return what came of it. Raises what stream_members() and Gateway.explain_end() raise."""
        folder = folder_of(self._disk)
        if not self._disk.is_listable:
            return self._nothing(self._disk.reason, ProofStanding.IMPOSSIBLE)
        if folder is None:
            return self._nothing("it is no folder of this machine", ProofStanding.IMPOSSIBLE)
        if self._disk.last_at is None:
            return self._nothing("the server cannot restore any of its dumps whole")
        try:
            live = LiveDisk(folder, changed_limit(self._dumped_at))
        except OSError as error:
            return self._nothing(f"{printable(os.fsdecode(folder))}: {error.strerror}")
        with closing(live):
            proof = self._nothing("each file here has changed since ten minutes before its dump")
            for _ in range(ROUNDS):
                files = choose_files(live.sample(self._is_excluded, self._chance))
                if not files:
                    return proof
                proof = self._ask(live, files)
                if proof.standing is not ProofStanding.NOTHING:
                    break
            return proof

    def _nothing(
        self, why: str, standing: ProofStanding = ProofStanding.NOTHING, run: str = ""
    ) -> ClientProof:
        return ClientProof(self._disk.disk, standing, run, why=why)

    def _is_excluded(self, path: bytes) -> bool:
        return self._is_own_exclude(path) or compile_patterns(self._excludes)(path)

    def _ask(self, live: LiveDisk, files: tuple[LiveFile, ...]) -> ClientProof:
        """Ask for these files, and judge what comes."""
        wanted = {file.path: file for file in files}
        heard, found = Heard(), dict[bytes, str | None]()
        request = FilesRequest(self._disk.disk, tuple(wanted))
        for streamed in stream_members(self._gateway, request, heard, self._on_tick):
            path = streamed.member.path
            if path in wanted:
                found[path] = compare(live, wanted[path], streamed)
            elif streamed.member.kind is not Kind.FOLDER:  # those on the way come as well
                raise ProtocolError(
                    "bad-stream",
                    f"{self._gateway.host} sent what was not asked for",
                    "is it your server?",
                )
        refusal = self._judge_end(heard)
        if refusal is not None:
            return refusal
        return self._conclude(live, wanted, heard, found)

    def _judge_end(self, heard: Heard) -> ClientProof | None:
        """Return what follows if the server did not answer to the end; None if it did."""
        end = heard.end
        assert end
        if heard.plan is not None and end.done is not None and not end.failed:
            return None
        if end.failed is None:
            raise self._gateway.explain_end(end)
        if end.failed.reference == NOTHING_MATCHED:
            return None
        standing = judge_refusal(end.failed.exit, end.failed.reference)
        if standing is None:
            raise self._gateway.explain_end(end)
        run = heard.plan.run if heard.plan else ""
        words = printable(end.failed.message)
        if standing is ProofStanding.FAILED:
            return conclude_proof(self._disk.disk, run, (), (words,), "")
        return self._nothing(words, standing, run)

    def _conclude(
        self,
        live: LiveDisk,
        wanted: dict[bytes, LiveFile],
        heard: Heard,
        found: dict[bytes, str | None],
    ) -> ClientProof:
        limit, has_more = self._heed_plan(heard.plan)
        same, faults, unreadable = [], [], 0
        for path, file in wanted.items():
            now_is = live.look(path)
            is_same_file = (
                now_is is not None and replace(now_is, is_settled=file.is_settled) == file
            )
            if not is_same_file or not is_unchanged(file, limit):
                continue  # it has changed meanwhile, or is newer than what the server still has
            if path in found:
                fault = found[path]
                unreadable += fault is None
            else:
                fault = judge_absence(
                    file,
                    heard.absent.get(path, Absence("the server did not send it")),
                    self._is_excluded,
                    has_more_excludes=has_more,
                )
            if fault:
                faults.append(f"{self._name(path)}: {fault}")
            elif found.get(path) == "":
                same.append(file)
        why = "what was looked at has changed meanwhile, or is left out of the backups"
        run = heard.plan.run if heard.plan else ""
        return conclude_proof(self._disk.disk, run, same, faults, UNREADABLE if unreadable else why)

    def _heed_plan(self, plan: RestorePlan | None) -> tuple[int, bool]:
        """Return the time of the dump that was read, and whether not all excludes are known."""
        if plan is None:
            return changed_limit(self._dumped_at), True
        self._excludes = tuple(dict.fromkeys((*self._excludes, *plan.excludes)))
        ahead = (plan.now or read_clock()) - read_clock()  # the server's clock
        try:
            dumped_at = min(self._dumped_at, max(plan.dumped_at - ahead, EPOCH))
        except OverflowError:  # by a clock like that no file is unchanged for certain
            dumped_at = EPOCH
        return changed_limit(dumped_at), not plan.has_all_excludes

    def _name(self, path: bytes) -> str:
        return printable(os.fsdecode(join(folder_of(self._disk) or b"/", path)))


def prove_disks(
    gateway: Gateway,
    confirmed: dict[str, datetime],
    chance: random.Random,
    tell: Callable[[ClientProof], None],
) -> None:
    """Prove the disks; `confirmed` has when each was dumped.

    `tell` is told what the proof of each came to, as soon as that is known. Where one takes too
    long, nothing is proved of it, and what comes after it is left to the next start. Raises what
    Gateway.ask_disks() and DiskProver.prove() raise.
    """
    answers = {answer.disk: answer for answer in gateway.ask_disks(asks_on=True)}
    began_at = read_clock()

    def tick() -> None:
        if not timedelta() <= read_clock() - began_at < LONGEST:
            raise LaterError(
                TOO_LONG, f"the proof took longer than {format_age(LONGEST)}", "try again"
            )

    for name, dumped_at in confirmed.items():
        if name not in answers:
            tell(ClientProof(name, ProofStanding.NOTHING, why="the server has no dump of it"))
            continue
        try:
            proof = DiskProver(gateway, answers[name], dumped_at, chance, tick).prove()
        except LaterError as error:
            if error.reference != TOO_LONG:
                raise
            tell(ClientProof(name, ProofStanding.NOTHING, why=error.message))
            return
        tell(proof)

"""The process that answers one client: its question, its turn, its answer, and its end."""

import os
import select
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.protocol.tickets import refuse_second
from asyncamanda.core.restore.answer import QueuedRestore, RestoreFailed
from asyncamanda.core.restore.request import (
    LARGEST_REQUEST,
    FilesRequest,
    RestoreRequest,
    gives_back,
    parse_request,
)
from asyncamanda.errors import (
    AsyncamandaError,
    BadDataError,
    Exit,
    LaterError,
    ProtocolError,
    RefusedError,
)
from asyncamanda.server.background.log import LOG
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import read_machines
from asyncamanda.server.restore.answer_streams import AnswerStreams
from asyncamanda.server.restore.presence import GONE, SessionOver, Watch, watch_session
from asyncamanda.server.restore.recording import CLIENT, RestoreRecord, name_end, name_success
from asyncamanda.server.restore.serving import Holdings, answer_request
from asyncamanda.server.restore.turns import LISTS, RESTORES, RestoreTurn, take_turn
from asyncamanda.system.clock import now

ASKED_WITHIN = 30.0  # seconds, for the request
LEDGER_PATIENCE = timedelta(seconds=10)
MOST_AN_HOUR = 120  # restores of one client: one that is cut again and again counts each time
HOUR = timedelta(hours=1)
SEE_LOG = "the server's administrator finds more by: journalctl -t asyncamanda"

OpenHoldings = Callable[[ServerConfig, Ledger, Identity], AbstractContextManager[Holdings]]


@dataclass(frozen=True, slots=True)
class RestoreCaller:
    """Who asks: a client, or with `who` "admin:USER" an administrator, for that client's files.

    `registry` says what a client may; an administrator may all.
    """

    identity: Identity
    registry: Registry
    who: str = CLIENT

    @property
    def is_client(self) -> bool:
        """Whether it is the client itself."""
        return self.who == CLIENT

    def find_objection(self) -> str:
        """Return why this client may not restore, "" if it may.

        Raises LaterError if that is not known just now.
        """
        if not self.is_client:
            return ""
        own = [one for one in self.registry.entries() if one.identity == self.identity]
        if not own:
            return "this client is not enrolled any more"
        if all(one.lost_at for one in own):
            return "this client was reported lost at the server"
        if not all(one.may_restore for one in own):
            return "the server lets this client restore nothing"
        return ""

    def find_new_objection(self) -> str:
        """Return the same of one that might a moment ago; while nothing is known, that holds."""
        with suppress(LaterError):
            return self.find_objection()
        return ""


@dataclass(frozen=True, slots=True)
class RestoreService:
    """What answers: the server's configuration, the folder of turns, and how dumps are found."""

    config: ServerConfig
    turns: Path
    open_holdings: OpenHoldings
    asked_within: float = ASKED_WITHIN

    def serve(self, caller: RestoreCaller, source: int, voice: AnswerStreams) -> Exit:
        """Read the question from the descriptor `source`, answer it, and return the exit code."""
        record = RestoreRecord(caller.identity, caller.who)
        answer = _Answer(self, caller, voice, record)
        outcome = ""
        try:
            ends = answer.find_objection
            with watch_session(Watch(voice.out, voice.count_sent, ends, errors=voice.errors)):
                try:
                    answer.give(source)
                    outcome = name_success(voice.missing)
                except Exception as error:
                    outcome = name_end(error)
                    return answer.fail(error)
        except SessionOver as over:
            outcome = str(over)
            LOG.info("%s: the answer ends: %s", caller.identity.client, over)
            hint = "try again; --resume goes on where this has ended"
            voice.say_last(RestoreFailed(int(Exit.LATER), "session-over", outcome, hint))
            return Exit.LATER
        finally:
            record.end(outcome)  # here nothing interrupts it
        return Exit.OK


class _Answer:
    """The answer to one caller."""

    def __init__(
        self,
        service: RestoreService,
        caller: RestoreCaller,
        voice: AnswerStreams,
        record: RestoreRecord,
    ) -> None:
        self._service = service
        self._caller = caller
        self._voice = voice
        self._record = record
        self._turn: RestoreTurn | None = None

    def find_objection(self) -> str:
        """Return why the answer has to end by now, "" if it need not. It is for another thread."""
        turn = self._turn
        with suppress(OSError):
            return self._caller.find_new_objection() or (turn.find_claim() if turn else "")
        return ""

    def give(self, source: int) -> None:
        """Give it. Raises AsyncamandaError where it is an error, and OSError."""
        service, caller, client = self._service, self._caller, self._caller.identity.client
        if objection := caller.find_objection():
            raise RefusedError("no-restore", objection, "ask the server's administrator")
        request = read_request(source, service.asked_within)
        with ExitStack() as stack:
            is_restore = isinstance(request, FilesRequest) or gives_back(request)
            kind = RESTORES if is_restore else LISTS
            name = client if caller.is_client else f"-{client}"  # which is no client's
            turn = take_turn(service.turns, kind, name, self._tell_place)
            self._turn = stack.enter_context(turn)
            stack.callback(self._forget_turn)
            ledger = self._record.ledger = open_ledger(service.config)
            if caller.is_client:
                check_machine(ledger, client)
                check_rate(ledger, client, request)
            opened = service.open_holdings(service.config, ledger, caller.identity)
            answer_request(request, stack.enter_context(opened), self._voice, self._record)

    def fail(self, error: Exception) -> Exit:
        """Say what went wrong, if somebody is there; return the exit code."""
        client = self._caller.identity.client
        match error:
            case BrokenPipeError():
                LOG.info("%s: the answer ends: %s", client, GONE)
                return Exit.LATER
            case AsyncamandaError():
                LOG.info("%s: %s", client, error.message)
                said = error
            case OSError():
                LOG.warning("%s: %s", client, traceback.format_exc())
                words = f"the server cannot read what it needs: {error.strerror}"
                said = LaterError("server-failed", words, SEE_LOG)
            case MemoryError():
                words = "the backup has more files than the server's memory is for"
                LOG.warning("%s: %s", client, words)
                said = BadDataError("too-large", words, "ask for less at once: a folder, or files")
            case _:
                LOG.error("%s: %s", client, traceback.format_exc())
                words = "asyncamanda on the server has failed, by a bug of its own"
                said = AsyncamandaError("internal", words, SEE_LOG)
        return fail(self._voice, said)

    def _forget_turn(self) -> None:
        self._turn = None

    def _tell_place(self, place: int) -> None:
        self._voice.say(QueuedRestore(place))


def fail(streams: AnswerStreams, error: AsyncamandaError) -> Exit:
    """Say what went wrong, if somebody is there; return the exit code."""
    failed = RestoreFailed(int(error.exit), error.reference, error.message, error.hint)
    with suppress(BrokenPipeError):
        streams.say(failed)
    return error.exit


def read_request(source: int, within: float) -> RestoreRequest:
    """Return what is asked on the descriptor `source`.

    Raises ProtocolError if that is no request, or none comes in as many seconds.
    """
    line = bytearray()
    give_up_at = time.monotonic() + within
    while b"\n" not in line and len(line) <= LARGEST_REQUEST:
        ready, _, _ = select.select([source], [], [], max(0.0, give_up_at - time.monotonic()))
        if not ready:
            raise _not_understood("no request has come")
        piece = os.read(source, 1 << 16)
        if not piece:
            break
        line += piece
    try:
        return parse_request(bytes(line.partition(b"\n")[0]))
    except ValueError as error:
        raise _not_understood(str(error)) from None


def open_ledger(config: ServerConfig) -> Ledger:
    """Return the ledger. Raises LedgerUnavailable, with the reason, if it cannot be read."""
    return Ledger.open(config.ledger, LEDGER_PATIENCE, is_owner=False)


def check_machine(ledger: Ledger, client: str) -> None:
    """Raise RefusedError if two machines say that they are this client: which one may have it?"""
    machine = read_machines(ledger).get(client)
    if machine and machine.disputed_at:
        refused = refuse_second(machine)
        raise RefusedError(refused.reference, refused.message, refused.hint)


def check_rate(ledger: Ledger, client: str, request: RestoreRequest) -> None:
    """Raise LaterError if a client has begun more restores than anybody needs."""
    if not gives_back(request):
        return
    if ledger.restores.count_since(client, now() - HOUR) >= MOST_AN_HOUR:
        raise LaterError(
            "too-many-restores",
            f"this client has begun {MOST_AN_HOUR} restores within an hour",
            "ask for several files at once",
        )


def _not_understood(fault: str) -> ProtocolError:
    return ProtocolError(
        "not-understood",
        f"the server does not understand the request: {fault}",
        "is asyncamanda on the client much older or newer than on the server?",
    )

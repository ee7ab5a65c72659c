"""The server is told how proofs ended: in a session of its own, beside any that `run` has."""

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from asyncamanda.client.gate.handshake import make_hello
from asyncamanda.client.gate.session import Closed, GateSession, Heard
from asyncamanda.client.gate.streams import Streams
from asyncamanda.client.start.sealing import is_sealing
from asyncamanda.client.start.settings import Plan, find_password
from asyncamanda.client.state.memory import read_memory
from asyncamanda.core.protocol.authority import ALLOWED
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_CLIENT,
    Again,
    Hello,
    Noted,
    Proof,
    Welcome,
)
from asyncamanda.core.protocol.wire import encode
from asyncamanda.core.restore.proof import ClientProof, ProofStanding, sum_up_faults
from asyncamanda.core.restore.proofs import WITHOUT_NAMES
from asyncamanda.core.values.printable import clip
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest, catch_stop
from asyncamanda.system.ssh import connect

WELCOME_WITHIN = timedelta(seconds=60)  # a dispatcher may have to start
TOLD_WITHIN = timedelta(seconds=120)
MOST_RESTARTS = 3


def tell_server(plan: Plan, proofs: Sequence[ClientProof]) -> set[str]:
    """Tell the server of `proofs`; return the disks of those that it knows now, or never takes.

    Raises NotConnected, AsyncamandaError and OSError.
    """
    memory, _ = read_memory(plan.state, read_clock())
    hello = make_hello(memory.ticket, is_probe=True)  # the ticket is `run`'s to renew
    with (
        catch_stop() as stop,
        TemporaryDirectory(prefix="asyncamanda-") as folder,
        connect(find_password(plan), plan.options, stop, Path(folder)) as connection,
        connection.talk(ALLOWED) as ssh_session,
        closing(Streams(connection, plan.amandad)) as streams,
    ):
        session = GateSession(ssh_session, streams, stop)
        return ProofTalk(session, hello, proofs, stop).talk()


class ProofTalk:
    """What is said in one session."""

    def __init__(
        self, session: GateSession, hello: Hello, proofs: Sequence[ClientProof], stop: StopRequest
    ) -> None:
        self._session = session
        self._hello = hello
        self._untold = {proof.disk: proof for proof in proofs}
        self._places: dict[int, str] = {}
        self._told: set[str] = set()
        self._restarts = 0
        self._stop = stop
        self._began_at = read_clock()

    def talk(self) -> set[str]:
        """Say all; return the disks whose proofs need not be told again."""
        self._session.greet(self._hello, WELCOME_WITHIN)
        for heard in self._session.listen(self._tick):
            if not self._goes_on(heard):
                if not isinstance(heard, Closed):
                    self._session.leave()
                break
        return self._told

    def _tick(self) -> None:
        """Leave a server that answers, and does not say what is waited for."""
        if not timedelta() <= read_clock() - self._began_at < TOLD_WITHIN:
            self._stop.ask()

    def _goes_on(self, heard: Heard) -> bool:
        """Take in what the server says; return whether more is to come."""
        match heard:
            case Welcome():
                self._welcomed(heard)
                return bool(self._places)
            case Noted(place):
                if disk := self._places.pop(place, ""):
                    self._note(disk)
                return bool(self._places)
            case Again() if self._restarts < MOST_RESTARTS:
                self._restarts += 1
                self._session.greet(self._hello, WELCOME_WITHIN)
                return True
        return False

    def _welcomed(self, welcome: Welcome) -> None:
        self._session.welcome(welcome.heartbeat)
        self._places = {
            place: dle.disk
            for place, dle in enumerate(welcome.dles)
            if dle.disk in self._untold and welcome.takes_proofs
        }
        for disk in {*self._untold} - {*self._places.values()}:
            self._note(disk)
        for place, disk in self._places.items():
            self._session.say(fit_proof(self._untold[disk], place, hides_names=is_sealing()))

    def _note(self, disk: str) -> None:
        self._told.add(disk)
        self._untold.pop(disk, None)


def fit_proof(proof: ClientProof, place: int, *, hides_names: bool) -> Proof:
    """Return a proof as it is reported, in one line of the protocol's.

    `hides_names`: the server does not see what files are called, nor does it here.
    """
    faults = (WITHOUT_NAMES,) if hides_names and proof.faults else proof.faults
    is_good = proof.standing is ProofStanding.GOOD
    longest = LARGEST_FROM_CLIENT
    while True:
        reason = clip(sum_up_faults(faults), longest)
        message = Proof(place, proof.run, is_good, proof.files, proof.size, reason)
        if len(encode(message)) <= LARGEST_FROM_CLIENT:
            return message
        longest //= 2

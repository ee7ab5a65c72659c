"""What a client says in its session, from its hello to its end, and what is done about it."""

from datetime import timedelta

from asyncamanda.config.server import Limits
from asyncamanda.core.dispatch.rate_limit import Allowance
from asyncamanda.core.protocol.messages import (
    BadLine,
    Bye,
    ClientMessage,
    Hello,
    Later,
    Proof,
    Refused,
    Report,
    Shut,
    Submit,
)
from asyncamanda.core.protocol.versions import choose_protocol, refuse_protocol
from asyncamanda.errors import Exit
from asyncamanda.server.background.tasks import Background
from asyncamanda.server.dispatch.admission import Admission
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.coordinators import Coordinators
from asyncamanda.server.dispatch.proof_intake import ProofIntake
from asyncamanda.server.dispatch.reception import Reception
from asyncamanda.server.dispatch.report_intake import ReportIntake
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.relay.relay import Relay
from asyncamanda.system.clock import now as read_clock

BURST_SECONDS = 10  # so many seconds' messages may come at once


class ClientMessages:
    """Hears the sessions of all clients."""

    def __init__(
        self,
        coordinators: Coordinators,
        admission: Admission,
        reception: Reception,
        relay: Relay,
        background: Background,
    ) -> None:
        self._coordinators = coordinators
        self._admission = admission
        self._reception = reception
        self._relay = relay
        self._background = background
        self._proofs = ProofIntake(background)
        self._reports = ReportIntake(background)

    def hear(self, session: ClientSession, message: ClientMessage | BadLine) -> None:
        """Do what a client says."""
        coordinator = self._coordinators.get(session.identity.amanda_config)
        match message:
            case Hello() if not session.has_said_hello:
                session.has_said_hello = True
                if choose_protocol(message.protocols) is None:
                    session.refuse(refuse_protocol(message.protocols))
                    return
                session.is_watching, session.is_probe = message.is_watching, message.is_probe
                session.software = message.software
                self._background.start(self._welcome(coordinator, session, message))
            case Shut() if session.is_greeted or session.is_resumed:
                self._relay.shut(session, message)
            case _ if not session.is_greeted:
                if not session.is_resumed:
                    session.refuse(NO_HELLO)
            case _:
                self._hear_greeted(session, coordinator, message)

    def _hear_greeted(
        self, session: ClientSession, coordinator: Coordinator, message: ClientMessage | BadLine
    ) -> None:
        match message:
            case Submit():
                self._submit(session, coordinator)
            case Proof():
                if not self._proofs.hear(session, coordinator.site, message):
                    session.refuse(_not_understood("dle: none that was told"))
            case Report():
                self._reports.hear(session, coordinator.site, message)
            case Bye():
                self._background.start(self._reception.note_written(session))
                self._relay.leave(session, is_lost=False)
                coordinator.queue.leave(session, is_withdrawn=True)
                session.drop("left", Exit.OK)
            case BadLine(reason):
                session.refuse(_not_understood(reason))
            case Hello():
                session.refuse(_not_understood("a second hello"))

    def end(self, session: ClientSession, why: str) -> None:
        """Note that a session has ended."""
        self._admission.leave(session, why)
        if coordinator := self._coordinators.by_name.get(session.identity.amanda_config):
            coordinator.queue.leave(session, is_withdrawn=False)

    async def _welcome(
        self, coordinator: Coordinator, session: ClientSession, hello: Hello
    ) -> None:
        """Greet a client, which Amanda may call from then on."""

        async def receive() -> Refused | None:
            if not session.is_open:  # it has left meanwhile, and would not hear of its ticket
                return None
            dles = (
                session.identity.amanda_config,
                [dle.disk for dle in coordinator.site.dles(session.client)],
            )
            refused = await self._reception.receive(session, hello, dles)
            if refused and not hello.is_probe:
                self._turn_away(session.client, refused, coordinator)
            return refused

        await coordinator.welcome(session, receive)
        is_there = session.is_greeted and session in self._admission.sessions
        if is_there and session.is_relayed and not session.is_probe:
            self._relay.arrive(session)

    def _turn_away(self, client: str, refused: Refused, coordinator: Coordinator) -> None:
        """Serve neither of a client's two machines; a dump that is under way goes on to its end."""
        coordinator.queue.withdraw(client, "two machines use its key")
        entry = coordinator.queue.entries.get(client)
        for session in self._admission.of(client):
            if session.ticket and not (entry and session in entry.sessions):
                session.refuse(refused)

    def _submit(self, session: ClientSession, coordinator: Coordinator) -> None:
        if session.is_probe:
            session.refuse(_not_understood("a probe asks for no backup"))
            return
        self._background.start(self._reception.note_written(session))
        is_new = session.client not in coordinator.queue.entries
        if is_new and (wait := self._admission.count_request(session.client, read_clock())):
            session.finish(Later(wait, "this client has asked too often"), Exit.LATER)
            return
        coordinator.submit(session)


def limit_messages(limits: Limits) -> Allowance:
    """Return how many messages a session may send."""
    per_second = limits.messages_per_second
    return Allowance(timedelta(seconds=1) / per_second, BURST_SECONDS * per_second)


def _not_understood(reason: str) -> Refused:
    return Refused(
        "not-understood",
        f"the client sent an invalid message: {reason}",
        "is it asyncamanda's agent that uses this key?",
        int(Exit.PROTOCOL),
    )


NO_HELLO = Refused(
    "no-hello",
    "the client did not begin with a hello",
    "is it asyncamanda's agent that uses this key?",
    int(Exit.PROTOCOL),
)

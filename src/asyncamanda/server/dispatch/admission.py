"""Which sessions of clients there are: who may come in, how often, and until when."""

import contextlib
import os
import signal
from datetime import datetime, timedelta

from asyncamanda.config.server import Limits
from asyncamanda.core.dispatch.rate_limit import Allowance, Bucket, fill, take
from asyncamanda.core.protocol.messages import NOT_ENROLLED, Refused
from asyncamanda.errors import Exit, LaterError
from asyncamanda.server.background.tasks import Background, write_trouble
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.gate.session import SERVED, ClientSession, refusal_of
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.relay.relay import Relay
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.processes import find_ancestor

HOUR = timedelta(hours=1)
SSHD = frozenset({"sshd", "sshd-session"})  # the latter since OpenSSH 9.8


class Admission:
    """The sessions of clients, with the processes of their gates."""

    def __init__(
        self,
        limits: Limits,
        registry: Registry,
        relay: Relay,
        access: LedgerAccess,
        background: Background,
    ) -> None:
        self.sessions: dict[ClientSession, int] = {}
        self._limits = limits
        self._registry = registry
        self._relay = relay
        self._access = access
        self._background = background
        self._buckets: dict[str, Bucket] = {}

    def of(self, client: str) -> list[ClientSession]:
        """Return the sessions of a client."""
        return [session for session in self.sessions if session.client == client]

    def admit(self, session: ClientSession, gate_pid: int) -> None:
        """Begin a session, if its client is enrolled and does not have too many already."""
        count = len(self.of(session.client))
        self.sessions[session] = gate_pid
        try:
            session.open()
        except OSError as error:
            session.drop(f"its descriptors cannot be used: {error}", Exit.LATER)
            return
        try:
            is_enrolled = self._registry.contains(session.identity)
            session.is_relayed = self._registry.is_relayed(session.identity)
        except LaterError as error:
            write_trouble(error)
            session.refuse(refusal_of(error))
            return
        if not is_enrolled:
            session.refuse(REVOKED)
        elif count >= self._limits.sessions:
            session.refuse(TOO_MANY)
        else:
            self._relay.admit(session, find_connection(gate_pid))
            self._background.start(self._begin(session))
            if session.is_resumed:
                session.restart()

    async def _begin(self, session: ClientSession) -> None:
        client, amanda_config = session.identity.client, session.identity.amanda_config
        session.session_id = await self._access.write(
            lambda ledger: ledger.sessions.begin(client, amanda_config, read_clock())
        )
        if session not in self.sessions:
            await self._end(session.session_id, "left")

    async def _end(self, number: int, why: str) -> None:
        await self._access.write(lambda ledger: ledger.sessions.end(number, read_clock(), why))

    def count_request(self, client: str, now: datetime) -> timedelta | None:
        """Count one more request; return how long the client has to wait if it asks too often."""
        per_hour = self._limits.requests_per_hour
        allowance = Allowance(HOUR / per_hour, max(per_hour // 2, 1))
        bucket = self._buckets.get(client) or fill(allowance, now)
        self._buckets[client], wait = take(bucket, allowance, now)
        return wait

    def leave(self, session: ClientSession, why: str) -> None:
        """Note that a session has ended."""
        self.sessions.pop(session, None)
        self._relay.leave(session, is_lost=why != SERVED)
        if session.session_id is not None:
            self._background.start(self._end(session.session_id, why))

    def drop(self, client: str) -> int:
        """End the sessions of a client that was revoked or enrolled again; return how many.

        Its connection ends with them: sshd has accepted it, and would let it begin another session.
        """
        self._relay.drop(client)
        dropped = {session: self.sessions[session] for session in self.of(client)}
        for session, gate_pid in dropped.items():
            sshd = find_connection(gate_pid)
            session.refuse(ENROLLED_ANEW if self._may_be_enrolled(session) else REVOKED)
            if sshd:
                with contextlib.suppress(OSError):
                    os.kill(sshd, signal.SIGTERM)
        return len(dropped)

    def _may_be_enrolled(self, session: ClientSession) -> bool:
        with contextlib.suppress(LaterError):
            return self._registry.contains(session.identity)
        return True


def find_connection(gate_pid: int) -> int | None:
    """Return the process of sshd's that a gate's connection is, None if that cannot be told."""
    return find_ancestor(gate_pid, SSHD, os.geteuid())


REVOKED = Refused(
    NOT_ENROLLED,
    "this client is not enrolled on the server (any more)",
    "ask its administrator: asyncamanda server enroll",
    int(Exit.REFUSED),
)
ENROLLED_ANEW = Refused(
    "enrolled-anew",
    "this client was enrolled again on the server, which ended its connections",
    "the next start connects again",
    int(Exit.LATER),
)
TOO_MANY = Refused(
    "too-many-sessions",
    "this client is connected too many times at once",
    "is another machine using its key? else the next start tries again",
    int(Exit.LATER),
)

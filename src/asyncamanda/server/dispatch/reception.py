"""Who says hello: is it the machine that this client is, or a second one with its key?

The decision is core's (tickets.py); here is whom it asks, and who hears of it.
"""

import secrets
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial

from asyncamanda.core.protocol.messages import Hello, Refused
from asyncamanda.core.protocol.tickets import (
    Claim,
    Machine,
    MachineFinding,
    describe_dispute,
    refuse_second,
)
from asyncamanda.server.background.tasks import write_log
from asyncamanda.server.dispatch.roll_call import call_roll, has_answered
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.ledger import machines
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.machines import Received
from asyncamanda.system.clock import now as read_clock

ROLL_CALL = 5.0  # seconds for another session of a client to say that its machine lives


class Reception:
    """Receives hellos. `find_sessions` returns all sessions of a client."""

    def __init__(
        self, access: LedgerAccess, find_sessions: Callable[[str], list[ClientSession]]
    ) -> None:
        self._access = access
        self._find_sessions = find_sessions

    async def receive(
        self, session: ClientSession, hello: Hello, dles: tuple[str, Collection[str]]
    ) -> Refused | None:
        """Give the session's machine its ticket, and return None; or return why it is not served.

        `dles` are the client's, the name of its Amanda configuration first.
        """
        found = await self._judge(session, hello, dles)
        machine = found.machine
        if found.finding is MachineFinding.SECOND:
            assert machine
            if found.is_news:
                write_log(f"{session.client}: {describe_dispute(machine)}; neither is served now")
            return refuse_second(machine)
        session.machine = machine.lineage if machine else None
        session.is_known = found.finding is MachineFinding.SAME
        if machine and not hello.is_probe:
            session.ticket = machine.ticket
            _tell(found, machine)
        return None

    async def _judge(
        self, session: ClientSession, hello: Hello, dles: tuple[str, Collection[str]]
    ) -> Received:
        claim, client = Claim(hello.ticket, hello.host_name), session.client
        write = self._access.write
        if hello.is_probe:
            return await write(
                lambda ledger: machines.judge_probe(ledger, client, claim, read_clock())
            )
        is_elsewhere: bool | None = None
        while True:
            others = [one for one in self._find_sessions(client) if one.ticket]
            found = await write(
                partial(
                    machines.receive,
                    client=client,
                    claim=claim,
                    at=read_clock(),
                    is_elsewhere=is_elsewhere if others else False,
                    random=secrets.token_hex(16),
                    dles=dles,
                )
            )
            if found.finding is not MachineFinding.ASK:
                return found
            asked_at = await call_roll(others, ROLL_CALL, partial(_is_enough, others))
            is_elsewhere = has_answered(others, asked_at)

    async def note_written(self, session: ClientSession) -> None:
        """Note that what came after the Welcome shows that its ticket is written down."""
        if session.ticket:
            await self._access.write(
                lambda ledger: machines.note_written(
                    ledger, session.client, session.ticket, read_clock()
                )
            )


def _is_enough(sessions: Collection[ClientSession], asked_at: datetime) -> bool:
    """Return whether one of `sessions` says that its machine lives, or none can say it any more."""
    return has_answered(sessions, asked_at) or not any(one.is_open for one in sessions)


def _tell(found: Received, machine: Machine) -> None:
    """Write into the log what is to be known of a machine that is served; each thing once."""
    if found.is_news and found.finding.value:
        write_log(f"{machine.client} {found.finding.value}; it is served")
    if found.finding is MachineFinding.FIRST and machine.lineage > 1:
        name = machine.host_name or "one without a name"
        write_log(f"{machine.client} is {name} from now on; its next dumps are full ones")

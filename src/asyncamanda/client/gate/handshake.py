"""The hello to the gate; and a probe: how does it receive this machine?"""

import socket
from contextlib import closing
from datetime import timedelta

from asyncamanda import __version__
from asyncamanda.client.gate.session import Closed, Garbled, GateSession
from asyncamanda.client.gate.streams import Streams
from asyncamanda.client.start.settings import Plan
from asyncamanda.client.state.memory import read_memory
from asyncamanda.core.protocol.authority import ALLOWED
from asyncamanda.core.protocol.messages import PROTOCOLS, Hello, Later, Refused, Welcome
from asyncamanda.core.protocol.tickets import clean_host_name
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.ssh import Connection, Stopped

Answer = Welcome | Refused | Later | Garbled | Closed | Stopped


def make_hello(ticket: str, *, is_watching: bool = False, is_probe: bool = False) -> Hello:
    """Return this machine's first message to the gate, with the `ticket` that it got from it."""
    host_name = clean_host_name(socket.gethostname())
    software = f"asyncamanda {__version__}"
    return Hello(PROTOCOLS, software, is_watching, ticket, host_name, is_probe)


def greet_gate(connection: Connection, plan: Plan, stop: StopRequest, within: timedelta) -> Answer:
    """Return the first answer to a probing Hello, and leave; Closed if none came `within`.

    Nothing is asked of the server, and the machine's ticket stays what it is.
    """
    memory, _ = read_memory(plan.state, read_clock())
    with (
        connection.talk(ALLOWED) as ssh_session,
        closing(Streams(connection, plan.amandad)) as streams,
    ):
        session = GateSession(ssh_session, streams, stop)
        session.greet(make_hello(memory.ticket, is_probe=True), within)
        for heard in session.listen(lambda: None):
            if isinstance(heard, Answer):
                if isinstance(heard, Welcome | Refused | Later):
                    session.leave()
                return heard
    raise AssertionError("the last event of a session is how it ended")

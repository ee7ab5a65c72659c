"""One word with the gate: who does it say that we are? Nothing is asked of it."""

from contextlib import closing
from datetime import timedelta

from asyncamanda import __version__
from asyncamanda.client.line import Closed, Garbled, Line
from asyncamanda.client.plan import Plan
from asyncamanda.client.streams import Streams
from asyncamanda.core.authority import ALLOWED
from asyncamanda.core.protocol import PROTOCOLS, Hello, Later, Refused, Welcome
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.ssh import Connection, Stopped

Answer = Welcome | Refused | Later | Garbled | Closed | Stopped


def greet_gate(connection: Connection, plan: Plan, stop: StopRequest, within: timedelta) -> Answer:
    """Return the first word that answers our Hello, and leave; Closed if none came `within`."""
    with (
        connection.talk(ALLOWED) as session,
        closing(Streams(connection, plan.amandad)) as streams,
    ):
        line = Line(session, streams, stop)
        line.greet(Hello(PROTOCOLS, f"asyncamanda {__version__}", is_watching=False), within)
        for heard in line.listen(lambda: None):
            if isinstance(heard, Answer):
                if isinstance(heard, Welcome | Refused | Later):
                    line.leave()
                return heard
    raise AssertionError("a line's last word is how it ended")

"""The clients' connections: which sessions each carries, and for how many sshd has room."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.relay.open_streams import Place
from asyncamanda.system.clock import now as read_clock

SESSIONS = 10  # on one connection: sshd's MaxSessions
LIMIT_LASTS = timedelta(minutes=1)  # what sshd refused may be allowed later


@dataclass(frozen=True, slots=True)
class _Limit:
    """How many sessions sshd allowed on a connection, and when it refused one more."""

    sessions: int
    at: datetime


class Connections:
    """The sessions of all clients, each with its connection: the number of sshd's process.

    None where that could not be found.
    """

    def __init__(self) -> None:
        self._sessions: dict[ClientSession, int | None] = {}
        self._limits: dict[Place, _Limit] = {}

    def __contains__(self, session: ClientSession) -> bool:
        return session in self._sessions

    def add(self, session: ClientSession, connection: int | None) -> None:
        """Note a session that has begun."""
        self._sessions[session] = connection

    def remove(self, session: ClientSession) -> Place:
        """Forget a session that has ended; return its place, which others may still have."""
        place = session.client, self._sessions.pop(session)
        if place not in self.places():
            self._limits.pop(place, None)
        return place

    def places(self) -> set[Place]:
        """Return each connection that carries a session, with its client."""
        return {(session.client, connection) for session, connection in self._sessions.items()}

    def place_of(self, session: ClientSession) -> Place:
        """Return the client and the connection of a session."""
        return session.client, self._sessions[session]

    def has_client(self, client: str) -> bool:
        """Return whether a client has a session."""
        return any(session.client == client for session in self._sessions)

    def greeted_clients(self) -> set[str]:
        """Return the clients that were greeted, and do more than probe."""
        return {
            session.client
            for session in self._sessions
            if session.is_greeted and not session.is_probe
        }

    def find_open(self, client: str) -> ClientSession | None:
        """Return a session on which a client can be asked: the newest, for others may be dead."""
        found = [
            session
            for session in self._sessions
            if session.client == client
            and session.is_greeted
            and session.is_open
            and not session.is_probe
        ]
        return found[-1] if found else None

    def note_life(self, place: Place) -> None:
        """Note that something was heard on a connection."""
        for session in list(self._sessions):
            if self.place_of(session) == place:
                session.note_life(read_clock())

    def count(self, place: Place) -> int:
        """Return how many of the sessions are on a connection."""
        return sum(self.place_of(session) == place for session in self._sessions)

    def limit(self, place: Place, sessions: int, now: datetime) -> None:
        """Note that sshd has refused one more than so many sessions on a connection."""
        self._limits[place] = _Limit(sessions, now)

    def most(self, place: Place, now: datetime) -> int:
        """Return how many sessions a connection can have."""
        limit = self._limits.get(place)
        if limit is None or now - limit.at > LIMIT_LASTS:
            return SESSIONS
        return limit.sessions

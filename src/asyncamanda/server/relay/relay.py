"""The relay: Amanda's way to a client that is connected, back through the client's connection.

For each such client the dispatcher listens where Amanda's ssh looks for a shared connection (its
ControlPath, ssh_aliases.py). It asks the client for a stream, and hands the request to the process
that the client begins for it (attach.py). A client that has lost its connection is waited for: a
dump's request is held for `grace`, so that Amanda's retry finds the client again in the same run.

Nothing that a client says names anything here but a token that it was given.
"""

import asyncio
import secrets
import socket
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from asyncamanda.core.protocol.authority import TOKEN_DIGITS, Identity
from asyncamanda.core.protocol.messages import Open, Shut
from asyncamanda.server.background.tasks import Rhythm, write_log
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.relay.connections import Connections
from asyncamanda.server.relay.open_streams import OpenStreams, Place
from asyncamanda.server.relay.post import CUT, Post, remove_left_sockets
from asyncamanda.server.relay.request import MuxRequest
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.processes import read_process

WHOLE_WITHIN = timedelta(seconds=20)  # a request, which an ssh says in one go
TOKEN_LIVES = timedelta(minutes=2)  # on a slow link a session waits behind a dump's bytes, too
MOST_TRIES = 3  # for a stream that the client's sshd refuses
SHORT_HOLD = timedelta(seconds=10)  # of a request for which others wait, or somebody
SOCKETS_EVERY = timedelta(seconds=1)


class Relay:
    """All posts and requests of the dispatcher, and the streams that are joined.

    Its time is what beat() is told, so that a step of the clock ends nothing.
    """

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._posts: dict[str, Post] = {}
        self._connections = Connections()
        self._barred: dict[str, str] = {}  # clients that are not called, with the reasons
        self._streams = OpenStreams(self._connections.note_life)
        self._rhythm = Rhythm()
        self._now = read_clock()
        self._loop = asyncio.get_running_loop()

    @property
    def is_busy(self) -> bool:
        """Whether anybody is called, or on the way."""
        return bool(self._streams) or any(post.requests for post in self._posts.values())

    def reachable(self) -> list[str]:
        """Return the clients that Amanda reaches by the relay now, sorted."""
        return sorted(self._connections.greeted_clients() & self._posts.keys())

    # -- clients

    def start(self, awaited: Iterable[str]) -> None:
        """Begin, where another dispatcher has ended: wait for the clients whose runs go on."""
        remove_left_sockets(self._posts)
        for client in awaited:
            if client not in self._posts:  # else it has come already
                self._await(client).lost_at = self._now

    def expect(self, clients: Iterable[str]) -> None:
        """Listen for these clients also while they are away: a request that finds nobody kills.

        tests/e2e/test_relay_lost.py has such a request of the real planner.
        """
        for client in clients:
            if client not in self._posts:
                self._await(client).is_gone = True

    def admit(self, session: ClientSession, connection: int | None) -> None:
        """Note a session, which shows that its client is there, and the process of its sshd."""
        self._connections.add(session, connection)

    def arrive(self, session: ClientSession) -> None:
        """Let Amanda call the client of a session, which was greeted."""
        post = self._await(session.client)
        post.lost_at, post.is_gone = None, False

    def leave(self, session: ClientSession, *, is_lost: bool) -> None:
        """Note that a session has ended. A client that was lost is waited for."""
        if session not in self._connections:
            return
        place = self._connections.remove(session)
        if place not in self._connections.places():
            why = "vanished: its connection is lost" if is_lost else "has left"
            self._streams.stop(lambda other: other == place, f"{session.client} {why}", self._now)
        post = self._posts.get(session.client)
        if post is None:
            return
        for request in post.requests:
            if request.session is session:
                request.forget_token()
        if self._connections.has_client(session.client):
            return
        if is_lost and not post.is_gone:
            silence = read_clock() - session.heard_at
            post.lost_at = self._now - min(max(silence, timedelta(0)), self._grace)
        else:
            post.refuse_all(f"{session.client} has left")

    def drop(self, client: str) -> None:
        """End all that goes on with a client that may not come in any more."""
        why = f"{client} is not enrolled any more"
        self._streams.stop(lambda place: place[0] == client, why, self._now)
        if post := self._posts.get(client):
            self._posts.pop(post.client).close(why)

    def has_stream(self, client: str) -> bool:
        """Return whether a request of Amanda for the client goes on, or waits."""
        post = self._posts.get(client)
        return self._streams.has_client(client) or bool(post and post.requests)

    def cut(self, client: str, why: str) -> None:
        """End all of Amanda's requests to a client that stays: they make no progress."""
        self._streams.stop(lambda place: place[0] == client, why, self._now)
        if post := self._posts.get(client):
            for request in list(post.requests):
                post.end(request, CUT, why)

    def bar(self, client: str, why: str) -> None:
        """Let each further request of Amanda to a client fail at once, until unbar()."""
        self._barred[client] = why

    def unbar(self, client: str) -> None:
        """Let Amanda call a client again."""
        self._barred.pop(client, None)

    def close(self) -> None:
        """Listen no more, and refuse what waits. Streams go on."""
        for post in list(self._posts.values()):
            self._posts.pop(post.client).close("asyncamanda's dispatcher ends", patience=0)

    # -- what is done all the time

    def beat(self, now: datetime) -> None:
        """Give up what has waited for too long, and serve what can be served."""
        self._now = now
        look_again = self._rhythm.is_due("sockets", SOCKETS_EVERY, now)
        for post in list(self._posts.values()):
            if look_again:
                post.listen()
            if post.lost_at is not None and now - post.lost_at > self._grace:
                post.refuse_all(f"{post.client} is not connected")
            for request in list(post.requests):
                self._look_after(post, request)
        self._streams.beat(self._connections.places(), now)

    def _look_after(self, post: Post, request: MuxRequest) -> None:
        waited = self._now - request.called_at
        if not request.is_ready:
            if waited > WHOLE_WITHIN:
                request.close()
                post.requests.remove(request)
        elif request.asked_at is not None:
            if self._now - request.asked_at > TOKEN_LIVES:
                post.end(request, CUT, f"{post.client} does not open a stream")
        elif post.lost_at is not None and waited > SHORT_HOLD and not request.is_of_a_dump:
            post.end(request, CUT, f"{post.client} is not connected")
        else:
            self._ask(post, request)

    def _ask(self, post: Post, request: MuxRequest) -> None:
        """Ask the client for a stream, if it is there and its connection has room for one."""
        session = self._connections.find_open(post.client)
        if session:
            place = self._connections.place_of(session)
            if self._count_sessions(place) < self._connections.most(place, self._now):
                token = secrets.token_hex(TOKEN_DIGITS // 2)
                request.ask(token, session, self._now)
                session.send(Open(token))
                return
        if not request.is_noted:
            request.is_noted = True
            what = "its streams" if session else "the client"
            write_log(f"{post.client}: Amanda's request waits for {what}")

    def _count_sessions(self, place: Place) -> int:
        """Return how many sessions a client's connection has, those that were asked for included.

        Without a number sshd's process could not be notified: then all of the client's count.
        """
        connections = self._connections
        requests = self._posts[place[0]].requests
        asked = [request.session for request in requests if request.session]
        waiting = sum(connections.place_of(session) == place for session in asked)
        return connections.count(place) + self._streams.count(place) + waiting

    # -- posts

    def _await(self, client: str) -> Post:
        """Return the post of a client, made if there is none."""
        if client not in self._posts:
            self._posts[client] = Post(client, self._loop, self._take_request)
            self._posts[client].listen()
        return self._posts[client]

    def _take_request(self, post: Post, ssh: socket.socket) -> None:
        request = MuxRequest(
            ssh,
            post.client,
            self._now,
            on_ready=lambda request: self._begin(post, request),
            on_gone=post.requests.remove,
        )
        post.requests.append(request)

    def _begin(self, post: Post, request: MuxRequest) -> None:
        if why := self._barred.get(post.client):
            post.end(request, CUT, f"{post.client} is not called any more in this run: {why}")
            return
        request.is_of_a_dump = is_of_a_dump(request.caller)
        if post.is_gone:
            post.end(request, CUT, f"{post.client} is not connected")
        else:
            self._ask(post, request)

    # -- streams

    def attach(self, place: Place, identity: Identity, token: str, carrier: socket.socket) -> bool:
        """Give a request to the process that its client began for it, if the token is its own.

        Returns whether it was, and has worked; else that process is told so.
        """
        post = self._posts.get(identity.client)
        requests = post.requests if post else []
        request = next((c for c in requests if c.token == token), None)
        is_own = (
            request is not None
            and request.session is not None
            and request.session.identity == identity
            and self._connections.place_of(request.session)[1] == place[1]
        )
        if request is None or not is_own:
            with suppress(OSError):
                carrier.send(ipc.pack("no", "no stream of this client's is waited for"))
            return False
        requests.remove(request)
        if request.hand_over(carrier):
            return True
        request.end(CUT, f"{identity.client} vanished: its stream's process has ended")
        return False

    def watch(self, place: Place, token: str, carrier: socket.socket, pid: int) -> None:
        """Watch over a stream that is joined, by this dispatcher or by another."""
        self._streams.add(place, token, carrier, pid)

    def shut(self, session: ClientSession, message: Shut) -> None:
        """Hear from a client that a stream has ended, or did not begin."""
        status, why = message.status, _explain(message)
        if self._streams.tell_status(session.client, message.token, status, why):
            if status:
                write_log(f"{session.client}: {why}")
            return
        post = self._posts.get(session.client)
        for request in post.requests if post else ():
            if post and request.token == message.token and request.session is session:
                self._fail(post, request, session, message)
                return

    def _fail(self, post: Post, request: MuxRequest, session: ClientSession, message: Shut) -> None:
        """Handle a stream that a client could not open: one may have been too many for sshd."""
        request.forget_token()
        request.tries += 1
        place = self._connections.place_of(session)
        others = self._count_sessions(place)
        if message.is_refused and others > 1 and request.tries < MOST_TRIES:
            self._connections.limit(place, others, self._now)
        else:
            post.end(request, message.status, _explain(message))


def _explain(message: Shut) -> str:
    """Return why a stream has ended or did not begin, according to its client."""
    return message.reason or f"amandad ended with status {message.status}"


def is_of_a_dump(ssh: int) -> bool:
    """Return whether an ssh is a dumper's: only its own dump waits for that request.

    The planner has all clients wait for its requests, and behind amcheck somebody waits.
    """
    process = read_process(ssh)
    parent = read_process(process.parent) if process else None
    return parent is not None and parent.name.startswith("dumper")

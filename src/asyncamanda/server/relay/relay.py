"""The relay: Amanda's way to a client that is connected, back through the client's connection.

For each such client the dispatcher listens where Amanda's ssh looks for a shared connection (its
ControlPath, ssh_aliases.py). It asks the client for a stream, and hands the call to the process
that the client begins for it (attach.py). A client that has lost its connection is waited for: a
call of a dump is held for `grace`, so that Amanda's retry finds the client again in the same run.

Nothing that a client says names anything here but a token that it was given.
"""

import asyncio
import secrets
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.protocol.authority import TOKEN_DIGITS, Identity
from asyncamanda.core.protocol.messages import Open, Shut
from asyncamanda.server.background.tasks import Rhythm, write_log
from asyncamanda.server.gate import ipc as switchboard
from asyncamanda.server.gate.session import ClientSession
from asyncamanda.server.relay.open_streams import Carriers, Place
from asyncamanda.server.relay.request import Call
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.processes import read_process

SESSIONS = 10  # on one connection: sshd's MaxSessions
WHOLE_WITHIN = timedelta(seconds=20)  # a call, which an ssh says in one go
TOKEN_LIVES = timedelta(minutes=2)  # on a slow link a session waits behind a dump's bytes, too
MOST_TRIES = 3  # for a stream that the client's sshd refuses
LIMIT_LASTS = timedelta(minutes=1)  # what sshd refused may be allowed later
SHORT_HOLD = timedelta(seconds=10)  # of a call for which others wait, or somebody
SOCKETS_EVERY = timedelta(seconds=1)
ACCEPT_AGAIN_SECONDS = 2.0
BACKLOG = 64
CUT = 255  # the exit status of an ssh whose connection is lost


@dataclass(slots=True, eq=False)
class _Post:
    """Where one client is called. `lost_at` is when it was last heard, if it is waited for.

    Without a listener its socket could not be made, which is tried again. `is_gone`: its calls are
    refused, because nobody waits for it.
    """

    client: str
    listener: socket.socket | None = None
    inode: int | None = None
    is_noted: bool = False  # that it could not be made
    calls: list[Call] = field(default_factory=list)
    lost_at: datetime | None = None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class _Limit:
    """How many sessions sshd allowed on a connection, and when it refused one more."""

    sessions: int
    at: datetime


class Relay:
    """All posts and calls of the dispatcher's, and the streams that are joined.

    Its time is what beat() is told, so that a step of the clock ends nothing.
    """

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._posts: dict[str, _Post] = {}
        self._lines: dict[ClientSession, int | None] = {}  # with their connection: sshd's process
        self._limits: dict[Place, _Limit] = {}
        self._barred: dict[str, str] = {}  # clients that are not called, with the reasons
        self._carriers = Carriers(self._note_life)
        self._rhythm = Rhythm()
        self._now = read_clock()
        self._loop = asyncio.get_running_loop()

    @property
    def is_busy(self) -> bool:
        """Whether anybody is called, or on the way."""
        return bool(self._carriers) or any(post.calls for post in self._posts.values())

    def reachable(self) -> list[str]:
        """Return the clients that Amanda reaches by the relay now, sorted."""
        there = {line.client for line in self._lines if line.is_greeted and not line.is_probe}
        return sorted(client for client in there if client in self._posts)

    # -- clients come and go

    def start(self, awaited: Iterable[str]) -> None:
        """Begin, where another dispatcher has ended: wait for the clients whose runs go on."""
        posts = {Path(switchboard.relay_path(client)) for client in self._posts}
        with suppress(OSError):
            for left in {*Path(switchboard.relay_folder()).iterdir()} - posts:
                left.unlink()
        for client in awaited:
            if client not in self._posts:  # else it has come already
                self._await(client).lost_at = self._now

    def expect(self, clients: Iterable[str]) -> None:
        """Answer for these clients, also while they are not there: a call that finds nobody kills.

        tests/e2e/test_relay_lost.py has such a call at the real planner.
        """
        for client in clients:
            if client not in self._posts:
                self._await(client).is_gone = True

    def admit(self, line: ClientSession, connection: int | None) -> None:
        """Take a line for a sign that its client is there; `connection` is its sshd's process."""
        self._lines[line] = connection

    def arrive(self, line: ClientSession) -> None:
        """Let Amanda call the client of a line, which was greeted."""
        post = self._await(line.client)
        post.lost_at, post.is_gone = None, False

    def leave(self, line: ClientSession, *, is_lost: bool) -> None:
        """Note that a line has ended. A client that was lost is waited for."""
        if line not in self._lines:
            return
        place = line.client, self._lines.pop(line)
        if place not in self._places():
            self._limits.pop(place, None)
            why = "vanished: its connection is lost" if is_lost else "has left"
            self._carriers.stop(lambda other: other == place, f"{line.client} {why}", self._now)
        post = self._posts.get(line.client)
        if post is None:
            return
        for call in post.calls:
            if call.line is line:
                call.forget_token()
        if any(other.client == line.client for other in self._lines):
            return
        if is_lost and not post.is_gone:
            silence = read_clock() - line.heard_at
            post.lost_at = self._now - min(max(silence, timedelta(0)), self._grace)
        else:
            self._refuse_all(post, f"{line.client} has left")

    def drop(self, client: str) -> None:
        """End all that goes on with a client that may not come in any more."""
        why = f"{client} is not enrolled any more"
        self._carriers.stop(lambda place: place[0] == client, why, self._now)
        if post := self._posts.get(client):
            self._close(post, why)

    def has_stream(self, client: str) -> bool:
        """Return whether a call of Amanda's to the client goes on, or waits for it."""
        post = self._posts.get(client)
        return self._carriers.has_client(client) or bool(post and post.calls)

    def cut(self, client: str, why: str) -> None:
        """End all of Amanda's calls to a client that stays: nothing comes of them."""
        self._carriers.stop(lambda place: place[0] == client, why, self._now)
        if post := self._posts.get(client):
            for call in list(post.calls):
                self._end(post, call, CUT, why)

    def bar(self, client: str, why: str) -> None:
        """Let each further call of Amanda's to a client fail at once, until unbar()."""
        self._barred[client] = why

    def unbar(self, client: str) -> None:
        """Let Amanda call a client again."""
        self._barred.pop(client, None)

    def close(self) -> None:
        """Listen no more, and refuse what waits. Streams go on."""
        for post in list(self._posts.values()):
            self._close(post, "asyncamanda's dispatcher ends", patience=0)

    def _places(self) -> set[Place]:
        return {(line.client, connection) for line, connection in self._lines.items()}

    def _note_life(self, place: Place) -> None:
        for line, connection in list(self._lines.items()):
            if (line.client, connection) == place:
                line.note_life(read_clock())

    # -- what is done all the time

    def beat(self, now: datetime) -> None:
        """Give up what has waited for too long, and serve what can be served."""
        self._now = now
        look_again = self._rhythm.is_due("sockets", SOCKETS_EVERY, now)
        for post in list(self._posts.values()):
            if look_again:
                self._listen(post)
            if post.lost_at is not None and now - post.lost_at > self._grace:
                self._refuse_all(post, f"{post.client} is not connected")
            for call in list(post.calls):
                self._look_after(post, call)
        self._carriers.beat(self._places(), now)

    def _look_after(self, post: _Post, call: Call) -> None:
        waited = self._now - call.called_at
        if not call.is_ready:
            if waited > WHOLE_WITHIN:
                call.close()
                post.calls.remove(call)
        elif call.asked_at is not None:
            if self._now - call.asked_at > TOKEN_LIVES:
                self._end(post, call, CUT, f"{post.client} does not open a stream")
        elif post.lost_at is not None and waited > SHORT_HOLD and not call.is_of_a_dump:
            self._end(post, call, CUT, f"{post.client} is not connected")
        else:
            self._ask(post, call)

    def _ask(self, post: _Post, call: Call) -> None:
        """Ask the client for a stream, if it is there and its connection has room for one."""
        lines = [line for line in self._lines if line.client == post.client]
        there = [line for line in lines if line.is_greeted and line.is_open and not line.is_probe]
        if there:
            line = there[-1]  # the one that came last: another may be dead without knowing it
            place = post.client, self._lines[line]
            if self._count_sessions(place) < self._most_sessions(place):
                token = secrets.token_hex(TOKEN_DIGITS // 2)
                call.ask(token, line, self._now)
                line.send(Open(token))
                return
        if not call.is_noted:
            call.is_noted = True
            what = "its streams" if there else "the client"
            write_log(f"{post.client}: Amanda's request waits for {what}")

    def _most_sessions(self, place: Place) -> int:
        limit = self._limits.get(place)
        if limit is None or self._now - limit.at > LIMIT_LASTS:
            return SESSIONS
        return limit.sessions

    def _count_sessions(self, place: Place) -> int:
        """Return how many sessions a client's connection has, those that were asked for included.

        Without a number sshd's process could not be notified: then all of the client's count.
        """
        lines = sum((one.client, number) == place for one, number in self._lines.items())
        calls = self._posts[place[0]].calls
        asked = sum(call.line is not None and self._lines[call.line] == place[1] for call in calls)
        return lines + self._carriers.count(place) + asked

    # -- posts

    def _await(self, client: str) -> _Post:
        """Return the post of a client, made if there is none."""
        if client not in self._posts:
            self._posts[client] = _Post(client)
            self._listen(self._posts[client])
        return self._posts[client]

    def _listen(self, post: _Post) -> None:
        """See to it that a post's socket is in its place: somebody may have cleared it away."""
        path = Path(switchboard.relay_path(post.client))
        with suppress(OSError):
            if post.listener and path.stat().st_ino == post.inode:
                return
        self._deafen(post)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            switchboard.make_runtime_folder()
            path.unlink(missing_ok=True)
            listener.setblocking(False)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(BACKLOG)
            post.inode = path.stat().st_ino
        except OSError as error:
            listener.close()
            if not post.is_noted:
                write_log(f"{post.client} cannot be called: {error}; retrying")
            post.is_noted = True
            return
        post.listener, post.is_noted = listener, False
        self._loop.add_reader(listener, self._accept, post, listener)

    def _deafen(self, post: _Post) -> None:
        if post.listener:
            self._loop.remove_reader(post.listener)
            post.listener.close()
            post.listener = None
            with suppress(OSError):
                path = Path(switchboard.relay_path(post.client))
                if path.stat().st_ino == post.inode:
                    path.unlink()

    def _refuse_all(self, post: _Post, why: str) -> None:
        """Wait for a client no more: all calls to it fail from now on."""
        post.lost_at, post.is_gone = None, True
        for call in list(post.calls):
            if call.is_ready:
                self._end(post, call, CUT, why)

    def _close(self, post: _Post, why: str, patience: float | None = None) -> None:
        for call in list(post.calls):
            self._end(post, call, CUT, why, patience)
        self._deafen(post)
        del self._posts[post.client]

    def _accept(self, post: _Post, listener: socket.socket) -> None:
        try:
            ssh, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptors left
            write_log(f"{post.client}: Amanda's request has to wait: {error.strerror}")
            self._loop.remove_reader(listener)
            self._loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_again, post, listener)
            return
        call = Call(
            ssh,
            post.client,
            self._now,
            on_ready=lambda call: self._begin(post, call),
            on_gone=post.calls.remove,
        )
        post.calls.append(call)

    def _accept_again(self, post: _Post, listener: socket.socket) -> None:
        if post.listener is listener:
            self._loop.add_reader(listener, self._accept, post, listener)

    def _begin(self, post: _Post, call: Call) -> None:
        if why := self._barred.get(post.client):
            self._end(post, call, CUT, f"{post.client} is not called any more in this run: {why}")
            return
        call.is_of_a_dump = is_of_a_dump(call.caller)
        if post.is_gone:
            self._end(post, call, CUT, f"{post.client} is not connected")
        else:
            self._ask(post, call)

    def _end(
        self, post: _Post, call: Call, status: int, reason: str, patience: float | None = None
    ) -> None:
        post.calls.remove(call)
        call.end(status, reason, patience)

    # -- streams

    def attach(self, place: Place, identity: Identity, token: str, carrier: socket.socket) -> bool:
        """Give a call to the process that its client began for it, if the token is its own.

        Returns whether it was, and has worked; else the carrier is told so.
        """
        post = self._posts.get(identity.client)
        calls = post.calls if post else []
        call = next((c for c in calls if c.token == token), None)
        is_own = (
            call is not None
            and call.line is not None
            and call.line.identity == identity
            and self._lines[call.line] == place[1]
        )
        if call is None or not is_own:
            with suppress(OSError):
                carrier.send(switchboard.pack("no", "no stream of this client's is waited for"))
            return False
        calls.remove(call)
        if call.hand_over(carrier):
            return True
        call.end(CUT, f"{identity.client} vanished: its stream's process has ended")
        return False

    def watch(self, place: Place, token: str, carrier: socket.socket, pid: int) -> None:
        """Watch over a stream that is joined, by this dispatcher or by another."""
        self._carriers.add(place, token, carrier, pid)

    def shut(self, line: ClientSession, message: Shut) -> None:
        """Hear from a client that a stream has ended, or did not begin."""
        status, why = message.status, _explain(message)
        if self._carriers.tell_status(line.client, message.token, status, why):
            if status:
                write_log(f"{line.client}: {why}")
            return
        post = self._posts.get(line.client)
        for call in post.calls if post else ():
            if post and call.token == message.token and call.line is line:
                self._fail(post, call, line, message)
                return

    def _fail(self, post: _Post, call: Call, line: ClientSession, message: Shut) -> None:
        """Bear that a client could not open a stream: one may have been too many for sshd."""
        call.forget_token()
        call.tries += 1
        place = line.client, self._lines[line]
        others = self._count_sessions(place)
        if message.is_refused and others > 1 and call.tries < MOST_TRIES:
            self._limits[place] = _Limit(others, self._now)
        else:
            self._end(post, call, message.status, _explain(message))


def _explain(message: Shut) -> str:
    """Return why a stream has ended or did not begin, by its client's word."""
    return message.reason or f"amandad ended with status {message.status}"


def is_of_a_dump(ssh: int) -> bool:
    """Return whether an ssh is a dumper's: only its own dump waits for that call.

    The planner has all clients wait for its calls, and behind amcheck somebody waits.
    """
    process = read_process(ssh)
    parent = read_process(process.parent) if process else None
    return parent is not None and parent.name.startswith("dumper")

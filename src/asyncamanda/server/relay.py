"""The relay: Amanda's way to a client that is connected, back through the client's connection.

For each such client the dispatcher listens where Amanda's ssh looks for a shared connection (its
ControlPath, aliases.py), and answers as OpenSSH's master would (core/mux.py). It asks the client
for a stream, and hands Amanda's descriptors to the process that the client begins for it
(attach.py). A client that has lost its connection is waited for: Amanda's call is held for
`grace`, so that its retry finds the client again in the same run.

Nothing that a client says names anything here but a token that it was given.
"""

import asyncio
import os
import re
import secrets
import select
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core import mux
from asyncamanda.core.authority import TOKEN_DIGITS, Identity
from asyncamanda.core.protocol import Open, Shut
from asyncamanda.report.text import printable
from asyncamanda.server import switchboard
from asyncamanda.server.background import Rhythm, write_log
from asyncamanda.server.line import Line
from asyncamanda.system.clock import now as read_clock

# what Amanda runs: amanda-facts, "The network"; tests/e2e/test_relay.py sees the real one do so
AMANDAD = re.compile(r"(?:/[\w./+-]*/)?amandad -auth=ssh(?: amdump)?")
SESSIONS = 10  # on one connection: sshd's MaxSessions
TOKEN_LIVES = timedelta(seconds=20)
WHOLE_WITHIN = timedelta(seconds=20)  # a call, which an ssh says in one go
MOST_TRIES = 3  # for a stream, of a client that is there
ORPHANED_AFTER = timedelta(seconds=15)  # of a stream, without a line on the same connection
SOCKETS_EVERY = timedelta(seconds=1)
BACKLOG = 64
SESSION = 1  # each call's number: it has a socket of its own
CUT, NOT_FOUND = 255, 127  # exit statuses: ssh's own, and the shell's
READ_BYTES = 4096
ACCEPT_AGAIN_SECONDS = 2.0
LONGEST_WORDS = 512  # bytes: what a pipe that has room takes at once (PIPE_BUF is more)


@dataclass(slots=True, eq=False)
class _Call:
    """One ssh of Amanda's that waits for its client. `token` is what the client was given."""

    ssh: socket.socket
    called_at: datetime
    decoder: mux.Decoder = field(default_factory=mux.Decoder)
    descriptors: list[int] = field(default_factory=list)
    session: mux.Packet | None = None  # the request for one
    is_ready: bool = False
    token: str | None = None
    line: Line | None = None
    asked_at: datetime | None = None
    tries: int = 0
    is_held: bool = False

    def forget_token(self) -> None:
        """Wait for another stream."""
        self.token = self.line = self.asked_at = None


@dataclass(slots=True, eq=False)
class _Stream:
    """A call that is joined to its client; the process that carries it stands behind `carrier`."""

    client: str
    connection: int | None
    carrier: socket.socket
    seen_at: datetime  # a line on the same connection
    token: str


@dataclass(slots=True, eq=False)
class _Post:
    """Where one client is called. `lost_at` is when it was last heard, if it is not there."""

    client: str
    listener: socket.socket
    inode: int
    calls: list[_Call] = field(default_factory=list)
    lost_at: datetime | None = None


class Relay:
    """All posts, calls and streams of the dispatcher's."""

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._posts: dict[str, _Post] = {}
        self._streams: list[_Stream] = []
        self._lines: dict[Line, int | None] = {}  # greeted, with their connection's process
        self._limits: dict[int | None, int] = {}  # of sessions, where sshd allows fewer
        self._rhythm = Rhythm()
        self._loop = asyncio.get_running_loop()

    @property
    def is_busy(self) -> bool:
        """Whether anybody is called, or on the way."""
        return bool(self._streams) or any(post.calls for post in self._posts.values())

    def reachable(self) -> list[str]:
        """Return the clients that Amanda reaches by the relay now, sorted."""
        return sorted({line.client for line in self._lines})

    # -- lines come and go

    def arrive(self, line: Line, connection: int | None) -> None:
        """Let Amanda call the client of a line that was greeted; `connection` is its sshd."""
        post = self._posts.get(line.client)
        if post is None:
            post = self._posts[line.client] = self._listen(line.client)
        post.lost_at = None
        self._lines[line] = connection

    def leave(self, line: Line, *, is_lost: bool) -> None:
        """Note that a line has ended. A client that was lost is waited for."""
        if line not in self._lines:
            return
        connection = self._lines.pop(line)
        if (line.client, connection) not in self._connections():
            self._limits.pop(connection, None)
            for stream in self._streams:
                if (stream.client, stream.connection) == (line.client, connection):
                    self._stop(stream)
        post = self._posts.get(line.client)
        if post is None:  # the client was dropped before
            return
        for call in post.calls:
            if call.line is line:
                call.forget_token()
        if any(other.client == line.client for other in self._lines):
            return
        if is_lost:
            post.lost_at = line.heard_at
        else:
            self._close(post, f"{line.client} has left")

    def _connections(self) -> set[tuple[str, int | None]]:
        """Return the clients and connections that have a line; some have no number."""
        return {(line.client, connection) for line, connection in self._lines.items()}

    def drop(self, client: str) -> None:
        """End all that goes on with a client that may not come in any more."""
        for stream in self._streams:
            if stream.client == client:
                self._stop(stream)
        if post := self._posts.get(client):
            self._close(post, f"{client} is not enrolled any more")

    def close(self) -> None:
        """Listen no more. Streams go on, and calls end with this process."""
        for post in self._posts.values():
            post.listener.close()
            with suppress(OSError):
                Path(switchboard.relay_path(post.client)).unlink()

    def shut(self, line: Line, message: Shut) -> None:
        """Hear from a client that a stream has ended, or did not begin."""
        for stream in self._streams:
            if stream.token == message.token and stream.client == line.client:
                with suppress(OSError):
                    stream.carrier.send(switchboard.pack("status", str(message.status)))
                return
        post = self._posts.get(line.client)
        for call in post.calls if post else ():
            if post and call.token == message.token and call.line is line:
                self._fail(post, call, line, message)
                return

    def _fail(self, post: _Post, call: _Call, line: Line, message: Shut) -> None:
        """Bear that a client could not open a stream: some may be too many for its sshd."""
        call.forget_token()
        call.tries += 1
        connection = self._lines[line]
        others = self._count_sessions(connection, line.client)
        if message.status == CUT and others > 1 and call.tries < MOST_TRIES:
            self._limits[connection] = others
        else:
            reason = printable(message.reason) or f"amandad ended with status {message.status}"
            self._end(post, call, message.status, reason)

    # -- what is done all the time

    def beat(self, now: datetime) -> None:
        """Give up what has waited for too long, and serve what can be served."""
        look_again = self._rhythm.is_due("sockets", SOCKETS_EVERY, now)
        for post in list(self._posts.values()):
            if look_again:
                self._mend(post)
            if post.lost_at is not None:
                post.lost_at = min(post.lost_at, now)  # the clock may be set back
                if now - post.lost_at > self._grace:
                    self._close(post, f"{post.client} is not connected")
                    continue
            for call in list(post.calls):
                self._look_after(post, call, now)
        connections = self._connections()
        for stream in self._streams:
            if (stream.client, stream.connection) in connections or now < stream.seen_at:
                stream.seen_at = now
            elif now - stream.seen_at > ORPHANED_AFTER:
                self._stop(stream)

    def _look_after(self, post: _Post, call: _Call, now: datetime) -> None:
        if call.asked_at is not None and not call.asked_at <= now <= call.asked_at + TOKEN_LIVES:
            call.forget_token()
            call.tries += 1
            if call.tries >= MOST_TRIES:
                self._end(post, call, CUT, f"{post.client} does not open a stream")
                return
        if not call.is_ready:
            if not call.called_at <= now <= call.called_at + WHOLE_WITHIN:
                self._forget(post, call)
        elif call.token is None:
            self._ask(post, call, now)

    def _ask(self, post: _Post, call: _Call, now: datetime) -> None:
        """Ask the client for a stream, if it is there and its connection has room for one."""
        lines = [line for line in self._lines if line.client == post.client and line.is_open]
        line = max(lines, key=lambda line: line.opened_at, default=None)
        if line is not None:
            connection = self._lines[line]
            most = self._limits.get(connection, SESSIONS)
            if self._count_sessions(connection, post.client) < most:
                call.token, call.line = secrets.token_hex(TOKEN_DIGITS // 2), line
                call.asked_at = now
                line.send(Open(call.token))
                return
        if not call.is_held:
            call.is_held = True
            what = "its streams" if line else "the client"
            write_log(f"{post.client}: Amanda's call waits for {what}")

    def _count_sessions(self, connection: int | None, client: str) -> int:
        """Return how many sessions a client's connection has, those that were asked for included.

        Without a number, sshd's process could not be told: then all of the client's count.
        """
        lines = sum(
            one.client == client and number == connection for one, number in self._lines.items()
        )
        streams = sum((s.client, s.connection) == (client, connection) for s in self._streams)
        asked = sum(
            call.line is not None and self._lines[call.line] == connection
            for call in self._posts[client].calls
        )
        return lines + streams + asked

    # -- posts

    def _listen(self, client: str) -> _Post:
        """Return a post for a client. Raises OSError."""
        switchboard.make_runtime_folder()
        path = Path(switchboard.relay_path(client))
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
        post = _Post(client, listener, path.stat().st_ino)
        self._loop.add_reader(listener, self._accept, post)
        return post

    def _mend(self, post: _Post) -> None:
        """Listen anew if somebody has cleared the socket away."""
        with suppress(OSError):
            if Path(switchboard.relay_path(post.client)).stat().st_ino == post.inode:
                return
        try:
            fresh = self._listen(post.client)
        except OSError as error:
            write_log(f"{post.client} cannot be called: {error}")
            return
        self._loop.remove_reader(post.listener)
        self._loop.remove_reader(fresh.listener)
        post.listener.close()
        post.listener, post.inode = fresh.listener, fresh.inode
        self._loop.add_reader(post.listener, self._accept, post)

    def _close(self, post: _Post, why: str) -> None:
        for call in list(post.calls):
            self._end(post, call, CUT, why)
        self._loop.remove_reader(post.listener)
        post.listener.close()
        with suppress(OSError):
            Path(switchboard.relay_path(post.client)).unlink()
        del self._posts[post.client]

    # -- calls

    def _accept(self, post: _Post) -> None:
        try:
            ssh, _ = post.listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptors left
            write_log(f"{post.client}: Amanda's call has to wait: {error.strerror}")
            self._loop.remove_reader(post.listener)
            self._loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_again, post, post.listener)
            return
        ssh.setblocking(False)
        call = _Call(ssh, read_clock())
        post.calls.append(call)
        self._loop.add_reader(ssh, self._hear, post, call)
        self._say(call, mux.hello())

    def _accept_again(self, post: _Post, listener: socket.socket) -> None:
        if post.listener is listener and self._posts.get(post.client) is post:
            self._loop.add_reader(listener, self._accept, post)

    def _hear(self, post: _Post, call: _Call) -> None:
        """Hear what an ssh says; its end is the call's end."""
        try:
            received, descriptors, _, _ = socket.recv_fds(call.ssh, READ_BYTES, mux.DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            received, descriptors = b"", []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        call.descriptors += descriptors
        try:
            packets = call.decoder.feed(received)
        except ValueError as error:
            write_log(f"{post.client}: a call that is not ssh's: {error}")
            received, packets = b"", []
        is_well = received and all(self._obey(call, packet) for packet in packets)
        if not is_well or len(call.descriptors) > mux.DESCRIPTORS:
            self._forget(post, call)
        elif call.session and call.decoder.is_complete and not call.is_ready:
            self._begin(post, call, call.session)

    def _begin(self, post: _Post, call: _Call, session: mux.Packet) -> None:
        """Let a call wait for its client, now that it is whole, if it is one of Amanda's."""
        if len(call.descriptors) != mux.DESCRIPTORS:
            self._forget(post, call)
        elif session.command is None or not AMANDAD.fullmatch(session.command):
            reason = "nothing is run here but Amanda's amandad"
            self._say(call, mux.permission_denied(session.request, reason))
            self._forget(post, call)
        else:
            call.is_ready = True
            self._ask(post, call, read_clock())

    def _obey(self, call: _Call, packet: mux.Packet) -> bool:
        """Answer a packet, and return whether the call may go on."""
        request = packet.request
        match packet.kind:
            case mux.HELLO:
                return request == mux.VERSION
            case mux.ALIVE_CHECK:
                self._say(call, mux.alive(request, os.getpid()))
                return True
            case mux.NEW_SESSION if call.session is None:
                call.session = packet
                return True
            case _:
                self._say(call, mux.failure(request, "only sessions are made here"))
        return False

    def _say(self, call: _Call, packet: bytes) -> None:
        with suppress(OSError):  # it has gone, which shows when it is read
            call.ssh.send(packet)

    def _end(self, post: _Post, call: _Call, status: int, reason: str) -> None:
        """End a call as a command that says `reason` and fails."""
        write_log(f"{post.client}: Amanda's call failed: {reason}")
        if call.is_ready and call.session:
            self._say(call, mux.session_opened(call.session.request, SESSION))
            _write_if_room(call.descriptors[2], f"asyncamanda: {reason}\n")
            self._say(call, mux.exit_message(SESSION, status))
        self._forget(post, call)

    def _forget(self, post: _Post, call: _Call) -> None:
        self._loop.remove_reader(call.ssh)
        call.ssh.close()
        for descriptor in call.descriptors:
            os.close(descriptor)
        post.calls.remove(call)

    # -- streams

    def attach(
        self, identity: Identity, token: str, connection: int | None, carrier: socket.socket
    ) -> None:
        """Give a call to the process that its client began for it, if the token is its own."""
        post = self._posts.get(identity.client)
        calls = post.calls if post else []
        found = next((c for c in calls if c.token is not None and c.token == token), None)
        is_own = (
            found is not None
            and found.line is not None
            and found.line.identity == identity
            and self._lines[found.line] == connection
        )
        if post is None or found is None or not is_own:
            with carrier, suppress(OSError):
                carrier.send(switchboard.pack("no", "no stream of this client's is waited for"))
            return
        self._loop.remove_reader(found.ssh)
        assert found.session
        self._say(found, mux.session_opened(found.session.request, SESSION))
        passed = [*found.descriptors, found.ssh.fileno()]
        try:
            socket.send_fds(carrier, [switchboard.pack("go", str(SESSION))], passed)
        except OSError:
            carrier.close()  # its process is gone; and Amanda's ssh sees its end, too
        else:
            stream = _Stream(identity.client, connection, carrier, read_clock(), token)
            self._join(stream)
        self._forget(post, found)

    def take_over(
        self, identity: Identity, token: str, connection: int | None, carrier: socket.socket
    ) -> None:
        """Watch over a stream that another dispatcher joined."""
        self._join(_Stream(identity.client, connection, carrier, read_clock(), token))

    def _join(self, stream: _Stream) -> None:
        self._streams.append(stream)
        self._loop.add_reader(stream.carrier, self._hear_carrier, stream)

    def _hear_carrier(self, stream: _Stream) -> None:
        """Hear that bytes come from a stream's client, or notice that the stream has ended."""
        with suppress(BlockingIOError):
            try:
                is_alive = bool(stream.carrier.recv(switchboard.LARGEST))
            except ConnectionError:
                is_alive = False
            if not is_alive:
                self._loop.remove_reader(stream.carrier)
                stream.carrier.close()
                self._streams.remove(stream)
                return
            for line, connection in list(self._lines.items()):  # one may end meanwhile
                if (line.client, connection) == (stream.client, stream.connection):
                    line.note_life(read_clock())

    def _stop(self, stream: _Stream) -> None:
        """Let a stream end at once, so that Amanda sees an end; its process then goes."""
        with suppress(OSError):
            stream.carrier.send(switchboard.pack("stop"))


def _write_if_room(descriptor: int, words: str) -> None:
    """Write to what others write to as well, so that its mode is not to be changed."""
    _, writable, _ = select.select([], [descriptor], [], 0)
    if writable:
        with suppress(OSError):
            os.write(descriptor, words.encode("utf-8", "replace")[:LONGEST_WORDS])

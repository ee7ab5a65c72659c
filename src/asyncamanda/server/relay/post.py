"""Where one client is called: the socket on which Amanda's ssh looks for a shared connection."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from asyncamanda.server.background.tasks import write_log
from asyncamanda.server.gate import ipc
from asyncamanda.server.relay.request import MuxRequest

ACCEPT_AGAIN_SECONDS = 2.0
BACKLOG = 64
CUT = 255  # the exit status of an ssh whose connection is lost


@dataclass(slots=True, eq=False)
class Post:
    """Where one client is called. `lost_at` is when it was last heard, if it is waited for.

    Without a listener its socket could not be made, which is tried again. `is_gone`: its
    requests are refused, because nobody waits for it. `on_ssh` gets each ssh that connects.
    """

    client: str
    loop: asyncio.AbstractEventLoop
    on_ssh: Callable[["Post", socket.socket], None]
    listener: socket.socket | None = None
    inode: int | None = None
    is_noted: bool = False  # that it could not be made
    requests: list[MuxRequest] = field(default_factory=list)
    lost_at: datetime | None = None
    is_gone: bool = False

    def listen(self) -> None:
        """Make sure that the socket is in its place: somebody may have cleared it away."""
        path = Path(ipc.relay_path(self.client))
        with suppress(OSError):
            if self.listener and path.stat().st_ino == self.inode:
                return
        self.deafen()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            ipc.make_runtime_folder()
            path.unlink(missing_ok=True)
            listener.setblocking(False)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(BACKLOG)
            self.inode = path.stat().st_ino
        except OSError as error:
            listener.close()
            if not self.is_noted:
                write_log(f"{self.client} cannot be called: {error}; retrying")
            self.is_noted = True
            return
        self.listener, self.is_noted = listener, False
        self.loop.add_reader(listener, self._accept, listener)

    def deafen(self) -> None:
        """Close the socket, and remove it if it is still this one."""
        if self.listener:
            self.loop.remove_reader(self.listener)
            self.listener.close()
            self.listener = None
            with suppress(OSError):
                path = Path(ipc.relay_path(self.client))
                if path.stat().st_ino == self.inode:
                    path.unlink()

    def end(
        self, request: MuxRequest, status: int, reason: str, patience: float | None = None
    ) -> None:
        """End a request, with an exit status and a reason."""
        self.requests.remove(request)
        request.end(status, reason, patience)

    def refuse_all(self, why: str) -> None:
        """Stop waiting for the client: all requests to it fail from now on."""
        self.lost_at, self.is_gone = None, True
        for request in list(self.requests):
            if request.is_ready:
                self.end(request, CUT, why)

    def close(self, why: str, patience: float | None = None) -> None:
        """End all requests, and close the socket."""
        for request in list(self.requests):
            self.end(request, CUT, why, patience)
        self.deafen()

    def _accept(self, listener: socket.socket) -> None:
        try:
            ssh, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptors left
            write_log(f"{self.client}: Amanda's request has to wait: {error.strerror}")
            self.loop.remove_reader(listener)
            self.loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_again, listener)
            return
        self.on_ssh(self, ssh)

    def _accept_again(self, listener: socket.socket) -> None:
        if self.listener is listener:
            self.loop.add_reader(listener, self._accept, listener)


def remove_left_sockets(known: Iterable[str]) -> None:
    """Remove what another dispatcher has left, except the sockets of the `known` clients."""
    own = {Path(ipc.relay_path(client)) for client in known}
    with suppress(OSError):
        for left in {*Path(ipc.relay_folder()).iterdir()} - own:
            left.unlink()

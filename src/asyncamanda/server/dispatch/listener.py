"""The dispatcher's socket: who connects to it, and the first word that each sends."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from asyncamanda.errors import Exit
from asyncamanda.server.background.tasks import Background, write_log
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.ipc_server import close_all, peer_of, receive, send_all, send_exit

FIRST_WORD_SECONDS = 5.0
BACKLOG = 512
NO_DESCRIPTORS = "the server cannot open more file descriptors now"

# what to do for a caller, with its words and descriptors: the answer to be sent, or None if the
# caller's socket and descriptors are somebody's now
Hear = Callable[[socket.socket, list[str], list[int]], Awaitable[object | None]]


class Listener:
    """Listens where gates and commands look for the dispatcher, and hands each caller to `hear`."""

    def __init__(self, background: Background, hear: Hear) -> None:
        self._background = background
        self._hear = hear
        self._socket: socket.socket | None = None
        self._inode: int | None = None
        self._spare: int | None = None

    def listen(self) -> None:
        """Listen, at a new socket if there was one before. Raises OSError."""
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        ipc.make_runtime_folder()
        path = Path(ipc.socket_path())
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
        self._socket, self._inode = listener, path.stat().st_ino
        if self._spare is None:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def is_listening(self) -> bool:
        """Return whether the socket is still in its place: somebody may have cleared the folder."""
        try:
            return Path(ipc.socket_path()).stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Listen no more, and remove the socket."""
        if self.is_listening():
            Path(ipc.socket_path()).unlink()
        if self._socket:
            self._socket.close()

    def _accept(self) -> None:
        assert self._socket
        while True:
            try:
                caller, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptors left
                self._send_away(self._socket, error)
                return
            caller.setblocking(False)
            self._background.start(self.hear_caller(caller))

    def _send_away(self, listener: socket.socket, error: OSError) -> None:
        """Tell a caller for whom there is no descriptor to come back; one is kept for that."""
        write_log(f"a connection is rejected: {error.strerror}", logging.WARNING)
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        with contextlib.suppress(OSError):
            caller, _ = listener.accept()
            caller.setblocking(False)
            with contextlib.suppress(OSError):  # unread, it would hide what we say
                caller.recv(ipc.LARGEST)
            send_exit(caller, Exit.LATER, NO_DESCRIPTORS)
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if self._spare is None:  # somebody else has taken it
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(FIRST_WORD_SECONDS, self._listen_again, listener)

    def _listen_again(self, listener: socket.socket) -> None:
        if listener is self._socket:
            asyncio.get_running_loop().add_reader(listener, self._accept)

    async def hear_caller(self, caller: socket.socket) -> None:
        """Hear a caller's first word, and answer it unless it is kept."""
        try:
            packet, descriptors = await asyncio.wait_for(receive(caller), FIRST_WORD_SECONDS)
        except (OSError, TimeoutError):
            caller.close()
            return
        _, uid = peer_of(caller)
        answer: object | None = {"error": "not for you"}
        if uid in {0, os.geteuid()}:
            words = ipc.unpack(packet)
            if words[:1] == ["talk"] and len(descriptors) != 2:  # this process may have no more
                close_all(descriptors)
                send_exit(caller, Exit.LATER, NO_DESCRIPTORS)
                return
            answer = await self._hear(caller, words, descriptors)
            if answer is None:
                return
        close_all(descriptors)
        with caller, contextlib.suppress(OSError):
            await asyncio.wait_for(send_all(caller, answer), FIRST_WORD_SECONDS)

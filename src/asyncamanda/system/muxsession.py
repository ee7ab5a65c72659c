"""A command at the server over a master connection, with descriptors that the master gets itself.

An `ssh -S` would do the same and stay beside it, with all three descriptors open: so an end in
one direction, which the master passes on, would reach nobody (core/protocol/mux.py; OpenSSH's
mux.c).
"""

import socket

from asyncamanda.core.protocol import mux

ANSWER_SECONDS = 5.0  # for the master's greeting: it is on this machine
READ_BYTES = 4096
CUT = 255  # as ssh ends where the connection does
REQUEST = 1


class MuxSession:
    """One session, from the request to its end; see open_session()."""

    def __init__(self, master: socket.socket) -> None:
        self._master = master
        self._decoder = mux.ReplyDecoder()
        self.status: int | None = None
        self.reason = ""
        self.is_refused = False
        self._is_released = False

    def fileno(self) -> int:
        """Return what turns readable when there is something to hear()."""
        return self._master.fileno()

    def hear(self) -> bool:
        """Hear what the master says, and return whether the session has ended.

        `status` is its command's exit status then, as ssh would have it. `is_refused` says that
        there was no session, and `reason` why.
        """
        if self.status is not None:
            return True
        try:
            received = self._master.recv(READ_BYTES)
            replies = self._decoder.feed(received)
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            received, replies = b"", []
        for reply in replies:
            if reply.kind == mux.EXIT_MESSAGE:
                self.status = reply.number
            elif reply.kind in {mux.FAILURE, mux.PERMISSION_DENIED}:
                self.status, self.reason, self.is_refused = CUT, reply.reason, True
        if not received:
            self._is_released = True
            if self.status is None:
                self.status = CUT
        return self.status is not None

    def is_released(self) -> bool:
        """Return whether the master has closed a session whose end hear() knows of.

        It says that the command has ended as soon as sshd does, which may be before sshd has read
        the last of what that wrote (session.c, session_exit_message()). To close the session then
        would lose it (mux.c, mux_master_control_cleanup_cb()).
        """
        if not self._is_released and not self.is_refused:
            try:
                self._is_released = not self._master.recv(READ_BYTES)
            except BlockingIOError:
                return False
            except OSError:
                self._is_released = True
        return self._is_released or self.is_refused

    def close(self) -> None:
        """Release the session: the master ends what is left of it, which counts as cut."""
        self._master.close()
        if self.status is None:
            self.status = CUT


def open_session(path: str, command: str, descriptors: tuple[int, int, int]) -> MuxSession:
    """Ask the master that listens at `path` for a session that runs `command`.

    The `descriptors` are its stdin, stdout and stderr, and may be closed afterwards. Raises OSError
    if there is no master.
    """
    master = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        master.settimeout(ANSWER_SECONDS)
        master.connect(path)
        master.sendall(mux.hello() + mux.new_session(REQUEST, command))
        for descriptor in descriptors:
            socket.send_fds(master, [b"\0"], [descriptor])
    except OSError as error:
        master.close()
        raise OSError(error.errno, "the connection's ssh does not answer") from error
    master.setblocking(False)
    return MuxSession(master)

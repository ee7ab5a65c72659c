"""A password's way to ssh: SSH_ASKPASS, and nothing else.

ssh closes the descriptors that it inherits, an argv and an environment can be read by
others, and a file outlives a kill. So ssh starts a small script, made for this connection
in a folder that only this user can enter, and the script fetches the answer from a socket
beside it, on which this process listens. The socket's path is all that the environment holds.
"""

import contextlib
import os
import re
import socket
import struct
import sys
import threading
from pathlib import Path

# what ssh asks for a password; not a key's passphrase, nor a doubt about a host key
_ASKS_PASSWORD = re.compile(r"password", re.IGNORECASE)
_NOT_PASSWORD = re.compile(r"passphrase|\(yes/no", re.IGNORECASE)
_SCRIPT = '#!/bin/sh\nexec "{python}" -I -c \'{code}\' "{socket}" "$1"\n'
_CODE = (
    "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
    's.sendall(sys.argv[2].encode(errors="surrogateescape")+b"\\0");'
    'a=s.makefile("rb").read();sys.stdout.buffer.write(a);sys.exit(not a)'
)


class Askpass:
    """Answers one ssh's question for the password; `environ` is what that ssh needs.

    `folder` is private to this user; what is made there is gone after close(). Only the ssh
    whose process `allow` names gets an answer: it hands its environment on to the ssh of a
    jump host, and that host is not to have the password.
    """

    def __init__(self, password: str, folder: Path) -> None:
        self._password = password
        self._socket_path, self._script = folder / "askpass.socket", folder / "askpass"
        self._asker_parent: int | None = None
        self._allowed = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._socket_path))
        self._listener.listen(4)
        self._script.write_text(
            _SCRIPT.format(python=sys.executable, code=_CODE, socket=self._socket_path)
        )
        self._script.chmod(0o700)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()
        self.environ = {"SSH_ASKPASS": str(self._script), "SSH_ASKPASS_REQUIRE": "force"}

    def allow(self, pid: int) -> None:
        """Let the ssh with this process id be answered."""
        self._asker_parent = pid
        self._allowed.set()

    def close(self) -> None:
        """Stop answering."""
        self._allowed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._server.join(1)
        self._listener.close()
        self._script.unlink(missing_ok=True)
        self._socket_path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                asker, _ = self._listener.accept()
            except OSError:
                return
            with asker, contextlib.suppress(OSError):
                asker.settimeout(5)
                self._answer(asker)

    def _answer(self, asker: socket.socket) -> None:
        credentials = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", credentials)
        question = b""
        while not question.endswith(b"\0"):
            piece = asker.recv(1024)
            if not piece:
                return
            question += piece
        self._allowed.wait(5)
        text = question.decode("utf-8", "replace")
        is_ours = uid == os.geteuid() and _parent_of(pid) == self._asker_parent
        if is_ours and _ASKS_PASSWORD.search(text) and not _NOT_PASSWORD.search(text):
            asker.sendall(self._password.encode("utf-8", "surrogateescape") + b"\n")


def _parent_of(pid: int) -> int:
    """Return the parent of the process `pid` (proc(5): the second field after the name)."""
    return int(
        Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[1]
    )

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
from collections.abc import Iterator
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


@contextlib.contextmanager
def answer_askpass(password: str, folder: Path) -> Iterator[dict[str, str]]:
    """Answer ssh's question for the password; yield what ssh's environment needs.

    `folder` is private to this user; what is made there is gone afterwards.
    """
    socket_path, script = folder / "askpass.socket", folder / "askpass"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen(4)
        script.write_text(_SCRIPT.format(python=sys.executable, code=_CODE, socket=socket_path))
        script.chmod(0o700)
        server = threading.Thread(target=_serve, args=(listener, password), daemon=True)
        server.start()
        try:
            yield {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force"}
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            server.join(1)
            script.unlink(missing_ok=True)
            socket_path.unlink(missing_ok=True)


def _serve(listener: socket.socket, password: str) -> None:
    while True:
        try:
            asker, _ = listener.accept()
        except OSError:
            return
        with asker, contextlib.suppress(OSError):
            asker.settimeout(5)
            _answer(asker, password)


def _answer(asker: socket.socket, password: str) -> None:
    credentials = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    question = b""
    while not question.endswith(b"\0"):
        piece = asker.recv(1024)
        if not piece:
            return
        question += piece
    text = question.decode("utf-8", "replace")
    if uid == os.geteuid() and _ASKS_PASSWORD.search(text) and not _NOT_PASSWORD.search(text):
        asker.sendall(password.encode("utf-8", "surrogateescape") + b"\n")

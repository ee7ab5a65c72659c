"""A file system that takes a question and never answers, as one on a dead server does.

Who asks it waits in state D, and no signal ends that: once a server of FUSE's has read a question,
the kernel waits for the answer (fuse(4), request_wait_answer()), until the server is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2
_FUSE_INIT = 26
_LARGEST = 1 << 20


@contextmanager
def hung_file_system(place: Path, asked: int | None = None) -> Iterator[Path]:
    """Yield a file below `place` that is opened by nobody.

    A byte goes to the descriptor `asked` when a question has been taken: until then a signal ends
    who asks.
    """
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    words = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if _LIBC.mount(b"hung", os.fsencode(place), b"fuse.hung", 0, words) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    server = os.fork()
    if server == 0:
        _serve(device, asked)
    os.close(device)
    try:
        yield place / "file"
    finally:
        _LIBC.umount2(os.fsencode(place), _MNT_DETACH)
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)


def _serve(device: int, asked: int | None) -> NoReturn:
    """Answer the first greeting, read what comes, and say nothing."""
    try:
        while True:
            _, opcode, unique, *_ = struct.unpack_from("<IIQ", os.read(device, _LARGEST))
            if opcode == _FUSE_INIT:
                body = struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 9, 4096, 1, 0, 0, 0)
                os.write(device, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
            elif asked is not None:
                os.write(asked, b".")
    finally:
        os._exit(0)


if __name__ == "__main__":  # on a host of the lab's
    with hung_file_system(Path(sys.argv[1])):
        os.write(1, b"ready\n")
        sys.stdin.read()

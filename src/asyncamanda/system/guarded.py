"""Amandad behind a guard, for a client that encrypts its dumps: only some requests reach it.

    python -m asyncamanda.system.guarded AMANDAD [ARGUMENT]...

What amandad sends goes out as it is, and not through here; what it is sent is a few requests. One
that is refused gets Amanda's own refusal. Each stream's process is one of these, so it imports next
to nothing.
"""

import os
import select
import subprocess
import sys

from asyncamanda.core.amanda.packets import LARGEST, REQ, refusal
from asyncamanda.core.amanda.sealed_requests import find_objection

_HEADER = 8
_PIECE = 1 << 16
GARBLED = 1


class RequestGuard:
    """Bytes for amandad into what goes on to it, and what is answered in its place."""

    def __init__(self) -> None:
        self.is_garbled = False
        self._kept = b""

    def hear(self, received: bytes) -> tuple[bytes, bytes]:
        """Return what goes on, in whole packets, and refusals of what does not."""
        self._kept += received
        passed, refused = [], []
        while len(self._kept) >= _HEADER:
            size = int.from_bytes(self._kept[:4], "big")
            if size > LARGEST:
                self.is_garbled = True
                break
            if len(self._kept) < _HEADER + size:
                break
            packet, self._kept = self._kept[: _HEADER + size], self._kept[_HEADER + size :]
            body = packet[_HEADER:]
            if body[:1] == bytes([REQ]) and (why := find_objection(body[1:])):
                handle = int.from_bytes(packet[4:_HEADER], "big")
                refused.append(refusal(handle, f"the client refuses: {why}"))
            else:
                passed.append(packet)
        return b"".join(passed), b"".join(refused)


def main(argv: list[str]) -> int:
    """Run it to amandad's end; return its exit status, as a shell has it."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as program:
        assert program.stdin
        ended = os.pidfd_open(program.pid)
        guard = RequestGuard()
        sink: int | None = program.stdin.fileno()
        while sink is not None:
            ready, _, _ = select.select([0, ended], [], [])
            if 0 not in ready:
                break
            piece = os.read(0, _PIECE)
            passed, refused = guard.hear(piece)
            if refused:
                _write(1, refused)
            if not piece or guard.is_garbled or not _write(sink, passed):
                sink = None
        program.stdin.close()
        status = program.wait()
    if guard.is_garbled:
        return GARBLED
    return status if status >= 0 else 128 - status


def _write(descriptor: int, words: bytes) -> bool:
    """Write all; return whether somebody takes it."""
    try:
        while words:
            words = words[os.write(descriptor, words) :]
    except BrokenPipeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

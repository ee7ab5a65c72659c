"""A long wire: passes frames between two tap devices, and takes its time.

    wire.py SECONDS TAP TAP

Runs alone, as a script, on the lab's switch; says `ready` when the devices are there. They
vanish with it. (netem would do the same where the kernel has it; this does it everywhere.)
"""

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from contextlib import suppress

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_BYTES = 65536


def open_tap(name: str) -> int:
    """Make a tap device in this network namespace; the descriptor reads and writes frames."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def main(seconds: str, *names: str) -> None:
    """Hold every frame for so long, then put it out on the other side."""
    delay = float(seconds)
    left, right = (open_tap(name) for name in names)
    other = {left: right, right: left}
    held: deque[tuple[float, int, bytes]] = deque()
    print("ready", flush=True)  # noqa: T201 (this is how it answers)
    while True:
        patience = max(0.0, held[0][0] - time.monotonic()) if held else None
        for tap in select.select([left, right], [], [], patience)[0]:
            with suppress(BlockingIOError):
                while True:
                    frame = os.read(tap, FRAME_BYTES)
                    held.append((time.monotonic() + delay, other[tap], frame))
        while held and held[0][0] <= time.monotonic():
            _, tap, frame = held.popleft()
            with suppress(OSError):  # the device is down, or its queue is full: a lost frame
                os.write(tap, frame)


if __name__ == "__main__":
    main(*sys.argv[1:])

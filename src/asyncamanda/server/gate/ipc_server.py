"""The dispatcher's end of its socket: packets and descriptors, for which nobody waits."""

import asyncio
import contextlib
import json
import os
import socket
import struct

from asyncamanda.errors import Exit
from asyncamanda.server.gate import ipc

ANSWER_PIECE = 32_768  # bytes


async def receive(caller: socket.socket) -> tuple[bytes, list[int]]:
    """Return a packet and the descriptors that came with it. Raises OSError."""
    while True:
        try:
            packet, descriptors, _, _ = socket.recv_fds(caller, ipc.LARGEST, 2)
        except BlockingIOError:
            await _wait(caller, is_writing=False)
        else:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            return packet, list(descriptors)


def close_all(descriptors: list[int]) -> None:
    """Close what came with a packet."""
    for descriptor in descriptors:
        os.close(descriptor)


def send_exit(gate: socket.socket, code: Exit, reason: str) -> None:
    """Let a gate end with `code`, and tell its client why."""
    with gate, contextlib.suppress(OSError):
        gate.send(ipc.pack("exit", str(int(code)), reason))


async def send_all(caller: socket.socket, answer: object) -> None:
    """Send `answer` as JSON, in as many packets as it takes. Raises OSError."""
    text = json.dumps(answer).encode()
    while text:
        try:
            caller.send(text[:ANSWER_PIECE])
        except BlockingIOError:
            await _wait(caller, is_writing=True)
        else:
            text = text[ANSWER_PIECE:]


async def _wait(caller: socket.socket, *, is_writing: bool) -> None:
    """Return when something can be read from `caller`, or written to it."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    add = loop.add_writer if is_writing else loop.add_reader
    remove = loop.remove_writer if is_writing else loop.remove_reader
    add(caller, ready.set)
    try:
        await ready.wait()
    finally:
        remove(caller)


def peer_of(caller: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end (unix(7), SO_PEERCRED)."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack(
        "3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return pid, uid

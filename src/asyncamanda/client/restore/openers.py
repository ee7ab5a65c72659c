"""The process that opens what this machine has encrypted, for a client that encrypts its dumps.

It takes the place of the one that holds the connection (holder.py): for each request it starts
`asyncamanda unseal`, as root, which has the key, asks the gate for whole images, and answers as a
server answers that can read the dumps. Whoever asks cannot tell the one from the other.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterable
from typing import NoReturn

from asyncamanda.client.restore.holder import BEGIN, BESIDE, LISTENING
from asyncamanda.errors import Exit
from asyncamanda.system.account import keep_only
from asyncamanda.system.endings import end
from asyncamanda.system.interrupts import StopRequest, catch_stop

RECONNECT_FOR = 120.0  # seconds
HOST = "the server"
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


def hold_openers(control: socket.socket, named: str | None, signals: Iterable[int]) -> NoReturn:
    """Be the child that opens dumps, until the other end of `control` says goodbye."""
    status = int(Exit.INTERNAL)
    try:
        keep_only(control.fileno())
        os.setsid()
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with catch_stop() as stop:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                control.send(json.dumps({"host": HOST, "reconnect_for": RECONNECT_FOR}).encode())
                _serve(control, plan_unseal(named), stop)
        status = 0
    except Exception:
        sys.stderr.write(traceback.format_exc())
    finally:
        os._exit(status)


def plan_unseal(named: str | None) -> list[str]:
    """Return the command line of the program that opens dumps."""
    more = ["--config", os.path.abspath(named)] if named else []  # noqa: PTH100
    return [*_DIES_WITH_US, sys.executable, "-I", "-m", "asyncamanda", "unseal", *more]


def _serve(control: socket.socket, argv: list[str], stop: StopRequest) -> None:
    """Start a program for each three descriptors that come; see serve_sessions()."""
    running: dict[int, subprocess.Popen[bytes]] = {}
    count = 0
    control.setblocking(False)
    with contextlib.ExitStack() as ends:
        ends.callback(_end_all, running)
        while not stop.signal:
            select.select([control.fileno(), stop.fileno()], [], [], LISTENING / 10)
            for number, program in list(running.items()):
                if (status := program.poll()) is not None:
                    _tell(control, number, status if status >= 0 else 128 - status)
                    del running[number]
            try:
                word, descriptors, _, _ = socket.recv_fds(control, 1, 3)
            except BlockingIOError:
                continue
            if word not in {BEGIN, BESIDE}:
                break
            if word == BEGIN:
                _end_all(running)
            try:
                running[count] = _start(argv, *descriptors)
            except OSError:
                _tell(control, count, int(Exit.LATER))
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            count += 1


def _start(argv: list[str], question: int, output: int, answers: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(argv, stdin=question, stdout=output, stderr=answers, cwd="/")


def _tell(control: socket.socket, number: int, status: int) -> None:
    control.send(json.dumps({"session": number, "status": status, "words": ""}).encode())


def _end_all(running: "dict[int, subprocess.Popen[bytes]]") -> None:
    while running:
        end(running.popitem()[1])

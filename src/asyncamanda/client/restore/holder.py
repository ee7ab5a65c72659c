"""The process that holds the connection to the gate, as the Amanda user.

It gets the descriptors of each session from the process that began it, passes them on to ssh, and
says how the session ended. It ends with that process.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.client.start.settings import Plan, find_password, plan_configured
from asyncamanda.core.protocol.authority import RESTORE
from asyncamanda.errors import AsyncamandaError, ConfigurationError, Exit, LaterError, error_value
from asyncamanda.system.account import keep_only
from asyncamanda.system.interrupts import StopRequest, catch_stop
from asyncamanda.system.muxsession import MuxSession
from asyncamanda.system.ssh import Connection, NotConnected, connect

GOODBYE = b"q"
BEGIN = b"b"
BESIDE = b"s"
LISTENING = 0.5  # seconds


def hold_connection(control: socket.socket, named: str | None, signals: Iterable[int]) -> NoReturn:
    """Be the child that holds a connection, until the other end of `control` says goodbye.

    `signals`: those that are blocked from now on.
    """
    status = int(Exit.INTERNAL)
    try:
        keep_only(control.fileno())  # root's folders, and the record with its lock, are open there
        os.setsid()  # what a terminal sends is for the process that began this one
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with catch_stop() as stop:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
            _hold(control, named, stop)
        status = 0
    except AsyncamandaError as error:
        with contextlib.suppress(OSError):
            control.send(json.dumps(error_value(error)).encode())
        status = int(error.exit)
    except Exception:
        sys.stderr.write(traceback.format_exc())  # print_exc() may colour it
    finally:
        os._exit(status)


def _temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="asyncamanda-")
    except OSError as error:
        raise LaterError(
            "no-temporary-folder",
            f"there is no room for temporary files, which ssh needs: {error.strerror}",
            "free some space; TMPDIR can name another folder",
        ) from error


def _hold(control: socket.socket, named: str | None, stop: StopRequest) -> None:
    plan = plan_configured(named)
    if plan.command is not None:
        raise ConfigurationError(
            "no-gate",
            "this client backs up by a command of its own, and its server has no asyncamanda",
            "docs/restore.md says how files come back by hand",
        )
    target = find_password(plan)
    # a start of the agent at the same time has its sockets elsewhere
    with _temporary_folder() as folder:
        try:
            with connect(target, plan.options, stop, Path(folder)) as connection:
                with contextlib.suppress(BrokenPipeError):  # who began it may be gone already
                    control.send(_greet(plan))
                serve_sessions(control, connection, stop)
        except NotConnected as failure:
            has_gate = plan.command is None
            _, error = explain_not_connected(failure.fault, plan.target, has_gate=has_gate)
            raise error from None


def _greet(plan: Plan) -> bytes:
    seconds = plan.reconnect_for.total_seconds()
    return json.dumps({"host": plan.target.host, "reconnect_for": seconds}).encode()


def serve_sessions(control: socket.socket, connection: Connection, stop: StopRequest) -> None:
    """Run a session for each three descriptors that come, until GOODBYE.

    BEGIN ends those that there are; BESIDE leaves them. They are numbered from 0, and the end of
    each is told by its number. Whoever began all this may go at any moment, without a goodbye.
    """
    sessions: dict[int, MuxSession] = {}
    count = 0
    control.setblocking(False)  # recv_fds() takes flags, and passes none on
    with contextlib.ExitStack() as ends:
        ends.enter_context(contextlib.suppress(BrokenPipeError, ConnectionResetError))
        ends.callback(_close_all, sessions)
        while not stop.signal:
            watched = [session.fileno() for session in sessions.values()]
            select.select([control.fileno(), stop.fileno(), *watched], [], [], LISTENING)
            for number, session in list(sessions.items()):
                if session.hear() and session.is_released():
                    control.send(_describe_end(number, session, connection))
                    sessions.pop(number).close()
            try:
                word, descriptors, _, _ = socket.recv_fds(control, 1, 3)
            except BlockingIOError:
                continue
            if word not in {BEGIN, BESIDE}:
                break
            if word == BEGIN:
                _close_all(sessions)
            if begun := _begin(connection, descriptors):
                sessions[count] = begun
            else:
                control.send(_encode_end(count, None, "the connection broke"))
            count += 1


def _close_all(sessions: dict[int, MuxSession]) -> None:
    while sessions:
        sessions.popitem()[1].close()


def _begin(connection: Connection, descriptors: list[int]) -> MuxSession | None:
    """Start a session; None if the connection is gone."""
    try:
        question, output, answers = descriptors
        return connection.transfer(RESTORE, (question, output, answers))
    except OSError:
        return None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _describe_end(number: int, session: MuxSession, connection: Connection) -> bytes:
    status, words = session.status, session.reason
    if status == 255 and connection.is_broken():
        status, words = None, connection.last_words() or "the connection broke"
    return _encode_end(number, status, words)


def _encode_end(number: int, status: int | None, words: str) -> bytes:
    return json.dumps({"session": number, "status": status, "words": words}).encode()

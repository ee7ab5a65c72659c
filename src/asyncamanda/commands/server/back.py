"""What `server list` and `server restore` share: the way to a client's dumps, without the client.

It is as the client's way to its gate, but that the program which answers is started here: as the
Amanda user it reads, and what it sends is taken by this process, as root or whoever started it.
"""

import argparse
import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from asyncamanda.client.restore.line import Line
from asyncamanda.client.restore.transfer import Question, SessionEnd, SpareSession, Transfer
from asyncamanda.commands.hints import adapt_hint, name_options, naming
from asyncamanda.commands.server.options import unknown_client
from asyncamanda.config.server import load_server_config
from asyncamanda.core.protocol.authority import (
    Identity,
    check_amanda_config_name,
    check_client_name,
)
from asyncamanda.core.restore.whereabouts import normalize
from asyncamanda.errors import UsageError
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.gate.restore import plan_serve
from asyncamanda.system.endings import end, is_ended
from asyncamanda.system.interrupts import StopRequest

ENDS_WITHIN = 10.0  # seconds, for its last words in the ledger


@dataclass(frozen=True, slots=True)
class WayHere:
    """The way to the dumps of one client; open() yields the line."""

    identity: Identity
    options: tuple[str, ...]

    @contextlib.contextmanager
    def open(self, _: StopRequest) -> Iterator[Line]:
        """Yield the line, on which each request has a process of its own."""
        line = _LineHere(self)
        try:
            yield line
        finally:
            line.close()


def add_client(parser: argparse.ArgumentParser) -> None:
    """Let the command line name the client."""
    parser.add_argument("client", metavar="CLIENT", help="the client whose backups are meant")
    parser.add_argument(
        "--amanda-config",
        metavar="NAME",
        help="the Amanda configuration (default: the one that the client is enrolled for)",
    )


def plan_way(arguments: argparse.Namespace) -> WayHere:
    """Return the way to the dumps of the client that is named.

    One that is not enrolled any more needs its configuration named. Raises UsageError for an
    invalid name, BadDataError for a client that nobody knows, RefusedError to who may not ask.
    """
    _, config = load_server_config(arguments.config)
    entries = read_registry(registry_path(config.user))
    name = arguments.amanda_config
    if name is None:
        enrolled = {one.client: one.amanda_config for one in entries}
        if arguments.client not in enrolled:
            raise unknown_client(arguments.client, enrolled, of_backups=True)
        name = enrolled[arguments.client]
    try:
        check_client_name(arguments.client)
        check_amanda_config_name(name)
    except ValueError as error:
        raise UsageError("bad-name", str(error), "use the names in Amanda's disklist") from error
    named = ("--config", arguments.config) if arguments.config else ()
    return WayHere(Identity(arguments.client, name), ("--who", f"admin:{name_user()}", *named))


def naming_here(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """Let hints of errors name this command line's commands, with its client and options."""
    return naming(_name_options(arguments), client=arguments.client)


def adapt_here(arguments: argparse.Namespace, hint: str) -> str:
    """Return the hint with its commands as this command line's."""
    return adapt_hint(hint, _name_options(arguments), arguments.client)


def _name_options(arguments: argparse.Namespace) -> list[str]:
    return name_options(config=arguments.config, amanda_config=arguments.amanda_config)


def name_user() -> str:
    """Return who this is: the user who became root by sudo, or this process's."""
    user = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    return user or pwd.getpwuid(os.geteuid()).pw_name


def find_names(typed: str) -> list[bytes]:
    """Return the name that a path has at the client. Raises UsageError if it is relative."""
    if not typed.startswith("/"):
        raise UsageError(
            "relative-path", f"{typed} is not an absolute path", "name it as it is on the client"
        )
    return [normalize(os.fsencode(typed))]


class _TransferHere:
    """One request, answered by a process."""

    def __init__(self, process: subprocess.Popen[bytes], output: int, answers: int) -> None:
        self.output = output
        self.answers = answers
        self._process = process
        self._ended = os.pidfd_open(process.pid)

    def fileno(self) -> int:
        """Return what turns readable when the process has ended."""
        return self._ended

    def end(self) -> SessionEnd | None:
        """Return how it ended, as a shell has it; None if it goes on."""
        status = self._process.poll()
        if status is None:
            return None
        return SessionEnd(status if status >= 0 else 128 - status)

    def close(self) -> None:
        """Close its streams, which ends it."""
        for descriptor in (self.output, self.answers):
            os.close(descriptor)
        os.close(self._ended)
        if not is_ended(self._process, ENDS_WITHIN):
            end(self._process)


class _LineHere:
    """Processes that answer, one after another."""

    host = "this server"
    reconnect_for = timedelta(0)

    def __init__(self, way: WayHere) -> None:
        self._way = way
        self._spare = SpareSession(self._start)

    def begin(self, request: bytes) -> Transfer:
        """Return what a process answers to the request."""
        return self._spare.take(request) or self._start(Question(request))

    def prepare(self) -> None:
        """Start a process for the next request."""
        self._spare.prepare()

    def close(self) -> None:
        """Leave nothing: each transfer that was taken is closed, and its process with it."""
        self._spare.close()

    def _start(self, question: Question) -> Transfer:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            theirs.callback(os.close, question.reader)
            ends = []
            for _ in range(2):
                reader, writer = os.pipe()
                ours.callback(os.close, reader)
                theirs.callback(os.close, writer)
                ends.append((reader, writer))
            (output, output_end), (answers, answers_end) = ends
            process = subprocess.Popen(
                plan_serve(self._way.identity, *self._way.options),
                stdin=question.reader,
                stdout=output_end,
                stderr=answers_end,
                start_new_session=True,
            )
            ours.pop_all()
        return _TransferHere(process, output, answers)

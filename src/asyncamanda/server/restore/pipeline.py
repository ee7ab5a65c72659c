"""A dump through the programs that undo its filters, which may hang, fail, or say too much.

Nothing here blocks forever: a program that neither takes nor gives a byte while it is waited for
is killed. It is niced, sees hardly any of our environment, and dies with this process.
"""

import errno
import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from asyncamanda.core.amanda.filters import GZIP
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, ConfigurationError
from asyncamanda.system.endings import KILLED_WITHIN, is_ended
from asyncamanda.system.programs import plain_environ

PATIENCE = 120.0  # seconds in which a program has to move a byte
NICENESS = 10
_WIDE = 1 << 20  # bytes, as much as a user's pipe may hold
_PIECE = 1 << 18
_MOST_SAID = 2000  # bytes of what they complain of
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_GZIP_WARNS = 2  # all is there, and more behind it: gzip(1)
_CANNOT = {errno.EINVAL, errno.ENOSYS}

Command = Sequence[str]
Explain = Callable[[str], AsyncamandaError]


class Feed(Protocol):
    """What a pipeline is fed, as DumpFiles has it."""

    def send(self, sink: int, offset: int, count: int) -> int: ...

    def read_at(self, offset: int, count: int) -> bytes | memoryview: ...


class Pipeline:
    """Programs, each of which reads what the one before prints; what the last one prints is read.

    The first one is fed `feed`, if there is any. read() and move() raise what `explain` makes of
    words, a BadDataError, if one of them fails or hangs.
    """

    def __init__(
        self,
        feed: Feed | None,
        commands: Sequence[Command],
        explain: Explain,
        patience: float = PATIENCE,
    ) -> None:
        """Start the programs. Raises ConfigurationError if one cannot be."""
        self._feed = feed
        self._commands = commands
        self._explain = explain
        self._patience = patience
        self._fed = 0
        self._said = bytearray()
        self._programs: list[subprocess.Popen[bytes]] = []
        self._input: int | None = None
        self._output: int | None = None
        self._errors: int | None
        self._errors, words = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._errors, False)
        try:
            self._start(words)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(words)

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes; b"" at the end only."""
        piece = b""
        if self._wait():
            assert self._output is not None
            piece = os.read(self._output, count)
            if not piece:
                self._finish()
        return piece

    def move(self, sink: int, count: int) -> int:
        """Let the kernel bring up to `count` bytes to `sink`; return how many, 0 at the end only.

        Raises OSError if they cannot be written there.
        """
        if not self._wait():
            return 0
        assert self._output is not None
        moved = os.splice(self._output, sink, count, flags=os.SPLICE_F_MOVE)
        if not moved:
            self._finish()
        return moved

    def close(self) -> None:
        """End the programs, whatever they do."""
        for descriptor in (self._input, self._output, self._errors):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        self._input = self._output = self._errors = None
        for program in self._programs:
            if program.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGKILL)
        for program in self._programs:
            is_ended(program, KILLED_WITHIN)

    # -- the programs

    def _start(self, words: int) -> None:
        if self._feed is None:
            source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        else:
            source, self._input = _make_pipe()
            os.set_blocking(self._input, False)
        for command in self._commands:
            try:
                given, taken = _make_pipe()
                try:
                    self._programs.append(_start_program(command, source, taken, words))
                finally:
                    os.close(taken)
            finally:
                os.close(source)
            source = given
        self._output = source

    def _wait(self) -> bool:
        """Wait until there is something to read, and feed meanwhile; return False at the end."""
        if self._output is None:
            return False
        give_up_at = time.monotonic() + self._patience
        while (left := give_up_at - time.monotonic()) > 0:
            ready = self._poll(self._output, left)
            if self._errors in ready:
                self._listen()
            if self._input in ready and self._feed_some():
                give_up_at = time.monotonic() + self._patience
            if self._output in ready:
                return True
        raise self._failed(f"has moved nothing for {self._patience:g} seconds")

    def _poll(self, output: int, seconds: float) -> set[int | None]:
        """Return which descriptors have something for us, or room."""
        waiting = select.poll()
        waiting.register(output, select.POLLIN)
        if self._errors is not None:
            waiting.register(self._errors, select.POLLIN)
        if self._input is not None:
            waiting.register(self._input, select.POLLOUT)
        return {descriptor for descriptor, _ in waiting.poll(int(seconds * 1000) + 1)}

    def _feed_some(self) -> int:
        """Feed what there is room for, and return how many bytes that were."""
        assert self._input is not None
        try:
            moved = self._send(self._input)
        except BlockingIOError:
            return 0
        except BrokenPipeError:  # it does not want more, and will say why
            moved = 0
        self._fed += moved
        if not moved:
            os.close(self._input)
            self._input = None
        return moved

    def _send(self, sink: int) -> int:
        assert self._feed is not None
        try:
            return self._feed.send(sink, self._fed, _PIECE)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
        piece = self._feed.read_at(self._fed, select.PIPE_BUF)  # which a pipe takes at once
        return os.write(sink, piece) if piece else 0

    def _listen(self) -> None:
        """Take what they complain of, and keep the beginning of it."""
        if self._errors is None:
            return
        with suppress(BlockingIOError):
            while piece := os.read(self._errors, _PIECE):
                self._said += piece[: _MOST_SAID - len(self._said)]
            os.close(self._errors)
            self._errors = None

    def _finish(self) -> None:
        """Note that the last program has closed its output. Raises BadDataError if any failed."""
        assert self._output is not None
        os.close(self._output)
        self._output = None
        if self._input is not None:
            os.close(self._input)
            self._input = None
        for command, program in zip(self._commands, self._programs, strict=True):
            if not is_ended(program, self._patience):
                raise self._failed("does not end")
            well = {0, _GZIP_WARNS} if command[0] == GZIP else {0}
            if program.returncode not in well:
                self._listen()
                said = printable(self._said.decode("utf-8", "replace")).strip()
                raise self._failed(said or f"exit status {program.returncode}", command)

    def _failed(self, how: str, command: Command | None = None) -> AsyncamandaError:
        names = command[0] if command else " or ".join(each[0] for each in self._commands)
        return self._explain(f"{names}: {how}")


def _make_pipe() -> tuple[int, int]:
    reads, writes = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, _WIDE)
    return reads, writes


def _start_program(
    command: Command, source: int, sink: int, words: int
) -> "subprocess.Popen[bytes]":
    try:
        program = subprocess.Popen(
            [*_DIES_WITH_US, *command],
            stdin=source,
            stdout=sink,
            stderr=words,
            env=plain_environ(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigurationError(
            "filter-missing",
            f"{command[0]}, which a dump has to go through, cannot be run: {error.strerror}",
            "is it installed on the server?",
        ) from error
    with suppress(OSError):
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, program.pid, niceness)
    return program

"""Other programs, run to their end: within a known time, and with bounds on what they print.

What they leave running keeps nobody waiting: an answer is there when the program itself has ended.
"""

import contextlib
import os
import pwd
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import RefusedError
from asyncamanda.system.endings import KILLED_WITHIN, cannot_end, is_ended
from asyncamanda.system.environ import SEARCHED

WITHIN = 10.0  # seconds, for a program that only looks something up, on a machine that may be busy
LARGEST = 64_000_000  # bytes that one may print
_PIECE = 1 << 16
_LATE = "did not end within"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended, and what it printed.

    `status` is None where it did not start, did not end in time, or printed too much; `fault` is
    why. `is_passing`: the reason says nothing of the program, such as want of memory or of time.
    """

    status: int | None
    stdout: str = ""
    stderr: str = ""
    fault: str = ""
    is_passing: bool = False

    @property
    def is_late(self) -> bool:
        """Whether it did not end in time, which may be the machine's fault."""
        return self.status is None and _LATE in self.fault

    @property
    def complaints(self) -> list[str]:
        """The lines of what it complained of, else of what it printed at all, else its fault."""
        said = _lines(self.stderr) or _lines(self.stdout)
        return said or _lines(self.fault or f"exit status {self.status}")

    @property
    def printed(self) -> str:
        """What it printed, else what it complained of, else its fault."""
        return self.stdout or self.stderr or self.fault

    @property
    def first_line(self) -> str:
        """The first line that tells something, fit to be shown; "" where it printed none."""
        said = _lines(self.stderr) or _lines(self.stdout) or _lines(self.fault)
        return printable(next(iter(said), ""))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def plain_environ(*also: str) -> dict[str, str]:
    """Return what other programs see of our environment: hardly anything, and `also` these."""
    kept = ("HOME", "USER", "LOGNAME", *also)
    known = {name: os.environ[name] for name in kept if name in os.environ}
    return {**known, "PATH": SEARCHED, "LANG": "C.UTF-8"}


def run_program(  # noqa: PLR0913 - by keyword only, like subprocess.run
    argv: Sequence[str],
    within: float = WITHIN,
    *,
    environ: Mapping[str, str] | None = None,
    text: str = "",
    account: pwd.struct_passwd | None = None,
    encoding: str = "",
) -> Answer:
    """Run a program to its end, and return how it ended; it is killed after `within` seconds.

    It runs in a session of its own. `text` is what it reads, from memory, so that it can open its
    stdin by name. `account` is who runs it, with nothing of root's around it. What it prints is
    read as file names are, if no `encoding` is given.
    """
    try:
        with _reading(text) as stdin:
            process = _start(argv, environ or plain_environ(), stdin, account)
    except OSError as error:
        is_passing = not isinstance(error, FileNotFoundError)
        fault = f"{argv[0]} cannot be run: {error.strerror}"
        return Answer(None, fault=fault, is_passing=is_passing)
    assert process.stdout
    assert process.stderr
    with process.stdout, process.stderr:
        try:
            fault, printed = _read(process, process.stdout, process.stderr, within)
        except OSError as error:  # want of descriptors
            fault, printed = f"{error.strerror}", []
        finally:
            is_dead = _kill(process)
    if not is_dead:
        fault = cannot_end(process.pid).message
    if fault:
        return Answer(None, fault=f"{argv[0]} {fault}", is_passing=True)
    how = encoding or sys.getfilesystemencoding()
    said, complained = (kept.decode(how, "surrogateescape") for kept in printed)
    return Answer(process.returncode, said, complained)


def run_or_refuse(argv: Sequence[str], within: float, hint: str, what: str = "") -> None:
    """Run a program that has to do `what`, its own words if not said.

    Raises RefusedError with `hint` if it fails.
    """
    refuse_failure(run_program(argv, within), what or " ".join(argv), hint)


def refuse_failure(answer: Answer, what: str, hint: str) -> None:
    """Raise RefusedError with what a program said if it failed."""
    if answer.status != 0:
        said = answer.stderr.strip() or answer.fault or f"exit status {answer.status}"
        raise RefusedError("command-failed", f"{what}: {said}", hint)


@contextlib.contextmanager
def _reading(text: str) -> Iterator[int]:
    """Yield a descriptor that reads `text`, for as long as the block."""
    if not text:
        yield subprocess.DEVNULL
        return
    memory = os.memfd_create("stdin")
    try:
        os.write(memory, text.encode("utf-8", "surrogateescape"))
        os.lseek(memory, 0, os.SEEK_SET)
        yield memory
    finally:
        os.close(memory)


def _start(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdin: int,
    account: pwd.struct_passwd | None,
) -> "subprocess.Popen[bytes]":
    own: dict[str, str] = {}
    if account is not None:
        name = account.pw_name
        own = {"HOME": account.pw_dir, "USER": name, "LOGNAME": name}
    return subprocess.Popen(
        argv,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environ, **own},
        cwd="/",
        start_new_session=True,
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=(
            None if account is None else os.getgrouplist(account.pw_name, account.pw_gid)
        ),
    )


def _read(
    process: "subprocess.Popen[bytes]", stdout: IO[bytes], stderr: IO[bytes], within: float
) -> tuple[str, list[bytes]]:
    """Return why the program is to be killed, "" if it has ended, and what it printed."""
    give_up_at = time.monotonic() + within
    printed: dict[int, bytearray] = {pipe.fileno(): bytearray() for pipe in (stdout, stderr)}
    ended = os.pidfd_open(process.pid)
    try:
        with selectors.PollSelector() as selector:  # which takes no descriptor
            for each in (*printed, ended):
                os.set_blocking(each, False)
                selector.register(each, selectors.EVENT_READ)
            while True:
                left = give_up_at - time.monotonic()
                if left <= 0:
                    return f"{_LATE} {within:g} seconds", []
                ready = {key.fd for key, _ in selector.select(left)}
                for pipe in ready & printed.keys():
                    if not _drain(pipe, printed[pipe]):
                        selector.unregister(pipe)
                if max(map(len, printed.values())) > LARGEST:
                    return f"printed more than {format_size(LARGEST)}", []
                if ended in ready:
                    for pipe, kept in printed.items():
                        _drain(pipe, kept)
                    return "", [bytes(kept) for kept in printed.values()]
    finally:
        os.close(ended)


def _drain(pipe: int, kept: bytearray) -> bool:
    """Add what a pipe holds to `kept`, up to the limit; return whether there may be more."""
    while len(kept) <= LARGEST:
        try:
            piece = os.read(pipe, _PIECE)
        except BlockingIOError:
            return True
        if not piece:
            return False
        kept += piece
    return True


def _kill(process: "subprocess.Popen[bytes]") -> bool:
    """Kill the program and its session, if it has not ended; return whether it has."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return is_ended(process, KILLED_WITHIN)

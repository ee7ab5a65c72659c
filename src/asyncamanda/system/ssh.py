"""OpenSSH: one master connection, and commands over it: run to their end, or talked with."""

import contextlib
import os
import secrets
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from asyncamanda.core.ssh.argv import SshOptions, Target, plan_master, plan_session
from asyncamanda.core.ssh.fault import ConnectFault, Fault, interpret_connect_failure
from asyncamanda.errors import ConfigurationError, LaterError
from asyncamanda.system.askpass import Askpass
from asyncamanda.system.endings import ending, is_ended
from asyncamanda.system.interrupts import StopRequest
from asyncamanda.system.muxsession import MuxSession, open_session
from asyncamanda.system.session import KEPT_LINE, PATIENCE, Session, clean_line
from asyncamanda.system.stream import Stream, join
from asyncamanda.system.throttle import Throttle

READY_POLL = 0.002  # seconds
LOGIN_WITHIN = timedelta(seconds=40)  # at least twice ssh's timeout for the connection
TICK = 0.5  # seconds
ENDS_WITHIN = 30.0  # seconds for an ssh that has closed its output
NAME_BYTES = 3  # of the socket's name, twice as many characters
LONGEST_BASE = 75  # characters: ssh and we append some 30 to it, and sun_path ends at 108

# what ssh itself says, and what comes from others: the server's banner, a jump host's ssh
_LOG, _BESIDE = "log", "beside"

# ssh dies with the process that started it, whatever that dies of: prctl(2), by setpriv(1)
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


class NotConnected(Exception):  # noqa: N818 - an expected outcome, not an error
    """The connection failed, or (`fault` None) a signal stopped the attempt."""

    def __init__(self, fault: ConnectFault | None) -> None:
        super().__init__(fault.line if fault else "stopped")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Ended:
    """The command ended by itself, with this exit status."""

    status: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection broke while the command ran; ssh's last words."""

    line: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A signal told us to stop while the command ran."""

    signal_name: str


CommandEnd = Ended | Dropped | Stopped


class Connection:
    """A master connection that stands; made by connect()."""

    def __init__(
        self, target: Target, path: Path, master: subprocess.Popen[bytes], stop: StopRequest
    ) -> None:
        self._target = target
        self._path = path
        self._master = master
        self._stop = stop

    def run(
        self, command: str, on_line: Callable[[str], None], on_tick: Callable[[], None]
    ) -> CommandEnd:
        """Run `command` at the server to its end and return how it ended.

        `on_line` gets each line that it prints, without control characters; `on_tick` is
        called about twice a second.
        """
        argv = [*_DIES_WITH_US, *plan_session(self._target, str(self._path), command)]
        with ending(
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ) as session:
            last_line = self._follow(session, on_line, on_tick)
            if self._stop.signal:
                return Stopped(self._stop.signal.name)
            if not is_ended(session, ENDS_WITHIN):  # it has closed its output, and hangs
                return Dropped(last_line)
            status = session.returncode
            if status == 255 and self.is_broken():
                return Dropped(self.last_words() or last_line)
            return Ended(status)

    @contextlib.contextmanager
    def talk(self, command: str) -> Iterator[Session]:
        """Yield a session that runs `command` at the server, ended with the block."""
        argv = [*_DIES_WITH_US, *plan_session(self._target, str(self._path), command)]
        with ending(
            subprocess.Popen(
                argv,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        ) as process:
            yield Session(process, self._stop, self.is_broken, self.last_words)

    def transfer(self, command: str, descriptors: tuple[int, int, int]) -> MuxSession:
        """Start `command` at the server with these as its stdin, stdout and stderr.

        They may be closed then: what it sends never comes into this process. Raises OSError if the
        connection is gone.
        """
        return open_session(str(self._path), command, descriptors)

    def is_broken(self) -> bool:
        """Return whether the connection is gone. It may need a moment to end after a session."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._master.wait(PATIENCE)
        return self._master.poll() is not None

    def join(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        command: str,
        throttle: Throttle | None = None,
    ) -> Stream:
        """Start the local program `argv`, joined to `command` at the server; see stream.join().

        Raises OSError if it cannot be started.
        """
        return join([*_DIES_WITH_US, *argv], environ, str(self._path), command, throttle)

    def _follow(
        self,
        session: subprocess.Popen[bytes],
        on_line: Callable[[str], None],
        on_tick: Callable[[], None],
    ) -> str:
        """Hand on lines until the command's output ends or a signal comes; return the last."""
        assert session.stdout
        descriptor = session.stdout.fileno()
        pending, last = b"", ""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            selector.register(self._stop, selectors.EVENT_READ)
            while not self._stop.signal:
                ready = {key.fd for key, _ in selector.select(TICK)}
                on_tick()
                if descriptor not in ready:
                    continue
                piece = os.read(descriptor, 1 << 16)
                *lines, pending = (pending + piece).split(b"\n")
                pending = pending[-KEPT_LINE:]
                if not piece and pending:
                    lines = [pending]
                for line in lines:
                    last = clean_line(line)
                    on_line(last)
                if not piece:
                    break
        return last

    def last_words(self) -> str:
        """Return the last line that the master printed, or "".

        That the server closed the connection it says beside its log, others in it (seen).
        """
        files = [self._path.parent / name for name in (_LOG, _BESIDE)]
        files = [path for path in files if path.stat().st_size]
        latest = max(files, key=lambda path: path.stat().st_mtime_ns, default=None)
        lines = _read(latest).split("\n") if latest else []
        return next((clean_line(line.encode()) for line in reversed(lines) if line.strip()), "")


@contextlib.contextmanager
def connect(
    target: Target, options: SshOptions, stop: StopRequest, base: Path
) -> Iterator[Connection]:
    """Connect to `target` and yield the connection, ended with the block.

    Its sockets lie in a folder below `base`, which nobody else uses at the same time; what a
    killed process left there is cleared. Raises NotConnected with the fault, LaterError if
    there is no room for the sockets, and ConfigurationError if there is no ssh.
    """
    if not shutil.which("ssh"):
        raise ConfigurationError(
            "no-ssh", "there is no ssh on this machine", "apt install openssh-client"
        )
    with contextlib.ExitStack() as stack:
        try:
            # A master removes its socket when it ends, which after we killed it may be late: so no
            # two have the same name.
            path = stack.enter_context(_private_folder(base)) / secrets.token_hex(NAME_BYTES)
            master = _start_master(stack, target, options, path)
        except OSError as error:
            raise LaterError(
                "no-room", f"ssh cannot be started: {error}", f"is there room left in {base}?"
            ) from error
        _await_master(master, path, stop, max(2 * options.connect_timeout, LOGIN_WITHIN))
        yield Connection(target, path, master, stop)


def _start_master(
    stack: contextlib.ExitStack, target: Target, options: SshOptions, path: Path
) -> subprocess.Popen[bytes]:
    askpass, folder = None, path.parent
    if target.password:
        askpass = stack.enter_context(contextlib.closing(Askpass(target.password, folder)))
    beside = stack.enter_context((folder / _BESIDE).open("wb"))
    (folder / _LOG).touch()
    master = subprocess.Popen(
        [*_DIES_WITH_US, *plan_master(target, options, str(path), str(folder / _LOG))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=beside,
        env=os.environ | (askpass.environ if askpass else {}),
        start_new_session=True,
    )
    stack.enter_context(ending(master))
    if askpass:
        askpass.allow(master.pid)
    return master


@contextlib.contextmanager
def _private_folder(base: Path) -> Iterator[Path]:
    """Yield a new folder for this user alone, with a path short enough for a socket's name."""
    if len(str(base)) > LONGEST_BASE:
        with tempfile.TemporaryDirectory(prefix="asyncamanda-", dir="/tmp") as short:
            yield Path(short)
        return
    folder = base / "ssh"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_master(
    master: subprocess.Popen[bytes], path: Path, stop: StopRequest, within: timedelta
) -> None:
    """Return when the connection stands. ssh's own timeout ends before the login begins."""
    give_up_at = time.monotonic() + within.total_seconds()
    while not path.exists():
        if stop.signal:
            raise NotConnected(None)
        if master.poll() is not None:
            texts = (_read(path.parent / name) for name in (_LOG, _BESIDE))
            raise NotConnected(interpret_connect_failure(*texts))
        if time.monotonic() > give_up_at:
            words = f"login did not complete within {within.total_seconds():g} seconds"
            raise NotConnected(ConnectFault(Fault.UNREACHABLE, words))
        time.sleep(READY_POLL)


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")

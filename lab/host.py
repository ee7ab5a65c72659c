"""One host of the lab: run programs on it, and make its life hard."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from lab.clock import ShiftedClock
from lab.errors import LabCommandError
from lab.files import HostFiles
from lab.namespaces import Holder
from lab.network import Plug, Switch
from lab.patience import Limit
from lab.sshd import sshd_connections

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SSHD_LOG = "/var/log/sshd.log"
_SSHD_SECONDS = 10
_DISK = "/mnt"
_INSTALLED, _WRAPPED = "/opt/asyncamanda/bin", "/usr/local/lib/lab-bin"


class Host(HostFiles):
    """A host: `name`, `pid` of its PID 1 as seen from here, and what it can do and suffer."""

    def __init__(
        self, name: str, number: int, holder: Holder, switch: Switch, disk_bytes: int
    ) -> None:
        """Take over a holder that is ready; see Lab for what else makes a host."""
        super().__init__(holder.pid)
        self.name = name
        self.pid = holder.pid
        self._number = number
        self._holder = holder
        self._switch = switch
        self._disk_bytes = disk_bytes
        self._sshd: subprocess.Popen[str] | None = None
        self._clock = ShiftedClock(self)

    # -- programs

    def run(  # noqa: PLR0913 (by keyword only, like subprocess.run)
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        environ: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 120,
        check: bool = True,
        shifted: bool | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end, in `/` and with a clean environment plus `environ`.

        `shifted`: under this host's `clock_offset`; None: only if it is asyncamanda.
        Raises LabCommandError when it takes longer than `timeout` (see Program; it is killed,
        and those in its session with it), and when it fails and `check` is true.
        """
        source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        program = self.start(argv, user=user, environ=environ, stdin=source, shifted=shifted)
        try:
            stdout, stderr = program.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            raise LabCommandError(self.name, argv, None, program.communicate()) from None
        except BaseException:
            program.kill()
            raise
        if check and program.returncode != 0:
            raise LabCommandError(self.name, argv, program.returncode, (stdout, stderr))
        return subprocess.CompletedProcess(list(argv), program.returncode, stdout, stderr)

    def start(  # noqa: PLR0913 (by keyword only, like subprocess.Popen)
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        environ: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.PIPE,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.PIPE,
        shifted: bool | None = None,
    ) -> "subprocess.Popen[str]":
        """Start a program and return at once.

        The Popen is the program itself: its pid (as seen from here) and its signals. It
        leads a session of its own, without a terminal.
        """
        if shifted is None:
            shifted = self._clock.offset is not None and Path(argv[0]).name == "asyncamanda"
        elif shifted and self._clock.offset is None:
            self.clock_offset = timedelta()
        changes = {**(environ or {}), **(self._clock.environ(argv[0]) if shifted else {})}
        become = [
            "setpriv",
            f"--reuid={user}",
            "--regid",
            str(self.account(user).gid),
            "--init-groups",
        ]
        command = [
            *(become if user != "root" else []),
            # here, so that LD_PRELOAD and the like are for the program alone
            *(["env", *(f"{key}={value}" for key, value in changes.items())] if changes else []),
            *argv,
        ]
        clean = {"HOME": self.account(user).home, "USER": user, "LOGNAME": user, "SHELL": "/bin/sh"}
        clean |= {"PATH": _PATH, "LANG": "C.UTF-8"}
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        return self._holder.start(command, clean, streams)

    # -- who it is, to ssh

    @property
    def backup_key(self) -> str:
        """The public key of this host's user backup, one line."""
        return self.read(f"{self.account('backup').home}/.ssh/id_ed25519.pub").strip()

    @property
    def known_hosts_line(self) -> str:
        """What pins this host's key in a known_hosts file."""
        kind, key, *_ = self.read("/etc/ssh/ssh_host_ed25519_key.pub").split()
        return f"{self.name},{self.name}.example.com,{self.address} {kind} {key}"

    # -- the network

    @property
    def address(self) -> str:
        """Its address in its network."""
        return self._switch.links[self._number].address

    def readdress(self) -> None:
        """Change to an address that nobody has had, as a laptop does that changes networks.

        TCP connections are dead, and neither side hears of it. What names the host, in
        /etc/hosts and known_hosts, names its old address still.
        """
        self._switch.readdress(self._number)

    def cut(self) -> None:
        """Make the link swallow everything. Nobody is told, as when a cable is cut far away."""
        self._switch.cut(self._number)

    def delay(self, seconds: float) -> None:
        """Add so much latency in each direction."""
        self._switch.delay(self._number, seconds)

    def slow(self, bits_per_second: int) -> None:
        """Limit the link's rate in each direction."""
        self._switch.slow(self._number, bits_per_second)

    def heal(self) -> None:
        """Undo cut, delay and slow. TCP goes on when it next tries, as it does in life."""
        self._switch.heal(self._number)

    # -- the disk

    def fill_disk(self, spare: int = 0) -> None:
        """Let every further write end with ENOSPC, for everybody; but for `spare` bytes.

        The disk is shrunk to what it holds, which is quick and needs no memory. tmpfs refuses
        that if others have written in between, and then it is tried again, for half a minute.
        Raises LabCommandError if it is refused for so long.
        """
        limit = Limit(30)
        while not self._shrink_disk(spare, check=limit.is_over()):
            pass

    def _shrink_disk(self, spare: int, *, check: bool) -> bool:
        used = os.statvfs(self.path(_DISK))
        size = (used.f_blocks - used.f_bfree) * used.f_frsize + spare
        return self.run(["mount", "-o", f"remount,size={size}", _DISK], check=check).returncode == 0

    def free_disk(self) -> None:
        """Undo fill_disk."""
        self.run(["mount", "-o", f"remount,size={self._disk_bytes}", _DISK])

    # -- the clock

    @property
    def clock_offset(self) -> timedelta:
        """How far the host's wall clock is ahead, for programs that run `shifted`.

        It may be set at any time, and what already runs shifted sees it at once. Amanda,
        ssh and sshd never see it; asyncamanda does, also where sshd starts it, in sessions
        that begin after the first setting.
        """
        return self._clock.offset or timedelta()

    @clock_offset.setter
    def clock_offset(self, offset: timedelta) -> None:
        is_first = self._clock.offset is None
        self._clock.set(offset)
        if is_first and self.path(_INSTALLED).is_dir():
            self._wrap_python()
        if is_first and self._sshd is not None:
            self.stop_sshd()
            self.start_sshd()

    def _wrap_python(self) -> None:
        """Let the installed asyncamanda's Python see the clock, on this host alone."""
        self.run(["cp", "-a", _INSTALLED, _WRAPPED])
        self.run(["rm", f"{_WRAPPED}/python3"])  # a link, which nothing may follow
        self.write(f"{_WRAPPED}/python3", self._clock.wrapper(), mode=0o755)
        self.run(["mount", "--bind", _WRAPPED, _INSTALLED])

    # -- sshd and power

    def start_sshd(self) -> None:
        """Start sshd; return when it listens."""
        self.make_directory("/run/sshd")
        options = []
        if self._clock.offset is not None:
            # one SetEnv line: of several, sshd heeds the first
            pairs = (f"{key}={value}" for key, value in self._clock.environ("python3").items())
            options = ["-o", "SetEnv " + " ".join(pairs)]
        log = self.path(_SSHD_LOG)
        size = log.stat().st_size if log.exists() else 0
        argv = ["/usr/sbin/sshd", "-D", "-E", _SSHD_LOG, *options]
        quiet = subprocess.DEVNULL
        self._sshd = self.start(argv, stdin=quiet, stdout=quiet, stderr=quiet, shifted=False)
        limit = Limit(_SSHD_SECONDS)
        while not (log.exists() and b"Server listening" in log.read_bytes()[size:]):
            if self._sshd.poll() is not None or limit.is_over():
                said = log.read_text() if log.exists() else ""
                raise LabCommandError(self.name, argv, self._sshd.returncode, ("", said))
            time.sleep(0.002)

    def stop_sshd(self) -> None:
        """Stop listening; sessions that are open stay open, as Debian's ssh.service does."""
        if self._sshd is not None:
            self._sshd.terminate()
            self._sshd.wait()
            self._sshd = None

    @property
    def connections(self) -> int:
        """How many connections sshd has accepted so far, logged in or not."""
        return self.read(_SSHD_LOG).count("Connection from ")

    def sshd_processes(self, user: str | None = None) -> list[int]:
        """Return sshd's processes that serve a connection, by the host's own numbers.

        A login has one of root's and one of its user's, with whose end it ends; with `user` only
        what runs as that one is meant.
        """
        found = sshd_connections(self.path("/proc"))
        uid = self.account(user).uid if user else None
        return [pid for pid, owner in found.items() if uid in {None, owner}]

    def power_cut(self) -> None:
        """End everything on this host at once, silently to anybody. Files stay."""
        self._switch.detach(self._number)
        self._holder.kill_all()
        self._sshd = None

    def boot(self) -> None:
        """Come back after power_cut, with /run and /dev/shm empty and sshd running."""
        for place in ("/run", "/dev/shm"):  # noqa: S108 (the host's own)
            for entry in self.path(place).iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        self._switch.attach({self._number: Plug(self.pid)})
        self.start_sshd()

    def close(self) -> None:
        """End the host."""
        self._holder.close()

"""A fake amdump, for the dispatcher's own states: it proves nothing about Amanda.

What Amanda does is shown by tests/e2e with the real one. This program dumps nobody: it writes a
real run's log and trace (tests/samples/held-dump) under its own name, number and time, and holding
files with the headers that a real one has, so that the dispatcher sees a run that it can follow,
and that is over within a moment; or that hangs, dies or lies when it is told to. All other programs
of Amanda's are the real ones, on a real configuration.

It lies in a host at /usr/local/sbin, before the real one in the dispatcher's PATH, and runs there
alone, as a script: standard library only. `settings.json` beside its samples says how it is to
behave (Behaviour). `starts` there has a line of JSON on each start: its timestamp and hosts, the
processes of other amdumps that were alive, the hosts whose next dump Amanda was told to make a full
one, how many of the others had no keeper of asyncamanda's in the holding disk, and which of the
directories there were not hidden from a driver.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.host import Host

PROGRAM = "/usr/local/sbin/amdump"
PLACE = "/srv/fake-amanda"  # in the host: samples, settings and `starts`
INFOFILE = "/var/lib/amanda/daily/curinfo"
LOGDIR, HOLDING = "/var/lib/amanda/daily/log", "/srv/amanda/holding"
SAMPLES = Path(__file__).parents[1] / "samples" / "held-dump"
TIMESTAMP, PID = "20261129025159", "8"  # the samples'
HEADER_BYTES, DATA = 32_768, b"x" * 10_240
PATIENCE = 20.0  # seconds: whatever it waits for, it goes on then

# how the real log of a failed dump ended (tests/samples/run-logs, 20261123055857)
FAILURE = """\
FAIL chunker laptop /home 20261129025159 0 [shm_ring cancelled]
FAIL dumper laptop /home 20261129025159 0 [missing size line from sendbackup]
  sendbackup: info BACKUP=APPLICATION
  sendbackup: info end
  ? dumper: strange [missing size line from sendbackup]
"""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the fake is to behave. `pace` are the seconds between two lines of its log.

    `mode`: fine; fail (the dump fails, and the log says so); hang (the driver stops in
    mid-dump); die (all of it is killed in mid-dump); lie (the log has a dump that is nowhere); lie
    of another (what it has dumped is another host's). Where these have a name, it waits for the
    file `root` before its driver begins, for `hold` before the dump ends, and for `linger` before
    it ends itself. `status` is its exit status.
    """

    mode: str = "fine"
    pace: float = 0.0
    root: str = ""
    hold: str = ""
    linger: str = ""
    status: int = 0


def install(host: Host, behaviour: Behaviour = Behaviour()) -> None:
    """Put the fake into its place on a host, whose amdump is this from now on."""
    text = Path(__file__).read_text("utf-8")
    host.make_directory(PLACE, owner="backup", mode=0o755)
    host.write(PROGRAM, f"#!/usr/bin/python3\n{text}", mode=0o755)
    for sample in SAMPLES.iterdir():
        host.write(f"{PLACE}/{sample.name}", sample.read_text("utf-8"))
    behave(host, behaviour)


def behave(host: Host, behaviour: Behaviour) -> None:
    """Let the fake's next starts behave so."""
    host.write(f"{PLACE}/settings.json", json.dumps(asdict(behaviour)), owner="backup")


# -- what follows is the program


class Amdump:
    """One start: its log, its trace, and what it holds."""

    def __init__(self, words: list[str]) -> None:
        self.behaviour = Behaviour(**json.loads(Path(PLACE, "settings.json").read_text("utf-8")))
        config = words[0]
        options = dict(w[2:].partition("=")[::2] for w in words if w.startswith("-o"))
        disklist = Path(options.get("diskfile") or f"/etc/amanda/{config}/disklist")
        self.hosts = [word for word in words[1:] if not word.startswith("-")]
        self.dles = list(_read_dles(disklist, self.hosts))
        self.stamp = self._begin_log()
        self._traced: list[str] = []  # what the trace has yet to say
        self.folder = Path(HOLDING, self.stamp)
        self.trace = Path(LOGDIR, f"amdump.{self.stamp}")

    def _begin_log(self) -> str:
        """Take the next time that no other run has, as Amanda does; return it."""
        now = int(time.time())
        while True:
            stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(now))
            self.log = Path(LOGDIR, f"log.{stamp}.0")
            with suppress(FileExistsError):
                self.log.touch(exist_ok=False)
                return stamp
            now += 1

    def run(self) -> None:
        """Be a run, from its first line to its last."""
        _note(
            {
                "stamp": self.stamp,
                "hosts": self.hosts,
                "others": (others := _find_others()),
                "forced": [host for host, disk in self.dles if _is_forced(host, disk)],
                "unkept": len(others) - len(list(Path(HOLDING).glob("*/.asyncamanda"))),
                "unhidden": list(_find_unhidden()),
            }
        )
        self._link("log", self.log.name)
        self._link("amdump", self.trace.name)
        self._traced = [self._render(line) for line in _read_sample("run.trace")]
        self._trace_until("planner: time ")
        for line in _read_sample("run.log"):
            self._write_line(line)
        self._trace_until("the end")

    def _trace_until(self, mark: str) -> None:
        """Write the trace as far as a line that has the mark."""
        ends = [number for number, line in enumerate(self._traced, 1) if mark in line]
        end = ends[0] if ends else len(self._traced)
        self._add(self.trace, "".join(self._traced[:end]))
        del self._traced[:end]

    def _write_line(self, line: str) -> None:
        """Write a line of the log; do before and after it what a run does then."""
        time.sleep(self.behaviour.pace)
        if line.startswith("START driver"):
            _wait_for(self.behaviour.root)
            self.folder.mkdir(mode=0o700)
            (self.folder / "pid").write_text(f"{os.getpid()}\n", "ascii")
        if line.startswith("SUCCESS dumper"):
            self._dump()
            if self.behaviour.mode == "fail":
                line = FAILURE
        elif self.behaviour.mode == "fail" and line.startswith(
            ("SUCCESS", "STATS driver estimate")
        ):
            return
        if line.startswith("INFO driver pid-done"):
            _wait_for(self.behaviour.linger)
            self._leave_folder()
        self._add(self.log, self._render(line))
        if line.startswith("SUCCESS chunker"):
            self._keep()

    def _dump(self) -> None:
        """Have each dump half written, and end it as it is to end."""
        self._trace_until(": SHM-DUMP ")
        for host, disk in self.dles:
            self._write_file(host, disk, is_whole=False)
        _wait_for(self.behaviour.hold)
        match self.behaviour.mode:
            case "die":
                os.killpg(os.getpid(), 9)
            case "hang":
                _stand_still(str(self.log))
            case "fail" | "lie" | "lie of another":
                for path in self.folder.glob("*.tmp"):
                    path.unlink()

    def _keep(self) -> None:
        """Give what was dumped its final name, which Amanda does after it has said so."""
        if self.behaviour.mode == "lie of another":
            self._write_file("tower", "/home", is_whole=True)
        if self.behaviour.mode in {"fine", "hang"}:
            for host, disk in self.dles:
                self._write_file(host, disk, is_whole=True)
                self._path(host, disk, ".tmp").unlink()

    def _path(self, host: str, disk: str, end: str) -> Path:
        return self.folder / f"{host}.{disk.replace('/', '_')}.0{end}"

    def _write_file(self, host: str, disk: str, *, is_whole: bool) -> None:
        first = f"AMANDA: FILE {self.stamp} {host} {disk}  lev 0 comp N program /bin/tar\n"
        crc = f"SERVER-CRC=a305f2e3:{len(DATA)}\n" if is_whole else ""
        fresh = self._path(host, disk, ".fresh")
        fresh.write_bytes((first + crc).encode().ljust(HEADER_BYTES, b"\0") + DATA)
        fresh.rename(self._path(host, disk, "" if is_whole else ".tmp"))

    def _leave_folder(self) -> None:
        """Give up the holding directory, and remove it if there is nothing in it."""
        (self.folder / "pid").unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _render(self, text: str) -> str:
        """Return a sample's text as it would be in this run: once for each of its DLEs."""
        text = text.replace(TIMESTAMP, self.stamp)
        text = text.replace(f"amdump pid {PID}\n", f"amdump pid {os.getpid()}\n")
        text = text.replace(f"amdump pid-done {PID}\n", f"amdump pid-done {os.getpid()}\n")
        if self.behaviour.mode == "lie of another":
            return text.replace("laptop", "tower")
        dles = self.dles if " laptop" in text else self.dles[:1]
        return "".join(self._rename(text, host, disk) for host, disk in dles)

    @staticmethod
    def _rename(text: str, host: str, disk: str) -> str:
        named = text.replace("laptop._home", f"{host}.{disk.replace('/', '_')}")
        return named.replace("laptop:/home", f"{host}:{disk}").replace(
            "laptop /home", f"{host} {disk}"
        )

    @staticmethod
    def _add(path: Path, text: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)

    def _link(self, name: str, target: str) -> None:
        fresh = Path(LOGDIR, f"{name}.{os.getpid()}")
        fresh.symlink_to(target)
        fresh.rename(Path(LOGDIR, name))


def _read_sample(name: str) -> list[str]:
    return Path(PLACE, name).read_text("utf-8").splitlines(keepends=True)


def _read_dles(disklist: Path, hosts: list[str]) -> Iterator[tuple[str, str]]:
    for line in disklist.read_text("utf-8").splitlines():
        words = line.split()
        if words and words[0] in hosts:
            yield words[0], words[1]


def _find_others() -> list[str]:
    """Return the numbers of the other amdumps that are alive."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with suppress(OSError):
                if (place / "comm").read_text("utf-8") == "amdump\n":
                    found.append(place.name)
    return found


def _find_unhidden() -> Iterator[str]:
    """Yield the holding directories whose dumps a driver would find, at the second look at least.

    It removes the word of another process where it may; where a run goes on it is put back.
    """
    for folder in Path(HOLDING).iterdir():
        is_kept = (folder / ".asyncamanda").exists()
        if not (folder / "pid").exists() or (os.access(folder, os.W_OK) and not is_kept):
            yield folder.name


def _is_forced(host: str, disk: str) -> bool:
    """Return whether curinfo says so (infofile.h: FORCE_FULL is 1)."""
    with suppress(OSError):
        info = Path(INFOFILE, host, disk.replace("/", "_"), "info").read_text("utf-8")
        return "command: 1\n" in info
    return False


def _note(start: dict[str, object]) -> None:
    with Path(PLACE, "starts").open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(start)}\n")


def _wait_for(path: str) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while path and not os.path.exists(path) and time.monotonic() < give_up_at:  # noqa: PTH110 - polled
        time.sleep(0.01)


def _stand_still(log: str) -> None:
    """Let a driver be stopped that was given the log, until somebody kills it."""
    be_driver = "open('/proc/self/comm', 'w').write('driver'); import time; time.sleep(600)"
    subprocess.run([sys.executable, "-c", be_driver, "--log-filename", log], check=False)


def main() -> int:
    """Be amdump; return the exit status."""
    run = Amdump(sys.argv[1:])
    run.run()
    return run.behaviour.status


if __name__ == "__main__":
    sys.exit(main())

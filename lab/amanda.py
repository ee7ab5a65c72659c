"""What makes a host an Amanda server or an Amanda client. Amanda itself is Debian's."""

import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from asyncamanda.core.amanda.quoting import quote, unquote
from lab.errors import LabError
from lab.host import Host
from lab.patience import Limit

AMANDA_CONFIG = "daily"
_LOGS = f"/var/lib/amanda/{AMANDA_CONFIG}/log"
_DISKLIST = f"/etc/amanda/{AMANDA_CONFIG}/disklist"

AMANDA_CONF = """\
org "daily"
mailto ""
dumpuser "backup"

infofile "/var/lib/amanda/daily/curinfo"
logdir   "/var/lib/amanda/daily/log"
indexdir "/var/lib/amanda/daily/index"

dumpcycle 1 week
runspercycle 7
tapecycle 20 tapes
runtapes 2
maxdumps 2              # at a time, of one host
reserve 0               # with --no-taper, 100 (the default) would refuse full dumps
etimeout 60
dtimeout 120
ctimeout 15

tpchanger "vtapes"
define changer vtapes {
    tpchanger "chg-disk:/srv/amanda/vtapes"
    property "num-slot" "20"
    property "auto-create-slot" "yes"
}
tapetype "VTAPE"
define tapetype VTAPE {
    length 500 mbytes
    filemark 4 kbytes
}
labelstr "^DAILY-[0-9][0-9]*$"
autolabel "DAILY-%%%" empty

holdingdisk holding {
    directory "/srv/amanda/holding"
    use 500 mbytes
}

define dumptype roaming {
    comment "a roaming machine, by GNU tar"
    program "GNUTAR"
    auth "ssh"
    compress none
    index yes
    maxpromoteday 0
    retry-dump 5
    record yes
}

define application amgtar {
    plugin "amgtar"
}
define dumptype roaming-amgtar {
    comment "the same, by Amanda's application for GNU tar"
    program "APPLICATION"
    application "amgtar"
    auth "ssh"
    compress none
    index yes
    maxpromoteday 0
    retry-dump 5
    record yes
}
"""

_SSH_CONFIG = """\
# a link that is cut ends a dump after two of these and a bit
Host *
    ServerAliveInterval {seconds}
    ServerAliveCountMax 2
    ConnectTimeout {patience}
"""

_FOUND = re.compile(
    r"(?P<when>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) +\S+ +(?P<disk>\"(?:\\.|[^\"])*\"|\S+) +"
    r"(?P<level>\d+) .* OK *$"
)


@dataclass(frozen=True, slots=True)
class StoredDump:
    """One dump that the server has: a run's timestamp, and the level."""

    timestamp: str
    level: int


class AmandaServer(Host):
    """The host with the volumes. Its one Amanda configuration is `daily`."""

    def furnish(self) -> None:
        """Write the configuration, and make the directories it names."""
        self.write(f"/etc/amanda/{AMANDA_CONFIG}/amanda.conf", AMANDA_CONF, owner="backup")
        self.write(_DISKLIST, "", owner="backup")
        for place in ("/srv/amanda/vtapes", "/srv/amanda/holding", _LOGS):
            self.make_directory(place, owner="backup", mode=0o750)
        self.set_keepalive(5)

    def set_keepalive(self, seconds: int) -> None:
        """Let Amanda's ssh give a silent client up after two or three times `seconds`."""
        text = _SSH_CONFIG.format(seconds=seconds, patience=2 * seconds)
        self.write("/etc/ssh/ssh_config.d/lab.conf", text)

    def amanda(
        self, *argv: str, timeout: float = 300, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run one of Amanda's programs as the user backup."""
        return self.run(argv, user="backup", timeout=timeout, check=check)

    def amdump(self, *hosts: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a whole amdump of these hosts, to its end."""
        argv = ("amdump", AMANDA_CONFIG, "--exact-match", *hosts)
        return self.amanda(*argv, check=check)

    def add_dle(self, host: str, disk: str, dumptype: str = "roaming") -> None:
        """Add a line to the disklist."""
        line = f"{quote(host)} {quote(disk)} {dumptype}\n"
        self.append(_DISKLIST, line, owner="backup")

    def find(self) -> str:
        """Return what `amadmin daily find` says."""
        return self.amanda("amadmin", AMANDA_CONFIG, "find").stdout

    def run_logs(self) -> list[str]:
        """Return the text of every log, oldest first; amflush and amfetchdump write some too."""
        logs = sorted(self.path(_LOGS).glob("log.*.*[0-9]"))
        return [log.read_text(encoding="utf-8", errors="surrogateescape") for log in logs]

    @property
    def amdump_count(self) -> int:
        """How many amdump have been started so far."""
        return sum(log.startswith("INFO amdump ") for log in self.run_logs())

    def is_amdump_running(self) -> bool:
        """Whether an amdump, or what it has left behind, is at work."""
        names = ("amdump", "planner", "driver")
        return any(
            word.rpartition("/")[2] in names for line in self.processes() for word in line[:2]
        )

    @contextmanager
    def hung_amdump_freed(self) -> Iterator[None]:
        """Meanwhile, end the chunkers of a run whose dumper has died, so that the run goes on.

        Amanda 3.5.4's dumper may die of a dump that is cut, and then amdump waits forever; only
        asyncamanda's dispatcher watches for that (tests/e2e/test_watchdog.py shows it).
        """
        look = "pgrep -r Z -x dumper >/dev/null && pkill -TERM -f /amanda/chunker"
        watcher = self.start(["sh", "-c", f"while sleep 0.5; do {look}; done"])
        try:
            yield
        finally:
            watcher.kill()
            watcher.communicate()

    def stored(self, host: str, disk: str) -> list[StoredDump]:
        """Return the dumps of one DLE that `amadmin find` lists, oldest first."""
        argv = ("amadmin", AMANDA_CONFIG, "find", f"={host}", f"={disk}")
        found = _parse_find(self.amanda(*argv).stdout, disk)
        return sorted(found, key=lambda dump: dump.timestamp)

    def restore(self, host: str, disk: str) -> dict[str, bytes]:
        """Restore a DLE by amfetchdump and tar, the last full and what follows it.

        Returns the content of its regular files, by path relative to the disk. The
        restored tree stays on the server under /srv/restored/ until the next call.
        """
        dumps = self.stored(host, disk)
        fulls = [index for index, dump in enumerate(dumps) if dump.level == 0]
        if not fulls:
            raise LabError("lab-restore", f"no full dump of {host}:{disk}", "run amdump first")
        if self.path("/srv/restored").exists():
            self.remove("/srv/restored")
        self.make_directory("/srv/restored", owner="backup")
        script = 'set -o pipefail; amfetchdump -p "$@" | tar -xGf - -C /srv/restored'
        for dump in dumps[fulls[-1] :]:
            which = (f"={host}", f"={disk}", dump.timestamp, str(dump.level))
            argv = ("bash", "-c", script, "restore", AMANDA_CONFIG, *which)
            self.amanda(*argv)
        return self.tree("/srv/restored")


class Client(Host):
    """A host that is dumped."""

    def furnish(self) -> None:
        """Make Amanda's files of a client that has never been dumped."""
        self.write("/var/lib/amanda/amandates", "", owner="backup", mode=0o660)
        self.make_directory("/var/lib/amanda/gnutar-lists", owner="backup", mode=0o770)

    def add_tree(self, disk: str, *, files: int = 3, bytes_each: int = 10_000) -> None:
        """Fill the directory `disk` with files of random (incompressible) content.

        Called again, it adds further files.
        """
        self.make_directory(disk)
        place = self.path(disk)
        start = sum(1 for _ in place.iterdir())
        for number in range(start, start + files):
            (place / f"file-{number}").write_bytes(secrets.token_bytes(bytes_each))

    @property
    def amandates(self) -> str:
        """What the client believes of its dumps."""
        return self.read("/var/lib/amanda/amandates")

    def wait_for_amandates(self, before: str, seconds: float = 60) -> str:
        """Return amandates as soon as it is no longer `before`.

        Cut the link then, while a slow link still holds most of the dump back, and the
        client believes in a dump that the server never gets (amanda-facts, "It lies").
        """
        limit = Limit(seconds)
        while (now := self.amandates) == before:
            if limit.is_over():
                raise LabError("lab-wait", "amandates did not change", "did the dump begin?")
            time.sleep(0.01)
        return now


def _parse_find(text: str, disk: str) -> Iterator[StoredDump]:
    """Yield the complete dumps of one disk in `amadmin find`'s table; test_lab.py has a real one.

    Those of another are in it, too, whose device is called like that disk.
    date time host disk lv storage pool tape-or-file file part status
    """
    for line in text.splitlines():
        row = _FOUND.match(line)
        if row is not None and unquote(row["disk"]) == disk:
            yield StoredDump("".join(filter(str.isdigit, row["when"])), int(row["level"]))

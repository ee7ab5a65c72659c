"""A server in the lab that was exported: a real Amanda configuration, ledger and registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.server.enrol.enrolled import Enrolled, render_line
from lab import Host, Lab

PYTHON = "/opt/asyncamanda/bin/python"
PROGRAM = "/opt/asyncamanda/bin/asyncamanda"
STATE = "/var/lib/asyncamanda/server"
SCRIPT = "/srv/crashing_exports.py"
LOGDIR = "/var/lib/amanda/daily/log"
FILE = "/srv/out/server.tar.gz"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIAAA"
LEDGER = f"""
from datetime import UTC, datetime, timedelta
from asyncamanda.core.protocol.tickets import Claim
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import receive
ledger = Ledger.open("{STATE}/ledger.sqlite", timedelta(seconds=5))
receive(ledger, "laptop", Claim("", "laptop"), datetime(2026, 11, 30, tzinfo=UTC),
        is_elsewhere=False, random="0" * 32, dles=("daily", ["/home"]))
ledger.close()
"""


@contextmanager
def open_exported(installed: Path) -> Iterator[Host]:
    """Yield a server that was exported."""
    with Lab(prefix=installed) as lab:
        host = lab.server
        lab.server.add_dle("laptop", "/home")
        host.write("/etc/amanda/base.conf", "# included\n", owner="backup")
        host.write("/etc/amanda/daily/tapelist", "", owner="backup")
        host.write(f"{LOGDIR}/log.20261130200000.0", "INFO x\n", owner="backup")
        host.write("/var/lib/amanda/daily/index/laptop/_home/x.gz", "x" * 9000, owner="backup")
        host.write("/etc/asyncamanda/server.toml", "max_runs = 2\n")
        host.run([PROGRAM, "server", "setup", "--yes"])
        line = render_line(Enrolled("laptop", "daily", PublicKey("ssh-ed25519", KEY, "")))
        host.write("/var/backups/.ssh/authorized_keys", line, owner="backup", mode=0o600)
        host.run([PROGRAM, "server", "setup", "--yes"])
        host.run([PYTHON, "-c", LEDGER], user="backup")
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/srv/fresh-key"])
        host.make_directory("/srv/out")
        host.write(SCRIPT, Path(__file__).with_name("crashing_exports.py").read_text("utf-8"))
        host.run([PROGRAM, "server", "export", FILE, "--host-keys", "--heads"])
        yield host

"""An export or an import is killed at each step, or has no room: no half of it counts.

Amanda's configuration, sshd and the ledger are real ones.
"""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.exports import CONFIG, EXPORT_HEAD, pack, plan_entries

from asyncamanda.core.export.manifest import render_head
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


@pytest.fixture(scope="module")
def server(installed: Path) -> Iterator[Host]:
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


def walk(server: Host, what: str) -> dict[str, list[str]]:
    """Return the faults that killing brought to light, by steps."""
    done = server.run([PYTHON, SCRIPT, what], timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    faults: dict[str, list[str]] = json.loads(done.stdout)
    if faults:
        faults["said"] = done.stderr.splitlines()[-40:]
    return faults


def run(server: Host, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run asyncamanda as root, and return how it ended."""
    return server.run([PROGRAM, "server", *words], check=False)


def test_an_export_is_whole_or_the_last_one_whenever_it_is_killed(server: Host) -> None:
    """And nothing else is left beside it."""
    assert walk(server, "export") == {}


def test_an_import_goes_through_whenever_it_was_killed_before(server: Host) -> None:
    """Nobody may come in before all is there."""
    assert walk(server, "import") == {}


@pytest.mark.parametrize("spare", [0, 60_000, 180_000])
def test_an_export_without_room_leaves_the_last_one(server: Host, spare: int) -> None:
    """Whether there is none for the ledger's copy or for what is written."""
    server.run(["sh", "-c", f"head -c 400000 /dev/urandom >{LOGDIR}/log.20261130200001.0"])
    before = server.path(FILE).read_bytes()
    server.fill_disk(spare)
    try:
        done = run(server, "export", FILE)
        assert done.returncode == 77, done
        assert re.search("No space left|disk is full", done.stderr), done
        assert [path.name for path in server.path("/srv/out").iterdir()] == [Path(FILE).name]
        assert server.path(FILE).read_bytes() == before
        assert not server.path(f"{STATE}/.export").exists()
        done = run(server, "import", FILE, "--force")
        assert (done.returncode, "are free" in done.stderr) == (77, True), done
        assert not [*server.path("/etc/amanda").glob("*.before*")]
    finally:
        server.free_disk()
        server.remove(f"{LOGDIR}/log.20261130200001.0")
    assert run(server, "export", FILE, "--host-keys").returncode == 0
    assert run(server, "import", "--look", FILE).returncode == 0


def test_what_is_there_is_refused_or_set_aside(server: Host) -> None:
    """Registry, ledger and configuration; nothing is changed without --force."""
    registry = "/var/backups/.ssh/authorized_keys"
    server.append(registry, "ssh-ed25519 AAAA somebody\n", owner="backup")
    before = server.read(registry)
    done = run(server, "import", FILE)
    assert done.returncode == 65, done
    for place in ("/etc/amanda/daily", f"{STATE}/ledger.sqlite", registry):
        assert place in done.stderr, done
    assert server.read(registry) == before
    done = run(server, "import", FILE, "--force")
    assert done.returncode == 0, done
    assert sorted(server.read(registry).splitlines()) == sorted(before.splitlines())
    asides = [path.name for path in server.path("/etc/amanda").glob("*.before-import-*")]
    assert len(asides) == 2, asides  # daily, base.conf
    assert [*server.path(STATE).glob("ledger.sqlite.before-import-*")]
    server.run(["amadmin", "daily", "disklist", "laptop"], user="backup")


def test_places_that_an_export_names_give_it_no_more_rights(server: Host, tmp_path: Path) -> None:
    """They are written as the Amanda user: one that is root's is refused, and all is undone."""
    for number, place in enumerate(("/etc/cron.d", "/usr/local/lib/new")):
        config = replace(CONFIG, places={**CONFIG.places, "log": place})
        head = render_head(replace(EXPORT_HEAD, configs=(config,)))
        (tmp_path / "evil").write_bytes(pack(plan_entries(head=head)))
        server.run(["sh", "-c", "base64 -d >/srv/evil"], stdin=_encode(tmp_path / "evil"))
        done = run(server, "import", "/srv/evil", "--force")
        assert done.returncode == 77, done
        assert not [*server.path("/etc/cron.d").glob("log.*")]
        assert not server.path("/usr/local/lib/new").exists()
        assert server.read("/etc/asyncamanda/server.toml") == "max_runs = 2\n", number
        assert "base.conf" in {path.name for path in server.path("/etc/amanda").iterdir()}


def _encode(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_only_who_may_reads_and_writes(server: Host) -> None:
    """Host keys are root's; an import changes root's files; an export is no text."""
    words = [PROGRAM, "server"]
    for more in (["export", "/tmp/x", "--host-keys"], ["import", FILE]):  # noqa: S108 - the host's
        assert server.run([*words, *more], user="backup", check=False).returncode == 77
    piped = server.run(["sh", "-c", f"{PROGRAM} server export - | {PYTHON} -m gzip -t || true"])
    assert "Traceback" not in piped.stderr
    script = f"{PROGRAM} server export - >/tmp/by-backup && stat -c %s /tmp/by-backup"
    assert int(server.run(["sh", "-c", script], user="backup").stdout) > 1000
    assert server.run([*words, "export", "-", "--json"], check=False).returncode == 64

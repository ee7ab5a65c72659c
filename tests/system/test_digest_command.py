"""A real server mails a digest, tells people what changed, and misses its timer."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.exported import PROGRAM, STATE, open_exported

from asyncamanda.core.schedule.fleet_units import CRON_FILE
from asyncamanda.report.digest import MOST_LINES, WIDTH
from lab import Host

SENDMAIL, MAILS = "/usr/local/sbin/sendmail", "/srv/mails"
TOML = """\
[fleet]
never_after = "1m"
[notify]
mail = "root"
"""


@pytest.fixture(scope="module")
def server(installed: Path) -> Iterator[Host]:
    """Yield a server with a client that was never backed up; its sendmail keeps what it gets."""
    with open_exported(installed) as host:
        host.make_directory(MAILS, owner="backup")
        host.write(SENDMAIL, f"#!/bin/sh\ncat >$(mktemp {MAILS}/XXXXXXXX)\n", mode=0o755)
        host.write("/etc/asyncamanda/server.toml", TOML)
        host.run(["touch", "-d", "@1700000000", "/var/backups/.ssh/authorized_keys"])
        yield host


def run(server: Host, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run asyncamanda as root, and return how it ended."""
    return server.run([PROGRAM, "server", *words], check=False)


def take(server: Host) -> list[str]:
    """Return the mails that were passed on since the last question."""
    paths = [*server.path(MAILS).iterdir()]
    texts = [path.read_text() for path in paths]
    for path in paths:
        path.unlink()
    return texts


def test_a_digest_is_printed_or_mailed(server: Host) -> None:
    """The same lines; a span and an address that are invalid are usage errors."""
    done = run(server, "digest")
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[1].startswith("0 of 1 clients protected, 1 never.")
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= WIDTH
    assert "  asyncamanda server doctor laptop  # no backup yet" in lines
    assert take(server) == []
    assert run(server, "digest", "--since", "7d", "--mail", "boss").stdout == ""
    (mail,) = take(server)
    assert "Subject: asyncamanda: 1 of 1 clients needs attention" in mail
    assert "\n".join(lines[2:]) in mail
    for words in (("--since", "soon"), ("--mail", "-oQ/tmp")):
        assert run(server, "digest", *words).returncode == 64


def test_json_has_the_same(server: Host) -> None:
    """And each alarm."""
    done = run(server, "digest", "--json")
    assert done.returncode == 0, done
    assert '"client": "laptop"' in done.stdout
    assert '"alarm": "never"' in done.stdout


def test_what_the_timer_starts_tells_people_once(server: Host) -> None:
    """As root, who becomes the Amanda user."""
    for count in (1, 0):
        assert run(server, "refresh").returncode == 0
        mails = take(server)
        assert len(mails) == count, server.read(f"{STATE}/refresh.log")
        assert all("Subject: asyncamanda: laptop: " in mail for mail in mails)
    assert "could not be notified" not in server.read(f"{STATE}/refresh.log")


def test_a_doctor_misses_the_timer_and_setup_mends_it(server: Host) -> None:
    """Only where server.toml asks for something that needs it."""
    missing = "nothing examines the clients every hour"
    assert missing not in run(server, "doctor").stdout
    server.remove(CRON_FILE)
    assert missing in run(server, "doctor").stdout
    server.write("/etc/asyncamanda/server.toml", "")
    assert missing not in run(server, "doctor").stdout
    server.write("/etc/asyncamanda/server.toml", TOML)
    assert run(server, "setup", "--yes").returncode == 0
    assert server.path(CRON_FILE).exists()
    assert missing not in run(server, "doctor").stdout

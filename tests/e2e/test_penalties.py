"""Four machines that wait to be enrolled shut nobody out who has the same address.

    ASYNCAMANDA_SETUP_MINUTES=10 ./test e2e -q -k penalties

Since OpenSSH 9.8 sshd adds up what fails by address, and an office behind a router is one.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.fresh import PROGRAM, SSH, fingerprint, read_line, type_line
from tests.e2e.office import Office, open_office

from lab import Client

MINUTES = float(os.environ.get("ASYNCAMANDA_SETUP_MINUTES", "1.5"))
NEW = ("ash", "birch", "cedar", "doum")
SSHD_CONFIG, SSHD_LOG = "/etc/ssh/sshd_config", "/var/log/sshd.log"
BETWEEN = 15.0  # seconds from one backup to the next


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office behind a router, with sshd's own settings, where the laptop is enrolled."""
    with open_office(lab_prefix, "laptop", *NEW, nat=True) as opened:
        opened.fill("laptop")
        opened.set_up(limits={"requests_per_hour": 1000})
        server = opened.server
        for name in NEW:
            opened.ask("server", "revoke", name)
            opened.client(name).remove(SSH)
            opened.client(name).remove("/etc/asyncamanda/client.toml")
        server.stop_sshd()
        server.write(SSHD_CONFIG, server.read(SSHD_CONFIG).replace("PerSourcePenalties no\n", ""))
        server.start_sshd()
        yield opened


def start_waiting(office: Office, client: Client) -> "subprocess.Popen[str]":
    """Start a set-up that nobody has enrolled yet."""
    words = ("amanda", "--fingerprint", fingerprint(office.lab), "--no-schedule", "--no-backup")
    argv = [PROGRAM, "setup", *words, "--wait", f"{MINUTES}m"]
    return client.start(argv, stderr=subprocess.STDOUT)


def shut_out(office: Office) -> list[str]:
    """Return sshd's words on an address that it shuts out.

    What fails is only added up ("deferred penalty") until that is more than sshd allows.
    """
    lines = office.server.read(SSHD_LOG).splitlines()
    words = ("activating", " active penalty", "drop connection")
    return [line for line in lines if any(word in line for word in words)]


def test_set_ups_that_wait_shut_nobody_out(office: Office) -> None:
    """All the while a laptop at their address is backed up; then each of them is told to wait."""
    waiting = [start_waiting(office, office.client(name)) for name in NEW]
    until, served = time.monotonic() + MINUTES * 60, 0
    while time.monotonic() < until:
        done = office.backup("laptop", "--force")
        assert done.returncode == 0, f"{done.stderr}{office.server.read(SSHD_LOG)}"
        served += 1
        time.sleep(min(BETWEEN, max(until - time.monotonic(), 0)))
    for setup in waiting:
        said, _ = setup.communicate(timeout=120)
        assert setup.returncode == 75, said
        assert "does not know this machine's key" in said
    assert served >= 2
    assert office.server.read(SSHD_LOG).count("Failed publickey") >= len(NEW)
    assert shut_out(office) == []


def test_who_was_waiting_is_let_in_as_soon_as_it_is_enrolled(office: Office) -> None:
    """Its next look finds that, a minute later at most."""
    client = office.client("ash")
    setup = client.start(
        [PROGRAM, "setup", "amanda", "--fingerprint", fingerprint(office.lab), "--no-schedule"],
        stderr=subprocess.STDOUT,
    )
    enrolled = type_line(office.lab, read_line(setup))
    assert enrolled.returncode == 0, enrolled.stderr
    said, _ = setup.communicate(timeout=180)
    assert setup.returncode == 0, said
    assert shut_out(office) == []

"""A server whose sshd is not as Debian has it: what a real sshd says, and what is said about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import Run, ask_json
from tests.e2e.office import DISK, Office, open_office

from asyncamanda.core.ssh.sshd_settings import plan_sshd

CONFIG = "/etc/ssh/sshd_config"
KEYS = "/etc/ssh/keys/backup"


@pytest.fixture(scope="module")
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop is enrolled."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()
        yield office


def ask(office: Office, lines: str, *words: str) -> Run:
    """Run a command of the server's while sshd_config has these lines."""
    usual = office.server.read(CONFIG)
    office.server.write(CONFIG, lines + usual)
    try:
        return office.ask("server", *words, check=False)
    finally:
        office.server.write(CONFIG, usual)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("AllowUsers ana root\n", "AllowUsers ana root"),
        ("AllowGroups ssh-users\n", "AllowGroups ssh-users"),
        ("DenyUsers backup\n", "DenyUsers backup"),
        ("DenyGroups tape\n", "DenyGroups tape"),
        ("AuthenticationMethods publickey,password\n", "AuthenticationMethods publickey,password"),
        ("PubkeyAuthentication no\n", "PubkeyAuthentication no"),
        ("Match User backup\n  ForceCommand /bin/false\nMatch all\n", "ForceCommand /bin/false"),
        ("MaxSessions 1\n", "MaxSessions 1"),
        ("AuthorizedKeysFile none\n", "AuthorizedKeysFile none"),
    ],
)
def test_what_keeps_clients_out_is_told(office: Office, lines: str, said: str) -> None:
    """By setup and by enroll, which go on, and by the doctor, for which it is a fault."""
    key = office.client("laptop").backup_key
    for words, status in (
        (("setup", "--yes"), 0),
        (("enroll", "laptop", "--key", key), 0),
        (("doctor", "laptop"), 78),
    ):
        run = ask(office, lines, *words)
        told = " ".join((run.stdout + run.stderr).split())
        assert (run.returncode, said in told) == (status, True), told


def test_a_match_for_others_is_no_matter(office: Office) -> None:
    """Settings count as they are for the Amanda user."""
    lines = "Match User ana\n  ForceCommand /bin/false\n  PubkeyAuthentication no\nMatch all\n"
    run = ask(office, lines, "enroll", "laptop", "--key", office.client("laptop").backup_key)
    assert (run.returncode, run.stderr) == (0, "")


def test_an_sshd_that_cannot_be_asked_is_no_fault(office: Office) -> None:
    """As where its configuration has a mistake; the doctor shows what it said."""
    run = ask(office, "Oops yes\n", "doctor", "laptop")
    assert "Bad configuration option: Oops" in " ".join(run.stdout.split())


def test_keys_go_where_sshd_reads_them(office: Office) -> None:
    """By a link from there, which setup makes; then a client connects."""
    server, laptop = office.server, office.client("laptop")
    usual = server.read(CONFIG)
    server.write(CONFIG, "AuthorizedKeysFile /etc/ssh/keys/%u\n" + usual)
    server.stop_sshd()
    server.start_sshd()
    assert office.backup("laptop", "--force").returncode == 77
    assert f"AuthorizedKeysFile {KEYS}" in " ".join(
        office.ask("server", "doctor", "laptop", check=False).stdout.split()
    )
    done = office.ask("server", "setup", "--yes")
    assert f"{KEYS} leads to it" in done.stdout
    again = office.ask("server", "setup", "--yes")
    assert ("nothing to change" in again.stdout, again.stderr) == (True, "")
    assert office.backup("laptop", "--force").returncode == 0
    assert DISK in str(ask_json(laptop, "status"))
    server.run(["rm", KEYS])
    server.write(KEYS, "# somebody's\n")
    refused = office.ask("server", "setup", "--yes", check=False)
    assert (
        refused.returncode,
        "move its lines to /var/backups/.ssh/authorized_keys" in refused.stderr,
    ) == (77, True)
    assert server.read(KEYS) == "# somebody's\n"


def test_sshd_is_asked_as_it_understands(office: Office) -> None:
    """In the lab, too, where it runs."""
    printed = office.server.run(plan_sshd("backup", "laptop")).stdout
    assert "\nmaxsessions 10\n" in printed

"""The server is lost, but for its volumes; a fresh one is made of an export, and goes on.

Lost is all of asyncamanda's and of Amanda's own: configuration, logs, curinfo, the ledger, who is
enrolled, the host keys. The volumes and the holding disk (/srv) are brought to the new machine.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import TO, restore, restored
from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import DISK, STATE, Office, open_office
from tests.e2e.trees import read_tree

EXPORT = "/srv/server.tar.gz"
FOLDER = "/srv/exports"
IDENTITY = "/srv/identity"
_LOSE = """
pkill -KILL -f 'asyncamanda' -u backup
rm -rf /etc/asyncamanda /var/lib/asyncamanda /var/backups/.ssh /etc/amanda/* /var/lib/amanda/*
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
"""


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has a disk, and whose server knows none of this."""
    with open_office(lab_prefix) as opened:
        opened.fill()
        yield opened


def lose(office: Office) -> None:
    """Let there be a fresh machine in the server's place: Amanda is installed, and no more."""
    server = office.server
    office.wait_idle()
    server.stop_sshd()
    server.run(["sh", "-c", _LOSE], check=False)
    passwd = server.read("/etc/passwd")
    nologin = re.sub(r"^(backup:.*:)[^:]*$", r"\1/usr/sbin/nologin", passwd, flags=re.M)
    server.write("/etc/passwd", nologin)
    server.start_sshd()


def restart_sshd(office: Office) -> None:
    """Let sshd read its host keys again."""
    office.server.stop_sshd()
    office.server.start_sshd()


def back_up(office: Office) -> None:
    """Let the laptop be backed up now, whatever it had before."""
    run = office.backup("laptop", "--force")
    assert run.returncode == 0, run.stderr + office.diary


def change(office: Office) -> None:
    """Let there be another file at the laptop."""
    office.client("laptop").add_tree(DISK, files=1)


def levels(office: Office) -> list[int | None]:
    """Return the level of each dump that was made, the oldest first."""
    return [verdict.level for log in office.dumps() for verdict in log.verdicts]


def test_a_server_that_is_lost_goes_on_with_its_host_keys_as_if_nothing_was(office: Office) -> None:
    """No client is touched, though it was backed up once more after the export was made."""
    laptop = office.client("laptop")
    office.set_up()
    back_up(office)
    office.ask("server", "flush", "daily")
    change(office)
    back_up(office)
    wait_until("the flush is over", lambda: not office.server.is_amdump_running())
    before = read_tree(laptop.path(DISK))
    said = json.loads(office.ask("server", "export", EXPORT, "--host-keys", "--json").stdout)
    assert (said["clients"], said["configs"], said["has_ledger"]) == (["laptop"], ["daily"], True)
    assert office.server.path(EXPORT).stat().st_mode & 0o777 == 0o600
    change(office)
    back_up(office)  # of this the new server knows nothing
    assert levels(office) == [0, 1, 1]
    lose(office)

    looked = office.ask("server", "import", "--look", EXPORT).stdout
    assert "1 clients: laptop" in looked
    assert not office.server.path("/etc/asyncamanda").exists()
    office.ask("server", "import", EXPORT)
    restart_sshd(office)
    again = office.ask("server", "import", EXPORT, check=False)
    assert again.returncode == 65, again
    assert "/etc/amanda/daily" in again.stderr

    done = restore(laptop, DISK)
    assert done.returncode == 0, done.stderr + office.diary
    there = restored(laptop, DISK)
    assert {**there, ".": before["."]} == before
    change(office)
    back_up(office)
    assert levels(office)[-1] == 0, "an incremental would build on a dump that is not known"
    assert restore(laptop, DISK).returncode == 0
    assert restored(laptop, DISK) == read_tree(laptop.path(DISK))
    doctor = office.ask("server", "doctor", check=False)
    assert doctor.returncode == 0, doctor.stdout


def test_a_daily_export_is_enough_with_a_line_on_each_client(office: Office) -> None:
    """Encrypted, without host keys: the client refuses the new one until it is told."""
    laptop, server = office.client("laptop"), office.server
    server.run(["age-keygen", "-o", IDENTITY])
    recipient = server.run(["age-keygen", "-y", IDENTITY]).stdout.strip()
    office.set_up(export={"folder": FOLDER, "encrypt_to": [recipient], "keep": 2})
    for day in (20140102, 20140103):
        old = f"{FOLDER}/asyncamanda-amanda-{day}.tar.gz.age"
        server.write(old, "old", owner="backup")
    back_up(office)
    note = server.path(f"{STATE}/last-export.json")
    log = server.path(f"{STATE}/export.log")
    wait_until("it is exported", note.exists)
    last = json.loads(note.read_text())
    assert not last["fault"], log.read_text()
    names = sorted(path.name for path in server.path(FOLDER).iterdir())
    assert names == ["asyncamanda-amanda-20140103.tar.gz.age", Path(last["path"]).name]
    shown = office.ask("server", "doctor").stdout
    assert re.search(rf"export .* old: {last['path']}", " ".join(shown.split())), shown
    before = read_tree(laptop.path(DISK))
    lose(office)

    refused = office.ask("server", "import", last["path"], check=False)
    assert (refused.returncode, "--identity" in refused.stderr) == (77, True), refused
    said = office.ask("server", "import", last["path"], "--identity", IDENTITY).stdout
    assert office.backup("laptop", "--force").returncode == 77
    key = "/var/backups/.ssh/known_hosts"
    for line in re.findall(r"^  (runuser .*|asyncamanda setup .*)$", said, re.M):
        typed = line.replace("SERVER", "amanda") + (" --yes" if "setup" in line else "")
        done = laptop.run(["sh", "-c", typed], check=False)
        assert done.returncode in {0, 75}, (typed, done, laptop.read(key))
    office.configure_agent(laptop)
    done = restore(laptop, DISK)
    assert done.returncode == 0, done.stderr + office.diary
    assert restored(laptop, DISK) == before
    change(office)
    back_up(office)
    listed = laptop.run([ASYNCAMANDA, "list", DISK]).stdout
    assert "file-3" in listed
    assert not server.path(TO).exists()

"""Both losses at once, for a laptop whose dumps only it can read: the sheet opens all of them."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from tests.e2e.dumps import force_next_level
from tests.e2e.fresh import Terminal
from tests.e2e.laptop import ASYNCAMANDA, Run, wait_until
from tests.e2e.office import CONF, DISK, HOLDING, Office, open_office
from tests.e2e.test_by_hand import OURS, read_page
from tests.e2e.test_encrypted import BASE
from tests.e2e.test_lost_server import EXPORT, lose, restart_sshd
from tests.e2e.trees import read_tree

from asyncamanda.core.amanda.sealing import SEALED_DUMPTYPE, render_definitions
from lab import Client

BACK = "/srv/back"
SHEET = "/root/sheet"
LATER = timedelta(minutes=20)  # files count as unchanged only a while before a dump


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop that encrypts, and a machine on which nothing is."""
    with open_office(lab_prefix, "laptop", "spare") as opened:
        opened.client("laptop").add_tree(DISK, files=3)
        opened.set_up()
        opened.shift_clocks(LATER)
        opened.ask("server", "revoke", "spare")
        opened.server.append(CONF, BASE + render_definitions(), owner="backup")
        opened.server.add_dle("laptop", DISK, SEALED_DUMPTYPE)
        yield opened


def join(office: Office, client: Client, invitation: str, *words: str) -> Run:
    """Let a machine that knows nothing of the server join by its line, which says to encrypt."""
    client.remove("/var/backups/.ssh")
    client.remove("/etc/asyncamanda/client.toml")
    program, *typed = shlex.split(invitation)
    assert (program, typed[-1]) == ("asyncamanda", "--encrypt")
    argv = [*typed, *words, "--no-schedule", "--no-backup"]
    done = client.run([ASYNCAMANDA, *argv], check=False)
    assert done.returncode == 0, done.stdout + done.stderr + office.diary
    office.configure_agent(client)  # which tests turn down
    return done


def back_up(office: Office, client: Client) -> list[int | None]:
    """Make a backup, and return the levels of its dumps."""
    run = client.run([ASYNCAMANDA, "run", "--force"], check=False, timeout=90)
    assert run.returncode == 0, run.stderr + office.diary + "".join(office.server.run_logs()[-1:])
    return [verdict.level for verdict in office.dumps()[-1].verdicts]


def check_back(client: Client, tree: Mapping[str, object]) -> None:
    """Fail unless all of it comes back."""
    if client.path(BACK).exists():
        client.remove(BACK)
    done = client.run([ASYNCAMANDA, "restore", "--all", "--to", BACK], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_tree(client.path(BACK + DISK)) == tree


def check_by_hand(office: Office, client: Client, tree: Mapping[str, object]) -> None:
    """Fail unless the page's command opens the full, with nothing but age and the sheet."""
    words = ("--raw", DISK, "--level", "0", "--to", "/srv/0.raw")
    office.ask("server", "restore", "laptop", *words)
    groups = re.findall(r"\b\d+-([0-9A-Z]+)-[0-9A-Z]\b", client.read(SHEET))
    client.write("/srv/key", f"AGE-SECRET-KEY-1{''.join(groups)}\n")
    client.path("/srv/0.raw").write_bytes(office.server.path("/srv/0.raw").read_bytes())
    (command,) = read_page()[OURS].commands
    client.run(["sh", "-euc", f"cd /srv\n{command.replace('KEYFILE', 'key')}"])
    names = client.run(["tar", "--list", "--file", "/srv/0.tar"]).stdout.split()
    assert {f"./{name}" for name in tree if name != "."} <= {name.rstrip("/") for name in names}


def confirm(client: Client) -> None:
    """Have the sheet shown again, and type what it asks for; a wrong group is asked for again."""
    groups = re.findall(r"\b\d+-[0-9A-Z]+-[0-9A-Z]\b", client.read(SHEET))
    terminal = Terminal(client, "recovery-sheet")
    for number in range(2):
        terminal.screen.expect(r"Group (\d+), from")
        assert isinstance(terminal.screen.match, re.Match)
        asked = int(terminal.screen.match[1])
        if number == 0:
            terminal.type(groups[asked % len(groups)])
            terminal.screen.expect(rf"That is not group {asked}\.\s+Group {asked}, from")
        terminal.type(groups[asked - 1])
    assert terminal.end() == 0, terminal.said


def test_laptop_and_server_are_lost_and_the_sheet_opens_what_was_encrypted(office: Office) -> None:
    """One after the other. What the server can prove it proves, and the laptop the rest."""
    laptop, spare, server = office.client("laptop"), office.client("spare"), office.server
    invited = json.loads(office.ask("server", "rekey", "laptop", "--invite", "--json").stdout)
    join(office, laptop, invited["command"], "--recovery-sheet", SHEET)
    full = read_tree(laptop.path(DISK))
    assert back_up(office, laptop) == [0]
    proved = laptop.run([ASYNCAMANDA, "prove"], check=False)
    assert proved.returncode == 0, proved.stdout + proved.stderr
    assert "3 files" in proved.stdout
    laptop.add_tree(DISK, files=1)
    force_next_level(server, "laptop", [DISK])
    assert back_up(office, laptop) == [1]
    tree = read_tree(laptop.path(DISK))
    drill = office.ask("server", "drill", "laptop", "--full")
    assert "sealed" in drill.stdout, drill.stdout
    office.ask("server", "flush", "daily")
    wait_until("nothing is held", lambda: not any(server.path(HOLDING).glob("*/laptop.*")), 60)

    laptop.cut()
    said = json.loads(office.ask("server", "lost", "laptop", "--json").stdout)
    assert said["faults"] == [], said
    spare.write(SHEET, laptop.read(SHEET))
    join(office, spare, said["invitation"]["command"], "--recovery-key", SHEET)
    check_back(spare, tree)
    check_by_hand(office, spare, full)

    office.wait_idle()
    office.ask("server", "export", EXPORT, "--host-keys")
    lose(office)
    office.ask("server", "import", EXPORT)
    restart_sshd(office)
    check_back(spare, tree)
    spare.add_tree(DISK, files=2)
    assert back_up(office, spare) == [0]
    check_back(spare, read_tree(spare.path(DISK)))
    confirm(spare)

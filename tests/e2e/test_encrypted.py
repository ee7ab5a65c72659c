"""A client whose dumps only it can read: by the real Amanda, the real age, and a hostile server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import restore, restored
from tests.e2e.dumps import force_next_level
from tests.e2e.fresh import Terminal, read_line, start_setup, type_line
from tests.e2e.laptop import ASYNCAMANDA, Run, wait_until
from tests.e2e.office import CONF, HOLDING, Office, open_office
from tests.e2e.trees import read_tree
from tests.homes import add_users

from asyncamanda.core.amanda.sealing import (
    CONFIRMED,
    IDENTITY,
    PROGRAM,
    RECIPIENT,
    render_definitions,
)
from asyncamanda.core.restore.frames import SOCKET_PATH
from lab import Client

DISK = "/srv/docs"
SHEET = "/srv/sheet"
MARK = b"Zwiebelmuster"  # in names and in contents
BASE = "define dumptype roaming-base {\n    roaming-amgtar\n}\n"
PLACES = ("/srv/amanda", "/var/lib/amanda", "/var/lib/asyncamanda", "/var/log", "/etc/amanda")
LISTEN = ("systemd-socket-activate", "--accept", "--inetd", "-l", SOCKET_PATH)
WORDS = ("backup@amanda", "--name", "laptop", "--encrypt", "--no-schedule", "--no-backup")


@pytest.fixture(scope="module")
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop encrypts its dumps, with two of them: a full, and one above."""
    with open_office(lab_prefix) as office:
        client = office.client("laptop")
        add_users(client)
        client.make_directory(DISK)
        furnish(client)
        office.set_up()
        setup = start_setup(office.lab, *WORDS, "--disk", DISK, "--recovery-sheet", SHEET)
        line = read_line(setup)
        without = type_line(office.lab, line)
        assert without.returncode != 0
        assert f'client_encrypt "{PROGRAM}"' in without.stderr
        office.server.append(CONF, BASE + render_definitions(), owner="backup")
        assert type_line(office.lab, line).returncode == 0
        said = setup.communicate(timeout=60)[0]
        assert setup.returncode == 0, said
        yield office


def furnish(client: Client) -> None:
    """Give the laptop files, whose names and contents have the MARK; and what tar complains of."""
    top = client.path(DISK)
    name = MARK.decode()
    (top / f"{name}-folder").mkdir()
    (top / f"{name}-folder/{name}.txt").write_bytes(MARK * 10_000)
    (top / "moved").mkdir()
    (top / "moved/stays").write_bytes(MARK + bytes(range(256)) * 2_000)
    (top / "open").write_bytes(b"for all to read")
    (top / "closed").write_bytes(MARK)
    (top / "closed").chmod(0o600)
    script = f"import socket; socket.socket(socket.AF_UNIX).bind('{DISK}/{name}-socket')"
    client.run(["python3", "-c", script])


def back_up(office: Office) -> str:
    """Make a dump, and return its run."""
    done = office.backup("laptop", "--force")
    assert done.returncode == 0, done.stderr + office.diary + "".join(office.server.run_logs())
    timestamp = office.dumps()[-1].timestamp
    assert timestamp
    return timestamp


def find_marks(office: Office) -> list[str]:
    """Return the files on the server that have the MARK, in their names or in what they hold."""
    found = []
    for place in PLACES:
        for path in Path(office.server.path(place)).rglob("*"):
            is_file = path.is_file() and not path.is_symlink()
            if MARK in bytes(path) or (is_file and MARK in path.read_bytes()):
                found.append(str(path))
    return found


def ask(client: Client, *words: str, user: str = "root") -> Run:
    """Run asyncamanda at the laptop."""
    return client.run([ASYNCAMANDA, *words], user=user, check=False)


def test_the_server_has_nothing_that_it_can_read_and_the_client_gets_all_of_it(
    office: Office,
) -> None:
    """Of two levels, with a renamed folder; held, and on a volume."""
    client, name = office.client("laptop"), MARK.decode()
    top = client.path(DISK)
    trees, runs = [], []
    for level in (0, 1):
        if level:
            force_next_level(office.server, "laptop", [DISK])
            (top / "moved").rename(top / "renamed")
            (top / f"{name}-new").write_bytes(MARK * 5)
            (top / f"{name}-folder/{name}.txt").unlink()
        trees.append(read_tree(top))
        runs.append(back_up(office))
    assert [verdict.level for verdict in office.dumps()[-1].verdicts] == [1]
    holding = Path(office.server.path(HOLDING))
    dumps = [path.read_bytes() for path in holding.glob("*/laptop.*")]
    assert len(dumps) == 2
    assert all(b"age-encryption.org/v1" in dump[32_768:33_000] for dump in dumps)
    assert find_marks(office) == []
    socket = f"{name}-socket".encode()
    for run, tree in zip(runs, trees, strict=True):
        done = restore(client, DISK, "--at", run)
        assert done.returncode in {0, 100}, done.stdout + done.stderr
        expected = {
            path: what for path, what in tree.items() if socket not in bytes(str(path), "utf-8")
        }
        assert restored(client, DISK) == expected
    found = ask(client, "list", "--find", f"{name}*")
    assert found.returncode == 0, found.stderr
    assert f"{DISK}/{name}-new" in found.stdout
    versions = ask(client, "list", f"{DISK}/closed", "--versions")
    assert (versions.returncode, versions.stdout.count("20")) >= (0, 2), versions.stderr
    raw = ask(client, "restore", "--raw", DISK, "--level", "0", "--to", "/srv/image")
    assert raw.returncode == 0, raw.stderr
    assert MARK in client.path("/srv/image").read_bytes()
    refused = office.ask("server", "restore", "laptop", DISK, "--to", "/srv/out", check=False)
    assert refused.returncode == 77
    assert "only the client's key opens it" in refused.stderr
    words = ("--raw", DISK, "--level", "0", "--to", "/srv/sealed")
    office.ask("server", "restore", "laptop", *words)
    assert office.server.path("/srv/sealed").read_bytes().startswith(b"age-encryption.org/v1")
    office.ask("server", "flush", "daily")
    wait_until("nothing is held", lambda: not any(holding.glob("*/laptop.*")), 60)
    assert restore(client, f"{DISK}/renamed").returncode == 0
    assert restored(client, f"{DISK}/renamed") == read_tree(top / "renamed")
    assert find_marks(office) == []


def test_a_user_gets_what_it_could_read_and_never_the_key(office: Office) -> None:
    """By the broker, which root starts here; without one the key is root's alone."""
    client = office.client("laptop")
    back_up(office)
    client.make_directory(str(Path(SOCKET_PATH).parent), owner="backup")
    broker = client.start([*LISTEN, ASYNCAMANDA, "broker"], stderr=subprocess.PIPE)
    try:
        wait_until("the broker listens", client.path(SOCKET_PATH).is_socket)
        client.path(SOCKET_PATH).chmod(0o666)
        done = restore(client, DISK, to="/tmp/back", user="ana")  # noqa: S108 - the laptop's
        assert done.returncode in {0, 100}, done.stdout + done.stderr
        got = read_tree(client.path("/tmp/back/docs"))  # noqa: S108
        assert "open" in str([*got])
        assert "closed" not in str([*got])
    finally:
        broker.kill()
        broker.communicate()
    assert "only this machine's key opens its dumps" in ask(client, "doctor", "-v").stdout
    assert client.run(["cat", IDENTITY], user="ana", check=False).returncode != 0
    assert client.run(["cat", IDENTITY], user="backup", check=False).returncode != 0


def test_a_server_that_asks_for_plain_dumps_gets_none(office: Office) -> None:
    """Whatever it leaves out of its request, or puts into it: nothing is dumped, and it is said."""
    server, conf = office.server, office.server.read(CONF)
    evil = {
        "encrypt client": "encrypt none",
        f'client_encrypt "{PROGRAM}"': 'client_encrypt "/bin/cat"',
        'property "CHECK-DEVICE" "NO"\n    property "XATTRS"': (
            'property "COMMAND-OPTIONS" "--to-command=cat"\n    property "XATTRS"'
        ),
        "index no  ": 'include list "/etc/passwd"\n    index no  ',
    }
    before = len(list(Path(server.path(HOLDING)).glob("*/laptop.*")))
    for line, instead in evil.items():
        assert line in conf, line
        head, mark, tail = conf.rpartition("define application roaming-tar-encrypted")
        server.write(CONF, head + mark + tail.replace(line, instead), owner="backup")
        done = office.backup("laptop", "--force")
        assert done.returncode != 0, (line, done.stderr)
        assert "the client refuses" in "".join(server.run_logs()[-1:]), (line, server.run_logs())
    assert len(list(Path(server.path(HOLDING)).glob("*/laptop.*"))) == before
    assert find_marks(office) == []
    server.write(CONF, conf, owner="backup")
    back_up(office)


def test_a_wrong_key_opens_nothing_and_a_replacement_needs_the_right_one(office: Office) -> None:
    """A wrong one is refused before it is put in place; the sheet's opens all that there was."""
    client = office.client("laptop")
    run = back_up(office)
    key = client.read(IDENTITY)
    other = client.run(["age-keygen"]).stdout.splitlines()[-1]
    client.write(IDENTITY, f"{other}\n", mode=0o600)
    for words in (("list", DISK), ("restore", DISK, "--to", "/srv/wrong")):
        done = ask(client, *words)
        assert done.returncode == 77, done.stdout + done.stderr
        assert "does not open" in done.stderr
    for path in (IDENTITY, RECIPIENT, CONFIRMED, PROGRAM):
        client.remove(path)
    sealed = ask(client, "list")
    assert "only the client's key opens it" in sealed.stdout
    unasked = ask(client, "setup", *WORDS)
    assert unasked.returncode == 64
    client.write("/srv/other", f"{other}\n")
    refused = ask(client, "setup", *WORDS, "--recovery-key", "/srv/other")
    assert refused.returncode == 77, refused.stdout + refused.stderr
    assert not any(client.path(path).exists() for path in (IDENTITY, RECIPIENT, PROGRAM))
    groups = re.findall(r"\b\d+-[0-9A-Z]+-[0-9A-Z]\b", client.read(SHEET))
    terminal = Terminal(client, "setup", *WORDS)
    terminal.expect("Type its groups")
    terminal.type(" ".join(groups[:5]).lower())
    terminal.type(" ".join(groups[5:]))
    terminal.type("")
    assert terminal.end() == 0, terminal.said
    assert client.read(IDENTITY) == key
    assert restore(client, f"{DISK}/open", "--at", run).returncode == 0
    assert (client.path("/srv/back/open")).read_bytes() == b"for all to read"

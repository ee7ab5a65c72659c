"""Files back for an ordinary user, by the broker: what that user could have read, and no more."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.laptop import ASYNCAMANDA, Run, wait_until
from tests.e2e.office import DISK, Office, open_office
from tests.e2e.trees import Entry, read_tree

from asyncamanda.core.restore.frames import SOCKET_PATH
from lab import Client

USERS = {"anna": 1001, "otto": 1002}
USER, OTHER = USERS
NEWCOMER = 1003
HOME = "/srv/home-of-anna"
# as systemd would start it: the socket is root's and open to all, who answers is the Amanda user
LISTEN = f"""
exec systemd-socket-activate --accept --inetd --listen={SOCKET_PATH} \
  setpriv --reuid=backup --regid=backup --init-groups {ASYNCAMANDA} broker
"""


@pytest.fixture(scope="module")  # what is dumped stays as it is
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office with a laptop that has several users, and is backed up."""
    with open_office(lab_prefix) as opened:
        laptop = opened.client("laptop")
        for name, uid in USERS.items():
            laptop.append("/etc/passwd", f"{name}:x:{uid}:{uid}::/:/bin/sh\n")
        fill(laptop)
        opened.server.add_dle("laptop", DISK)
        opened.set_up()
        done = opened.backup("laptop")
        assert done.returncode == 0, done.stderr
        laptop.append("/etc/passwd", f"newcomer:x:{NEWCOMER}:{NEWCOMER}::/:/bin/sh\n")
        laptop.make_directory(str(Path(SOCKET_PATH).parent))
        argv = ["sh", "-c", LISTEN]
        quiet = subprocess.DEVNULL
        listener = laptop.start(argv, stdin=quiet, stdout=quiet, stderr=quiet)
        wait_until("the broker listens", laptop.path(SOCKET_PATH).is_socket)
        laptop.path(SOCKET_PATH).chmod(0o666)
        yield opened
        listener.kill()
        listener.wait()


def fill(client: Client) -> None:
    """Make a disk with files of several users."""
    user, other = USERS.values()
    for name, owner, mode in (
        ("mine", user, 0o600),
        ("program", user, 0o4755),
        ("public", other, 0o644),
        ("secret", other, 0o600),
        ("closed/open", other, 0o644),
        ("shut/open", other, 0o644),
        ("theirs-of-late", NEWCOMER, 0o600),
    ):
        client.write(f"{DISK}/{name}", f"{name}\n")
        place = client.path(f"{DISK}/{name}")
        os.chown(place, owner, -1)
        place.chmod(mode)
    client.path(f"{DISK}/closed").chmod(0o711)  # who knows a name in it can read that
    client.path(f"{DISK}/shut").chmod(0o700)
    client.path(f"{DISK}/linked").hardlink_to(client.path(f"{DISK}/secret"))
    client.make_directory(HOME, owner=USER)
    client.make_directory("/srv/home-of-newcomer", mode=0o777)
    client.path("/srv/home-of-newcomer").chmod(0o777)


def ask(client: Client, *words: str, user: str = USER) -> Run:
    """Run asyncamanda as that user."""
    return client.run([ASYNCAMANDA, *words], user=user, check=False)


def test_a_user_gets_what_that_user_could_have_read(office: Office) -> None:
    """As the user's own, without set-uid; the rest is named or hidden, and does not come."""
    laptop = office.client("laptop")
    listed = ask(laptop, "list", DISK, "-R", "-0")
    assert listed.returncode == 0, listed
    names = {os.path.relpath(name, DISK) for name in listed.stdout.split("\0") if name}
    top = {"mine", "program", "public", "secret", "linked", "theirs-of-late"}
    assert names == top | {"closed", "shut"}
    done = ask(laptop, "restore", DISK, "--to", f"{HOME}/back")
    assert done.returncode == 100, done
    tree = read_tree(laptop.path(f"{HOME}/back/docs"))
    got = {name: entry for name, entry in tree.items() if entry.kind == "-"}
    assert got.keys() == {"mine", "program", "public"}
    assert {laptop.read(f"{HOME}/back/docs/{name}") for name in got} == {
        f"{each}\n" for each in got
    }
    assert {entry.owner[0] for entry in tree.values()} == {USERS[USER]}
    assert not any(is_special(entry) for entry in got.values())
    for name in ("secret", "linked", "shut/open", "theirs-of-late"):
        done = ask(laptop, "restore", f"{DISK}/{name}", "--to", f"{HOME}/one")
        assert done.returncode in {65, 100}, (name, done)
        assert not any(laptop.path(HOME).glob("one/*"))
    done = ask(laptop, "restore", f"{DISK}/closed/open", "--to", f"{HOME}/one")
    assert done.returncode == 0, done
    assert laptop.read(f"{HOME}/one/open") == "closed/open\n"


def is_special(entry: Entry) -> bool:
    """Return whether a file runs as somebody else than who starts it."""
    return bool(entry.mode & 0o7000)


def test_an_account_younger_than_the_dump_gets_nothing(office: Office) -> None:
    """Though the files have its number, and others that everybody could read."""
    laptop = office.client("laptop")
    to = "/srv/home-of-newcomer/back"
    late = ask(laptop, "restore", f"{DISK}/theirs-of-late", "--to", to, user="newcomer")
    done = ask(laptop, "restore", DISK, "--to", to, user="newcomer")
    assert not laptop.path(to).exists()
    listed = ask(laptop, "list", DISK, "-0", user="newcomer")
    assert listed.stdout == ""
    for each in (late, done, listed):
        assert each.returncode == 77, each
        assert "the account newcomer is known since" in each.stderr


def test_root_gets_everything_with_its_owners(office: Office) -> None:
    """By its own way, beside the broker."""
    laptop = office.client("laptop")
    laptop.run([ASYNCAMANDA, "restore", DISK, "--to", "/srv/back"])
    assert read_tree(laptop.path("/srv/back/docs")) == read_tree(laptop.path(DISK))

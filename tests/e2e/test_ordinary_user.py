"""An ordinary user of a laptop gets files back, and only those that this user could have read.

By the real Amanda, with amgtar and its access control lists, and with GNUTAR, which has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.back import KEEPS_ALL, restore
from tests.e2e.dumps import add_dumptype, force_next_level
from tests.e2e.laptop import ASYNCAMANDA, wait_until
from tests.e2e.office import CONF, Office, open_office
from tests.homes import USERS, Homes, add_users, walk

from asyncamanda.core.restore.frames import SOCKET_PATH
from lab import Client

KEPT, LOST = "/srv/homes", "/srv/without-lists"
LISTEN = ("systemd-socket-activate", "--accept", "--inetd", "-l", SOCKET_PATH)


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office whose laptop has users, two disks with the same files, and a broker."""
    with open_office(lab_prefix) as office:
        server, client = office.server, office.client("laptop")
        server.append(CONF, KEEPS_ALL, owner="backup")
        add_dumptype(server, "with-lists", "roaming-amgtar", 'application "keeps-all"')
        server.add_dle("laptop", KEPT, "with-lists")
        server.add_dle("laptop", LOST, "roaming")
        add_users(client)
        for disk in (KEPT, LOST):
            client.make_directory(disk)
            Homes(client.path(disk)).furnish()
        office.set_up()
        client.make_directory(str(Path(SOCKET_PATH).parent), owner="backup")
        broker = client.start([*LISTEN, ASYNCAMANDA, "broker"], user="backup")
        wait_until("the broker listens", client.path(SOCKET_PATH).is_socket)
        client.path(SOCKET_PATH).chmod(0o666)
        yield office
        broker.kill()
        broker.communicate()


def back_up(office: Office) -> str:
    """Dump both disks, and return the run."""
    done = office.backup("laptop", "--force")
    assert done.returncode == 0, done.stderr + office.diary
    timestamp = office.dumps()[-1].timestamp
    assert timestamp
    return timestamp


def get_back(client: Client, user: str, disk: str, *words: str) -> dict[str, str]:
    """Return what a user gets of a disk: paths and contents, as walk() has them."""
    place = f"/tmp/back-{user}"  # noqa: S108 - the laptop's
    done = restore(client, disk, *words, to=place, user=user)
    assert done.returncode in {0, 100}, done.stdout + done.stderr
    top = client.path(f"{place}/{Path(disk).name}")
    assert {path.lstat().st_uid for path in top.rglob("*")} <= {USERS[user]}
    return walk(client, "root", f"{place}/{Path(disk).name}")


def test_a_user_gets_what_the_kernel_let_it_read_at_each_date(office: Office) -> None:
    """Of a full and of a level above it, with modes that changed in between."""
    client = office.client("laptop")
    homes = Homes(client.path(KEPT))
    readable, runs = [], []
    for level in (0, 1):
        if level:
            force_next_level(office.server, "laptop", [KEPT, LOST])
            (homes.top / "ana/private").chmod(0o755)
            (homes.top / "bob/all").chmod(0o600)
            (homes.top / "open/link").unlink()
            (homes.top / "open/tool").rename(homes.top / "closed/tool")
        readable.append({user: walk(client, user, KEPT) for user in USERS})
        runs.append(back_up(office))
    (homes.top / "open").chmod(0o700)  # by now is not then
    for level, run in enumerate(runs):
        for user in USERS:
            assert get_back(client, user, KEPT, "--at", run) == readable[level][user], (user, level)


def test_without_lists_in_the_dump_a_user_gets_nothing_by_a_group(office: Office) -> None:
    """For GNUTAR keeps none, so that group bits may be the mask of one."""
    client = office.client("laptop")
    readable = {user: walk(client, user, LOST) for user in USERS}
    back_up(office)
    denied = b"open/not-bob".hex()  # whom a list denied nobody knows without it
    for user in USERS:
        got = get_back(client, user, LOST)
        assert {path: what for path, what in got.items() if path != denied}.items() <= (
            readable[user].items()
        )
        assert b"staff/plan".hex() not in got
        assert b"ana/all".hex() in got


def test_a_user_who_came_after_the_dump_gets_nothing_of_it(office: Office) -> None:
    """Though the uid owned files then; and of the next dump it gets what it can read."""
    client = office.client("laptop")
    back_up(office)
    passwd = client.read("/etc/passwd")
    client.write("/etc/passwd", passwd.replace("ana:x:3000", "new:x:3000"))
    done = client.run([ASYNCAMANDA, "list", f"{KEPT}/ana"], user="new", check=False)
    assert done.returncode == 77, done.stdout + done.stderr
    assert "may have been another's" in done.stderr
    back_up(office)
    after = client.run([ASYNCAMANDA, "list", f"{KEPT}/ana"], user="new")
    assert "mine" in after.stdout

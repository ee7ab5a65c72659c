"""An ordinary user gets by the broker what the kernel would have let that user read, and no more.

The users are real ones, and so are sockets, modes, access control lists, tar and ssh; the gate is a
program that gives back what is in one image.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.homes import STAFF, USERS, Homes, add_users, walk
from tests.system.conftest import PYTHON

from asyncamanda.core.restore.answer import (
    AnswerDecoder,
    DiskAnswer,
    FileVersion,
    MissingFile,
    OtherLine,
    QueuedRestore,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
    RestorePlan,
    UnmatchedPath,
    encode_answer,
)
from asyncamanda.core.restore.frames import SOCKET_PATH
from asyncamanda.core.restore.image import ImageParser
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.request import (
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    RestoreRequest,
    Resume,
    encode_request,
)
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Rig

DISK = "/srv/home"
GATE = "/srv/stage/gate"
OUT = "/tmp"  # noqa: S108 - the laptop's
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
DUMPED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

# as a user: asks the broker, and leaves what comes where it is told to
ASK = """\
import os, select, sys, threading
from asyncamanda.client.restore.local_line import open_broker

def copy(source, sink):
    while piece := os.read(source, 1 << 16):
        sink.write(piece)
    sink.flush()

with open_broker() as line, open(sys.argv[1], "wb") as output:
    transfer = line.begin(sys.stdin.buffer.readline())
    copying = threading.Thread(target=copy, args=(transfer.output, output))
    copying.start()
    copy(transfer.answers, sys.stdout.buffer)
    copying.join()
    while (end := transfer.end()) is None:
        select.select([transfer], [], [])
    transfer.close()
    print(end.status, end.words, file=sys.stderr)
"""
GATE_SCRIPT = f"""\
#!/bin/sh
test "$SSH_ORIGINAL_COMMAND" = "asyncamanda gate restore" || exit 77
exec {PYTHON} {GATE}/gate.py
"""


@dataclass
class Got:
    """What a user got: the stream or list, what was said, and how it ended."""

    output: bytes
    said: list[RestoreAnswer | OtherLine]
    status: str
    members: dict[bytes, tuple[Member, bytes]] = field(default_factory=dict)

    def one(self, kind: type[RestoreAnswer]) -> RestoreAnswer:
        """Return the one answer of a kind."""
        (found,) = [answer for answer in self.said if isinstance(answer, kind)]
        return found

    def failure(self) -> RestoreFailed:
        """Return how it failed."""
        failed = self.one(RestoreFailed)
        assert isinstance(failed, RestoreFailed)
        return failed

    def names(self) -> set[bytes]:
        """Return the records of a list."""
        return {record for record in self.output.split(b"\0") if record}

    def missing(self) -> dict[bytes, str]:
        """Return what was said to be missing."""
        return {one.path: one.reason for one in self.said if isinstance(one, MissingFile)}

    def unmatched(self) -> dict[bytes, tuple[bytes, ...]]:
        """Return what was said not to be there, with the names near it."""
        return {one.path: one.near for one in self.said if isinstance(one, UnmatchedPath)}

    def contents(self) -> dict[str, str]:
        """Return files and links of a stream as WALK shows them."""
        found = {}
        for path, (one, contents) in self.members.items():
            if one.kind is Kind.SYMLINK:
                found[path.hex()] = "link " + one.link.hex()
            elif one.kind is Kind.HARD_LINK:
                found[path.hex()] = self.members[one.link][1].hex()
            elif one.kind is Kind.FILE:
                found[path.hex()] = contents.hex()
        return found


@dataclass
class House:
    """A laptop with three users and a broker; its server's gate has an image of /srv/home."""

    rig: Rig

    @property
    def homes(self) -> Homes:
        """What the disk has."""
        return Homes(self.rig.laptop.path(DISK))

    def dump(self, *, keeps_acls: bool = True) -> None:
        """Make an image of /srv/home, as it is now, the server's."""
        words = ["tar", "--format=pax", "--sort=name", "-cf", f"{OUT}/image.tar"]
        acls = ["--acls", "--xattrs", "--xattrs-include=*"] if keeps_acls else []
        self.rig.laptop.run([*words, *acls, "-C", DISK, "."])
        image = self.rig.laptop.path(f"{OUT}/image.tar").read_bytes()
        (self.rig.server.path(GATE) / "image.tar").write_bytes(image)
        self.plan(keeps_acls=keeps_acls)

    def plan(self, dumped_at: datetime = DUMPED_AT, **keys: object) -> None:
        """Let the gate say this of the dump."""
        value = {"device": DISK, "dumped_at": dumped_at.isoformat(), **keys}
        self.rig.server.write(f"{GATE}/plan.json", json.dumps(value))

    def let(self, name: str, text: str = "", mode: int = 0o644) -> None:
        """Make a file that changes what the gate does."""
        self.rig.server.write(f"{GATE}/{name}", text, mode=mode)

    def let_go(self) -> None:
        """Let the gate answer, if it waits."""
        self.rig.server.path(f"{GATE}/wait").unlink(missing_ok=True)

    def know_accounts(self, since: datetime = LONG_AGO, **names: int) -> None:
        """Let it be written down since when the accounts are there."""
        known = [
            {"uid": uid, "name": name, "since": since.isoformat(), "local": True}
            for name, uid in (names or USERS).items()
        ]
        value = {
            "began_at": LONG_AGO.isoformat(),
            "looked_at": since.isoformat(),
            "accounts": known,
        }
        path = f"{self.rig.state}/client/accounts.json"
        self.rig.laptop.write(path, json.dumps(value), owner="backup", mode=0o600)

    def start(self, user: str, request: RestoreRequest, place: str = "") -> subprocess.Popen[str]:
        """Let a user ask; what comes is left at a `place`, the user's own if not said."""
        argv = [PYTHON, "-c", ASK, f"{OUT}/{place or user}"]
        asking = self.rig.laptop.start(argv, user=user)
        assert asking.stdin
        asking.stdin.write(encode_request(request).decode())
        asking.stdin.flush()
        return asking

    def ask(self, user: str, request: RestoreRequest) -> Got:
        """Return what a user gets."""
        return self.end(user, self.start(user, request))

    def end(self, place: str, asking: subprocess.Popen[str]) -> Got:
        """Return what a user got who asked, and left it at `place`."""
        said, status = asking.communicate(timeout=at_most(60))
        assert asking.returncode == 0, status
        output = self.rig.laptop.path(f"{OUT}/{place}").read_bytes()
        return Got(output, AnswerDecoder().feed(said.encode()), status.strip())

    def restore(self, user: str, *paths: bytes, resume: Resume | None = None) -> Got:
        """Return the files that a user gets."""
        got = self.ask(user, FilesRequest("/home", paths or (b"",), resume=resume))
        parser = ImageParser()
        for one in parser.feed(0, got.output) if got.output else ():
            assert one.path not in got.members
            got.members[one.path] = one, got.output[one.data : one.data + one.stored]
        if got.status == "0":
            assert parser.is_ended
        return got

    def asked(self) -> list[dict[str, object]]:
        """Return what the gate was asked so far."""
        path = self.rig.server.path(f"{GATE}/requests")
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def house(rig: Rig) -> Iterator[House]:
    """Yield the laptop, with a broker that waits for users."""
    laptop, server = rig.laptop, rig.server
    before = {path: laptop.read(path) for path in ("/etc/passwd", "/etc/group")}
    add_users(laptop)
    laptop.write(rig.config, 'server = "backup@amanda:2222"\n')
    server.make_directory(GATE, owner="backup")
    house = House(rig)
    house.let("gate", GATE_SCRIPT, mode=0o755)
    server.write(f"{GATE}/gate.py", Path(__file__).with_name("fake_gate.py").read_text())
    laptop.make_directory(f"{rig.state}/client", owner="backup", mode=0o700)
    laptop.path(rig.state).chmod(0o755)
    laptop.make_directory(DISK)
    laptop.make_directory(str(Path(SOCKET_PATH).parent), owner="backup")
    argv = ["systemd-socket-activate", "--accept", "--inetd", "-l", SOCKET_PATH]
    keeper = laptop.start([*argv, PYTHON, "-m", "asyncamanda", "broker"], user="backup")
    rig.until(lambda: laptop.path(SOCKET_PATH).is_socket(), "the broker listens")
    laptop.path(SOCKET_PATH).chmod(0o666)
    house.know_accounts()
    try:
        with rig.sshd(f"ForceCommand {GATE}/gate"):
            yield house
            house.let_go()
    finally:
        rig.until(lambda: not find_brokers(rig), "no broker is left behind")
        keeper.kill()
        keeper.communicate()
        laptop.remove(str(Path(SOCKET_PATH).parent))
        for path, text in before.items():
            laptop.write(path, text)


def find_brokers(rig: Rig) -> list[int]:
    """Return the processes that answer a user."""
    return [
        one.pid
        for one in rig.processes(rig.laptop)
        if one.argv[-1] == "broker" and "systemd-socket-activate" not in one.argv[0]
    ]


@pytest.mark.parametrize("user", USERS)
def test_a_user_gets_exactly_what_the_kernel_lets_it_read(house: House, user: str) -> None:
    """Of a dump that kept access control lists. Folders without r or x, lists, links and all."""
    house.homes.furnish()
    readable = walk(house.rig.laptop, user, DISK)
    assert readable
    house.dump()
    got = house.restore(user)
    assert got.status == "0", got.said
    assert got.contents() == readable
    done = got.one(RestoreDone)
    assert done == RestoreDone(
        sum(one.kind is not Kind.FOLDER for one, _ in got.members.values()),
        sum(one.size for one, _ in got.members.values()),
    )


@pytest.mark.parametrize("user", USERS)
def test_where_lists_may_be_lost_a_user_gets_less_and_never_more(house: House, user: str) -> None:
    """Group bits may be a list's mask then, and count for nothing."""
    house.homes.furnish()
    readable = walk(house.rig.laptop, user, DISK)
    house.dump(keeps_acls=False)
    # what a named user was denied by a list that is gone cannot be known
    got = house.restore(user).contents()
    lost = b"open/not-bob".hex()
    assert {path: what for path, what in got.items() if path != lost}.items() <= readable.items()
    assert b"staff/plan".hex() not in got
    assert b"open/for-ana".hex() not in got


def test_what_is_handed_over_is_the_users_own(house: House) -> None:
    """Without set-uid bits, and no device among it."""
    house.homes.furnish()
    os.mknod(house.homes.top / "open/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    house.dump()
    got = house.restore("ana", b"open", b"staff/plan")
    for one, _ in got.members.values():
        assert (one.uid, one.mode & 0o7000) == (3000, 0)
        assert one.gid in {3000, STAFF}
    assert got.members[b"staff/plan"][0].gid == STAFF
    assert got.members[b"open/tool"][0].mode == 0o755
    assert b"open/null" not in got.members
    assert "root" in got.missing()[b"open/null"]


def test_a_name_that_is_known_opens_no_folder_that_is_closed(house: House) -> None:
    """Of what cannot be known there is the same word as of what is not there."""
    house.homes.furnish()
    house.dump()
    hidden, absent = b"bob/private/diary", b"bob/private/nothing"
    got = house.restore("ana", hidden, absent, b"open/none-such", b"bob/all")
    assert set(got.contents()) == {b"bob/all".hex()}
    assert got.missing() == {}
    unmatched = got.unmatched()
    assert unmatched.keys() == {hidden, absent, b"open/none-such"}
    assert (unmatched[hidden], unmatched[absent]) == ((), ())
    assert b"open/tool" in unmatched[b"open/none-such"]
    alone = [house.restore("ana", path) for path in (hidden, absent)]
    assert alone[0].said[1].path == hidden  # type: ignore[union-attr]
    assert alone[0].said[2:] == alone[1].said[2:]
    assert [got.status for got in alone] == ["65", "65"]
    assert not alone[0].members


def test_numbers_of_what_is_hidden_are_not_told(house: House) -> None:
    """The server counts all; a rehearsal counts what the user could have seen."""
    house.homes.furnish()
    house.dump()
    plan = house.restore("ana", b"ana").one(RestorePlan)
    assert isinstance(plan, RestorePlan)
    assert (plan.files, plan.folders, plan.size) == (None, None, None)
    rehearsal = house.ask("ana", FilesRequest("/home", (b"ana", b"bob"), is_dry_run=True))
    plan = rehearsal.one(RestorePlan)
    assert isinstance(plan, RestorePlan)
    assert (plan.files, plan.folders, plan.size) == (4, 1, None)
    assert rehearsal.output == b""


def test_lists_have_the_names_that_the_user_could_have_listed(house: House) -> None:
    """By `ls`: names in a folder that can be read but not entered, and none of one without r."""
    house.homes.furnish()
    house.dump()
    names = {name[1:] for name in house.ask("ana", ListRequest("/home")).names()}
    assert b"closed/name" in names
    assert b"ana/private/diary" in names
    assert not any(name.startswith(b"bob/") for name in names)
    assert not any(name.startswith(b"@") for name in names)
    refused = house.ask("ana", ListRequest("/home", b"bob"))
    assert (refused.failure().reference, refused.output) == ("not-readable", b"")
    hidden = house.ask("ana", ListRequest("/home", b"bob/private/diary"))
    absent = house.ask("ana", ListRequest("/home", b"bob/private/none"))
    assert hidden.failure() == absent.failure()
    assert hidden.failure().reference == "nothing-matched"
    file = house.ask("ana", ListRequest("/home", b"bob/all"))
    assert file.names() == {b"Ybob/all"}


def test_versions_are_shown_of_what_could_be_reached(house: House) -> None:
    """By the folders of each dump."""
    house.homes.furnish()
    house.dump()
    seen = house.ask("ana", ListRequest("/home", b"bob/all", is_every_version=True))
    version = seen.one(FileVersion)
    assert isinstance(version, FileVersion)
    assert version.ways == ()
    hidden = house.ask("ana", ListRequest("/home", b"bob/private/diary", is_every_version=True))
    assert hidden.failure().reference == "nothing-matched"


def test_what_changed_between_list_and_restore_is_judged_by_what_is_restored(house: House) -> None:
    """A name that was bob's open file is a secret by now, in the dump that is restored."""
    house.homes.furnish()
    house.dump()
    assert b"Yopen/tool" in house.ask("ana", ListRequest("/home", b"open")).names()
    house.homes.make("open/tool", 0o600, "bob", contents="secret")
    house.dump()
    got = house.restore("ana", b"open/tool")
    assert not got.contents()
    assert got.missing().keys() == {b"open/tool"}


def test_what_is_above_the_disk_counts(house: House) -> None:
    """As it is now: the image does not have it."""
    house.homes.furnish()
    house.dump()
    house.rig.laptop.path("/srv").chmod(0o700)
    try:
        got = house.restore("ana")
    finally:
        house.rig.laptop.path("/srv").chmod(0o755)
    assert got.failure().reference == "nothing-matched"
    assert not got.members
    house.plan(device="")  # from a server that does not say where the disk is
    assert house.restore("ana").failure().reference == "nothing-matched"


def test_a_server_that_has_not_heard_of_owners_gives_a_user_nothing(house: House) -> None:
    """For nobody knows who could have come to it."""
    house.homes.furnish()
    house.dump()
    assert house.restore("ana", b"open/tool").contents()
    house.let("old")
    assert not house.restore("ana", b"open/tool").contents()
    assert house.ask("ana", ListRequest("/home")).names() == set()


def test_a_restore_goes_on_where_it_was_cut(house: House) -> None:
    """What the user has is passed over, counted as it was handed over."""
    house.homes.furnish()
    house.dump()
    whole = house.restore("ana")
    rest = house.restore("ana", b"", resume=Resume(("20261120120000",), 5))
    assert list(rest.members) == list(whole.members)[5:]
    (asked,) = [one["resume"] for one in house.asked() if one["resume"]]
    assert asked == {"dumps": ["20261120120000"], "done": 0}


def test_what_the_server_misses_is_told_to_those_who_could_have_seen_it(house: House) -> None:
    """A file that cannot be located, say."""
    house.homes.furnish()
    house.dump()
    house.let("missing", "open/lost bob/private/lost")
    assert house.restore("ana").missing().keys() >= {b"open/lost"}
    assert b"bob/private/lost" not in house.restore("ana").missing()


def test_disks_are_no_secret(house: House) -> None:
    """The status that everybody may read names them, too."""
    house.plan()
    disk = house.ask("eve", DisksRequest()).one(DiskAnswer)
    assert isinstance(disk, DiskAnswer)
    assert disk.disk == "/home"


def test_the_commands_of_a_user_go_by_the_broker(house: House) -> None:
    """As root's go by its own connection; what comes is the user's, and what is missing is told."""
    house.homes.furnish()
    house.dump()
    listed = house.rig.run("list", f"{DISK}/open", "-0", user="ana")
    assert (listed.exit, listed.stderr) == (0, "")
    assert f"{DISK}/open/tool" in listed.stdout.split("\0")
    wanted = (f"{DISK}/open", f"{DISK}/bob/private/diary")
    done = house.rig.run("restore", *wanted, "--to", f"{OUT}/back", "--json", user="ana")
    end = json.loads(done.stdout.splitlines()[-1])
    assert done.exit == 100, done.stderr
    assert [one["path"] for one in end["unmatched"]] == [wanted[1]]
    tool = house.rig.laptop.path(f"{OUT}/back/open/tool")
    assert (tool.read_text(), tool.stat().st_uid, tool.stat().st_mode & 0o7777) == (
        "#!", USERS["ana"], 0o755
    )  # fmt: skip
    way_in = house.rig.laptop.path(f"{OUT}/back/open/way-in")
    assert way_in.read_text() == "bob's"
    assert not house.rig.laptop.path(f"{OUT}/back/bob").exists()
    refused = house.rig.run("list", f"{DISK}/bob/private", user="ana")
    assert refused.exit == 77


def test_a_line_that_breaks_is_tried_again_for_a_user_as_well(house: House) -> None:
    """And each file comes once."""
    house.homes.furnish()
    house.dump()
    house.rig.server.path(GATE).chmod(0o777)
    house.let("cut")
    argv = ("restore", DISK, "--to", f"{OUT}/back", "--json")
    done = house.rig.run(*argv, user="ana")
    assert done.exit == 100, done.stdout + done.stderr
    assert walk(house.rig.laptop, "root", f"{OUT}/back/home") == walk(house.rig.laptop, "ana", DISK)
    assert [one for one in house.asked() if one.get("resume")]


def test_what_a_user_restored_in_place_replaces_only_the_users_own(house: House) -> None:
    """The files are written with the user's rights."""
    house.homes.furnish()
    house.dump()
    house.homes.make("ana/mine", 0o600, "ana", contents="spoiled")
    (house.homes.top / "open/tool").unlink()
    own = house.rig.run(
        "restore", f"{DISK}/ana/mine", "--in-place", "--overwrite", "always", user="ana"
    )
    assert own.exit == 0, own.stderr
    assert (house.homes.top / "ana/mine").read_text() == "mine"
    others = house.rig.run("restore", f"{DISK}/open/tool", "--in-place", user="ana")
    assert others.exit != 0
    assert not (house.homes.top / "open/tool").exists()


def test_a_dry_run_in_place_names_what_that_user_could_see(house: House) -> None:
    """Of files that are there, and of those that were."""
    house.homes.furnish()
    house.dump()
    words = ("restore", DISK, "--in-place", "--dry-run", "--json")
    for user, hidden in (("ana", "bob"), ("bob", "ana")):
        done = house.rig.run(*words, user=user)
        last = json.loads(done.stdout.splitlines()[-1])
        assert f"{DISK}/{user}/mine" in last["existing"], done.stderr
        assert f"{DISK}/{user}/private/diary" in last["existing"]
        assert f"{DISK}/{hidden}/private" not in json.dumps(last)
    closed = house.rig.run(*words[:1], f"{DISK}/bob", *words[2:], user="ana")
    assert "mine" not in closed.stdout


# -- who asks


def test_a_dump_from_before_the_account_is_not_for_it(house: House) -> None:
    """Its uid may have been another's; and the next dump is for it."""
    house.homes.furnish()
    house.dump()
    house.know_accounts(DUMPED_AT + timedelta(seconds=1))
    for request in (ListRequest("/home"), FilesRequest("/home", (b"",))):
        got = house.ask("ana", request)
        assert (got.failure().reference, got.output, got.status) == ("account-younger", b"", "77")
    house.plan(DUMPED_AT + timedelta(seconds=2), keeps_acls=True)
    assert house.restore("ana").contents()


def test_a_server_whose_clock_is_ahead_makes_no_account_older(house: House) -> None:
    """By two hours, say."""
    house.homes.furnish()
    house.dump()
    house.know_accounts(DUMPED_AT - timedelta(hours=1))
    now = datetime.now(UTC)
    house.plan(keeps_acls=True, now=now.isoformat())
    assert house.restore("ana").contents()
    house.plan(keeps_acls=True, now=(now + timedelta(hours=2)).isoformat())
    assert house.restore("ana").failure().reference == "account-younger"


def test_an_account_that_was_never_seen_is_new(house: House) -> None:
    """Another name with a known uid as well; from now on it is known."""
    house.homes.furnish()
    house.dump()
    house.know_accounts(LONG_AGO, bob=3001, zoe=3000)
    assert house.restore("ana").failure().reference == "account-younger"
    assert house.restore("bob").contents()
    house.plan(datetime.now(UTC) + timedelta(hours=1), keeps_acls=True)
    assert house.restore("ana").contents()


def test_before_the_first_backup_nobody_is_known(house: House) -> None:
    """Nothing has been written down then."""
    house.homes.furnish()
    house.dump()
    house.rig.laptop.remove(f"{house.rig.state}/client/accounts.json")
    assert house.restore("ana").failure().reference == "account-unknown"


@pytest.mark.parametrize("user", ["root", "daemon", "nobody"])
def test_nobody_but_ordinary_users_is_answered(house: House, user: str) -> None:
    """Root asks the server itself, and what a service could have read is not for its captor."""
    house.plan()
    assert house.ask(user, DisksRequest()).failure().reference == "not-a-user"


def test_a_group_that_the_user_has_left_gives_nothing(house: House) -> None:
    """Though the session is older than that, and the kernel still lets it."""
    house.homes.furnish()
    house.dump()
    assert b"staff/plan".hex() in house.restore("ana").contents()
    group = house.rig.laptop.read("/etc/group")
    house.rig.laptop.write("/etc/group", group.replace(":ana,bob", ":bob"))
    house.rig.laptop.path(f"{OUT}/ana").unlink()
    words = ["setpriv", "--reuid=ana", "--regid=3000", f"--groups={STAFF}"]
    reads = house.rig.laptop.run([*words, "cat", f"{DISK}/staff/plan"])
    assert reads.stdout == "plan"
    asking = house.rig.laptop.start([*words, PYTHON, "-c", ASK, f"{OUT}/ana"])
    assert asking.stdin
    asking.stdin.write(encode_request(FilesRequest("/home", (b"staff/plan",))).decode())
    got = house.end("ana", asking)
    assert got.failure().reference == "nothing-matched"


# -- peers that behave badly


def connect(house: House, user: str, said: bytes) -> bytes:
    """Return all that the broker says to a user who says this, and no more."""
    script = (
        "import socket, sys\n"
        f"peer = socket.socket(socket.AF_UNIX); peer.connect({SOCKET_PATH!r})\n"
        "try:\n    peer.sendall(sys.stdin.buffer.read())\nexcept OSError: pass\n"
        "peer.settimeout(50)\n"
        "try:\n    while piece := peer.recv(65536): print(piece.hex())\n"
        "except ConnectionResetError: pass  # it has not read all\n"
    )
    done = house.rig.laptop.run([PYTHON, "-c", script], user=user, stdin=said.decode("ascii"))
    return bytes.fromhex(done.stdout)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"{}\n",
        b'{"type":"restore","disk":"/home","paths":["../x"]}\n',
        b'{"type":"restore","disk":"/home","paths":[]}\n',
        b"x" * (2 << 20),
    ],
)
def test_nonsense_is_refused(house: House, said: bytes) -> None:
    """And megabytes of it."""
    house.plan()
    assert b'"not-understood"' in connect(house, "ana", said)
    assert not house.rig.server.path(f"{GATE}/requests").exists()


@pytest.mark.parametrize("request_", [RawRequest("/home"), RawRequest("/home", level=0)])
def test_a_whole_image_is_for_no_user(house: House, request_: RawRequest) -> None:
    """It has everybody's files; the gate is not asked."""
    house.plan()
    answer = connect(house, "ana", encode_request(request_))
    assert b'"only-root"' in answer
    assert b"everybody's files" in answer
    assert not house.rig.server.path(f"{GATE}/requests").exists()


def test_who_says_nothing_is_not_waited_for(house: House) -> None:
    """Not for long."""
    house.plan()
    assert b'"not-understood"' in connect(house, "ana", b"")


def test_a_user_has_two_answers_at_a_time(house: House) -> None:
    """And keeps nobody else from theirs."""
    house.homes.furnish()
    house.dump()
    house.let("wait")
    request = ListRequest("/home")
    asking = []
    for user, place in (("ana", "1"), ("ana", "2"), ("bob", "3")):
        asking.append((place, house.start(user, request, place)))
        house.rig.until(lambda: len(house.asked()) == len(asking), "the gate is asked")
        if place == "2":
            assert b'"too-many-restores"' in connect(house, user, encode_request(request))
    house.let_go()
    for place, one in asking:
        got = house.end(place, one)
        assert got.status == "0"
        assert QueuedRestore(1) in got.said


@pytest.mark.parametrize("is_waiting", [True, False])
def test_who_leaves_ends_all_that_was_begun(house: House, is_waiting: bool) -> None:
    """The broker, its ssh and the gate, whatever they are doing."""
    house.homes.furnish()
    house.homes.make("open/large", 0o644, contents="x" * (32 << 20))
    house.dump()
    if is_waiting:
        house.let("wait")
    script = (
        "import socket, sys, time\n"
        f"peer = socket.socket(socket.AF_UNIX); peer.connect({SOCKET_PATH!r})\n"
        "peer.sendall(sys.stdin.buffer.readline())\n"
        "print(len(peer.recv(1000)), flush=True)\n"
        "time.sleep(600)\n"
    )
    asking = house.rig.laptop.start([PYTHON, "-c", script], user="ana")
    assert asking.stdin
    assert asking.stdout
    asking.stdin.write(encode_request(FilesRequest("/home", (b"",))).decode())
    asking.stdin.flush()
    assert int(asking.stdout.readline()) > 0
    assert find_brokers(house.rig)
    asking.kill()
    asking.communicate()
    house.rig.until(lambda: not find_brokers(house.rig), "the broker has ended")
    house.rig.until(lambda: not house.rig.ssh_processes(), "its ssh has ended")
    house.rig.until(lambda: not house.rig.sessions(), "so has the gate's session")


def test_who_reads_late_gets_all(house: House) -> None:
    """What ssh still has when the gate has ended comes as well."""
    folder = house.homes.make("many", 0o755)
    for number in range(20_000):
        (folder / f"{number:05}-{'x' * 60}").touch()
    house.dump()
    script = (
        "import socket, sys\n"
        f"peer = socket.socket(socket.AF_UNIX); peer.connect({SOCKET_PATH!r})\n"
        "peer.sendall(sys.stdin.buffer.readline())\n"
        "sys.stdin.readline()\n"
        "size = 0\n"
        "while piece := peer.recv(65536): size += len(piece)\n"
        "print(size)\n"
    )
    asking = house.rig.laptop.start([PYTHON, "-c", script], user="ana")
    assert asking.stdin
    asking.stdin.write(encode_request(ListRequest("/home")).decode())
    asking.stdin.flush()
    gate = f"{GATE}/gate.py"
    try:
        house.rig.until(house.asked, "the gate is asked")
        house.rig.until(
            lambda: not any(gate in one.argv for one in house.rig.processes(house.rig.server)),
            "the gate has ended",
        )
        size, _ = asking.communicate("\n", timeout=at_most(60))
    finally:
        asking.kill()  # else its broker would wait for it, and the next test for that
    assert int(size) > 20_000 * 70


def test_what_comes_after_the_gates_exit_is_heard(house: House) -> None:
    """sshd reports that before it has read all that was written."""
    house.plan()
    line = encode_answer(RestoreDone(0, 0)).decode().strip()
    house.let("gate", f"#!/bin/sh\n(sleep 1; echo '{line}' >&2) &\nexit 0\n", mode=0o755)
    got = house.ask("ana", DisksRequest())
    assert (got.said, got.status) == ([RestoreDone(0, 0)], "0")


def test_a_gate_that_is_older_is_said_to_be_so(house: House) -> None:
    """Its own words reach the user."""
    house.plan()
    house.let("gate", "#!/bin/sh\necho this key may not >&2\nexit 77\n", mode=0o755)
    got = house.ask("ana", DisksRequest())
    assert (got.failure().exit, got.failure().message) == (77, "this key may not")


def test_without_a_broker_a_user_is_told_that_root_can(rig: Rig) -> None:
    """As where no systemd runs."""
    rig.laptop.append("/etc/passwd", "ana:x:3000:3000::/tmp:/bin/sh\n")
    argv = [PYTHON, "-c", ASK, f"{OUT}/ana"]
    done = rig.laptop.run(argv, user="ana", stdin="{}\n", check=False)
    passwd = rig.laptop.read("/etc/passwd")
    rig.laptop.write("/etc/passwd", passwd.replace("ana:x:3000:3000::/tmp:/bin/sh\n", ""))
    assert "RefusedError: the backups of this machine are root's" in done.stderr

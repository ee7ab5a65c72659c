"""The server's end of a session in which files come back: polite, and gone with the session."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.dumps import add_dumptype
from tests.e2e.laptop import wait_until
from tests.e2e.office import DISK, Office, open_office

from asyncamanda.core.restore.request import FilesRequest, encode_request
from lab.namespaces import piped

BIG = 24_000_000  # bytes, more than all that lies between server and client can hold
SERVE, UNPACK = "server serve", "zstd -d"
# none of gzip's kind: that is unpacked without a program as soon as places to begin at are known
PACKED = ("compress server custom", 'server-custom-compress "/usr/bin/zstd"')
BY_SSHD = {"the connection ended", "stopped by SIGTERM"}  # whichever is noticed first
REQUEST = encode_request(FilesRequest(DISK, (b"",))).decode()


@pytest.fixture
def office(lab_prefix: Path) -> Iterator[Office]:
    """Yield an office that has a large dump of the laptop, compressed."""
    with open_office(lab_prefix) as opened:
        add_dumptype(opened.server, "gz", "roaming", *PACKED)
        opened.client("laptop").add_tree(DISK, files=1, bytes_each=BIG)
        opened.server.add_dle("laptop", DISK, "gz")
        opened.set_up()
        assert opened.backup("laptop").returncode == 0, opened.diary
        yield opened


def rows(office: Office) -> list[dict[str, Any]]:
    """Return the restores that are written down."""
    return list(json.loads(office.ask("server", "restores", "--json").stdout))


def begin(office: Office) -> "subprocess.Popen[str]":
    """Ask for everything by real ssh, and take nothing of it."""
    argv = ["ssh", "-o", "BatchMode=yes", "backup@amanda", "asyncamanda gate restore"]
    program = office.client("laptop").start(argv, user="backup")
    stdin = piped(program.stdin)
    stdin.write(REQUEST)
    stdin.flush()
    wait_until(
        "it is unpacked",
        lambda: bool(office.pids(UNPACK)) or program.poll() is not None,
        240,  # what serves it is niced, and starts late where much else runs
    )
    assert program.poll() is None, program.communicate()
    assert [row["outcome"] for row in rows(office)] == ["under way"]
    return program


def cut(_: Office, program: "subprocess.Popen[str]") -> None:
    program.kill()
    program.communicate()


def revoke(office: Office, _: "subprocess.Popen[str]") -> None:
    office.ask("server", "revoke", "laptop")


def kill_sshd(office: Office, _: "subprocess.Popen[str]") -> None:
    for pid in office.server.sshd_processes("backup"):
        office.server.run(["kill", "-KILL", str(pid)])


@pytest.mark.parametrize(
    ("end", "outcomes"),
    [
        (cut, BY_SSHD),
        (revoke, {"this client is not enrolled any more"}),
        (kill_sshd, BY_SSHD),
    ],
)
def test_nothing_is_left_of_a_session_that_ends(
    office: Office,
    end: Callable[[Office, "subprocess.Popen[str]"], None],
    outcomes: set[str],
) -> None:
    """Neither the process that serves it nor what that has started; and its end is known."""
    program = begin(office)
    (server,) = {*office.pids(SERVE)}
    nice = office.server.run(["ps", "-o", "ni=", "-p", str(server)]).stdout
    assert int(nice) == min(os.nice(0) + 10, 19)  # the tests themselves may be nice
    end(office, program)
    wait_until("it has ended", lambda: not office.pids(SERVE))
    wait_until("nothing is unpacked any more", lambda: not office.pids(UNPACK))
    (row,) = rows(office)
    assert row["outcome"] in outcomes, row
    assert row["ended_at"]
    if program.poll() is None:
        program.kill()
        program.communicate()

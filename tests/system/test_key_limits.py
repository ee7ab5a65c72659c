"""How many connections sshd lets one key have: docs/security.md rests on this.

None of sshd's limits counts connections of a key, or of an account, once they are logged in.
UnusedConnectionTimeout (since OpenSSH 9.2) ends those on which no session is open.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.system.conftest import Rig

COUNT = 8


def connect(rig: Rig, *words: str) -> subprocess.Popen[str]:
    """Connect to the second sshd as the Amanda user does, without sharing a connection."""
    options = ["-o", "BatchMode=yes", "-o", "ControlPath=none", "-p", "2222"]
    return rig.laptop.start(["ssh", *options, *words], user="backup")


def begin_session(rig: Rig) -> subprocess.Popen[str]:
    """Return a connection with a session that lasts as long as its stdin does."""
    program = connect(rig, "backup@amanda", "echo ready; exec cat")
    assert program.stdout
    assert program.stdout.readline() == "ready\n", program.communicate()
    return program


def test_sshds_limits_do_not_count_a_keys_connections(rig: Rig) -> None:
    """One after the other eight stand at a time, where each of the limits says one or two."""
    limits = ("MaxStartups 2", "PerSourceMaxStartups 2", "MaxSessions 1")
    with rig.sshd(*limits):
        programs = [begin_session(rig) for _ in range(COUNT)]
        try:
            for number, program in enumerate(programs):
                said, _ = program.communicate(f"{number}\n", 15)
                assert (program.returncode, said) == (0, f"{number}\n")
        finally:
            for program in programs:
                program.kill()


def test_a_connection_without_a_session_ends_by_unused_connection_timeout(rig: Rig) -> None:
    """And one with a session goes on."""
    with rig.sshd("UnusedConnectionTimeout 1"):
        busy = begin_session(rig)
        unused = [connect(rig, "-N", "backup@amanda") for _ in range(COUNT)]
        try:
            assert [program.wait(30) for program in unused] == [255] * COUNT
            said, _ = busy.communicate("still here\n", 15)
            assert (busy.returncode, said) == (0, "still here\n")
        finally:
            for program in (busy, *unused):
                program.kill()


def test_the_agent_backs_up_where_unused_connections_end(rig: Rig) -> None:
    """It begins its session at once, well within the ten seconds that docs/security.md names."""
    with rig.sshd("UnusedConnectionTimeout 10"):
        rig.configure(server="backup@amanda:2222")
        assert rig.run("run").exit == 0

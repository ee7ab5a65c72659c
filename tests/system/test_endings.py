"""A program that no signal ends is named soon, and nobody waits for it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from select import select
from typing import TYPE_CHECKING

import pytest
from tests.system import hungfs
from tests.system.hungfs import hung_file_system
from tests.system.watching import until

from asyncamanda.errors import LaterError
from asyncamanda.system.endings import ending, reap
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Rig


def is_asked(pipe: int) -> bool:
    """Return whether the file system has taken a question."""
    return bool(select([pipe], [], [], 0)[0])


def test_what_cannot_be_ended_is_named_within_a_minute(tmp_path: Path) -> None:
    """By its number and command, and why; it is let go."""
    begun = time.monotonic()
    asked, asking = os.pipe()
    with hung_file_system(tmp_path, asking) as file:
        process = subprocess.Popen(["cat", str(file)], stdout=subprocess.PIPE)
        with pytest.raises(LaterError) as caught, ending(process):
            until(lambda: is_asked(asked), "the file system is asked", 30)
        assert time.monotonic() - begun < at_most(50)
        assert f"pid {process.pid} (cat {file}) was killed and does not end" in str(caught.value)
        assert "a file system that does not answer" in str(caught.value)
    assert process.wait(10) is not None
    os.close(asked)
    os.close(asking)


def test_a_child_is_waited_for_within_a_bound() -> None:
    """Its exit status, or nothing as long as it lives."""
    with subprocess.Popen(["sh", "-c", "read -r _; exit 3"], stdin=subprocess.PIPE) as child:
        assert child.stdin
        assert reap(child.pid, 0) is None
        child.stdin.close()
        assert reap(child.pid, 30) == 3


def test_what_ends_is_waited_for() -> None:
    """By TERM, by itself, or at last by KILL."""
    for script in ("sleep 60", "exit 3", "trap '' TERM; sleep 60 & wait; sleep 60"):
        with ending(subprocess.Popen(["sh", "-c", script])) as process:
            pass
        assert process.poll() is not None


def test_an_ssh_that_hangs_on_a_dead_mount_ends_the_start(rig: Rig) -> None:
    """Such as a home on a server that is away: named within a minute, 75, and the lock is free."""
    rig.laptop.make_directory("/srv/dead")
    rig.configure()
    rig.ssh_config("CertificateFile /srv/dead/file\n", user="backup")
    argv = ["/usr/bin/python3", "-c", Path(hungfs.__file__).read_text(), "/srv/dead"]
    dead = rig.laptop.start(argv)
    assert dead.stdout
    assert dead.stdout.readline() == "ready\n"
    try:
        done = rig.wait(rig.start("run", "-v"), 120)
    finally:
        dead.communicate("")
    assert done.exit == 75
    assert "was killed and does not end; it waits for" in done.stderr
    assert "ssh -M" in done.stderr
    assert rig.run("status", "--json").json["running"] is None

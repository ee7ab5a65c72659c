"""A plugin for `./test coverage`: fetches what the hosts' processes note of the lines they ran.

Each writes that down when it ends, on its host. So before a host is gone, what still runs there is
asked to end. What is killed, by a test or by a host's loss of power, has noted nothing.
"""

import os
import shutil
from pathlib import Path

import pytest

from lab import Host, Lab
from lab.patience import Limit

NOTES = "/dev/shm"  # noqa: S108 - the host's own; [tool.coverage.run] in pyproject.toml
PATTERN = "asyncamanda.coverage.*"
OURS = "^/opt/asyncamanda/bin/python"
SECONDS = 10

DISTURBED = {  # by the notes, or by coverage.py itself
    "test_any_password_lets_in": "it looks for the password in all files, and argv is noted",
    "test_nobody_can_read_the_password_meanwhile": "the same",
    "test_what_python_is_told_by_the_session_loads_nothing": "coverage.py loads modules first",
    # a session of sshd's ends later than what it carried, by the time that noting takes
    "test_ten_sessions_are_enough_for_more_streams": "one more session is refused meanwhile",
    "test_sshd_that_allows_fewer_sessions_is_borne": "the same",
}


def fetch(host: Host) -> None:
    """Move a host's notes to $COVERAGE_DATA.*; it goes by what coverage.py calls them."""
    place = Path(os.environ["COVERAGE_DATA"])
    for note in host.path(NOTES).glob(PATTERN):
        if note.stat().st_size and not note.name.endswith("-journal"):
            shutil.move(note, place.with_name(f"{place.name}.{host.pid}.{note.name}"))


def end_all(host: Host) -> None:
    """Ask all that is ours on a host to end; return when it has, or is not going to."""
    host.run(["pkill", "-TERM", "-f", OURS], check=False)
    limit = Limit(SECONDS)
    while not host.run(["pgrep", "-f", OURS], check=False).returncode and not limit.is_over():
        pass


def pytest_configure() -> None:
    """Let each lab give its notes before it closes, and each host before it loses its power."""
    close, boot = Lab.close, Host.boot

    def fetch_and_close(lab: Lab) -> None:
        for host in lab.hosts:
            end_all(host)
            fetch(host)
        close(lab)

    def fetch_and_boot(host: Host) -> None:
        fetch(host)
        boot(host)

    patch = pytest.MonkeyPatch()
    patch.setattr(Lab, "close", fetch_and_close)
    patch.setattr(Host, "boot", fetch_and_boot)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the very files and modules that measuring needs."""
    left_out = [item for item in items if getattr(item, "originalname", item.name) in DISTURBED]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)

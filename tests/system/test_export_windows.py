"""An export or an import is killed at each step: no half of it counts; the next goes through."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.exported import PYTHON, SCRIPT, open_exported

from lab import Host


@pytest.fixture(scope="module")
def server(installed: Path) -> Iterator[Host]:
    """Yield a server that was exported."""
    with open_exported(installed) as host:
        yield host


def walk(server: Host, what: str) -> dict[str, list[str]]:
    """Return the faults that killing brought to light, by steps."""
    done = server.run([PYTHON, SCRIPT, what], timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    faults: dict[str, list[str]] = json.loads(done.stdout)
    if faults:
        faults["said"] = done.stderr.splitlines()[-40:]
    return faults


def test_an_export_is_whole_or_the_last_one_whenever_it_is_killed(server: Host) -> None:
    """And nothing else is left beside it."""
    assert walk(server, "export") == {}


def test_an_import_goes_through_whenever_it_was_killed_before(server: Host) -> None:
    """Nobody may come in before all is there."""
    assert walk(server, "import") == {}

"""How much of the broker's one user of a machine may have."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.client.restore.limits import AT_ONCE, RESTORES, TIMES, take_turn
from asyncamanda.errors import LaterError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TAKE = """
import sys
from pathlib import Path
from asyncamanda.client.restore.limits import take_turn
with take_turn(Path(sys.argv[1]), int(sys.argv[2])) as turn:
    print("taken", flush=True)
    sys.stdin.read()
"""


def begin(folder: Path, uid: int) -> subprocess.Popen[str]:
    """Start a process that takes a turn, and holds it until its stdin ends."""
    argv = [sys.executable, "-c", TAKE, str(folder), str(uid)]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_turn_is_held_until_its_end_whatever_is_counted_meanwhile(tmp_path: Path) -> None:
    """By processes: as many as there are turns, and one more as soon as one of them has ended."""
    with take_turn(tmp_path, 3000) as turn:
        turn.count_restore(NOW)
        others = [begin(tmp_path, 3000) for _ in range(AT_ONCE - 1)]
        for one in others:
            assert one.stdout
            assert one.stdout.readline() == "taken\n"
        refused = begin(tmp_path, 3000)
        assert "LaterError" in refused.communicate("")[1]
        assert begin(tmp_path, 3001).communicate("")[0] == "taken\n"
    assert begin(tmp_path, 3000).communicate("")[0] == "taken\n"
    for one in others:
        one.communicate("")


def test_a_user_who_restores_over_and_over_has_to_wait(tmp_path: Path) -> None:
    """And nobody else has to."""
    with take_turn(tmp_path, 3000) as turn:
        for _ in range(RESTORES.burst):
            turn.count_restore(NOW)
        with pytest.raises(LaterError, match="too often"):
            turn.count_restore(NOW)
        turn.count_restore(NOW + RESTORES.per)
        with pytest.raises(LaterError, match="too often"):
            turn.count_restore(NOW + RESTORES.per + timedelta(seconds=1))
    with take_turn(tmp_path, 3001) as turn:
        turn.count_restore(NOW)
    assert (tmp_path / TIMES).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", '{"3000": 1}', '{"3000": ["x", "y"]}', "9" * 5000])
def test_what_is_damaged_begins_again(tmp_path: Path, text: str) -> None:
    """A user gets no less by that."""
    (tmp_path / TIMES).write_text(text)
    with take_turn(tmp_path, 3000) as turn:
        turn.count_restore(NOW)
    assert (tmp_path / TIMES).read_text().startswith('{"3000": [')

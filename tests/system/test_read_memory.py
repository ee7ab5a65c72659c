"""Reading a memory never fails, whatever lies there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from asyncamanda.client.state.memory import (
    FILE_NAME,
    encode_memory,
    read_memory,
    set_aside,
    write_memory,
)
from asyncamanda.core.model import EPOCH, Memory, Span
from asyncamanda.errors import LaterError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXT = encode_memory(Memory(since=NOW)).encode()


def test_where_nothing_is_remembered_nothing_is_wrong(tmp_path: Path) -> None:
    """The first start begins with an empty memory and trusts amandates."""
    assert read_memory(tmp_path, NOW) == (Memory(since=NOW), None)
    assert read_memory(tmp_path / "missing", NOW) == (Memory(since=NOW), None)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Whole, and nothing is left beside it."""
    write_memory(tmp_path, Memory(since=NOW))
    assert read_memory(tmp_path, NOW) == (Memory(since=NOW), None)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\0" * 400, b"\xff\xfe", TEXT[:-9], b"[]", b"{}", b"null", b"[" * 100_000),
        TEXT.replace(b'"2026-11-23T12:00:00+00:00"', b'"0001-01-01T00:00:00+14:00"'),
    ],
    ids=range(9),
)
def test_a_damaged_memory_distrusts_all_up_to_now(tmp_path: Path, raw: bytes) -> None:
    """It may have held that the last run failed; set aside, it leaves that distrust behind."""
    (tmp_path / FILE_NAME).write_bytes(raw)
    memory, damage = read_memory(tmp_path, NOW)
    assert memory == Memory(since=NOW, distrusted=(Span(EPOCH, NOW),))
    assert damage
    assert str(tmp_path / FILE_NAME) in damage
    assert set_aside(tmp_path, memory, NOW).read_bytes() == raw
    assert read_memory(tmp_path, NOW) == (memory, None)


def test_a_folder_in_its_place_is_damage(tmp_path: Path) -> None:
    """What cannot be read is as good as damaged."""
    (tmp_path / FILE_NAME).mkdir()
    memory, damage = read_memory(tmp_path, NOW)
    assert damage
    assert set_aside(tmp_path, memory, NOW).is_dir()
    assert read_memory(tmp_path, NOW) == (memory, None)


def test_a_damaged_memory_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without either, amandates would be believed."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / FILE_NAME).write_bytes(b"{")
    monkeypatch.setattr("asyncamanda.system.files.os.fsync", refuse)
    with pytest.raises(LaterError):
        set_aside(tmp_path, Memory(since=NOW), NOW)
    assert (tmp_path / FILE_NAME).read_bytes() == b"{"
    assert not (tmp_path / f".{FILE_NAME}.new").exists()

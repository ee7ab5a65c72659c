"""The record of a machine's use on disk: damaged, without room, and by this machine's clocks."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.client.start.settings import Moments, Plan
from asyncamanda.client.state.use import (
    FILE_NAME,
    count_now,
    decode_use,
    encode_use,
    keep_use,
    look_back,
    read_use,
)
from asyncamanda.core.conditions.judge import Conditions, Pause
from asyncamanda.core.exposure.record import Sighting, UseRecord, expose
from asyncamanda.core.model import Policy
from asyncamanda.core.ssh.argv import SshOptions, Target
from asyncamanda.system.past_boots import look_at_clocks

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MOMENTS = Moments(
    Conditions(), Pause.FINISH, HOUR, inhibit_lid=False, retry_within=HOUR, spread=HOUR
)


def make_plan(folder: Path, moments: Moments | None = MOMENTS) -> Plan:
    """A plan whose agent keeps all in `folder`."""
    target = Target("amanda")
    return Plan(target, None, Policy(DAY), SshOptions(), folder / "x", folder, moments=moments)


def count(
    folder: Path, *began_at: datetime, sighted: tuple[Sighting, ...] | None = None
) -> UseRecord:
    """Count, and write it down."""
    plan = replace(make_plan(folder), sighted=sighted)
    record = count_now(plan, began_at)
    assert record
    keep_use(plan, record)
    return record


def test_the_use_is_counted_from_one_start_to_the_next(tmp_path: Path) -> None:
    """By the clock that does not go on in sleep; nothing but hours is written."""
    first = count(tmp_path)
    clocks = look_at_clocks()
    assert clocks
    second = count(tmp_path, clocks[1].at)
    assert first.used == 0
    assert second.used == second.last.awake - first.last.awake
    assert read_use(tmp_path) == (second, False)
    exposure = expose(second, clocks[1].at)
    assert exposure.used is not None
    assert timedelta(0) <= exposure.used < HOUR
    assert not exposure.is_least
    keys = {"format", "used", "gaps", "last", "days", "marks", "dumps"}
    assert {*json.loads((tmp_path / FILE_NAME).read_text("utf-8"))} == keys
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_after_another_start_of_the_system_it_is_at_least(tmp_path: Path) -> None:
    """Unless the journal says how the last one ended."""
    record = count(tmp_path)
    ago = record.last.at - DAY
    old = replace(record, last=Sighting("0" * 32, ago, 100.0))
    keep_use(make_plan(tmp_path), old)
    assert look_back(tmp_path) is None  # there is no journal of that start
    plan = make_plan(tmp_path)
    unknown = count_now(plan, ())
    assert unknown
    assert unknown.gaps == 1
    assert unknown.used == unknown.last.awake
    end = Sighting("0" * 32, ago + HOUR, 3700.0)
    known = count_now(replace(plan, sighted=(end,)), ())
    assert known
    assert known.gaps == 0
    assert known.used == pytest.approx(3600 + known.last.awake)


@pytest.mark.parametrize("damaged", ["", "{}", "[]", '{"format": 1}', "\0" * 9, "[" * 99_999])
def test_a_damaged_record_is_set_aside_and_counting_begins_again(
    tmp_path: Path, damaged: str
) -> None:
    """What was before is not known, which is not the same as none."""
    (tmp_path / FILE_NAME).write_text(damaged)
    assert read_use(tmp_path) == (None, True)
    record = count(tmp_path)
    assert (tmp_path / f"{FILE_NAME}.damaged").read_text("utf-8") == damaged
    assert read_use(tmp_path) == (record, False)
    assert expose(record, datetime.now(UTC) - HOUR).is_least


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("used", -1),
        ("used", float("inf")),
        ("used", True),
        ("gaps", "x"),
        ("last", ["one", "2026-12-01T12:00:00", 1]),
        ("days", {"2026-12-01": -1}),
        ("days", {"x": 1}),
        ("days", {f"2026-{m:02}-{d:02}": 1 for m in range(1, 6) for d in range(1, 29)}),
        ("marks", [[1]]),
        ("dumps", [["2026-12-01T12:00:00+00:00", None, 0, False]]),
    ],
)
def test_a_record_out_of_bounds_is_damaged(tmp_path: Path, key: str, value: object) -> None:
    """Whoever wrote that, it counts for nothing."""
    whole = encode_use(count(tmp_path)) | {key: value}
    (tmp_path / FILE_NAME).write_text(json.dumps(whole))
    assert read_use(tmp_path) == (None, True)


def test_without_room_the_old_record_stays(tmp_path: Path) -> None:
    """It is counted from there later: nothing is lost."""
    record = count(tmp_path)
    gone = make_plan(tmp_path / "not-there")
    keep_use(gone, record)
    assert not gone.state.exists()
    assert decode_use(encode_use(record)) == record


def test_the_classic_form_counts_nothing(tmp_path: Path) -> None:
    """It stays as it is."""
    plan = make_plan(tmp_path, None)
    assert count_now(plan, ()) is None
    keep_use(plan, None)
    assert list(tmp_path.iterdir()) == []

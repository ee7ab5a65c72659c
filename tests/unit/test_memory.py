"""The agent's memory as text."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asyncamanda.client.state.memory import FORMAT, decode_memory, encode_memory
from asyncamanda.core.agent.by_gate import heed_welcome
from asyncamanda.core.agent.remember import note_end
from asyncamanda.core.model import (
    Attempt,
    BackupState,
    DumpRecord,
    DumpState,
    Memory,
    Outcome,
    Peer,
    Span,
    Started,
)
from asyncamanda.core.protocol.bounds import MOST_ENTRIES
from asyncamanda.core.protocol.messages import LARGEST_FROM_SERVER, DleState, Welcome
from asyncamanda.core.protocol.wire import encode, server_decoder

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
DUMP = DumpRecord('/\udce9\n"', 3, NOW, 36_000)
FULL = Memory(
    since=NOW,
    confirmed={DUMP.disk: DUMP},
    distrusted=(Span(NOW, NOW + timedelta(hours=1)),),
    started=Started(NOW, NOW, 4711, "20261123120000"),
    attempts=(
        Attempt(NOW, NOW, Outcome.FAILED, "why", 4, (DumpRecord("/", 0, NOW),), run="20261122"),
        Attempt(NOW, NOW, Outcome.UNREACHABLE, "why not", times=7),
    ),
    dles=(DUMP.disk, "/"),
    parked=(DUMP.disk,),
    restorable={DUMP.disk: NOW - timedelta(days=9)},
    proved={DUMP.disk: NOW - timedelta(days=2)},
    unproved={DUMP.disk: "its volume is missing"},
    is_unproved_told=True,
    asked_at=NOW,
    not_before=NOW + timedelta(hours=2),
    ticket="1795413303-0123",
    is_doubted=True,
    tries=3,
    retry_at=NOW + timedelta(minutes=9),
    seen="power=mains metered=no networks=[]",
    told={"mail": BackupState.STALE},
    peer=Peer(
        address="backup@amanda",
        host_keys=("a", "b"),
        keys=("c",),
        name="laptop",
        command="d",
        amandates="/var/lib/amanda/amandates",
        client="laptop",
        amanda_config="daily",
        files=("/etc/hostname", '/\udce9\n"'),
        digest="e",
    ),
    past=(Attempt(NOW, NOW, Outcome.BACKED_UP, dumps=(DUMP,)),),
)
# what read_memory() takes for damage
REFUSALS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@pytest.mark.parametrize("memory", [FULL, Memory(since=NOW), Memory(since=NOW, dles=())])
def test_what_is_remembered_is_read_back(memory: Memory) -> None:
    """To the microsecond, and whatever a disk is called."""
    assert decode_memory(encode_memory(memory)) == memory


def test_a_memory_has_a_bound_whatever_the_server_says() -> None:
    """As many disks as a client may have, with names as long as a line allows, run after run."""
    disks = [f"/{number}{'x' * 150}" for number in range(MOST_ENTRIES)]
    span = timedelta(seconds=15)
    dles = tuple(DleState(disk, DumpState.HELD, 0, NOW) for disk in disks)
    said = Welcome(1, "a", "h", "daily", NOW, span, dles, "idle", None)
    (welcome,) = server_decoder().feed(encode(said))
    assert isinstance(welcome, Welcome)
    memory = heed_welcome(FULL, welcome, NOW)
    dumps = tuple(memory.confirmed.values())
    for number in range(10):
        at = NOW + number * timedelta(hours=1)
        good = Attempt(at, at, Outcome.BACKED_UP, dumps=dumps)
        memory = note_end(note_end(memory, good), Attempt(at, at, Outcome.FAILED, "x" * 10**6))
    assert len(encode_memory(memory)) < 2 * LARGEST_FROM_SERVER


def test_the_text_is_ascii() -> None:
    """A name that is not UTF-8 does not keep the memory from being written."""
    assert encode_memory(FULL).isascii()


def test_a_time_in_another_zone_is_the_same_time() -> None:
    """Times are UTC once they are read."""
    text = encode_memory(Memory(since=NOW)).replace("12:00:00.123456+00:00", "14:00:00+02:00")
    assert decode_memory(text).since == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert decode_memory(text).since.tzinfo is UTC


def test_a_text_cut_anywhere_is_refused() -> None:
    """No half of a memory is taken for a whole one; only the last line's end may lack."""
    text = encode_memory(FULL)
    for length in range(len(text) - 1):
        with pytest.raises(REFUSALS):
            decode_memory(text[:length])


@pytest.mark.parametrize(
    "text",
    ["", "\0" * 100, "null", "[]", "1", '"x"', "{}", "{", '{"format": 2}', "\ufeff{}", "\udce9"],
)
def test_what_is_no_memory_is_refused(text: str) -> None:
    """Whatever a full disk or a crash left there."""
    with pytest.raises(REFUSALS):
        decode_memory(text)


@pytest.mark.parametrize("format_", [0, FORMAT - 1, FORMAT + 1, None, str(FORMAT)])
def test_a_memory_of_another_format_is_refused(format_: object) -> None:
    """A newer version's memory is not guessed at."""
    with pytest.raises(ValueError, match=f"is not {FORMAT}"):
        decode_memory(json.dumps({**json.loads(encode_memory(FULL)), "format": format_}))


@pytest.mark.parametrize("ticket", ["x" * 101, "a\n", 7, None])
def test_a_ticket_that_no_server_takes_is_damage(ticket: object) -> None:
    """Else the server would refuse this machine's hello from then on."""
    with pytest.raises(REFUSALS):
        decode_memory(json.dumps({**json.loads(encode_memory(FULL)), "ticket": ticket}))


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value within `value`."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(inner for key, item in items for inner in paths_in(item, (*path, key)))]


WHOLE = json.loads(encode_memory(FULL))


@pytest.mark.parametrize(
    "wrong",
    [None, True, 0, -1, 1.5, "", "x", [], [[]], [[1, 2]], {}, {"a": 1}, "2026-11-23T12:00:00"],
    ids=repr,
)
def test_a_wrong_value_anywhere_is_refused_or_harmless(wrong: Any) -> None:
    """Damage shows as one of the errors that are taken for it, and as no other."""
    for path in paths_in(WHOLE)[1:]:
        damaged = json.loads(encode_memory(FULL))
        place = damaged
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = wrong
        with suppress(*REFUSALS):
            decode_memory(json.dumps(damaged))


LATER_KEYS = {
    "restorable",
    "proved",
    "unproved",
    "is_unproved_told",
}  # that older versions have not written


@pytest.mark.parametrize(
    "path",
    [p for p in paths_in(WHOLE) if p and isinstance(p[-1], str) and p[-1] not in LATER_KEYS],
)
def test_a_missing_value_is_refused(path: tuple[Any, ...]) -> None:
    """Every key is needed that each version has written."""
    damaged = json.loads(encode_memory(FULL))
    place = damaged
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    with pytest.raises(REFUSALS):
        decode_memory(json.dumps(damaged))


def test_the_memory_of_an_older_version_is_as_good() -> None:
    """An update makes no backup due: what came later is just not known."""
    older = {k: v for k, v in json.loads(encode_memory(FULL)).items() if k not in LATER_KEYS}
    assert decode_memory(json.dumps(older)) == replace(
        FULL, restorable={}, proved={}, unproved={}, is_unproved_told=False
    )


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ("4711", "1e999"),
        ("2026-11-23T12:00:00.123456+00:00", "9999-12-31T23:59:59-14:00"),
        ("2026-11-23T12:00:00.123456+00:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_numbers_and_times_out_of_bounds_are_refused(found: str, put: str) -> None:
    """One changed byte can make a number endless."""
    text = encode_memory(FULL)
    assert found in text
    with pytest.raises(REFUSALS):
        decode_memory(text.replace(found, put))


@pytest.mark.parametrize("started", [False, 0, "", [], {}], ids=repr)
def test_a_start_that_is_empty_is_no_missing_start(started: object) -> None:
    """Only null says that nothing was started."""
    with pytest.raises(REFUSALS):
        decode_memory(json.dumps({**WHOLE, "started": started}))


def test_a_text_that_nests_without_end_is_refused() -> None:
    """It must not end the start either."""
    with pytest.raises(REFUSALS):
        decode_memory("[" * 100_000)


def test_a_time_without_its_zone_is_refused() -> None:
    """It could be hours off."""
    with pytest.raises(ValueError, match="no time zone"):
        decode_memory(json.dumps({**WHOLE, "since": "2026-11-23T12:00:00"}))

"""The agent's memory: one JSON file, replaced whole.

After a crash at any moment it is the old one or the new one. A damaged one is set aside.
"""

import contextlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asyncamanda.client.start.folders import unwritable
from asyncamanda.core.model import (
    EPOCH,
    Attempt,
    BackupState,
    DumpRecord,
    Memory,
    Outcome,
    Peer,
    Span,
    Started,
)
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import AsyncamandaError
from asyncamanda.report.json import attempt_value, dump_value, time_value
from asyncamanda.system.files import write_whole

FORMAT = 4
FILE_NAME = "memory.json"
LONGEST_TICKET = 100  # characters, as the server takes it
ALIVE_EVERY = timedelta(minutes=1)

# what decoding a damaged file may end with, OverflowError for a time or number out of bounds
_UNDECODABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


def read_memory(folder: Path, now: datetime) -> tuple[Memory, str | None]:
    """Return what is remembered in `folder`, and what is wrong with it (None: nothing).

    A damaged memory may have held that the last run failed, so whatever amandates says
    up to now is distrusted: the next start backs up.
    """
    path = folder / FILE_NAME
    try:
        return decode_memory(path.read_text("utf-8")), None
    except FileNotFoundError:
        return Memory(since=now), None
    except (OSError, *_UNDECODABLE) as error:
        forgotten = Memory(since=now, distrusted=(Span(EPOCH, now),))
        return forgotten, f"{path} is damaged ({type(error).__name__}: {error})"


def set_aside(folder: Path, memory: Memory, now: datetime) -> Path:
    """Replace a damaged memory by `memory`, and keep it beside that, for inspection.

    Returns its new name. It stays in its place until the new one is there: without either,
    amandates would be trusted. Raises LaterError or RefusedError, as write_memory() does.
    """
    path = folder / FILE_NAME
    aside = path.with_name(f"{FILE_NAME}.damaged-{now:%Y%m%dT%H%M%SZ}")
    try:
        aside.unlink(missing_ok=True)
        try:
            aside.hardlink_to(path)
        except OSError:  # a file system without links, or no file
            path.rename(aside)
    except OSError as error:
        raise unwritable(folder, error) from error
    write_memory(folder, memory)
    return aside


def write_memory(folder: Path, memory: Memory) -> None:
    """Remember `memory`.

    Raises LaterError or RefusedError if it cannot be written; then the old one stays.
    """
    try:
        write_whole(folder / FILE_NAME, encode_memory(memory), 0o600)
    except OSError as error:
        raise unwritable(folder, error) from error


def say_alive(folder: Path, memory: Memory, now: datetime) -> Memory:
    """Return `memory`, whose run goes on, after writing down once a minute that its agent is alive.

    A full disk is no reason to leave the run.
    """
    if memory.started is None or now - memory.started.alive_at < ALIVE_EVERY:
        return memory
    memory = replace(memory, started=replace(memory.started, alive_at=now))
    with contextlib.suppress(AsyncamandaError):
        write_memory(folder, memory)
    return memory


def encode_memory(memory: Memory) -> str:
    """Return `memory` as JSON."""
    value = {
        "format": FORMAT,
        "since": time_value(memory.since),
        "confirmed": [dump_value(dump) for dump in memory.confirmed.values()],
        "distrusted": [[time_value(s.start), time_value(s.end)] for s in memory.distrusted],
        "started": memory.started and _encode_started(memory.started),
        "attempts": [attempt_value(attempt) for attempt in memory.attempts],
        "dles": memory.dles,
        "parked": memory.parked,
        "restorable": [[disk, time_value(since)] for disk, since in memory.restorable.items()],
        "proved": [[disk, time_value(at)] for disk, at in memory.proved.items()],
        "unproved": [[disk, fault] for disk, fault in memory.unproved.items()],
        "is_unproved_told": memory.is_unproved_told,
        "asked_at": time_value(memory.asked_at),
        "not_before": time_value(memory.not_before),
        "ticket": memory.ticket,
        "is_doubted": memory.is_doubted,
        "tries": memory.tries,
        "retry_at": time_value(memory.retry_at),
        "seen": memory.seen,
        "told": [[channel, state.value] for channel, state in memory.told.items()],
        "peer": memory.peer and asdict(memory.peer),
        "past": [attempt_value(attempt) for attempt in memory.past],
    }
    return json.dumps(value, indent=1) + "\n"


def decode_memory(text: str) -> Memory:
    """Return the memory that `text` holds. Raises one of _UNDECODABLE if it holds none."""
    value = parse_json(text)
    if value["format"] != FORMAT:
        raise ValueError(f"format {value['format']!r} is not {FORMAT}")
    confirmed = [_decode_dump(dump) for dump in value["confirmed"]]
    started, dles, peer = value["started"], value["dles"], value["peer"]
    return Memory(
        since=_decode_time(value["since"]),
        confirmed={dump.disk: dump for dump in confirmed},
        distrusted=tuple(
            Span(_decode_time(start), _decode_time(end)) for start, end in value["distrusted"]
        ),
        started=None if started is None else _decode_started(started),
        attempts=tuple(_decode_attempt(attempt) for attempt in value["attempts"]),
        dles=None if dles is None else tuple(str(disk) for disk in dles),
        parked=tuple(str(disk) for disk in value["parked"]),
        # an older version's memory has none
        restorable={str(k): _decode_time(since) for k, since in value.get("restorable", ())},
        proved={str(disk): _decode_time(at) for disk, at in value.get("proved", ())},
        unproved={str(disk): str(fault) for disk, fault in value.get("unproved", ())},
        is_unproved_told=value.get("is_unproved_told") is True,
        asked_at=_decode_time_or_none(value["asked_at"]),
        not_before=_decode_time_or_none(value["not_before"]),
        ticket=_decode_ticket(value["ticket"]),
        is_doubted=value["is_doubted"] is True,
        tries=int(value["tries"]),
        retry_at=_decode_time_or_none(value["retry_at"]),
        seen=str(value["seen"]),
        told={str(channel): BackupState(state) for channel, state in value["told"]},
        peer=None if peer is None else _decode_peer(peer),
        past=tuple(_decode_attempt(attempt) for attempt in value["past"]),
    )


def _encode_started(started: Started) -> dict[str, object]:
    return {
        "started_at": time_value(started.started_at),
        "alive_at": time_value(started.alive_at),
        "pid": started.pid,
        "run": started.run,
    }


def _decode_started(value: dict[str, Any]) -> Started:
    return Started(
        _decode_time(value["started_at"]),
        _decode_time(value["alive_at"]),
        int(value["pid"]),
        str(value["run"]),
    )


def _decode_peer(value: dict[str, Any]) -> Peer:
    return Peer(
        address=str(value["address"]),
        host_keys=tuple(map(str, value["host_keys"])),
        keys=tuple(map(str, value["keys"])),
        name=str(value["name"]),
        command=str(value["command"]),
        amandates=str(value["amandates"]),
        client=str(value["client"]),
        amanda_config=str(value["amanda_config"]),
        files=tuple(map(str, value["files"])),
        digest=str(value["digest"]),
    )


def _decode_attempt(value: dict[str, Any]) -> Attempt:
    return Attempt(
        started_at=_decode_time(value["started_at"]),
        ended_at=_decode_time(value["ended_at"]),
        outcome=Outcome(value["outcome"]),
        detail=str(value["detail"]),
        exit_status=None if value["exit_status"] is None else int(value["exit_status"]),
        dumps=tuple(_decode_dump(dump) for dump in value["dumps"]),
        times=int(value["times"]),
        run="" if value["run"] is None else str(value["run"]),
    )


def _decode_dump(value: dict[str, Any]) -> DumpRecord:
    at = _decode_time(value["started_at"])
    kilobytes = int(value["kilobytes"] or 0)
    return DumpRecord(str(value["disk"]), int(value["level"]), at, kilobytes)


def _decode_ticket(text: str) -> str:
    if len(text) > LONGEST_TICKET or not text.isprintable():
        raise ValueError("no ticket")
    return text


def _decode_time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _decode_time(text)


def _decode_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)

"""Verdicts and what follows from them, written within a transaction of the ledger's."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from asyncamanda.core.amanda.witness import Dump
from asyncamanda.core.dispatch.protect import next_protection
from asyncamanda.core.dispatch.records import (
    Protection,
    ProtectionKind,
    RunRow,
    join_verdicts,
)
from asyncamanda.core.model import DleVerdict
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.newest import (
    VERDICT,
    Dle,
    dles_with_full,
    in_pieces,
    newest_verdicts,
)
from asyncamanda.server.ledger.schema import protections, requests, runs, verdicts
from asyncamanda.server.ledger.strips import mark_verdicts
from asyncamanda.system.clock import format_local_stamp

Row = dict[str, Any]  # column: value

PROTECTION = [protections.c[name] for name in Protection.__dataclass_fields__]


def put_verdicts(connection: Connection, run: RunRow, words: Sequence[DleVerdict]) -> None:
    """Write what `run` says of dumps, its own and those that it brought to a volume."""
    stamps = {word.timestamp for word in words}
    known = known_verdicts(connection, run.amanda_config, stamps)
    runs_of = _runs_of(connection, run.amanda_config, stamps)
    carried = _machines_of(connection, run.id)
    fresh: list[Row] = []
    changed: dict[str, list[Row]] = {"run_id": [], "flushed_in": []}
    for word in words:
        dump = (word.host, word.disk, word.timestamp)
        is_own = _is_own(run, word)
        before = known.get(dump)
        verdict = known[dump] = join_verdicts(before, word, is_own=is_own) if before else word
        row = asdict(verdict) | {
            "dumped_at": verdict.dumped_at or run.begun_at,
            "amanda_config": run.amanda_config,
            "run_id": run.id if is_own else runs_of.get(word.timestamp, run.id),
            "flushed_in": None if is_own else run.id,
            "machine": carried.get(word.host) if is_own else None,
        }
        if before is None:
            fresh.append(row)
        elif is_own or verdict != before:
            changed["run_id" if is_own else "flushed_in"].append(row)
    if fresh:
        _clear_place(connection, fresh)
        connection.execute(insert(verdicts), fresh)
    for who, rows in changed.items():
        if rows:
            _change_verdicts(connection, rows, who)
    own = [word for word in words if _is_own(run, word)]
    mark_verdicts(connection, run.amanda_config, own, run.begun_at)


def drop_judged(
    connection: Connection, run: RunRow, words: Sequence[DleVerdict]
) -> list[DleVerdict]:
    """Return what is news in the log of a run that was judged: only dumps that are there.

    The run's end knew more: that it was killed, and why, and that nobody had touched its dumps.
    """
    known = known_verdicts(connection, run.amanda_config, {word.timestamp for word in words})
    return [
        word
        for word in words
        if word.state.is_confirmed or (word.host, word.disk, word.timestamp) not in known
    ]


def _clear_place(connection: Connection, rows: Sequence[Row]) -> None:
    """Remove what stands where new rows belong: only what cannot be read (bad_rows.py)."""
    keys = ("amanda_config", "host", "disk", "timestamp")
    its = [{f"its_{key}": row[key] for key in keys} for row in rows]
    statement = delete(verdicts).where(
        *(verdicts.c[key] == bindparam(f"its_{key}") for key in keys)
    )
    connection.execute(statement, its)


def _is_own(run: RunRow, word: DleVerdict) -> bool:
    """Return whether `run` made the dump; else it only brought it to a volume."""
    return run.timestamp in {None, word.timestamp}


def _change_verdicts(connection: Connection, rows: Sequence[Row], who: str) -> None:
    """Write what is known now, and by whom: `who` is the column that has the run's number."""
    keys = ("amanda_config", "host", "disk", "timestamp")
    written = [who, *(column.name for column in VERDICT if column.name not in keys)]
    written += ["machine"] * (who == "run_id")
    statement = (
        update(verdicts)
        .where(*(verdicts.c[key] == bindparam(f"its_{key}") for key in keys))
        .values({name: bindparam(f"new_{name}") for name in written})
    )
    its = [{f"its_{key}": row[key] for key in keys} for row in rows]
    new = [{f"new_{name}": row[name] for name in written} for row in rows]
    connection.execute(statement, [old | fresh for old, fresh in zip(its, new, strict=True)])


def _machines_of(connection: Connection, run_id: int) -> dict[str, int | None]:
    """Return, for each client that a run serves, the machine whose session carries its dumps."""
    query = select(requests.c.client, requests.c.machine).where(requests.c.run_id == run_id)
    return {str(client): machine for client, machine in connection.execute(query)}


def known_verdicts(
    connection: Connection, amanda_config: str, stamps: set[str]
) -> dict[Dump, DleVerdict]:
    """Return what is known of the dumps of these timestamps."""
    found: list[DleVerdict] = []
    for some in in_pieces(stamps):
        query = select(*VERDICT).where(
            verdicts.c.amanda_config == amanda_config, verdicts.c.timestamp.in_(some)
        )
        found += read_each(connection, query, DleVerdict, "verdicts")
    return {(verdict.host, verdict.disk, verdict.timestamp): verdict for verdict in found}


def _runs_of(connection: Connection, amanda_config: str, stamps: set[str]) -> dict[str, int]:
    """Return the known runs of these timestamps."""
    found: dict[str, int] = {}
    for some in in_pieces(stamps):
        query = select(runs.c.timestamp, runs.c.id).where(
            runs.c.amanda_config == amanda_config, runs.c.timestamp.in_(some)
        )
        found |= {str(stamp): number for stamp, number in connection.execute(query)}
    return found


def put_protections(connection: Connection, run: RunRow, words: Sequence[DleVerdict]) -> None:
    """Write what the DLEs of which `run` speaks need, now that their verdicts are written.

    Their newest verdicts decide, whether or not these are that run's.
    """
    dles = list(dict.fromkeys((word.host, word.disk) for word in words))
    newest = newest_verdicts(connection, run.amanda_config, dles)
    needs = read_protections(connection, run.amanda_config)
    known = {(need.host, need.disk): need for need in needs}
    for dle in dles:
        wanted = next_protection(
            known.get(dle),
            newest[dle],
            has_full=_has_full(connection, run.amanda_config, newest[dle]),
        )
        if wanted != known.get(dle):
            put_protection(connection, run.amanda_config, dle, wanted)


def _has_full(connection: Connection, amanda_config: str, dump: DleVerdict) -> bool:
    """Return whether the server has a full of the disk, by a session of that dump's machine."""
    if not dump.level:
        return True
    machine = select(verdicts.c.machine).where(
        verdicts.c.amanda_config == amanda_config,
        verdicts.c.host == dump.host,
        verdicts.c.disk == dump.disk,
        verdicts.c.timestamp == dump.timestamp,
    )
    its = connection.execute(machine).scalar_one_or_none()
    return bool(dles_with_full(connection, amanda_config, [(dump.host, dump.disk)], its))


def put_protection(
    connection: Connection, amanda_config: str, dle: Dle, wanted: Protection | None
) -> None:
    """Write what a DLE needs, in place of what it needed before."""
    host, disk = dle
    connection.execute(
        delete(protections).where(
            protections.c.amanda_config == amanda_config,
            protections.c.host == host,
            protections.c.disk == disk,
        )
    )
    if wanted:
        values = asdict(wanted) | {"amanda_config": amanda_config}
        connection.execute(insert(protections).values(values))


def plan_forced_full(dle: Dle, at: datetime) -> Protection:
    """Return that a DLE needs a full dump, by a run that begins after that."""
    return Protection(*dle, format_local_stamp(at), ProtectionKind.FORCE, 0, dumped_at=at)


def read_protections(connection: Connection, amanda_config: str) -> list[Protection]:
    """Return all needs, those of which Amanda was told as well."""
    query = (
        select(*PROTECTION)
        .where(protections.c.amanda_config == amanda_config)
        .order_by(protections.c.host, protections.c.disk)
    )
    return read_each(connection, query, Protection, "protections")

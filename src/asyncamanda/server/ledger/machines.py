"""Which machine each client is: the ledger's side of tickets (core/protocol/tickets.py).

Each function is one transaction of the ledger's, and raises what those raise.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from asyncamanda.core.protocol.tickets import (
    Claim,
    Machine,
    MachineFinding,
    decide_machine,
    dispute,
    renew,
    take_in,
)
from asyncamanda.server.ledger.bad_rows import read_each
from asyncamanda.server.ledger.database import transaction
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.newest import walk_values
from asyncamanda.server.ledger.schema import machines, verdicts
from asyncamanda.server.ledger.verdicts import plan_forced_full, put_protection


@dataclass(frozen=True, slots=True)
class Received:
    """The result of a hello: the machine as the ledger has it now, None where it has none.

    `is_news`: that it was found so is not said yet.
    """

    finding: MachineFinding
    machine: Machine | None
    is_news: bool = False


def receive(  # noqa: PLR0913 (what a hello is judged by)
    ledger: Ledger,
    client: str,
    claim: Claim,
    at: datetime,
    *,
    is_elsewhere: bool | None,
    random: str,
    dles: tuple[str, Collection[str]],
) -> Received:
    """Judge a hello, and write down what follows: a new ticket, or that there are two machines.

    `is_elsewhere` is as decide_machine() has it, `random` are 32 hexadecimal digits. `dles` are
    the client's, the name of its Amanda configuration first: where another machine has been
    this client before, Amanda begins again with each of them.
    """
    with transaction(ledger.engine, is_writing=True) as connection:
        known = _read(connection, client)
        finding = decide_machine(known, claim.ticket, is_elsewhere=is_elsewhere)
        if finding is MachineFinding.ASK:
            return Received(finding, known)
        if finding is MachineFinding.SECOND:
            assert known
            machine = dispute(known, claim.host_name, at)
        else:
            machine = take_in(known, client, claim, finding, at, random)
            if known and not known.ticket:
                _force_all(connection, client, dles, at)
        _write(connection, machine)
        return Received(finding, machine, is_news=known is None or machine.noted != known.noted)


def judge_probe(ledger: Ledger, client: str, claim: Claim, at: datetime) -> Received:
    """Return what would become of a hello; nothing is written."""
    with transaction(ledger.engine, is_writing=False) as connection:
        known = _read(connection, client)
    finding = decide_machine(known, claim.ticket)
    if known and finding is MachineFinding.SECOND:
        known = dispute(known, claim.host_name, at)
    return Received(finding, known)


def note_written(ledger: Ledger, client: str, ticket: str, at: datetime) -> None:
    """Write down that a client has written down the ticket that it was given, if it is its newest.

    It has shown that by what it said after its Welcome.
    """
    with transaction(ledger.engine, is_writing=True) as connection:
        connection.execute(
            update(machines)
            .where(machines.c.client == client, machines.c.ticket == ticket)
            .values(is_written=True, seen_at=at)
        )


def open_anew(ledger: Ledger, client: str, *, is_settling: bool) -> bool:
    """Let the next machine that comes be the client; return whether that changed anything.

    `is_settling`: only if two were said to be it.
    """
    with transaction(ledger.engine, is_writing=True) as connection:
        known = _read(connection, client)
        if known is None or (is_settling and not known.disputed_at):
            return False
        if is_settling:  # what no session carried is of one of the two, and nobody knows of which
            for name in walk_values(connection, verdicts.c.amanda_config):
                connection.execute(
                    update(verdicts)
                    .where(
                        verdicts.c.amanda_config == name,
                        verdicts.c.host == client,
                        verdicts.c.machine.is_(None),
                    )
                    .values(machine=known.lineage)
                )
        _write(connection, renew(known))
        return True


def read_machines(ledger: Ledger) -> dict[str, Machine]:
    """Return the machine that each client is, as far as any has come."""
    with transaction(ledger.engine, is_writing=False) as connection:
        found = read_each(connection, select(machines), Machine, "machines")
        return {machine.client: machine for machine in found}


def _read(connection: Connection, client: str) -> Machine | None:
    query = select(machines).where(machines.c.client == client)
    return next(iter(read_each(connection, query, Machine, "machines")), None)


def _write(connection: Connection, machine: Machine) -> None:
    connection.execute(delete(machines).where(machines.c.client == machine.client))
    connection.execute(insert(machines).values(asdict(machine)))


def _force_all(
    connection: Connection, client: str, dles: tuple[str, Collection[str]], at: datetime
) -> None:
    """Note that each DLE needs a full dump: what Amanda has may be another machine's.

    A run that began before now makes none of this good, for it dumps the machine that was.
    """
    amanda_config, disks = dles
    for disk in disks:
        dle = client, disk
        put_protection(connection, amanda_config, dle, plan_forced_full(dle, at))

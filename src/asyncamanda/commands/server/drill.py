"""asyncamanda server drill: prove that clients' backups can be restored."""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asyncamanda.commands.server.options import (
    add_common,
    load_as_amanda_user,
    open_ledger_to_read,
    unknown_client,
    warn,
)
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.dispatch.drills import Dle
from asyncamanda.core.dispatch.records import ProofRow
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, Exit, LaterError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.proofs import NOTHING, describe_proof, proof_value
from asyncamanda.server.background.log import close_log, open_own_log
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import read_registry, registry_path
from asyncamanda.server.gate import ipc
from asyncamanda.system.clock import now
from asyncamanda.system.locks import Held, hold_lock

if TYPE_CHECKING:
    from asyncamanda.server.ledger.ledger import Ledger
    from asyncamanda.server.restore.source import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "clients", metavar="CLIENT", nargs="*", help="whose disks to prove (default: all clients')"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="read all bytes of the dumps and compare their checksums",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Prove each disk, print what was found, and return NOT_STORED if one cannot be restored.

    If one cannot be drilled now it is LATER.

    Raises BadDataError for a client that is not enrolled, LaterError if drills are made just now,
    what options.open_ledger_to_read() raises, and ConfigurationError if Amanda cannot tell.
    """
    config = load_as_amanda_user(arguments)
    chosen = _choose(read_registry(registry_path(config.user)), arguments.clients)
    ledger = open_ledger_to_read(config)
    values, is_good = [], True
    passed_over: list[Dle] = []
    try:
        for name in sorted({entry.amanda_config for entry in chosen} if ledger else ()):
            hosts = sorted({each.client for each in chosen if each.amanda_config == name})
            for dle, proof in _drill(
                config, ledger, name, hosts, passed_over, is_full=arguments.full
            ):
                is_good = is_good and (proof is None or proof.is_good)
                values.append(proof_value(name, dle, proof))
                if not arguments.json:
                    print_folded(describe_proof(dle, proof))
    finally:
        if ledger:
            ledger.close()
    if arguments.json:
        print(render_json(values))
    elif not values:
        print(NOTHING)
    if not is_good:
        return Exit.NOT_STORED
    return Exit.LATER if passed_over else Exit.OK


def _choose(entries: Sequence[Enrolled], clients: Sequence[str]) -> list[Enrolled]:
    known = sorted({entry.client for entry in entries})
    for client in clients:
        if client not in known:
            raise unknown_client(client, known)
    return [entry for entry in entries if not clients or entry.client in clients]


def _drill(  # noqa: PLR0913 - half of it says which disks
    config: ServerConfig,
    ledger: "Ledger | None",
    name: str,
    hosts: Sequence[str],
    passed_over: list[Dle],
    *,
    is_full: bool,
) -> Iterator[tuple[Dle, ProofRow | None]]:
    """Yield each disk of the hosts with its proof, None where nothing of it is promised.

    Those that cannot be drilled now are added to `passed_over`.
    """
    from asyncamanda.server.restore.drills import FOLDER, Drills  # noqa: PLC0415 - loads much
    from asyncamanda.server.restore.serve import bound_memory  # noqa: PLC0415 - as above
    from asyncamanda.server.restore.source import read_stock  # noqa: PLC0415 - as above

    assert ledger
    bound_memory()
    stock = read_stock(name)
    dles = [
        (dle.host, dle.disk)
        for host in hosts
        for dle in stock.dles.get(host, ())
        if not dle.is_parked
    ]

    def read_source(host: str) -> "Source":
        return stock.find_source(ledger, host, tuple(config.restore.filters))

    def hear(dle: Dle, error: AsyncamandaError) -> None:
        warn(f"{printable(':'.join(dle))}: not drilled: {error.message}")
        passed_over.append(dle)

    open_own_log(Path(ipc.STATE, "drill.log"))
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        with hold_lock(FOLDER / f"{name}.lock", now()):
            # who asks for it by hand waits as long as it takes, and may end it
            drills = Drills(
                ledger, name, read_source, config.drill.sample, hear=hear, longest=math.inf
            )
            yield from drills.drill((dle, is_full) for dle in dles)
    except Held as error:
        raise LaterError(
            "drilling",
            f"drills of {name} are made just now, since it was their time",
            "asyncamanda server drill, when they have ended",
        ) from error
    finally:
        close_log()

"""asyncamanda prove: get a few files back, and compare them with those that are here."""

import argparse
import contextlib
import os
import random
import sys
from functools import partial

from asyncamanda.client.restore.proof_start import ProofStart, plan_proof
from asyncamanda.commands.options import add_common
from asyncamanda.core.restore.proof import ClientProof, judge_proofs
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError, Exit, LaterError
from asyncamanda.report.json import render_json
from asyncamanda.report.page import print_folded
from asyncamanda.report.proof import describe_proof, proof_value

NICENESS = 19


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--if-due",
        action="store_true",
        help="for the timer: only disks whose last proof is old, on mains and an unmetered line",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Prove what is due, or with --if-due nothing; say what came of it.

    Raises what plan_proof() and prove_disks() raise, and LaterError where nothing is backed up yet.
    """
    start = plan_proof(arguments.config, is_if_due=arguments.if_due)
    if arguments.if_due and (start.deferred or start.is_idle):
        if start.has_news:
            _conclude(arguments.config, [], with_server=False)
        return _say_nothing(start, is_json=arguments.json)
    if not start.disks and not arguments.if_due:
        raise LaterError(
            "nothing-backed-up",
            "no backup of this machine is confirmed, so there is nothing to prove",
            "asyncamanda run",
        )
    if arguments.if_due:
        os.nice(NICENESS)
    proofs: list[ClientProof] = []
    try:
        if start.disks:
            _prove(arguments, start, proofs)
    except AsyncamandaError:
        if proofs:  # of other disks
            _conclude(arguments.config, proofs, with_server=False)
        raise
    _conclude(arguments.config, proofs, with_server=True)
    if arguments.json:
        disks = [*map(proof_value, proofs)]
        print(render_json({"outcome": _name_outcome(proofs), "reason": None, "disks": disks}))
    return judge_proofs(proofs)


def _name_outcome(proofs: list[ClientProof]) -> str:
    names = {Exit.OK: "proved", Exit.NOT_STORED: "failed"}
    return names.get(judge_proofs(proofs), "nothing") if proofs else "not due"


def _say_nothing(start: ProofStart, *, is_json: bool) -> Exit:
    outcome = "deferred" if start.deferred else "not due"
    if is_json:
        reason = start.deferred or None
        print(render_json({"outcome": outcome, "reason": reason, "disks": []}))
    elif sys.stderr.isatty():
        print_folded(start.deferred or "no proof is due")
    return Exit.LATER if start.deferred else Exit.OK


# loading these takes longer than most starts, in which nothing is due


def _prove(arguments: argparse.Namespace, start: ProofStart, proofs: list[ClientProof]) -> None:
    from asyncamanda.client.restore.exchange import Interrupted  # noqa: PLC0415 - as said above
    from asyncamanda.client.restore.gateway import Gateway  # noqa: PLC0415
    from asyncamanda.client.restore.proving import prove_disks  # noqa: PLC0415
    from asyncamanda.client.restore.way import open_line  # noqa: PLC0415
    from asyncamanda.system.interrupts import catch_stop  # noqa: PLC0415

    def tell(proof: ClientProof) -> None:
        proofs.append(proof)
        if not arguments.json:
            print_folded(describe_proof(proof))

    with catch_stop() as stop:
        gateway = Gateway(partial(open_line, arguments.config, stop), stop, _note)
        with contextlib.closing(gateway):
            try:
                prove_disks(gateway, start.disks, random.SystemRandom(), tell)
            except Interrupted:
                raise gateway.explain_stop() from None


def _conclude(named: str | None, proofs: list[ClientProof], *, with_server: bool) -> None:
    from asyncamanda.client.restore.proof_end import conclude_proofs  # noqa: PLC0415 - as above

    for problem in conclude_proofs(named, proofs, with_server=with_server):
        _note(f"warning: {problem}")


def _note(text: str) -> None:
    print(printable(text), file=sys.stderr)

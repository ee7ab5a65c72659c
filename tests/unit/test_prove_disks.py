"""Proving several disks, one after the other: which of them keeps others from their turn."""

import random
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

import pytest

from asyncamanda.client.restore import proving
from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.core.model import EPOCH
from asyncamanda.core.restore.answer import DiskAnswer, RestorePlan
from asyncamanda.core.restore.proof import ClientProof, ProofStanding, changed_limit
from asyncamanda.errors import AsyncamandaError, LaterError

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Answering:
    """A server that has two disks."""

    def ask_disks(self, *, asks_on: bool) -> list[DiskAnswer]:
        """Return them."""
        assert asks_on
        return [cast("DiskAnswer", _Disk(name)) for name in ("/large", "/home")]


class _Disk:
    def __init__(self, disk: str) -> None:
        self.disk = disk


def prove(monkeypatch: pytest.MonkeyPatch, error: AsyncamandaError) -> list[ClientProof]:
    """Return the proofs of three disks, of which proving the large one ends with `error`."""

    def prove_one(self: proving.DiskProver) -> ClientProof:
        if self._disk.disk == "/large":
            raise error
        return ClientProof(self._disk.disk, ProofStanding.GOOD)

    monkeypatch.setattr(proving.DiskProver, "prove", prove_one)
    told: list[ClientProof] = []
    disks = dict.fromkeys(("/new", "/large", "/home"), NOON)
    with suppress(AsyncamandaError):
        proving.prove_disks(cast("Gateway", Answering()), disks, random.Random(1), told.append)  # noqa: S311 - no secret
    return told


def test_a_disk_that_takes_too_long_has_had_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the next start begins with the others."""
    slow = LaterError(proving.TOO_LONG, "it took too long", "try again")
    proofs = [(proof.disk, proof.standing) for proof in prove(monkeypatch, slow)]
    assert proofs == [("/new", ProofStanding.NOTHING), ("/large", ProofStanding.NOTHING)]


def test_what_was_proved_before_the_server_went_away_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the disk at which that was is to be tried again."""
    away = LaterError("connection-lost", "it is away", "try again")
    assert [proof.disk for proof in prove(monkeypatch, away)] == ["/new"]


def test_a_server_with_an_impossible_clock_proves_nothing() -> None:
    """And ends nothing."""
    disk = cast("DiskAnswer", _Disk("/home"))
    prover = proving.DiskProver(cast("Gateway", Answering()), disk, NOON, random.Random(1))  # noqa: S311 - no secret
    late = datetime(9998, 1, 1, tzinfo=UTC)
    for dumped_at, now in ((EPOCH, late), (late, EPOCH), (EPOCH, EPOCH)):
        plan = RestorePlan("1", dumped_at, 1, 1, 1, (), now=now)
        limit, _ = prover._heed_plan(plan)
        assert limit <= changed_limit(NOON)

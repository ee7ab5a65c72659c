"""Which dumps are read for a date: never a chain that has a hole."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.restore.chain import Candidate, Chain, Failure, NoChain, choose_chain

START = datetime(2026, 11, 1, 2, tzinfo=UTC)


def at(day: float) -> datetime:
    """Return a time, so many days after the first."""
    return START + timedelta(days=day)


def dump(day: float, level: int, *, is_gone: bool = False, is_held: bool = False) -> Candidate:
    """Return a dump of that day; its stamp is its day."""
    return Candidate(f"run{day}", level, at(day), 100, is_held, is_gone)


def chosen(chain: Chain | NoChain) -> list[str]:
    """Return the stamps of a chain."""
    assert isinstance(chain, Chain), chain
    return [each.timestamp for each in chain.dumps]


WEEK = [dump(0, 0), dump(1, 1), dump(2, 1), dump(3, 2), dump(4, 2), dump(5, 1), dump(7, 0)]


@pytest.mark.parametrize(
    ("day", "stamps"),
    [
        (0, ["run0"]),
        (1.5, ["run0", "run1"]),
        (2, ["run0", "run2"]),
        (3, ["run0", "run2", "run3"]),
        (4.9, ["run0", "run2", "run4"]),
        (5, ["run0", "run5"]),
        (6.9, ["run0", "run5"]),
        (7, ["run7"]),
        (99, ["run7"]),
    ],
)
def test_a_chain_is_the_newest_dump_and_what_it_builds_on(day: float, stamps: list[str]) -> None:
    """Each the newest older one of a lower level, however they are given."""
    assert chosen(choose_chain(WEEK, (), at(day))) == stamps
    assert chosen(choose_chain(reversed(WEEK), (), at(day))) == stamps


def test_without_a_date_it_is_the_newest_and_a_run_is_itself() -> None:
    """Whatever else there is."""
    assert chosen(choose_chain(WEEK)) == ["run7"]
    assert chosen(choose_chain(WEEK, run="run3")) == ["run0", "run2", "run3"]
    assert choose_chain(WEEK, run="run6") == NoChain("run run6 has made no backup of it")


def test_the_order_is_that_of_the_ledgers_times() -> None:
    """In the hour that comes twice a later run has the earlier stamp."""
    full = Candidate("20261025025500", 0, at(0))
    later = Candidate("20261025020500", 1, at(0.01))
    assert chosen(choose_chain([later, full])) == ["20261025025500", "20261025020500"]


def test_a_dump_that_is_there_several_times_is_read_once() -> None:
    """From the holding disk, if it is still there."""
    copies = [dump(0, 0, is_gone=True), dump(0, 0), dump(0, 0, is_held=True), dump(0, 0)]
    chain = choose_chain(copies)
    assert isinstance(chain, Chain)
    assert chain.dumps == (dump(0, 0, is_held=True),)


def test_what_another_builds_on_cannot_be_replaced_by_an_older_one() -> None:
    """It would give older files, and say that they are the right ones."""
    dumps = [dump(0, 0), dump(1, 1), dump(2, 1, is_gone=True), dump(3, 2)]
    assert choose_chain(dumps) == NoChain(
        "the level 1 of 2026-11-03 02:00 UTC, which the level 2 of 2026-11-04 02:00 UTC builds on, "
        "is gone: its volume has been reused"
    )
    assert chosen(choose_chain(dumps, (), at(2.5))) == ["run0", "run1"]
    assert choose_chain(dumps, run="run2") == NoChain(
        "the backup of the level 1 of 2026-11-03 02:00 UTC is gone: its volume has been reused"
    )


@pytest.mark.parametrize(
    "dumps",
    [
        [dump(0, 0), dump(1, 2)],
        [dump(1, 1), dump(2, 2)],
        [dump(1, 1)],
        [dump(0, 0), dump(1, 1), dump(2, 3)],
        [dump(1, 1), dump(1.5, 0)][:1],
    ],
)
def test_a_level_that_is_missing_is_a_dump_that_nobody_knows(dumps: list[Candidate]) -> None:
    """Amanda raises levels by one."""
    found = choose_chain(dumps)
    assert isinstance(found, NoChain)
    assert "builds on is not known" in found.reason


def test_what_cannot_be_had_is_said() -> None:
    """None at all, none so old, none any more."""
    assert choose_chain([]) == NoChain("there is no backup of it")
    assert choose_chain(WEEK, (), at(-1)) == NoChain(
        "the oldest backup that is there is the full of 2026-11-01 02:00 UTC"
    )
    assert choose_chain([dump(0, 0, is_gone=True)]) == NoChain(
        "all its backups are gone: their volumes have been reused"
    )
    assert choose_chain([dump(0, 0, is_gone=True), dump(1, 0)], (), at(0.5)) == NoChain(
        "the oldest backup that is there is the full of 2026-11-02 02:00 UTC"
    )


@pytest.mark.parametrize(
    ("failure", "is_doubt"),
    [
        (Failure("bad", 1, at(2.5)), True),  # its snapshot is what level 2 is compared with
        (Failure("bad", 0, at(2.5)), True),
        (Failure("bad", None, at(2.5)), True),
        (Failure("bad", 2, at(2.5)), False),  # level 2 does not build on that
        (Failure("bad", 2, at(3.5)), False),
        (Failure("bad", 1, at(3.5)), False),  # after all of them
        (Failure("bad", 0, at(1.5)), True),
        (Failure("bad", 1, at(1.5)), False),  # the level 1 that came then replaced its snapshot
        (Failure("run2", 1, at(2)), True),  # tried once more in the run that made it
        (Failure("run3", 1, at(3)), False),
        (Failure("bad", 0, at(-1)), False),
    ],
)
def test_an_attempt_in_between_makes_a_doubt(failure: Failure, is_doubt: bool) -> None:
    """Where it may have renewed the snapshot that the later dump was compared with."""
    chain = choose_chain(WEEK, [failure], at(3))
    assert isinstance(chain, Chain)
    assert bool(chain.doubts) is is_doubt
    assert all(f"the backup of run {failure.timestamp} failed" in doubt for doubt in chain.doubts)

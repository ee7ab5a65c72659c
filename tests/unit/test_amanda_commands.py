"""What Amanda's commands are asked, and what is read out of their answers."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from asyncamanda.server.amanda.commands import (
    Settings,
    is_worker,
    plan_amdump,
    plan_amflush,
    plan_force,
)

DAILY = Settings("daily", Path("/srv/log"), (), ())


def test_a_run_is_for_the_hosts_by_their_exact_names() -> None:
    """It touches no volume, sends no mail, and no name is taken for a pattern.

    Nor does the length of the volumes, of which it uses none, keep any dump from being made.
    """
    assert plan_amdump(DAILY, ["laptop", "tablet"], timedelta(minutes=2)) == [
        "amdump",
        "daily",
        "--no-taper",
        "-oruntapes=1000000",
        "--exact-match",
        "-omailto=",
        "-oreq-tries=15",
        "laptop",
        "tablet",
    ]


def test_a_run_may_have_a_disklist_of_its_own() -> None:
    """An option of all that it starts, before the hosts."""
    argv = plan_amdump(DAILY, ["laptop"], timedelta(0), Path("/srv/own list"))
    assert argv[-2:] == ["-odiskfile=/srv/own list", "laptop"]


def test_a_run_with_a_taper_may_take_so_many_volumes() -> None:
    """Whatever the configuration has thresholds for; and it flushes nothing that is held."""
    assert plan_amdump(DAILY, ["laptop"], timedelta(0), run_tapes=9) == [
        "amdump",
        "daily",
        "--no-flush",
        "-oflush-threshold-dumped=0",
        "-oflush-threshold-scheduled=0",
        "-otaperflush=0",
        "-oruntapes=9",
        "--exact-match",
        "-omailto=",
        "-oreq-tries=3",
        "laptop",
    ]


def test_a_storage_of_its_own_is_told_as_well() -> None:
    """Its own runtapes would count, and not that of the command line."""
    argv = plan_amdump(replace(DAILY, storages=("main",)), ["laptop"], timedelta(0), run_tapes=9)
    assert [word for word in argv if "runtapes" in word] == [
        "-oruntapes=9",
        "-ostorage:main:runtapes=9",
    ]


@pytest.mark.parametrize(
    ("grace", "tries"),
    [(timedelta(0), 3), (timedelta(seconds=0.1), 4), (timedelta(seconds=10), 4)],
)
def test_a_run_waits_for_a_held_call_as_long_as_that_is_held(grace: timedelta, tries: int) -> None:
    """And for as long as Amanda would anyway beside."""
    assert f"-oreq-tries={tries}" in plan_amdump(DAILY, ["laptop"], grace)


def test_a_flush_is_of_all_and_asks_nothing() -> None:
    """In the foreground, so that its end is seen; whatever the configuration waits for."""
    assert plan_amflush("daily") == [
        "amflush",
        "-b",
        "-f",
        "-omailto=",
        "-oflush-threshold-dumped=0",
        "-oflush-threshold-scheduled=0",
        "-otaperflush=0",
        "daily",
    ]


@pytest.mark.parametrize("kind", ["force", "force-no-bump"])
def test_a_dle_is_forced_by_a_disklist_of_its_own(kind: str) -> None:
    """In which there is nothing else that its name could mean."""
    assert plan_force("daily", kind, "laptop") == [
        "amadmin",
        "daily",
        "-odiskfile=/dev/stdin",
        kind,
        "=laptop",
    ]


@pytest.mark.parametrize(
    "argv",
    [
        ["/usr/bin/perl", "/usr/sbin/amdump", "daily", "--no-taper", "laptop"],
        ["/usr/bin/perl", "/usr/sbin/amflush", "-b", "-f", "daily"],
        ["/usr/bin/perl", "/usr/lib/amanda/taper", "daily", "--storage", "daily"],
        ["/usr/sbin/amcleanup", "daily"],
        ["/usr/lib/amanda/planner", "daily", "--starttime", "20261124130000"],
        ["driver", "daily", "--no-taper"],
    ],
)
def test_a_program_of_a_run_is_known(argv: list[str]) -> None:
    """Whether ps shows its interpreter or not; and only for its own configuration."""
    assert is_worker(argv, "daily")
    assert not is_worker(argv, "weekly")
    assert not is_worker(argv, "dail")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["amdump"],
        ["/usr/bin/perl", "/usr/sbin/amstatus", "daily"],
        ["/usr/sbin/amadmin", "daily", "dles"],
        ["less", "daily", "amdump"],
        ["/usr/lib/amanda/amdumper", "daily"],
        ["daily", "daily"],
        # one of asyncamanda's that waits for its number to be written down
        ["/bin/sh", "-c", 'read -r go && exec "$@"', "sh", "amdump", "daily"],
    ],
)
def test_everything_else_is_no_run(argv: list[str]) -> None:
    """What only looks, what only names a run's program, and what has not begun."""
    assert not is_worker(argv, "daily")

"""Amanda's usual reasons, said by the real one: each is known, and people are told its meaning."""

from collections.abc import Callable

import pytest
from tests.e2e.office import CONF, DISK, HOLDING

from asyncamanda.core.amanda.reasons import REASONS, explain_reason, find_meaning
from asyncamanda.core.amanda.runlog import RunLog, parse_run_log
from asyncamanda.core.model import DumpState
from lab import Lab
from lab.amanda import AmandaServer

NO_TAPER = ("--no-taper", "-oruntapes=1000")
BIG = 30_000_000  # bytes, for which neither the holding disk nor two volumes have room


def change(server: AmandaServer, *pairs: tuple[str, str]) -> None:
    """Let amanda.conf have a small holding disk and small volumes, and what else is wanted."""
    conf = server.read(CONF)
    small = (
        ("length 500 mbytes", "length 10 mbytes\n    part-size 2 mbytes"),
        ("use 500 mbytes", "use 20 mbytes"),
    )
    for old, new in (*small, *pairs):
        assert old in conf, old
        conf = conf.replace(old, new)
    server.write(CONF, conf, owner="backup")


def dump(lab: Lab, *words: str) -> RunLog:
    """Return the log of an amdump of the laptop, which fails."""
    argv = ("amdump", "daily", *words, "--exact-match", "-omailto=", "laptop")
    done = lab.server.amanda(*argv, check=False)
    assert done.returncode != 0
    log = parse_run_log(lab.server.run_logs()[-1])
    assert log
    return log


def never(lab: Lab) -> RunLog:
    """Dump a disk of which nothing may be held."""
    change(lab.server, ("retry-dump 5", "holdingdisk never"))
    return dump(lab, *NO_TAPER)


def degraded(lab: Lab) -> RunLog:
    """Dump a disk for which there is no room in the holding disk."""
    change(lab.server)
    return dump(lab, *NO_TAPER)


def full(lab: Lab) -> RunLog:
    """Dump a disk that is larger than was estimated, into a file system that is too small."""
    change(
        lab.server,
        ("use 20 mbytes", "use 40 mbytes"),
        ("retry-dump 5", "retry-dump 1\n    estimate server"),
    )
    tmpfs = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=777", "tmpfs", HOLDING]
    lab.server.run(tmpfs)
    return dump(lab, *NO_TAPER)


def too_large(lab: Lab) -> RunLog:
    """Dump a disk that is larger than all volumes that one run may take."""
    change(lab.server)
    return dump(lab)


def no_volume(lab: Lab) -> RunLog:
    """Dump to volumes, of which there are none that have a label."""
    change(lab.server, ('autolabel "DAILY-%%%" empty', ""))
    return dump(lab, "-oruntapes=10")


def unreadable(lab: Lab) -> RunLog:
    """Dump a disk that is not there."""
    lab.client.remove(DISK)
    return dump(lab, *NO_TAPER)


def lost(lab: Lab) -> RunLog:
    """Dump a client that is not there; again where the planner died, as that of 3.5.4 can."""
    lab.client.cut()
    for _ in range(5):
        log = dump(lab, *NO_TAPER, "-oreq-tries=1")
        if log.verdicts[0].state is not DumpState.MISSING:
            break
    return log


SITUATIONS: tuple[Callable[[Lab], RunLog], ...] = (
    never,
    degraded,
    full,
    too_large,
    no_volume,
    unreadable,
    lost,
)


def test_every_reason_is_said_by_the_real_one() -> None:
    """Below, by a test of its own."""
    assert {one.__name__.replace("_", "-") for one in SITUATIONS} == {*REASONS}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.__name__)
def test_amanda_says_it_and_people_are_told_what_it_means(
    bare_lab: Lab, situation: Callable[[Lab], RunLog]
) -> None:
    """With Amanda's own words behind."""
    bare_lab.client.add_tree(DISK, files=3, bytes_each=BIG // 3)
    bare_lab.server.add_dle("laptop", DISK)
    log = situation(bare_lab)
    (verdict,) = log.verdicts
    name = situation.__name__.replace("_", "-")
    assert find_meaning(verdict.reason), verdict
    told = explain_reason(verdict.reason, "; ".join(log.errors))
    assert told.startswith(REASONS[name].meaning), told
    assert "(Amanda: " in told

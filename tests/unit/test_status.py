"""What `status` says: the worst first, what to do, and a line for each disk."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.due import Disk, Witness
from asyncamanda.core.agent.summary import Summary, judge_summary
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.model import Attempt, DiskRule, DumpRecord, Outcome, Policy
from asyncamanda.core.restore.proof import ClientProof, ProofStanding
from asyncamanda.core.restore.proofs import LastProof
from asyncamanda.report.json import render_json
from asyncamanda.report.proof import describe_proved
from asyncamanda.report.status import (
    advise,
    describe_disks,
    describe_excludes,
    describe_reach,
    describe_waits,
    format_when,
    status_value,
    tell_state,
)
from asyncamanda.report.text import format_time

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAILY = Policy(DAY)
NEWEST = Policy(DAY, DiskRule.NEWEST)
EARLY = DAY * 0.97


def disk(name: str, ago: timedelta | None, level: int = 0, kilobytes: int = 36_000) -> Disk:
    """Return a disk whose last dump started `ago` before now, None for none."""
    return Disk(name, None if ago is None else DumpRecord(name, level, NOW - ago, kilobytes))


def tried(outcome: Outcome, detail: str = "", ago: timedelta = HOUR) -> Attempt:
    """Return an attempt that ended `ago`."""
    return Attempt(NOW - ago - MINUTE, NOW - ago, outcome, detail)


def summary(
    *disks: Disk,
    attempts: tuple[Attempt, ...] = (),
    policy: Policy = DAILY,
    witness: Witness = Witness.SERVER,
    since: timedelta = DAY,
) -> Summary:
    """Return what is known of `disks`."""
    return Summary(
        NOW, NOW - since, witness, policy, disks, attempts, NOW - 3 * HOUR, None, None, None
    )


def told(known: Summary) -> str:
    """Return the first line."""
    return tell_state(known, judge_summary(known, NOW), NOW)


def test_parked_disks_are_said_to_be() -> None:
    """All of them: nothing is backed up, and who can say why; else beside the others."""
    parked = Disk("/old", is_parked=True)
    status = judge_summary(summary(parked), NOW)
    assert told(summary(parked)) == (
        "parked: nothing is backed up; the server is configured to leave out /old"
    )
    assert "parked them" in advise(status)
    beside = judge_summary(summary(parked, disk("/home", HOUR)), NOW)
    assert describe_disks(beside, DAILY, NOW)[1] == "/old: parked"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (
            summary(disk("/", HOUR), disk("/b", 5 * HOUR)),
            "all well: every disk has a backup confirmed by the server, the oldest 5 hours old; "
            f"the next is due {format_when(NOW - 5 * HOUR + EARLY, NOW)}",
        ),
        (
            summary(disk("/", HOUR), witness=Witness.AMANDATES),
            "all well: every disk has a backup, the oldest 1 hour old; "
            f"the next is due {format_when(NOW - HOUR + EARLY, NOW)}",
        ),
        (
            summary(disk("/", HOUR), disk("/b", 9 * DAY), policy=NEWEST),
            "all well: the newest backup is 1 hour old; "
            f"the next is due {format_when(NOW - HOUR + EARLY, NOW)}",
        ),
        (
            summary(disk("/", 26 * HOUR), disk("/b", 3 * DAY), disk("/c", HOUR)),
            "overdue: /, /b (one is due every 1d); the oldest backup is 3 days old",
        ),
        (
            summary(disk("/", 26 * HOUR), policy=NEWEST),
            "overdue: the newest backup is 26 hours old, and one is due every 1d",
        ),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.UNREACHABLE, "no route"),)),
            "overdue: / (one is due every 1d); the oldest backup is 26 hours old; "
            "the last try, 1 hour ago: unreachable: no route",
        ),
        (
            summary(
                disk("/", 26 * HOUR),
                attempts=(tried(Outcome.DEFERRED, "deferred, because the network is metered"),),
            ),
            "deferred: because the network is metered; "
            "overdue: / (one is due every 1d); the oldest backup is 26 hours old",
        ),
        (summary(disk("/", None), disk("/b", HOUR)), "no backup known: /"),
        (
            summary(disk("/", None), disk("/b", 26 * HOUR)),
            "no backup known: /; overdue: /b",
        ),
        (
            summary(
                disk("/", None),
                attempts=(tried(Outcome.DEFERRED, "deferred, because it is late"),),
            ),
            "no backup known: /; the last try, 1 hour ago: deferred, because it is late",
        ),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.BACKED_UP, ago=26 * HOUR),)),
            "overdue: / (one is due every 1d); the oldest backup is 26 hours old",
        ),
        (
            summary(disk("/", None), witness=Witness.NOBODY),
            "no backup known: the server was never asked",
        ),
        (summary(witness=Witness.NOBODY), "no backup known: the server was never asked"),
        (summary(), "no backup known: the server's disklist has no disk of this client"),
        (
            summary(witness=Witness.AMANDATES),
            "no backup known: never backed up: amandates lists no disk",
        ),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.FAILED, "/: failed: full"),)),
            "FAILING: the run 1 hour ago failed: /: failed: full",
        ),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.INCOMPLETE, "no /b"),)),
            "FAILING: the run 1 hour ago left something out: no /b",
        ),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.KILLED, "gone"),)),
            "FAILING: the run 1 hour ago was killed on the server: gone",
        ),
        (
            summary(disk("/", 2 * HOUR), attempts=(tried(Outcome.REFUSED, "no such key"),)),
            "FAILING: refused, 1 hour ago: no such key",
        ),
        (
            summary(disk("/", None), attempts=(tried(Outcome.LOST, "it broke"),)),
            "FAILING: / was never backed up, though a run was made; "
            "the last one, 1 hour ago: lost: it broke",
        ),
        (
            summary(
                disk("/", 9 * DAY), disk("/b", 8 * DAY), disk("/c", 26 * HOUR), disk("/d", HOUR)
            ),
            "STALE: no backup of /, /b for 9 days",
        ),
        (
            summary(disk("/", 9 * DAY), attempts=(tried(Outcome.FAILED, "full"),)),
            "STALE: no backup of / for 9 days; the last try, 1 hour ago: failed: full",
        ),
        (
            summary(disk("/", 9 * DAY), policy=NEWEST),
            "STALE: no backup of any disk for 9 days",
        ),
        (
            summary(disk("/", None), since=8 * DAY),
            "STALE: no backup since this client was set up 8 days ago",
        ),
    ],
)
def test_the_first_line_is_the_worst_with_its_reason(known: Summary, words: str) -> None:
    """Nobody has to read on to know whether something is wrong."""
    assert told(known) == words


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (summary(disk("/", HOUR)), ""),
        (summary(disk("/", 26 * HOUR)), "the next start makes the backup"),
        (summary(disk("/", None)), "the next start makes the backup"),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.DEFERRED, "late"),)),
            "`asyncamanda check` shows each condition",
        ),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.FAILED),)),
            "`asyncamanda server runs`",
        ),
        (
            summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.INCOMPLETE),)),
            "still in the server's disklist?",
        ),
        (summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.KILLED),)), "the next start"),
        (summary(disk("/", HOUR), attempts=(tried(Outcome.REFUSED, ago=MINUTE),)), "doctor"),
        (summary(disk("/", None), attempts=(tried(Outcome.LOST),)), "asyncamanda doctor"),
        (summary(disk("/", 9 * DAY)), "asyncamanda doctor"),
    ],
)
def test_what_to_do_is_said_where_something_is_to_be_done(known: Summary, words: str) -> None:
    """And nothing where all is well."""
    advice = advise(judge_summary(known, NOW))
    assert words in advice
    assert bool(advice) is bool(words)


def test_a_disk_is_told_with_level_size_age_and_when_it_is_due() -> None:
    """The worst first; where no size is known there is none."""
    known = summary(
        disk("/home", 2 * HOUR),
        disk("/late", 26 * HOUR, level=1, kilobytes=1_200),
        disk("/new", None),
        disk("/small", 2 * MINUTE, kilobytes=0),
    )
    status = judge_summary(known, NOW)
    late = format_when(NOW - 26 * HOUR + EARLY, NOW)
    assert describe_disks(status, DAILY, NOW) == [
        "/new: no backup known",
        f"/late: level 1, 1.2 MB, 26 hours ago; due since {late}",
        f"/home: full, 37 MB, 2 hours ago; next {format_when(NOW - 2 * HOUR + EARLY, NOW)}",
        f"/small: full, 2 minutes ago; next {format_when(NOW - 2 * MINUTE + EARLY, NOW)}",
    ]


def test_a_disk_that_is_not_waited_for_says_so() -> None:
    """And where any disk counts none is due by itself."""
    gone = disk("/gone", 40 * DAY)
    status = judge_summary(summary(disk("/", HOUR), gone, witness=Witness.AMANDATES), NOW)
    assert describe_disks(status, DAILY, NOW)[1].endswith("40 days ago; no longer required")
    status = judge_summary(summary(disk("/", HOUR), disk("/b", 2 * DAY), policy=NEWEST), NOW)
    assert {line.rpartition("; ")[0] for line in describe_disks(status, NEWEST, NOW)} == {""}


@pytest.mark.parametrize(
    "known",
    [
        summary(disk("\x1b[31m", HOUR)),
        summary(disk("\x1b[31m", 26 * HOUR)),
        summary(disk("\x1b[31m", None)),
        summary(disk("\x1b[31m", 9 * DAY)),
        summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.FAILED, "a\x1b[31m\nb"),)),
        summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.UNREACHABLE, "\x1b[31m"),)),
        summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.DEFERRED, "\x1b[31m"),)),
        summary(disk("/", None), attempts=(tried(Outcome.LOST, "\x1b[31m"),)),
    ],
)
def test_what_a_server_says_cannot_act_on_the_terminal(known: Summary) -> None:
    """Names and reasons are shown, not obeyed."""
    status = judge_summary(known, NOW)
    lines = [told(known), advise(status), *describe_disks(status, DAILY, NOW)]
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[31m" in "".join(lines)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(0), "today"),
        (DAY, "tomorrow"),
        (-DAY, "yesterday"),
    ],
)
def test_a_time_that_is_near_is_told_by_its_day(ahead: timedelta, words: str) -> None:
    """In the reader's time zone, to the minute."""
    moment = NOW + ahead
    assert format_when(moment, NOW) == f"{words} {moment.astimezone():%H:%M}"


@pytest.mark.parametrize("ahead", [2 * DAY, -2 * DAY, 400 * DAY])
def test_a_time_that_is_far_is_told_by_its_date(ahead: timedelta) -> None:
    """As everywhere."""
    assert format_when(NOW + ahead, NOW) == format_time(NOW + ahead)


def test_what_keeps_a_run_waiting_is_told() -> None:
    """Each with its reason; a next try only where something is due."""
    overdue = replace(
        summary(disk("/", 26 * HOUR), attempts=(tried(Outcome.UNREACHABLE),)),
        not_before=NOW + HOUR,
        retry_at=NOW + MINUTE,
        retry_within=HOUR,
    )
    assert describe_waits(judge_summary(overdue, NOW), NOW) == [
        f"waiting until {format_when(NOW + HOUR, NOW)}: the server said so",
        f"next try: at the first start after {format_when(NOW + MINUTE, NOW)}, "
        "or when power or network changes"
        "",
    ]
    lost = summary(
        disk("/", 26 * HOUR),
        attempts=(tried(Outcome.LOST, ago=MINUTE),),
        witness=Witness.AMANDATES,
    )
    assert describe_waits(judge_summary(lost, NOW), NOW) == [
        f"waiting until {format_when(NOW - MINUTE + HOUR, NOW)}: a run may still be in progress"
    ]
    left_out = replace(tried(Outcome.INCOMPLETE), run="20261123110000")
    known = summary(disk("/", 26 * HOUR), attempts=(left_out,))
    until = format_when(NOW - HOUR - MINUTE + EARLY, NOW)
    assert describe_waits(judge_summary(known, NOW), NOW) == [
        f"waiting until {until}: the last run did not include it"
    ]
    fresh = replace(overdue, disks=(disk("/", HOUR),), not_before=None)
    assert describe_waits(judge_summary(fresh, NOW), NOW) == []


SINCE, LATER = NOW - 40 * DAY, NOW - 3 * DAY


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ({"/": SINCE}, f"files can be restored since {format_time(SINCE)} (as of"),
        ({"/": SINCE, "/b": SINCE}, f"files can be restored since {format_time(SINCE)} (as of"),
        (
            {"/": SINCE, "/b": LATER},
            f"files can be restored: / since {format_time(SINCE)}, "
            f"/b since {format_time(LATER)} (as of",
        ),
        (
            {"/": SINCE, "/\n": None},
            f"files can be restored: / since {format_time(SINCE)}; not known: /\\x0a (as of",
        ),
        ({"/": None}, ""),
        ({}, ""),
    ],
)
def test_how_far_back_one_can_go_is_told_with_its_time(
    dates: dict[str, datetime | None], words: str
) -> None:
    """As the server said it last, where it did."""
    disks = [replace(disk(name, HOUR), restorable_since=since) for name, since in dates.items()]
    known = summary(*disks)
    status = judge_summary(known, NOW)
    told_reach = describe_reach(status, known.asked_at, NOW)
    assert told_reach.startswith(words)
    assert told_reach == "" or told_reach.endswith("the last connection, 3 hours ago)")
    assert describe_reach(status, None, NOW) == ""
    value = status_value(known, status, Rejected(), NOW)
    reach = max(dates.values()) if dates and all(dates.values()) else None  # type: ignore[type-var]
    assert value["restorable_since"] == (reach.isoformat() if reach else None)


def test_when_disks_were_proved_restorable_is_told_and_first_what_is_wrong() -> None:
    """Of the one for which that is longest ago; what is parked does not count."""
    home = replace(disk("/home", HOUR), proved_at=NOW - timedelta(days=40))
    srv = replace(disk("/srv", HOUR), proved_at=NOW - timedelta(days=2), proof_fault="gone\x1b")
    parked = replace(disk("/old", None), is_parked=True, proof_fault="gone")

    def say(*disks: Disk) -> list[str]:
        return describe_proved(judge_summary(summary(*disks, parked), NOW), (), NOW)

    assert say(disk("/home", HOUR)) == []
    day = (NOW - timedelta(days=40)).astimezone()
    proved = f"last proved restorable: {day:%Y-%m-%d}, 40 days ago"
    assert say(home) == [proved]
    assert say(home, srv) == ["NOT PROVED RESTORABLE: /srv: gone\\x1b", f"{proved} (/home)"]


def test_a_disk_that_is_parked_is_not_missed() -> None:
    """Nobody expects it to be restored."""
    parked = replace(disk("/old", None), is_parked=True)
    known = summary(replace(disk("/", HOUR), restorable_since=SINCE), parked)
    told_reach = describe_reach(judge_summary(known, NOW), known.asked_at, NOW)
    assert told_reach.startswith(f"files can be restored since {format_time(SINCE)} (")


def test_json_has_the_same_state_and_exit() -> None:
    """With the words of the first line, and what to do."""
    failed = tried(Outcome.FAILED, "full")
    known = summary(disk("/", 26 * HOUR), attempts=(failed,))
    status = judge_summary(known, NOW)
    value = json.loads(render_json(status_value(known, status, Rejected(), NOW)))
    assert {key: value[key] for key in ("state", "exit", "stale", "due")} == {
        "state": "failing",
        "exit": 100,
        "stale": False,
        "due": True,
    }
    assert value["message"] == told(known).partition(": ")[2]
    assert value["hint"] == advise(status)
    assert value["failure"]["detail"] == value["last_attempt"]["detail"] == "full"
    assert value["asked_at"] == (NOW - 3 * HOUR).isoformat()
    assert value["disks"][0]["last"]["kilobytes"] == 36_000
    well = summary(disk("/", HOUR))
    value = status_value(well, judge_summary(well, NOW), Rejected(), NOW)
    assert (value["state"], value["exit"], value["hint"]) == ("well", 0, None)
    assert (value["failure"], value["last_attempt"]) == (None, None)
    stale = summary(disk("/", 9 * DAY))
    value = status_value(stale, judge_summary(stale, NOW), Rejected(), NOW)
    assert (value["state"], value["exit"], value["stale"]) == ("stale", 101, True)


def test_what_is_left_out_is_told_as_it_is() -> None:
    """Amanda reads the list of the machine's own configuration, and that of no other."""
    assert describe_excludes((), is_read=True) == describe_excludes((), is_read=False) == ""
    names = ("*.iso", "a\x1bb")
    said = describe_excludes(names, is_read=True)
    assert said.startswith(r"left out by client.toml: *.iso, a\x1bb, if the dumptype reads")
    assert describe_excludes(names, is_read=False).startswith("not left out: *.iso")


def test_when_it_was_last_proved_that_files_come_back_is_told() -> None:
    """The disk that waits longest decides; a failure is told first, with its path escaped."""
    good = LastProof(ClientProof("/home", ProofStanding.GOOD), NOW, NOW - 2 * DAY, NOW - 9 * DAY)
    newer = replace(good, proof=ClientProof("/srv", ProofStanding.GOOD), good_at=NOW - DAY)
    day = (NOW - 2 * DAY).astimezone()
    words = f"last proved restorable: {day:%A}, 2 days ago"
    server = replace(disk("/home", HOUR), proved_at=NOW - 9 * DAY)

    def say(*known: LastProof) -> list[str]:
        status = judge_summary(summary(server, disk("/srv", HOUR)), NOW)
        return describe_proved(status, known, NOW)

    assert say(good, newer) == [words]
    fault = "/srv/\x1b[2J: it came back with other contents"
    failed = replace(newer, proof=ClientProof("/srv", ProofStanding.FAILED, faults=(fault,)))
    bad, still = say(good, failed)
    assert bad.startswith("proof of /srv FAILED ")
    assert "/srv/\\x1b[2J: it came back with other contents" in bad
    assert still == f"{words} (/home)"
    none = ClientProof("/srv", ProofStanding.NOTHING, why="there was no good moment for it yet")
    waiting = LastProof(none, NOW, None, NOW)
    assert say(good, waiting) == [f"{words} (/home)"]
    server = disk("/home", HOUR)
    assert say(waiting) == ["not proved restorable yet: there was no good moment for it yet"]
    assert say() == []

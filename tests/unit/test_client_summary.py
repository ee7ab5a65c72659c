"""The summary that every user of the machine may read."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.client.start.settings import Moments, Plan
from asyncamanda.client.state.assessment import Assessment
from asyncamanda.client.state.stored import LATEST
from asyncamanda.client.state.summary import (
    FORMAT,
    LARGEST,
    decode_summary,
    encode_summary,
    summarize_assessment,
)
from asyncamanda.core.agent.by_gate import decide_by_gate
from asyncamanda.core.agent.due import Disk, Witness, decide_due
from asyncamanda.core.agent.starting import Waits
from asyncamanda.core.agent.summary import PROOF_FAILED, judge_summary, summarize
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.conditions.judge import Conditions, Pause
from asyncamanda.core.model import (
    Attempt,
    BackupState,
    DumpRecord,
    Memory,
    Outcome,
    Policy,
    Span,
    Started,
)
from asyncamanda.core.ssh.argv import SshOptions, Target

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECRET = "hunter2"
# what read_summary() takes for damage
REFUSALS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
PLAN = Plan(
    target=Target("amanda", user=SECRET, password=SECRET),
    command=None,
    policy=Policy(DAY),
    options=SshOptions(key=f"/{SECRET}"),
    amandates=Path(f"/{SECRET}"),
    state=Path(f"/{SECRET}"),
    moments=Moments(Conditions(), Pause.FINISH, HOUR, False, HOUR, HOUR / 12),
)
DUMP = DumpRecord('/\udce9\n"', 3, NOW - HOUR, 36_000)
MEMORY = Memory(
    since=NOW - DAY,
    confirmed={DUMP.disk: DUMP},
    distrusted=(Span(NOW, NOW + HOUR),),
    started=Started(NOW, NOW, 4711, SECRET),
    attempts=(Attempt(NOW - HOUR, NOW, Outcome.FAILED, "why", -9, (DUMP,), 3, "20261123"),),
    dles=(DUMP.disk, "/"),
    asked_at=NOW,
    not_before=NOW + HOUR,
    tries=3,
    retry_at=NOW + HOUR,
    seen=SECRET,
    told={SECRET: BackupState.STALE},
)


def assessment(
    memory: Memory = MEMORY, plan: Plan = PLAN, disks: tuple[Disk, ...] = ()
) -> Assessment:
    """Return what is seen now."""
    is_by_command = plan.command is not None
    decision = (
        decide_due(disks, plan.policy, NOW)
        if is_by_command
        else decide_by_gate(memory, plan.policy, (), NOW)
    )
    witness = Witness.AMANDATES if is_by_command else Witness.SERVER
    return Assessment(
        now=NOW,
        memory=memory,
        damage=None,
        disks=disks,
        rejected=Rejected(),
        decision=decision,
        witness=witness,
        is_stale=False,
        waits=Waits(),
        contact_at=None,
        differences=(),
        glimpses=[],
    )


def test_what_is_left_for_everybody_has_no_secret() -> None:
    """Of plan and memory only what is named here goes into it."""
    text = encode_summary(summarize(summarize_assessment(PLAN, assessment())))
    assert SECRET not in text
    assert "amanda" not in text  # the server's name
    assert text.isascii()
    assert {field.name for field in fields(Memory)} - {*json.loads(text)} == {
        "confirmed",  # as disks
        "distrusted",
        "started",
        "dles",
        "tries",
        "seen",
        "parked",
        "restorable",  # as disks
        "proved",  # as disks
        "unproved",  # as disks, without words that name files
        "past",
        "peer",
        "ticket",
        "is_doubted",
        "told",
        "is_unproved_told",
    }


def test_what_is_left_is_read_back() -> None:
    """To the microsecond, and whatever a disk is called."""
    left = summarize(summarize_assessment(PLAN, assessment()))
    assert decode_summary(encode_summary(left).encode()) == left
    assert [disk.last for disk in left.disks] == [None, DUMP]
    named = tuple(replace(disk, proved_at=NOW, proof_fault="./a/secret") for disk in left.disks)
    told = decode_summary(encode_summary(summarize(replace(left, disks=named))).encode())
    assert {(disk.proved_at, disk.proof_fault) for disk in told.disks} == {(NOW, PROOF_FAILED)}
    assert left.retry_within == PLAN.policy.interval
    classic = replace(left, retry_within=None, asked_at=None)
    assert decode_summary(encode_summary(classic).encode()) == classic


@pytest.mark.parametrize("later", [timedelta(0), 25 * HOUR, 40 * DAY])
def test_it_is_judged_as_the_agent_would(later: timedelta) -> None:
    """By the gate every disk of the server's is waited for; else those behind are forgotten."""
    old = DumpRecord("/old", 0, NOW - 40 * DAY)
    memory = replace(MEMORY, confirmed={DUMP.disk: DUMP, "/old": old}, dles=(DUMP.disk, "/old"))
    left = decode_summary(encode_summary(summarize_assessment(PLAN, assessment(memory))).encode())
    status = judge_summary(left, NOW + later)
    assert status.decision == decide_by_gate(memory, PLAN.policy, (), NOW + later)
    direct = replace(PLAN, command="amdump")
    disks = (Disk(DUMP.disk, DUMP), Disk("/old", old))
    left = decode_summary(
        encode_summary(summarize_assessment(direct, assessment(memory, direct, disks))).encode()
    )
    assert judge_summary(left, NOW + later).decision == decide_due(disks, PLAN.policy, NOW + later)


def test_a_dump_of_a_far_future_is_written_as_one() -> None:
    """What a wrong clock left in amandates keeps nobody from reading the rest."""
    odd = DumpRecord("/", 0, datetime(9999, 12, 31, tzinfo=UTC))
    direct = replace(PLAN, command="amdump")
    left = summarize_assessment(direct, assessment(plan=direct, disks=(Disk("/", in_future=odd),)))
    (disk,) = decode_summary(encode_summary(left).encode()).disks
    assert disk.in_future == replace(odd, started_at=LATEST)


def changed(**values: object) -> bytes:
    """Return a summary's text with these values instead of its own."""
    left = json.loads(encode_summary(summarize_assessment(PLAN, assessment())))
    return json.dumps(left | values).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        changed(format=FORMAT + 1),
        changed(since="2026-11-23T12:00:00"),
        changed(since="1969-01-01T00:00:00+00:00"),
        changed(since="9999-12-31T00:00:00+00:00"),
        changed(since=5),
        changed(witness="a stranger"),
        changed(interval=-1),
        changed(interval=1e300),
        changed(interval=True),
        changed(interval=10**12),
        changed(waited_for=[5]),
        changed(disks=[{"disk": "/"}]),
        changed(
            disks=[
                {"disk": 5, "last": None, "in_future": None, "distrusted": None, "is_parked": False}
            ]
        ),
        changed(attempts=[{}]),
        changed(retry_within="1h"),
    ],
)
def test_what_is_no_summary_is_refused(raw: bytes) -> None:
    """Whatever a full disk, a crash or somebody left there."""
    with pytest.raises(REFUSALS):
        decode_summary(raw)


def test_a_file_that_is_too_large_is_refused() -> None:
    """Though all in it is right."""
    assert decode_summary(changed())
    with pytest.raises(ValueError, match="too large"):
        decode_summary(changed() + b" " * LARGEST)


@pytest.mark.parametrize(
    ("key", "value"),
    [("level", -1), ("level", 400), ("level", "0"), ("kilobytes", -1), ("kilobytes", 10**16)],
)
def test_a_number_out_of_bounds_is_refused(key: str, value: object) -> None:
    """Levels are Amanda's, and sizes what disks may hold."""
    dump = {"disk": "/", "level": 0, "started_at": NOW.isoformat(), "kilobytes": None}
    disk = {"disk": "/", "last": dump, "in_future": None, "distrusted": None, "is_parked": False}
    assert decode_summary(changed(disks=[disk])).disks == (Disk("/", DumpRecord("/", 0, NOW)),)
    with pytest.raises((ValueError, TypeError)):
        decode_summary(changed(disks=[disk | {"last": dump | {key: value}}]))

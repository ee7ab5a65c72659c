"""Which disks are drilled next, and what their proofs say together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.dispatch.drills import (
    ALARM_AFTER,
    TOO_LONG_AGO,
    DiskProof,
    DrillPolicy,
    find_first_dumps,
    is_overdue,
    judge_proofs,
    must_be_full,
    name_fault,
    plan_drills,
    waits_since,
)
from asyncamanda.core.dispatch.records import ProofKind, ProofRow
from asyncamanda.core.doctor.findings import Health
from asyncamanda.core.doctor.proofs import judge_restorable
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.restore.drill_order import DrillOrder, parse_drill_order, render_drill_order
from asyncamanda.report.proofs import tell_proofs
from asyncamanda.report.text import format_time

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FLEET = [("laptop", f"/{number:02}") for number in range(14)]
WEEKLY = DrillPolicy()


def proof(
    disk: str = "/00",
    days: float = 0,
    kind: ProofKind = ProofKind.DRILL,
    *,
    is_good: bool = True,
) -> ProofRow:
    """A proof that was made so many days ago."""
    return ProofRow("daily", "laptop", disk, kind, NOW - days * DAY, "", 0, is_good, "what")


def test_drills_are_spread_over_the_week() -> None:
    """Two of fourteen disks each day, the first of them with all bytes."""
    due = plan_drills(FLEET, {}, {}, WEEKLY, NOW)
    assert [dle for dle, _ in due.order] == FLEET
    assert (due.most, due.most_whole) == (2, 1)


@pytest.mark.parametrize("is_nightly", [False, True])
def test_each_disk_has_its_turn_once_a_week_and_with_all_bytes_once_a_month(
    *, is_nightly: bool
) -> None:
    """Though one has nothing to prove, and runs end a few minutes earlier or later each night."""
    drills: dict[tuple[str, str], ProofRow] = {}
    fulls: dict[tuple[str, str], ProofRow] = {}
    counts = []
    nothing, *fleet = FLEET
    for day in range(90):
        now = NOW + day * DAY + timedelta(minutes=(0, -9, 7, 3)[day % 4] if is_nightly else 0)
        due = plan_drills(FLEET, drills, fulls, WEEKLY, now)
        count = wholes = 0
        for dle, is_whole in due.order:
            if dle == nothing or count == due.most:
                continue
            count += 1
            proved_at = now + count * timedelta(minutes=20)
            drills[dle] = replace(proof(dle[1]), proved_at=proved_at)
            if is_whole and wholes < due.most_whole:
                wholes += 1
                fulls[dle] = drills[dle]
        counts.append(count)
        if day >= 8:
            assert min(each.proved_at for each in drills.values()) >= now - 8 * DAY
        if day >= 32:
            assert min(each.proved_at for each in fulls.values()) >= now - 32 * DAY
    assert max(counts) <= 3
    assert {*fulls} == {*fleet}


def test_what_was_drilled_today_counts() -> None:
    """As by hand, or by one that was killed."""
    drills = {dle: proof(dle[1], 0.5) for dle in FLEET[:1]}
    assert plan_drills(FLEET, drills, drills, WEEKLY, NOW).most == 1
    drills = {dle: proof(dle[1], 0.5) for dle in FLEET}
    due = plan_drills(FLEET, drills, drills, WEEKLY, NOW)
    assert (due.order, due.most) == ((), 0)


def test_a_disk_that_failed_is_drilled_again_the_next_day_as_thoroughly() -> None:
    """Beside those whose turn it is."""
    fine = {dle: proof(dle[1], 2) for dle in FLEET}
    failed = proof("/05", 1.5, ProofKind.FULL_DRILL, is_good=False)
    due = plan_drills(FLEET, fine | {FLEET[5]: failed}, fine, WEEKLY, NOW)
    assert due.order == ((FLEET[5], True),)
    assert due.most >= 1
    recent = replace(failed, proved_at=NOW - DAY / 2)
    assert plan_drills(FLEET, fine | {FLEET[5]: recent}, fine, WEEKLY, NOW).order == ()


@pytest.mark.parametrize(
    ("last", "is_meant"),
    [
        (None, False),
        (proof(is_good=False), False),
        (proof(kind=ProofKind.FULL_DRILL), False),
        (proof(kind=ProofKind.FULL_DRILL, is_good=False), True),
    ],
)
def test_only_all_bytes_make_good_what_all_bytes_have_found(
    last: ProofRow | None, *, is_meant: bool
) -> None:
    """A lesser drill would not see it."""
    assert must_be_full(last) is is_meant


def test_a_proof_by_a_clock_that_was_ahead_keeps_no_drill_away() -> None:
    """It is not known when it was."""
    ahead = {dle: proof(dle[1], -400) for dle in FLEET}
    assert len(plan_drills(FLEET, ahead, ahead, WEEKLY, NOW).order) == len(FLEET)


def test_proofs_say_together_when_it_was_proved_and_what_is_wrong() -> None:
    """Of the server's drills and the client's own, each by its newest."""
    good, client = proof(days=3), proof(days=2, kind=ProofKind.CLIENT)
    failed = proof(days=1, is_good=False)
    assert judge_proofs([], []) == DiskProof()
    assert judge_proofs([good, client], [good, client]) == DiskProof(client.proved_at)
    proved_at = client.proved_at
    assert judge_proofs([failed, client], [good, client]) == DiskProof(proved_at, "what", "what")
    own = replace(client, is_good=False)
    assert judge_proofs([good, own], [good]) == DiskProof(good.proved_at, "what")


def test_what_a_client_does_not_say_again_is_no_fault_for_ever() -> None:
    """As one that makes no proofs any more: what the drills say holds. What they find stays."""
    good = proof()
    for kind, days, is_fault in (
        (ProofKind.CLIENT, 30, True),
        (ProofKind.CLIENT, 32, False),
        (ProofKind.DRILL, 32, True),
    ):
        old = proof(days=days, kind=kind, is_good=False)
        assert bool(judge_proofs([good, old], [good]).fault) is is_fault
    old = proof(days=32, kind=ProofKind.CLIENT, is_good=False)
    assert judge_proofs([old], []).fault  # and nobody has proved it since


@pytest.mark.parametrize(
    ("proved", "since", "is_late"),
    [
        (None, timedelta(days=5), False),  # its first dump was made then
        (None, ALARM_AFTER + DAY, True),
        (ALARM_AFTER - DAY, timedelta(days=90), False),
        (ALARM_AFTER + DAY, timedelta(days=90), True),
    ],
)
def test_a_month_without_a_proof_is_too_long(
    proved: timedelta | None, since: timedelta, *, is_late: bool
) -> None:
    """Counted from the first dump."""
    known = DiskProof(None if proved is None else NOW - proved)
    assert is_overdue(known, NOW - since, NOW) is is_late
    assert name_fault(known, NOW - since, NOW) == (TOO_LONG_AGO if is_late else "")
    assert name_fault(replace(known, drill_fault="gone"), NOW - since, NOW) == "gone"


def test_a_server_that_has_just_begun_with_drills_alarms_nobody() -> None:
    """As after an update: each disk has its turn first, of whatever age its backups are."""
    years = NOW - 900 * DAY
    for began_at, is_late in ((None, False), (NOW - DAY, False), (NOW - 32 * DAY, True)):
        since = waits_since(DiskProof(), years, began_at, NOW)
        assert is_overdue(DiskProof(), since, NOW) is is_late
    proved = DiskProof(NOW - 40 * DAY)
    assert is_overdue(proved, waits_since(proved, None, years, NOW), NOW)


def test_who_has_drills_made_rarely_hears_of_one_that_is_late_and_of_no_other() -> None:
    """Each disk once in two months is what was asked for."""
    rare = DrillPolicy(every=60 * DAY)
    known = DiskProof(NOW - 59 * DAY)
    assert not name_fault(known, NOW - 900 * DAY, NOW, rare.alarm_after)
    assert name_fault(known, NOW - 900 * DAY, NOW, WEEKLY.alarm_after) == TOO_LONG_AGO


def test_the_first_dump_of_each_disk_counts() -> None:
    """Those that the server has, or had."""
    known = DleVerdict("laptop", "/home", "", DumpState.STORED, 0, dumped_at=NOW)
    older = replace(known, dumped_at=NOW - DAY)
    failed = replace(known, state=DumpState.FAILED, dumped_at=NOW - 2 * DAY)
    other = replace(failed, disk="/srv")
    assert find_first_dumps([known, older, failed, other]) == {"/home": NOW - DAY}


def test_the_doctor_says_what_is_not_proved() -> None:
    """The worst first: what failed, then what is too long ago, then what had no turn yet."""
    first = {"/a": NOW - 90 * DAY, "/b": NOW - 2 * DAY}
    good, old = DiskProof(NOW - DAY), DiskProof(NOW - 60 * DAY)

    def judge(**proofs: DiskProof) -> tuple[Health, str]:
        known = {f"/{name}": proof for name, proof in proofs.items()}
        check = judge_restorable("laptop", known, first, NOW)
        assert check
        return check.health, check.found

    assert judge_restorable("laptop", {}, {}, NOW) is None
    assert judge(a=good, b=good) == (Health.OK, "proved restorable, last on 2026-11-29")
    assert judge(a=good)[0] is Health.OK
    assert judge(a=old, b=good) == (Health.WARNING, "not proved restorable for a month: /a")
    assert judge(b=good)[0] is Health.WARNING
    assert judge(a=old, b=replace(good, fault="gone")) == (Health.BAD, "/b: gone")


def test_an_order_is_read_as_it_was_written() -> None:
    """And nothing else is one."""
    order = DrillOrder("daily", "backup", "/ledger", ("/usr/bin/zstd",), 60.0, 120.5, 3)
    assert parse_drill_order(render_drill_order(order)) == order
    for text in ("", "[]", "{}", '{"amanda_config": 1}'):
        with pytest.raises(ValueError, match=r"."):
            parse_drill_order(text)


def test_clients_that_are_well_share_a_line_and_each_that_is_not_has_one() -> None:
    """The one that waits longest is named; a client that was never drilled is left out."""
    old, new = DiskProof(NOW - 9 * DAY), DiskProof(NOW)
    bad = DiskProof(NOW, "lost: a\x1b")
    assert tell_proofs({"new": {}, "odd": {"/": DiskProof()}}) == []
    when = format_time(NOW - 9 * DAY)
    assert tell_proofs({"a": {"/": new, "/srv": old}}) == [f"proved restorable: a, on {when}"]
    assert tell_proofs({"a": {"/": new}, "b": {"/": old}, "c": {"/": new, "/srv": bad}}) == [
        "c: NOT PROVED RESTORABLE: /srv: lost: a\\x1b",
        f"proved restorable: 2 clients, longest ago b, on {when}",
    ]

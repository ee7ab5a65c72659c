"""Is a backup due, and why."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.due import (
    BackupStanding,
    Disk,
    Due,
    NotDue,
    decide_due,
    force_due,
    is_stale,
    survey_disks,
)
from asyncamanda.core.model import EPOCH, DiskRule, DumpRecord, Policy, Span

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
FUTURE_AFTER = timedelta(minutes=5)
DAILY = Policy(DAY)
NEWEST = Policy(DAY, DiskRule.NEWEST)


def row(name: str, ago: timedelta, level: int = 0) -> tuple[str, int, int]:
    """Return a row of amandates, dated `ago` before now."""
    return name, level, int((NOW - ago).timestamp())


def dump(name: str, ago: timedelta, level: int = 0) -> DumpRecord:
    """Return a dump that started `ago` before now."""
    return DumpRecord(name, level, NOW - ago)


def disk(name: str, ago: timedelta) -> Disk:
    """Return a disk whose last dump started `ago` before now."""
    return Disk(name, dump(name, ago))


def survey(
    *rows: tuple[str, int, int],
    confirmed: Mapping[str, DumpRecord] | None = None,
    distrusted: tuple[Span, ...] = (),
    seen_at: datetime = NOW,
) -> tuple[Disk, ...]:
    """Return the disks of `rows`."""
    return survey_disks(rows, confirmed or {}, distrusted, seen_at)


def test_the_last_dump_of_a_disk_is_the_newest_over_its_levels() -> None:
    """A newer full does not remove the older higher levels, so level order means nothing."""
    rows = [row("/", 3 * DAY), row("/", HOUR, 1), row("/", 2 * DAY, 2)]
    assert survey(*rows) == survey(*reversed(rows)) == (Disk("/", dump("/", HOUR, 1)),)


def test_disks_come_by_name() -> None:
    """The order does not hang on who was dumped last."""
    assert [d.name for d in survey(row("/b", HOUR), row("/a", DAY), row("", DAY))] == [
        "",
        "/a",
        "/b",
    ]


def test_time_zero_means_never() -> None:
    """Amanda writes 0 for a level that was never dumped."""
    assert survey(("/", 0, 0)) == (Disk("/"),)
    assert survey(("/", 0, 0), distrusted=(Span(EPOCH, NOW),)) == (Disk("/"),)
    assert survey(("/", 0, 0), row("/", HOUR, 1)) == (Disk("/", dump("/", HOUR, 1)),)


@pytest.mark.parametrize("ahead", [timedelta(0), SECOND, FUTURE_AFTER])
def test_a_time_up_to_five_minutes_ahead_counts(ahead: timedelta) -> None:
    """Two clocks may differ a little."""
    assert survey(row("/", -ahead)) == (Disk("/", dump("/", -ahead)),)


def test_a_time_further_ahead_is_no_evidence_and_is_kept_to_be_told() -> None:
    """Five minutes and a second ahead is the future; what was before it still counts."""
    ahead = -FUTURE_AFTER - SECOND
    assert survey(row("/", 2 * DAY), row("/", ahead, 1)) == (
        Disk("/", last=dump("/", 2 * DAY), in_future=dump("/", ahead, 1)),
    )


def test_a_future_time_does_not_become_evidence_when_its_day_comes() -> None:
    """What was in the future when the file was written is a lie forever."""
    written_at = NOW - 10 * DAY
    disks = survey(row("/", HOUR), row("/", 20 * DAY), seen_at=written_at)
    assert disks == (Disk("/", last=dump("/", 20 * DAY), in_future=dump("/", HOUR)),)


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (2 * HOUR + SECOND, True),
        (2 * HOUR, False),
        (1.5 * HOUR, False),
        (HOUR, False),
        (HOUR - SECOND, True),
    ],
)
def test_a_time_from_a_run_that_failed_does_not_count(ago: timedelta, counts: bool) -> None:
    """Within a distrusted span, its ends included, amandates is not believed."""
    span = Span(NOW - 2 * HOUR, NOW - HOUR)
    found = survey(row("/", 3 * DAY), row("/", ago, 1), distrusted=(span,))
    if counts:
        assert found == (Disk("/", dump("/", ago, 1)),)
    else:
        assert found == (Disk("/", dump("/", 3 * DAY), distrusted=dump("/", ago, 1)),)


def test_every_distrusted_span_counts_whatever_their_order() -> None:
    """The oldest span is not always the first."""
    spans = (Span(NOW - 2 * HOUR, NOW - HOUR), Span(NOW - 6 * HOUR, NOW - 5 * HOUR))
    rows = [row("/", 1.5 * HOUR), row("/", 5.5 * HOUR, 1), row("/", 8 * HOUR, 2)]
    expected = (Disk("/", last=dump("/", 8 * HOUR, 2), distrusted=dump("/", 1.5 * HOUR)),)
    assert survey(*rows, distrusted=spans) == survey(*rows, distrusted=spans[::-1]) == expected


def test_a_confirmed_dump_counts_within_a_distrusted_span() -> None:
    """A run that was judged good outweighs the hint's bad name."""
    span = Span(NOW - 2 * HOUR, NOW)
    found = survey(row("/", HOUR), confirmed={"/": dump("/", HOUR)}, distrusted=(span,))
    assert found == (Disk("/", last=dump("/", HOUR), distrusted=dump("/", HOUR)),)


def test_a_confirmed_dump_in_the_future_is_no_evidence() -> None:
    """The clock was wrong while it was made; believed, it would keep all still for years."""
    ahead = dump("/", -1000 * DAY)
    found = survey(row("/", -1000 * DAY), confirmed={"/": ahead})
    assert found == (Disk("/", in_future=ahead),)
    assert isinstance(decide_due(found, DAILY, NOW), Due)


def test_a_confirmed_dump_in_the_future_that_amandates_lacks_is_no_oddity_of_its() -> None:
    """What is reported of amandates is in it."""
    found = survey(row("/", 2 * DAY), confirmed={"/": dump("/", -1000 * DAY)})
    assert found == (Disk("/", dump("/", 2 * DAY)),)


def test_what_amandates_no_longer_lists_has_lost_its_history() -> None:
    """Amanda starts again with such a disk, so that its confirmed dump does not help."""
    confirmed = {"/": dump("/", HOUR), "/home": dump("/home", HOUR)}
    assert survey(confirmed=confirmed) == ()
    assert [d.name for d in survey(row("/", DAY), confirmed=confirmed)] == ["/"]


def test_an_empty_amandates_is_due() -> None:
    """Nothing was ever backed up; any disk will do."""
    assert decide_due((), DAILY, NOW) == Due((), (), None)
    assert decide_due((), NEWEST, NOW) == Due((), (), None)


TOLERATED = DAY * 0.03


@pytest.mark.parametrize("policy", [DAILY, NEWEST])
@pytest.mark.parametrize(
    ("ago", "due"),
    [
        (timedelta(0), False),
        (DAY - TOLERATED - SECOND, False),
        (DAY - TOLERATED, True),
        (DAY, True),
        (365 * DAY, True),
        (-FUTURE_AFTER, False),
    ],
)
def test_a_disk_is_due_three_per_cent_before_its_interval_ends(
    policy: Policy,
    ago: timedelta,
    due: bool,
) -> None:
    """So a daily backup does not drift to every second day."""
    decision = decide_due((disk("/", ago),), policy, NOW)
    assert isinstance(decision, Due) is due
    assert decision.last_at == NOW - ago
    if isinstance(decision, NotDue):
        assert decision.until == NOW - ago + DAY - TOLERATED


MIXED = (disk("/fresh", HOUR), disk("/late", 2 * DAY), Disk("/never"))


def test_watching_the_newest_one_fresh_disk_is_enough() -> None:
    """The rule of the classic form: any disk's newest dump counts, and any dump will do."""
    decision = decide_due(MIXED, NEWEST, NOW)
    assert isinstance(decision, NotDue)
    assert decision.last_at == NOW - HOUR
    late = decide_due(MIXED[1:], NEWEST, NOW)
    assert isinstance(late, Due)
    assert late.wanted == ()


def test_watching_each_every_late_and_new_disk_is_wanted() -> None:
    """One fresh disk hides no other; the oldest time is of those that have a dump."""
    decision = decide_due(MIXED, DAILY, NOW)
    assert isinstance(decision, Due)
    assert decision.wanted == ("/late", "/never")
    assert decision.last_at == NOW - 2 * DAY
    assert [v.standing for v in decision.disks] == [
        BackupStanding.FRESH,
        BackupStanding.OVERDUE,
        BackupStanding.NEVER,
    ]


def test_watching_each_all_disks_are_wanted_though_none_has_a_dump() -> None:
    """A run that brings one of them only is not enough."""
    decision = decide_due((Disk("/"), Disk("/home")), DAILY, NOW)
    assert isinstance(decision, Due)
    assert decision.wanted == ("/", "/home")
    assert decision.last_at is None


def test_watching_the_newest_any_disk_will_do_though_none_has_a_dump() -> None:
    """Even of those that are named."""
    decision = decide_due((Disk("/"),), replace(NEWEST, disks=("/", "/home")), NOW)
    assert isinstance(decision, Due)
    assert decision.wanted == ()


def test_watching_each_the_oldest_of_the_last_dumps_decides() -> None:
    """Nothing is due until the first disk is."""
    decision = decide_due((disk("/a", HOUR), disk("/b", 5 * HOUR)), DAILY, NOW)
    assert isinstance(decision, NotDue)
    assert decision.last_at == NOW - 5 * HOUR
    assert decision.until == NOW - 5 * HOUR + DAY - TOLERATED
    assert [v.fresh_until for v in decision.disks] == [
        NOW - HOUR + DAY - TOLERATED,
        decision.until,
    ]


@pytest.mark.parametrize(
    ("behind", "standing"),
    [
        (30 * DAY, BackupStanding.OVERDUE),
        (30 * DAY + SECOND, BackupStanding.FORGOTTEN),
        (300 * DAY, BackupStanding.FORGOTTEN),
    ],
)
def test_a_disk_long_behind_the_others_is_forgotten(
    behind: timedelta, standing: BackupStanding
) -> None:
    """It left the disklist, so that no backup would ever satisfy it."""
    decision = decide_due((disk("/", HOUR), disk("/gone", HOUR + behind)), DAILY, NOW)
    assert decision.disks[1].standing is standing
    assert isinstance(decision, NotDue) is (standing is BackupStanding.FORGOTTEN)


@pytest.mark.parametrize(
    ("claim", "standing"),
    [
        (Disk("/gone", distrusted=dump("/gone", 40 * DAY)), BackupStanding.FORGOTTEN),
        (Disk("/gone", distrusted=dump("/gone", 2 * HOUR)), BackupStanding.NEVER),
        (Disk("/gone", in_future=dump("/gone", -DAY)), BackupStanding.NEVER),
        (Disk("/gone"), BackupStanding.NEVER),
    ],
)
def test_a_disk_whose_only_time_does_not_count_is_forgotten_by_that(
    claim: Disk, standing: BackupStanding
) -> None:
    """A bad run long ago is no reason to wait for it forever; one that is new is waited for."""
    decision = decide_due((disk("/", HOUR), claim), DAILY, NOW)
    assert decision.disks[1].standing is standing
    named = decide_due((disk("/", HOUR), claim), replace(DAILY, disks=("/", "/gone")), NOW)
    assert named.disks[1].standing is BackupStanding.NEVER


def test_a_long_holiday_makes_no_disk_forgotten() -> None:
    """Disks are forgotten by what was dumped since, not by the clock."""
    decision = decide_due((disk("/a", 60 * DAY), disk("/b", 61 * DAY)), DAILY, NOW)
    assert isinstance(decision, Due)
    assert decision.wanted == ("/a", "/b")


def test_the_newest_disk_is_never_forgotten() -> None:
    """It is behind no other, however short the patience."""
    decision = decide_due((disk("/", HOUR),), replace(DAILY, forget_after=timedelta(0)), NOW)
    assert [v.standing for v in decision.disks] == [BackupStanding.FRESH]


def test_a_disk_that_is_named_is_never_forgotten() -> None:
    """Who names a disk waits for it; who does not name one ignores it."""
    policy = Policy(DAY, disks=("/a", "/old", "/new"))
    disks = (disk("/a", HOUR), disk("/old", 99 * DAY), disk("/unnamed", 2 * DAY))
    decision = decide_due(disks, policy, NOW)
    assert isinstance(decision, Due)
    assert decision.wanted == ("/old", "/new")
    assert [v.disk.name for v in decision.disks] == ["/a", "/old", "/new"]


def test_named_disks_that_amandates_does_not_know_are_due() -> None:
    """They were never backed up, whatever else was."""
    policy = Policy(DAY, disks=("/a", "/b"))
    decision = decide_due((disk("/c", HOUR),), policy, NOW)
    assert isinstance(decision, Due)
    assert decision.wanted == ("/a", "/b")
    assert decision.last_at is None


def test_who_forces_a_backup_wants_every_disk_that_is_waited_for() -> None:
    """Fresh ones as well; a forgotten one no run would bring."""
    decision = decide_due((*MIXED, disk("/gone", 99 * DAY)), DAILY, NOW)
    forced = force_due(decision, DAILY)
    assert forced.wanted == ("/fresh", "/late", "/never")
    assert (forced.disks, forced.last_at) == (decision.disks, decision.last_at)
    fresh = decide_due(MIXED[:1], DAILY, NOW)
    assert isinstance(fresh, NotDue)
    assert force_due(fresh, DAILY) == Due(fresh.disks, ("/fresh",), fresh.last_at)


def test_who_forces_a_backup_is_content_with_any_disk_where_the_newest_counts() -> None:
    """As the classic form is."""
    forced = force_due(decide_due(MIXED, NEWEST, NOW), NEWEST)
    assert forced.wanted == ()
    assert force_due(decide_due((), DAILY, NOW), DAILY) == Due((), (), None)


@pytest.mark.parametrize(
    ("ago", "since", "stale"),
    [
        (7 * DAY, 99 * DAY, False),
        (7 * DAY + SECOND, DAY, True),
        (None, 7 * DAY, False),
        (None, 7 * DAY + SECOND, True),
    ],
)
def test_a_backup_is_stale_when_it_is_older_than_the_policy_bears(
    ago: timedelta | None,
    since: timedelta,
    stale: bool,
) -> None:
    """Without any backup, the time since which that is known counts."""
    last_at = None if ago is None else NOW - ago
    assert is_stale(Due((), (), last_at), NOW - since, DAILY, NOW) is stale


def test_a_disk_newly_named_is_not_stale_at_once() -> None:
    """It is due; what the others have is still fresh."""
    policy = Policy(DAY, disks=("/", "/new"))
    decision = decide_due((disk("/", HOUR),), policy, NOW)
    assert isinstance(decision, Due)
    assert not is_stale(decision, NOW - 365 * DAY, policy, NOW)


def test_after_a_damaged_memory_nothing_in_amandates_counts() -> None:
    """What was forgotten may have been that the last run failed."""
    disks = survey(row("/", HOUR), distrusted=(Span(EPOCH, NOW),))
    assert disks == (Disk("/", distrusted=dump("/", HOUR)),)
    assert isinstance(decide_due(disks, DAILY, NOW), Due)

"""What goes straight to volumes, how many it takes, and what is too large for them."""

import pytest

from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.trace import Planned, find_planned
from asyncamanda.core.amanda.volumes import (
    NO_VOLUMES,
    Volumes,
    choose_run_tapes,
    count_wasted,
    count_whole,
    find_large,
    refuse_large,
    refuse_waste,
    sum_sizes,
)
from asyncamanda.core.model import DleVerdict, DumpState

GB = 10**9
TWENTY = Volumes(20 * GB, 20)
NO_ROOM = "Skipping: new disk can't be dumped in degraded mode"
TRACE = """\
GENERATING SCHEDULE:
--------
DUMP laptop ffff9efe /srv/docs 20261129200255 4 0 1970:1:1:0:0:0 29310 29000 2 14655 1 2026:11:19 10
DUMP laptop ffff9efe "/srv/d 3" 20261129200255 1 1 2026:11:29:20:2:48 12 10 0 1024 "Skipping: a"
DUMP laptop ffff9efe /srv/odd and more
--------
"""


def word(state: DumpState, level: int, reason: str = "") -> DleVerdict:
    """Return a verdict on the laptop's disk."""
    return DleVerdict("laptop", "/home", "20261129200255", state, level, reason)


def test_what_was_never_dumped_counts_as_if_nothing_were_compressed() -> None:
    """Amanda reckons with the half until a full shows how well it is compressed."""
    planned = {("laptop", "/home"): Planned(0, 29000, 58000), ("tower", "/srv"): Planned(1, 4, 9)}
    assert count_whole(planned, {("tower", "/srv")}) == {
        ("laptop", "/home"): Planned(0, 58000, 58000),
        ("tower", "/srv"): Planned(1, 4, 9),
    }


def test_what_the_planner_meant_is_in_the_trace() -> None:
    """The level and the size, compressed and not; a name may be quoted; other lines say nothing."""
    assert find_planned(TRACE) == {
        ("laptop", "/srv/docs"): Planned(0, 29000, 29310),
        ("laptop", "/srv/d 3"): Planned(1, 10, 12),
    }
    assert find_planned("") == {}


def _forge(*lines: str) -> str:
    """Return what a client's answer becomes in the trace, if the planner cannot read it."""
    return "\n".join(("got strange nak from tower:", "----", *lines, "----", "", ""))


LINE = "DUMP laptop ffff {disk} 20261129200255 4 {level} 1970:1:1:0:0:0 {size} {size} 2 1 {end}"
HUGE = LINE.format(disk="/srv/docs", level=0, size=10**12, end="1 2026:11:19 10")
SMALL = LINE.format(disk='"/srv/d 3"', level=0, size=1, end="1 2026:11:19 10")


@pytest.mark.parametrize("begin", ["", "\n", "GENERATING SCHEDULE:\n"])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_line_outside_of_the_planner_s_schedule_says_nothing(
    begin: str, *, is_before: bool
) -> None:
    """An answer that the planner cannot read is in the trace, with all of its lines."""
    forged = _forge(f"{begin}{HUGE}", SMALL)
    assert find_planned(forged + TRACE if is_before else TRACE + forged) == find_planned(TRACE)


@pytest.mark.parametrize("is_before", [True, False])
def test_a_forged_schedule_costs_nobody_else_a_backup(*, is_before: bool) -> None:
    """Of what is said in two ways the size is not known, and a full may be due: no refusal.

    What the forger says of its own disks, or of what is not scheduled, nobody else has a use for.
    """
    forged = _forge("GENERATING SCHEDULE:", "--------", HUGE, SMALL, "--------")
    planned = find_planned(forged + TRACE if is_before else TRACE + forged)
    assert planned == {
        ("laptop", "/srv/docs"): Planned(0, 0, 0),
        ("laptop", "/srv/d 3"): Planned(0, 0, 0),
    }
    no_room = DleVerdict("laptop", "/srv/docs", "20261129200255", DumpState.FAILED, 0, NO_ROOM)
    assert find_large([no_room], count_whole(planned, ())) == {"/srv/docs": 0}
    assert refuse_large("/srv/docs", 0, TWENTY) == ""


def test_a_schedule_that_is_said_twice_alike_counts_once() -> None:
    """Whoever repeats it has changed nothing."""
    assert find_planned(TRACE + TRACE) == find_planned(TRACE)


def test_a_schedule_that_is_not_ended_yet_counts() -> None:
    """A run is looked at while it goes on, as well."""
    assert find_planned(TRACE.rpartition("--------\n")[0]) == find_planned(TRACE)


def test_of_several_disks_one_whose_size_is_not_known_makes_the_sum_unknown() -> None:
    """Too few volumes would cut the dump."""
    plans = [Planned(0, 5, 5), Planned(0, 0, 0)]
    assert (sum_sizes(plans), sum_sizes(plans[:1]), sum_sizes([])) == (0, 5120, 0)


@pytest.mark.parametrize(
    ("said", "plan", "large"),
    [
        (word(DumpState.FAILED, 0, NO_ROOM), Planned(0, 50, 60), {"/home": 51200}),
        (word(DumpState.FAILED, 1, "out of holding space in degraded mode"), None, {"/home": 0}),
        (word(DumpState.FAILED, 0, "Estimate timeout from laptop"), Planned(0, 50, 60), {}),
        (word(DumpState.HELD, 1), Planned(0, 50, 60), {"/home": 51200}),
        (word(DumpState.HELD, 1), Planned(1, 50, 60), {}),
        (word(DumpState.HELD, 0), Planned(0, 50, 60), {}),
        (word(DumpState.HELD, 0), None, {}),
    ],
)
def test_what_could_not_be_held_is_large(
    said: DleVerdict, plan: Planned | None, large: dict[str, int]
) -> None:
    """Also a full that was due, and became an incremental for want of room."""
    planned = {("laptop", "/home"): plan} if plan else {}
    assert find_large([said], planned) == large


@pytest.mark.parametrize(
    ("size", "tapes"), [(1, 2), (19 * GB, 3), (95 * GB, 7), (199 * GB, 10), (900 * GB, 10), (0, 10)]
)
def test_a_run_may_take_what_it_needs_up_to_half_of_all(size: int, tapes: int) -> None:
    """With some to spare, since an estimate may be too low; all that are allowed if there is none.

    The least is two, for the last volume may be nearly full.
    """
    assert choose_run_tapes(size, TWENTY) == tapes


def test_one_volume_is_allowed_where_nothing_is_known() -> None:
    """Amanda says then what is wrong with them."""
    assert choose_run_tapes(5 * GB, NO_VOLUMES) == 1


def test_more_than_half_of_all_volumes_is_refused_with_the_sum() -> None:
    """Two fulls have to have room, or the second one overwrites the first while it is made."""
    said = refuse_large("/home", 250 * GB, TWENTY)
    assert said.startswith(
        "/home needs 250 GB, and the backup server can take 200 GB (half of 20 volumes of 20 GB)"
    )
    assert "its administrator" in said
    assert refuse_large("/home", 200 * GB, TWENTY) == ""
    assert refuse_large("/home", 900 * GB, NO_VOLUMES) == "", "nothing is known"


def test_volumes_are_those_of_the_storage_that_is_written_to() -> None:
    """By its own tape type, where it has one."""
    plain = "TAPETYPE VTAPE\nTAPECYCLE 20\nSTORAGE daily\n"
    own = 'TAPETYPE OTHER\nTAPECYCLE 20\nSTORAGE st\nDEFINE STORAGE st {\n  TAPETYPE "VTAPE"\n}\n'
    types = "DEFINE TAPETYPE VTAPE {\n      LENGTH    10240K\n}\n"
    for text, storages in ((plain, ()), (own, ("st",))):
        config = parse_config(text + types)
        assert config.find_volumes() == Volumes(10240 * 1024, 20)
        assert config.find_storages() == storages
    assert parse_config("").find_volumes() == NO_VOLUMES


@pytest.mark.parametrize(("wasted", "is_refused"), [(0, False), (4, False), (5, True), (20, True)])
def test_what_is_cut_again_and_again_does_not_overwrite_all(
    wasted: int,
    is_refused: bool,
) -> None:
    """A quarter of all volumes may be written to in vain within a week; then the client is told."""
    said = refuse_waste("/home", wasted, TWENTY)
    assert bool(said) == is_refused
    assert said == "" or f"have used {wasted} of 20 volumes within 7 days" in said
    assert refuse_waste("/home", wasted, NO_VOLUMES) == "", "nothing is known"


def begun(state: DumpState, gigabytes: int) -> DleVerdict:
    """Return a verdict on a dump of that size that was begun."""
    size = gigabytes * GB // 1024
    return DleVerdict("laptop", "/home", "", state, 0, kilobytes=size, has_begun=True)


@pytest.mark.parametrize(
    ("words", "wasted"),
    [
        ([begun(DumpState.STORED, 90)], 0),
        ([begun(DumpState.FAILED, 0)], 6),
        ([begun(DumpState.STORED, 90), begun(DumpState.FAILED, 0)], 1),
        ([begun(DumpState.STORED, 1), begun(DumpState.FAILED, 0)], 5),
        ([begun(DumpState.STORED, 200), begun(DumpState.FAILED, 0)], 0),
        ([word(DumpState.FAILED, 0), begun(DumpState.STORED, 1)], 0),
        ([], 0),
    ],
)
def test_volumes_are_wasted_on_dumps_that_were_cut(words: list[DleVerdict], wasted: int) -> None:
    """Those that the run's other dumps have are not; nor is anything where none was begun."""
    assert count_wasted(6, words, TWENTY) == wasted

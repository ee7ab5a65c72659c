"""For how long a machine was used, as `status` says it, and in the summary for everybody."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.client.state.summary import decode_summary, encode_summary
from asyncamanda.core.agent.due import Disk, Witness
from asyncamanda.core.agent.summary import State, Summary, judge_summary, summarize
from asyncamanda.core.exposure.record import Sighting, UseRecord, begin_use, count_use, note_dumps
from asyncamanda.core.model import DumpRecord, Policy
from asyncamanda.report.exposure import describe_exposure
from asyncamanda.report.json import exposure_value
from asyncamanda.report.status import tell_state

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def make_summary(ago: timedelta | None, use: UseRecord | None, policy: Policy) -> Summary:
    """Of one disk, whose last dump began so long ago."""
    last = None if ago is None else DumpRecord("/home", 0, NOW - ago)
    disks = (Disk("/home", last),)
    since = NOW - 30 * DAY
    return Summary(NOW, since, Witness.SERVER, policy, disks, (), NOW, None, None, None, use=use)


def use_of(hours: float, ago: timedelta, *, is_whole: bool = True) -> UseRecord:
    """Counted since a dump that began so long ago, and used for so many hours."""
    begun = note_dumps(begin_use(Sighting("1", NOW - ago, 0), NOW.date()), [NOW - ago])
    return count_use(begun, [Sighting("1", NOW, hours * 3600)], UTC, is_whole=is_whole)


@pytest.mark.parametrize(
    ("use", "ago", "limit", "words"),
    [
        (use_of(6, 9 * HOUR), 9 * HOUR, None, "used for 6 hours since the last backup began"),
        (
            use_of(6, 9 * HOUR, is_whole=False),
            9 * HOUR,
            20 * HOUR,
            "used for at least 6 hours since the last backup began; the limit is 20h of use",
        ),
        (
            None,
            9 * HOUR,
            None,
            "how long this machine was used since the last backup began is not known",
        ),
        (use_of(6, 9 * HOUR), None, None, "used for at least 6 hours since its use is counted"),
    ],
)
def test_the_use_since_the_last_backup_is_told(
    use: UseRecord | None, ago: timedelta | None, limit: timedelta | None, words: str
) -> None:
    """What is not known is said to be so."""
    known = make_summary(ago, use, Policy(DAY, stale_after_use=limit))
    assert describe_exposure(known, judge_summary(known, NOW)) == words


def test_a_backup_that_is_stale_by_use_says_so() -> None:
    """With the disk, and for how long the machine was used."""
    ago = 3 * DAY
    policy = Policy(DAY, stale_after_use=20 * HOUR, is_by_use=True)
    known = make_summary(ago, use_of(21, ago), policy)
    status = judge_summary(known, NOW)
    assert status.state is State.STALE
    assert tell_state(known, status, NOW) == (
        "STALE: no backup of /home for 3 days, in which this machine was used for 21 hours"
    )
    lazy = judge_summary(make_summary(30 * DAY, use_of(1, 30 * DAY), policy), NOW)
    assert lazy.state is State.OVERDUE


def test_everybody_may_know_the_use_and_not_its_days() -> None:
    """The summary has what is needed to go on counting; an older one has nothing of it."""
    policy = Policy(DAY, stale_after_use=20 * HOUR, is_by_use=True)
    whole = make_summary(9 * HOUR, use_of(6, 9 * HOUR), policy)
    left = decode_summary(encode_summary(summarize(whole)).encode())
    assert left.policy == policy
    assert left.use
    assert (left.use.days, left.use.marks) == ({}, ())
    assert judge_summary(left, NOW).exposure == judge_summary(whole, NOW).exposure
    without = replace(whole, use=None)
    assert decode_summary(encode_summary(without).encode()) == without


def test_json_has_seconds_or_null() -> None:
    """As docs/json.md says."""
    known = judge_summary(make_summary(9 * HOUR, use_of(6, 9 * HOUR), Policy(DAY)), NOW)
    assert exposure_value(known.exposure) == {
        "used_seconds": 21_600,
        "is_least": False,
        "as_of": "2026-12-01T12:00:00+00:00",
    }
    unknown = judge_summary(make_summary(9 * HOUR, None, Policy(DAY)), NOW)
    assert exposure_value(unknown.exposure)["used_seconds"] is None

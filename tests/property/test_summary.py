"""The summary for everybody: read back as written, and harmless whatever stands there."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW, any_moments, attempts, dumps, policies, texts

from asyncamanda.client.state.stored import LATEST
from asyncamanda.client.state.summary import decode_summary, encode_summary
from asyncamanda.core.agent.due import Disk, Witness
from asyncamanda.core.agent.summary import Summary, judge_summary, summarize
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.report.json import render_json
from asyncamanda.report.status import (
    advise,
    describe_disks,
    describe_waits,
    status_value,
    tell_state,
)
from asyncamanda.report.text import explain_oddities

# what read_summary() takes for damage
REFUSALS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)

past = st.integers(0, 60 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds))
near = past | any_moments.filter(lambda moment: moment <= LATEST)
near_dumps = st.none() | st.builds(
    lambda dump, at, size: type(dump)(dump.disk, dump.level, at, size),
    dumps,
    near,
    st.integers(0, 10**15),
)
near_attempts = st.builds(
    lambda attempt, began, ended: type(attempt)(
        began, ended, attempt.outcome, attempt.detail, attempt.exit_status, (), attempt.times
    ),
    attempts,
    near,
    near,
)
summaries = st.builds(
    Summary,
    written_at=near,
    since=near,
    witness=st.sampled_from(Witness),
    policy=policies,
    disks=st.lists(
        st.builds(Disk, texts, near_dumps, near_dumps, near_dumps),
        max_size=4,
        unique_by=lambda disk: disk.name,
    ).map(tuple),
    attempts=st.lists(near_attempts, max_size=5).map(tuple),
    asked_at=st.none() | near,
    not_before=st.none() | near,
    retry_at=st.none() | near,
    retry_within=st.none() | st.integers(0, 10**8).map(lambda s: timedelta(seconds=s)),
)


def render(summary: Summary, now: datetime) -> list[str]:
    """Return every line that `status` prints of it."""
    status = judge_summary(summary, now)
    json.loads(render_json(status_value(summary, status, Rejected(), now)))
    return [
        tell_state(summary, status, now),
        advise(status),
        *describe_disks(status, summary.policy, now),
        *describe_waits(status, now),
        *explain_oddities(status.decision, Rejected(), summary.witness),
    ]


@given(summaries)
def test_any_summary_is_read_back(summary: Summary) -> None:
    """Names, times, outcomes, all of it; and what is kept for everybody is judged alike."""
    assert decode_summary(encode_summary(summary).encode()) == summary
    assert judge_summary(summarize(summary), NOW).state is judge_summary(summary, NOW).state
    assert len(summarize(summary).attempts) <= 3


@given(summaries, near)
def test_any_summary_can_be_told_at_any_time(summary: Summary, now: datetime) -> None:
    """In lines that act on no terminal."""
    assert all(line.isprintable() for line in render(summary, now))


@given(st.binary(max_size=80) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_summary_or_refused(raw: bytes) -> None:
    """With one of the errors that are taken for damage."""
    with suppress(*REFUSALS):
        decode_summary(raw)


@given(summaries, st.data())
def test_a_changed_value_is_refused_or_harmless(summary: Summary, data: st.DataObject) -> None:
    """Whatever stands in one place of the file: it is refused, or can be told."""
    value = json.loads(encode_summary(summary))
    odd: st.SearchStrategy[object] = st.sampled_from(
        [None, True, -1, 0, 10**400, 1e300, "", "x", [], [[]], {}, "0001-01-01T00:00:00+14:00"]
    )
    places = [(value, key) for key in value]
    places += [(disk, key) for disk in value["disks"] for key in disk]
    places += [(each, key) for each in value["attempts"] for key in each]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(odd)
    try:
        changed = decode_summary(json.dumps(value).encode())
    except REFUSALS:
        return
    assert render(changed, datetime(2026, 11, 24, tzinfo=UTC))

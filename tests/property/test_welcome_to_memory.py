"""From what a server says to what is remembered and shown: nothing that it says ends an agent.

What the decoder takes is led through all that gate mode makes of it, on any memory.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import NOW, hostile_characters, memories, policies, texts
from tests.property.test_protocol import finished, progress, server_messages, stamps, welcomes

from asyncamanda.client.state.memory import decode_memory, encode_memory
from asyncamanda.core.agent.alerts import AlertKind, render_body, render_subject, word_alert
from asyncamanda.core.agent.by_command import NotBackedUp
from asyncamanda.core.agent.by_gate import (
    come_back_at,
    decide_by_gate,
    find_end,
    find_witness,
    heed_welcome,
    settle_unseen,
    shift_clock,
)
from asyncamanda.core.agent.due import is_stale
from asyncamanda.core.agent.finished import conclude, judge_finished
from asyncamanda.core.agent.remember import (
    next_try_at,
    note_end,
    note_start,
    note_unseen_end,
    settles_at,
)
from asyncamanda.core.amanda.amandates import Rejected
from asyncamanda.core.model import EPOCH, Attempt, DumpState, Memory, Outcome, Policy, Started
from asyncamanda.core.protocol.bounds import LATEST
from asyncamanda.core.protocol.fitting import encode_answer
from asyncamanda.core.protocol.heartbeat import beat, start_pulse
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_SERVER,
    BadLine,
    Finished,
    Later,
    Progress,
    Queued,
    Refused,
    Running,
    ServerMessage,
    Welcome,
)
from asyncamanda.core.protocol.wire import encode, server_decoder
from asyncamanda.report.json import (
    attempt_value,
    decision_value,
    event_value,
    render_event,
    render_json,
)
from asyncamanda.report.prometheus import Metrics, render_prometheus
from asyncamanda.report.text import (
    describe_attempt,
    describe_disk,
    describe_queued,
    describe_running,
    describe_verdict,
    explain_decision,
    explain_oddities,
    sum_up,
)

edges = st.sampled_from([EPOCH, EPOCH + timedelta(seconds=1), NOW, LATEST - timedelta(seconds=1)])
odd_times = st.sampled_from(
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9998-12-31T23:59:59.999999-23:59",
        "1970-01-01T00:00:00+23:59",
        "2026-W48-2T12Z",
        "20261124T151504Z",
        "2026-11-24T24:00Z",
        "2026-11-24T15:15:04+00:00:30.5",
        "2026-11-24T15:15:60Z",
        "-2026-11-24T15:15:04Z",
    ]
)
odd_values = st.one_of(
    odd_times,
    texts,
    st.text(hostile_characters, max_size=5000),
    st.integers(),
    st.sampled_from([10**400, -1, 1e308, 2**63, True, None, [], {}, "", "running", "held"]),
    st.floats(allow_nan=False, allow_infinity=False),
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container within `value` with each of its keys."""
    keys: Any = value if isinstance(value, dict) else ()
    if isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from _places(value[key])


@st.composite
def changed(draw: st.DrawFn, messages: st.SearchStrategy[Any]) -> bytes:
    """Return the line of a message in which up to three values are others."""
    value = json.loads(encode(draw(messages)))
    for _ in range(draw(st.integers(0, 3))):
        container, key = draw(st.sampled_from(list(_places(value))))
        if key != "type":
            container[key] = draw(odd_values)
    return json.dumps(value).encode() + b"\n"


def hear(line: bytes) -> list[ServerMessage]:
    """Return what the decoder takes of `line`."""
    return [each for each in server_decoder().feed(line) if not isinstance(each, BadLine)]


edge_welcomes = st.builds(
    lambda welcome, at, ended, confirmed: replace(
        welcome,
        now=at,
        last=welcome.last and replace(welcome.last, ended_at=ended),
        dles=tuple(replace(dle, confirmed_at=confirmed) for dle in welcome.dles),
    ),
    welcomes,
    edges,
    edges,
    st.none() | edges,
)
welcome_lines = changed(welcomes | edge_welcomes)
wire_memories = st.builds(
    lambda memory, run: replace(
        memory, attempts=tuple(replace(each, run=run) for each in memory.attempts)
    ),
    memories,
    stamps,
)


def assert_shown(*words: str) -> None:
    """Fail if a terminal would do anything but show `words`."""
    for word in words:
        assert word.isprintable(), repr(word)


def show(memory: Memory, policy: Policy, now: datetime) -> None:
    """Render all that a start shows of its memory, for people and for programs."""
    witness = find_witness(memory)
    decision = decide_by_gate(memory, policy, (), now)
    stale = is_stale(decision, memory.since, policy, now)
    assert_shown(
        explain_decision(decision, policy, now, witness),
        *explain_oddities(decision, Rejected(), witness),
        *(cell for verdict in decision.disks for cell in describe_disk(verdict, now)),
        sum_up(decision, policy, is_stale=stale, now=now, witness=witness),
        *(line for attempt in memory.attempts for line in describe_attempt(attempt).split("\n")),
    )
    assert render_json(decision_value(decision, Rejected(), "")).isascii()
    assert all(render_json(attempt_value(attempt)).isascii() for attempt in memory.attempts)
    lasts = {v.disk.name: v.disk.last.started_at for v in decision.disks if v.disk.last}
    last = memory.attempts[-1] if memory.attempts else None
    standing = Metrics(now, lasts, attempted_at=last.ended_at if last else None)
    assert_shown(*render_prometheus(standing).split("\n"))
    for kind in AlertKind:
        words = describe_attempt(last) if last else ""
        alert = word_alert(kind, "laptop", now, decision.last_at, words)
        assert_shown(render_subject(alert), *render_body(alert).split("\n"))


def remember(memory: Memory) -> Memory:
    """Return `memory` as the next start reads it: the same."""
    text = encode_memory(memory)
    read = decode_memory(text)
    assert read == memory
    return read


def test_a_remark_on_a_backup_is_a_line_of_its_own() -> None:
    """Whatever a server says in it is in that line."""
    odd = Attempt(NOW, NOW, Outcome.BACKED_UP, "a remark\nwith \x1b[2J")
    show(Memory(NOW, attempts=(odd,)), Policy(timedelta(days=1)), NOW)
    assert describe_attempt(odd).count("\n") == 1


@given(welcome_lines, wire_memories, policies)
def test_any_welcome_is_heeded_remembered_and_shown(
    line: bytes, memory: Memory, policy: Policy
) -> None:
    """Whatever was remembered before, whatever clocks say, up to the verdict on its last run."""
    for heard in hear(line):
        assert isinstance(heard, Welcome)
        welcome, _ = shift_clock(heard, NOW)
        heeded = remember(settle_unseen(heed_welcome(memory, welcome, NOW), welcome))
        show(heeded, policy, NOW)
        pulse, _ = beat(start_pulse(welcome.heartbeat, NOW), NOW + timedelta(days=1))
        assert pulse.heard_at <= NOW + timedelta(days=1)
        started = note_start(heeded, Started(NOW, NOW, 7))
        end = find_end(welcome, "", NOW - timedelta(days=1))
        if end:
            finish(started, end, policy)
        show(remember(note_unseen_end(started)), policy, NOW)


def finish(memory: Memory, end: Finished, policy: Policy) -> None:
    """Judge a run, remember it and show it."""
    decision = decide_by_gate(memory, policy, (), NOW)
    for wanted in (decision.wanted, (), tuple(memory.dles or ())):
        verdict = judge_finished(wanted, end, memory.confirmed)
        attempt = conclude(verdict, NOW, NOW, end.run)
        after = remember(note_end(memory, attempt))
        show(after, policy, NOW)
        settles_at(after, policy.settle, NOW)
        next_try_at(after, decision.wanted, policy.interval, NOW)
        if isinstance(verdict, NotBackedUp):
            assert attempt.outcome in {Outcome.FAILED, Outcome.INCOMPLETE}
        assert all(len(each.detail) <= 2000 for each in after.attempts[-1:])
    assert_shown(*map(describe_verdict, end.verdicts))


@given(changed(finished), welcomes, wire_memories, policies)
def test_any_end_of_a_run_is_judged_remembered_and_shown(
    line: bytes, said: Welcome, memory: Memory, policy: Policy
) -> None:
    """Also of disks that no Welcome had."""
    for heard in hear(line):
        assert isinstance(heard, Finished)
        finish(heed_welcome(memory, said, NOW), heard, policy)


@given(changed(server_messages), wire_memories)
def test_any_other_word_is_shown_and_remembered(line: bytes, memory: Memory) -> None:
    """A place, a run, its progress, a no, and when to come back."""
    for heard in hear(line):
        match heard:
            case Queued():
                assert_shown(describe_queued(heard))
            case Running():
                assert_shown(describe_running(heard))
                started = Started(NOW, NOW, 7, heard.run)
                remember(replace(memory, started=started))
            case Later():
                later = remember(replace(memory, not_before=NOW + heard.after))
                come_back_at(later, NOW)
            case Refused():
                assert heard.reference.isascii()
                assert len(heard.message) + len(heard.hint) <= 4000
            case _:
                pass
        if isinstance(heard, Queued | Running | Progress):
            assert render_event("x", event_value(heard)).isascii()


@given(st.one_of(welcomes, finished, st.builds(Progress, stamps, st.lists(progress).map(tuple))))
def test_what_the_server_says_its_client_takes(message: ServerMessage) -> None:
    """Whatever came out of a log: made fit, it is heard as something."""
    loud = _blow_up(message)
    line, refused = encode_answer(loud)
    assert len(line) <= LARGEST_FROM_SERVER + 1
    heard = server_decoder().feed(line)
    assert not any(isinstance(each, BadLine) for each in heard)
    assert (heard == [refused]) if refused else all(type(each) is type(loud) for each in heard)


def _blow_up(message: ServerMessage) -> ServerMessage:
    """Return `message` with numbers, times and words as no client takes them."""
    match message:
        case Welcome():
            last = message.last and replace(message.last, **_loud_end(message.last))
            return replace(message, heartbeat=timedelta(days=99), last=last)
        case Finished():
            return replace(message, **_loud_end(message))
        case Progress():
            return replace(
                message,
                dles=tuple(replace(dle, level=999, total_kilobytes=10**18) for dle in message.dles),
            )
        case _:
            return message


def _loud_end(end: Finished) -> dict[str, Any]:
    verdicts = tuple(
        replace(v, reason=v.reason * 300, level=999, kilobytes=10**18, state=DumpState.FAILED)
        for v in end.verdicts
    )
    return {"verdicts": verdicts, "ended_at": datetime(9999, 12, 31, tzinfo=UTC)}


@given(st.lists(st.binary(max_size=200) | welcome_lines, max_size=4).map(b"\n".join))
def test_no_bytes_make_the_client_s_decoder_raise(stream: bytes) -> None:
    """They are messages of the server's, bad lines, or nothing."""
    for each in server_decoder().feed(stream + b"\n"):
        if isinstance(each, BadLine):
            assert each.reason.isascii()
            assert len(each.reason) < 120

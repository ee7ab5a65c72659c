"""Whether the other side is still there, on machines that sleep and whose clocks are set."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.protocol.heartbeat import Beat, Pulse, beat, hear, start_pulse

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVERY = timedelta(seconds=15)
DAY = 86_400
HOUR = 3_600

Happening = tuple[int, str]  # seconds by the clock; "look" or "word"


def follow(happenings: Iterable[Happening]) -> list[tuple[int, Beat]]:
    """Return what the looks at a line that began at 0 asked for, the quiet ones left out."""
    pulse = start_pulse(EVERY, NOW)
    asked: list[tuple[int, Beat]] = []
    for second, happening in happenings:
        moment = NOW + timedelta(seconds=second)
        if happening == "word":
            pulse = hear(pulse, moment)
        else:
            pulse, what = beat(pulse, moment)
            if what is not Beat.QUIET:
                asked.append((second, what))
    return asked


def looks(first: int, last: int) -> list[Happening]:
    """Return a look each five seconds."""
    return [(second, "look") for second in range(first, last + 1, 5)]


def talk(first: int, last: int) -> list[Happening]:
    """Return a look each five seconds, and a word just before each third."""
    return [
        happening
        for second in range(first, last + 1, 5)
        for happening in ([(second, "word")] if (second - first) % 15 == 0 else [])
        + [(second, "look")]
    ]


P, G = Beat.PING, Beat.GONE


@pytest.mark.parametrize(
    ("happenings", "asked"),
    [
        pytest.param(talk(0, 600), [], id="steady talk"),
        pytest.param(looks(5, 50), [(15, P), (30, P), (45, G), (50, G)], id="silence"),
        pytest.param(
            [*looks(5, 15), (16, "word"), *looks(20, 65)],
            [(15, P), (35, P), (50, P), (65, G)],
            id="an answer, then silence",
        ),
        pytest.param(
            [*talk(0, 30), *looks(2 * HOUR, 2 * HOUR + 15)],
            [(2 * HOUR, P), (2 * HOUR + 15, G)],
            id="slept for 2 hours, nobody there",
        ),
        pytest.param(
            [*looks(5, 40), *looks(2 * HOUR, 2 * HOUR + 15)],
            [(15, P), (30, P), (2 * HOUR, P), (2 * HOUR + 15, G)],
            id="slept for 2 hours in a silence",
        ),
        pytest.param(
            [*talk(0, 30), (2 * HOUR, "look"), *talk(2 * HOUR + 1, 2 * HOUR + 600)],
            [(2 * HOUR, P)],
            id="slept for 2 hours, still there",
        ),
        pytest.param(
            [*talk(0, 30), (DAY, "word"), *looks(DAY, DAY + 15)],
            [(DAY, P), (DAY + 15, G)],
            id="slept, and read what had come before",
        ),
        pytest.param(
            [*talk(0, 30), (DAY + 35, "look"), *talk(DAY + 36, DAY + 600)],
            [(DAY + 35, P)],
            id="clock forward 1 day, still there",
        ),
        pytest.param(
            [*talk(0, 30), *looks(DAY + 35, DAY + 50)],
            [(DAY + 35, P), (DAY + 50, G)],
            id="clock forward 1 day, nobody there",
        ),
        pytest.param(
            [*talk(0, 30), *talk(35 - DAY, 600 - DAY)], [], id="clock back 1 day, still there"
        ),
        pytest.param(
            [*talk(0, 30), (45 - DAY, "word"), *talk(45 - DAY, 600 - DAY)],
            [],
            id="clock back 1 day, a word before a look",
        ),
        pytest.param(
            [*looks(5, 30), *looks(35 - DAY, 50 - DAY)],
            [(15, P), (30, P), (50 - DAY, G)],
            id="clock back 1 day, nobody there: a look later than without",
        ),
        pytest.param(
            [(5, "look"), (DAY, "word"), *looks(10, 55)],
            [(25, P), (40, P), (55, G)],
            id="a word while the clock was wrong",
        ),
    ],
)
def test_a_line_is_asked_and_given_up_in_time(
    happenings: list[Happening], asked: list[tuple[int, Beat]]
) -> None:
    """A Ping a beat after the last word or Ping; gone after three beats, or one after sleep."""
    assert follow(happenings) == asked


def test_a_pause_of_one_beat_is_no_sleep() -> None:
    """A slow look is late, and no more."""
    assert beat(start_pulse(EVERY, NOW), NOW + EVERY) == (
        Pulse(EVERY, heard_at=NOW, asked_at=NOW + EVERY, looked_at=NOW + EVERY),
        Beat.PING,
    )

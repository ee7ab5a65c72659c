"""The streams that are joined, as the dispatcher has them: whom it vouches for, whom it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from tests.system.relays import (
    LAPTOP,
    OTHER_SSHD,
    SECOND,
    SSHD,
    TABLET,
    Carrier,
    Ground,
    lend_ground,
)
from tests.system.watching import count_descriptors

from asyncamanda.server.gate import ipc
from asyncamanda.server.relay.open_streams import STOPPED_WITHIN, VOUCH_EVERY
from lab.patience import at_most


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Ground]:
    """Yield a relay."""
    with lend_ground(monkeypatch, capsys) as ground:
        yield ground


def test_the_end_that_a_client_tells_goes_to_the_carrier(ground: Ground) -> None:
    """Of its own stream; of another client's it can tell nothing."""
    line, tablet = ground.arrive(), ground.arrive(TABLET, OTHER_SSHD)
    ground.call()
    token = ground.asked(line)
    carrier = ground.attach(token)
    assert carrier.hear()[0] == "go"
    ground.shut(tablet, token, 0)
    ground.shut(line, "0" * 32, 0)
    assert not carrier.has_words()
    ground.shut(line, token, 9, "died")
    assert carrier.hear() == ["status", "9", "died"]


def test_another_client_cannot_end_a_call_that_waits(ground: Ground) -> None:
    """Nor can another line of the same client, which was not asked."""
    older = ground.arrive(connection=OTHER_SSHD)
    line, tablet = ground.arrive(), ground.arrive(TABLET, OTHER_SSHD)
    ssh = ground.call()
    token = ground.asked(line)
    ground.shut(tablet, token, 1)
    ground.shut(older, token, 1)
    assert ground.is_waiting(ssh)
    assert ground.attach(token).hear()[0] == "go"


@pytest.mark.parametrize("others", [OTHER_SSHD, None])
@pytest.mark.parametrize("is_lost", [True, False])
def test_streams_are_stopped_with_their_connection(
    ground: Ground, is_lost: bool, others: int | None
) -> None:
    """So that Amanda reads an end; those of others go on, though nobody knows their sshd."""
    own = SSHD if others else None
    line = ground.arrive(connection=own)
    ground.arrive(TABLET, others)
    mine = ground.take_over("1", connection=own)
    elsewhere = ground.take_over("2", connection=OTHER_SSHD)
    tablets = ground.take_over("3", TABLET, others)
    ground.leave(line, is_lost=is_lost)
    why = "vanished: its connection is lost" if is_lost else "has left"
    assert mine.hear() == ["stop", f"laptop {why}"]
    assert not elsewhere.has_words()
    assert not tablets.has_words()


def test_streams_of_a_connection_with_another_line_go_on(ground: Ground) -> None:
    """It is the same sshd."""
    first = ground.arrive()
    ground.arrive()
    stream = ground.take_over()
    ground.leave(first, is_lost=True)
    assert not stream.has_words()


def test_what_another_dispatcher_joined_is_watched_over(ground: Ground) -> None:
    """It is told its status, and forgotten in time."""
    stream = ground.take_over("1")
    assert ground.relay.is_busy
    ground.shut(ground.arrive(), "1", 4)
    assert stream.hear() == ["status", "4", "amandad ended with status 4"]
    stream.close()
    ground.until(lambda: not ground.relay.is_busy, "the stream is forgotten")


def test_a_client_that_has_a_line_on_the_same_connection_is_vouched_for(ground: Ground) -> None:
    """Now and then, though it is not greeted yet; for no other, nor for other connections."""
    ground.admit()
    ground.arrive(TABLET, OTHER_SSHD)
    own = ground.take_over("1")
    others = [
        ground.take_over("2", connection=OTHER_SSHD),
        ground.take_over("3", connection=None),
        ground.take_over("4", TABLET),
    ]
    assert [stream.count_wells() for stream in (own, *others)] == [1, 1, 1, 1]  # to begin with
    ground.beat()
    assert [stream.count_wells() for stream in (own, *others)] == [1, 0, 0, 0]
    ground.beat(VOUCH_EVERY - SECOND)
    assert own.count_wells() == 0
    for count in range(1, 9):
        ground.beat(count * VOUCH_EVERY)
        assert own.count_wells() == 1
    assert [stream.count_wells() for stream in others] == [0, 0, 0]
    assert not own.has_words()


def test_a_client_is_vouched_for_as_long_as_it_has_a_line(ground: Ground) -> None:
    """Then its stream is stopped, and of that no more is said."""
    first, last = ground.arrive(), ground.arrive()
    stream = ground.take_over()
    ground.leave(last, is_lost=True)
    ground.beat()
    assert stream.count_wells() == 2
    ground.leave(first, is_lost=True)
    ground.arrive()
    ground.beat(2 * VOUCH_EVERY)
    assert stream.hear() == ["stop", "laptop vanished: its connection is lost"]
    assert stream.count_wells() == 0


def test_a_stream_that_is_stopped_and_stays_is_killed(ground: Ground) -> None:
    """After some time, and not before; it may hang, or be stopped by a signal."""
    line = ground.arrive()
    ground.take_over()
    ground.stream.send_signal(signal.SIGSTOP)
    ground.beat(SECOND)
    ground.leave(line, is_lost=True)
    ground.beat(SECOND + STOPPED_WITHIN)
    ground.settle()
    assert ground.stream.poll() is None
    ground.beat(2 * SECOND + STOPPED_WITHIN)
    assert ground.stream.wait(at_most(5)) == -signal.SIGKILL
    assert "laptop: a stream does not end, and is killed" in ground.log()


def test_a_stream_that_ends_when_it_is_stopped_is_not_killed(ground: Ground) -> None:
    """Nor is one that nobody has stopped, whatever time has passed."""
    line = ground.arrive()
    ground.arrive(TABLET, OTHER_SSHD)
    stream = ground.take_over("1")
    ground.take_over("2", TABLET, OTHER_SSHD)
    ground.take_over("3", TABLET)
    ground.leave(line, is_lost=True)
    stream.close()
    ground.settle()
    ground.beat(10 * STOPPED_WITHIN)
    ground.beat(20 * STOPPED_WITHIN)
    ground.settle()
    assert ground.stream.poll() is None


def test_stop_is_said_once(ground: Ground) -> None:
    """Though there are several reasons; and the time for it is counted from the first."""
    line = ground.arrive()
    stream = ground.take_over()
    ground.beat()
    ground.leave(line, is_lost=True)
    ground.beat(STOPPED_WITHIN - SECOND)
    ground.relay.drop("laptop")
    assert stream.hear() == ["stop", "laptop vanished: its connection is lost"]
    assert not stream.has_words()
    ground.beat(STOPPED_WITHIN + SECOND)
    assert ground.stream.wait(at_most(5)) == -signal.SIGKILL


def test_a_stream_that_does_not_read_holds_nobody_up(ground: Ground) -> None:
    """What it is told is lost when its socket is full."""
    ground.arrive()
    ground.take_over()
    reads = ground.take_over("2")
    for count in range(3000):
        ground.beat(count * VOUCH_EVERY)
        assert reads.count_wells() >= 1
    assert not ground.faults


def test_a_client_that_is_not_greeted_yet_is_told_its_streams_life(ground: Ground) -> None:
    """Its hello may stand behind megabytes of dump."""
    line = ground.admit()
    stream = ground.take_over()
    stream.end.send(ipc.pack("alive"))
    ground.until(lambda: line.lives, "the line is taken for heard")


def test_bytes_of_a_stream_are_a_sign_of_life(ground: Ground) -> None:
    """Of the lines of its own connection, though one of them ends just then."""
    line, older = ground.arrive(), ground.arrive()
    elsewhere, tablet = ground.arrive(connection=OTHER_SSHD), ground.arrive(TABLET)
    line.on_life = lambda: ground.leave(line, is_lost=True)
    stream = ground.take_over()
    stream.end.send(ipc.pack("alive"))
    ground.until(lambda: older.lives, "the line is taken for heard")
    assert (line.lives, older.lives, elsewhere.lives, tablet.lives) == (1, 1, 0, 0)
    assert ground.relay.is_busy


def test_a_carrier_that_dies_at_the_wrong_moment_leaves_nothing(ground: Ground) -> None:
    """Amanda's ssh then ends as with a broken connection."""
    before = count_descriptors()
    line = ground.arrive()
    ssh = ground.call()
    carrier = Carrier()
    carrier.end.close()
    assert not ground.relay.attach(
        (LAPTOP.client, SSHD), LAPTOP, ground.asked(line), carrier.theirs
    )
    carrier.theirs.close()
    assert ground.wait(ssh)[0] == 255
    assert not ground.relay.is_busy
    assert ground.log().count("Amanda's request failed") == 1
    ground.leave(line, is_lost=False)
    ground.relay.drop("laptop")
    assert count_descriptors() <= before

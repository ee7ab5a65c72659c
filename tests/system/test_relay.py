"""Amanda's calls at the relay: a real ssh calls, a stand-in for the client's line answers."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.relays import (
    GRACE,
    LAPTOP,
    OTHER_SSHD,
    SECOND,
    SSHD,
    TABLET,
    Ground,
    lend_ground,
)
from tests.system.watching import count_descriptors

from asyncamanda.core.amanda.packets import NAK, REQ, packet
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.server.gate import ipc
from asyncamanda.server.relay import relay as relay_module
from asyncamanda.server.relay import request as request_module
from asyncamanda.server.relay.connections import LIMIT_LASTS, SESSIONS
from asyncamanda.server.relay.relay import is_of_a_dump
from asyncamanda.server.relay.request import SESSION


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Ground]:
    """Yield a relay."""
    with lend_ground(monkeypatch, capsys) as ground:
        yield ground


# -- a call


@pytest.mark.parametrize("status", [0, 3])
def test_a_call_is_joined_to_its_client(ground: Ground, status: int) -> None:
    """It has Amanda's stdin, stdout and stderr; nothing is left of it here afterwards."""
    line = ground.arrive()
    before = count_descriptors()
    ssh = ground.call()
    carrier = ground.attach(ground.asked(line))
    assert carrier.hear() == ["go", str(SESSION)]
    reads, writes, errors, _ = carrier.descriptors
    assert ground.relay.is_busy
    assert ssh.stdin
    ssh.stdin.write(b"question")
    ssh.stdin.flush()
    assert os.read(reads, 100) == b"question"
    os.write(writes, b"answer")
    os.write(errors, b"remark")
    carrier.finish(status)
    assert ground.wait(ssh) == (status, "answer", "remark")
    ground.until(lambda: not ground.relay.is_busy, "the stream is forgotten")
    assert count_descriptors() <= before


def test_a_call_goes_to_the_newest_of_a_clients_lines(ground: Ground) -> None:
    """The one that came last, whatever the clock said; one that ends is asked for nothing.

    An older one may be dead, and nobody has noticed.
    """
    older, newest, ending = (ground.arrive(connection=number) for number in (1, 2, 3))
    older.opened_at = older.heard_at = newest.opened_at + timedelta(days=1)
    ending.is_open = False
    ground.call()
    ground.asked(newest)
    assert older.tokens == ending.tokens == []


def test_clients_have_places_of_their_own(ground: Ground) -> None:
    """A call for one is not heard by the other; strangers get into neither."""
    laptop, tablet = ground.arrive(), ground.arrive(TABLET, OTHER_SSHD)
    ground.call(client="tablet")
    ground.asked(tablet)
    assert laptop.tokens == []
    for path in (ground.path(), ground.path("tablet")):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


# -- tokens


def test_a_token_is_good_once(ground: Ground) -> None:
    """Whoever comes second gets nothing."""
    line = ground.arrive()
    ground.call()
    token = ground.asked(line)
    assert ground.attach(token).hear()[0] == "go"
    second = ground.attach(token)
    assert second.hear() == ["no", "no stream of this client's is waited for"]
    assert second.hear() == [""]
    assert second.descriptors == []


@pytest.mark.parametrize(
    ("identity", "connection"),
    [
        (TABLET, SSHD),
        (Identity("laptop", "weekly"), SSHD),
        (LAPTOP, OTHER_SSHD),
        (LAPTOP, None),
        (Identity("nobody", "daily"), SSHD),
    ],
)
def test_a_token_is_its_clients_and_its_connections(
    ground: Ground, identity: Identity, connection: int | None
) -> None:
    """Another key that learnt it, or another connection, gets nothing; and takes nothing away."""
    line = ground.arrive()
    ground.arrive(TABLET, OTHER_SSHD)
    ground.call()
    token = ground.asked(line)
    assert ground.attach(token, identity, connection).hear()[0] == "no"
    assert ground.attach(token).hear()[0] == "go"


@pytest.mark.parametrize("token", ["", "0" * 32, "None"])
def test_what_is_no_token_joins_nothing(ground: Ground, token: str) -> None:
    """Nor while a call waits that nobody was asked for."""
    line = ground.arrive()
    ground.leave(line, is_lost=True)
    ssh = ground.hold()
    assert ground.attach(token).hear()[0] == "no"
    assert ground.is_waiting(ssh)


def test_a_token_lives_for_a_time(ground: Ground) -> None:
    """On a slow link a session is long in coming. Then Amanda is told, and nobody asked again."""
    line = ground.arrive()
    ssh = ground.call()
    token = ground.asked(line)
    ground.beat(relay_module.TOKEN_LIVES - SECOND)
    assert ground.is_waiting(ssh)
    ground.beat(relay_module.TOKEN_LIVES + SECOND)
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop does not open a stream\n")
    assert len(line.tokens) == 1
    assert ground.attach(token).hear()[0] == "no"


# -- a client that is away


def test_a_call_is_held_while_the_client_is_away(ground: Ground) -> None:
    """And joined as soon as it is back, on whatever connection."""
    ground.leave(ground.arrive(), is_lost=True)
    ssh = ground.hold()
    ground.beat(GRACE - SECOND)
    ground.beat(GRACE - SECOND)
    assert ground.is_waiting(ssh)
    assert ground.log().count("waits for the client") == 1
    line = ground.arrive(connection=OTHER_SSHD)
    ground.beat()
    carrier = ground.attach(ground.asked(line), connection=OTHER_SSHD)
    assert carrier.hear()[0] == "go"
    ground.beat(2 * GRACE)
    carrier.finish(0)
    assert ground.wait(ssh)[0] == 0


@pytest.mark.parametrize(("name", "is_held"), [("dumper", True), ("planner", False)])
def test_only_a_dumpers_call_is_held_for_long(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_held: bool
) -> None:
    """The planner has all clients wait for each; who has started an ssh, the kernel says."""
    monkeypatch.setattr(relay_module, "is_of_a_dump", is_of_a_dump)
    shell = tmp_path / name
    shutil.copy("/bin/sh", shell)
    ground.leave(ground.arrive(), is_lost=True)
    ssh = ground.call(starter=(str(shell), "-c", '"$@"; exit $?', "x"))
    ground.until(lambda: "waits for the client" in ground.log(), "the call is held")
    ground.beat(relay_module.SHORT_HOLD - SECOND)
    assert ground.is_waiting(ssh)
    ground.beat(relay_module.SHORT_HOLD + SECOND)
    assert ground.is_waiting(ssh) == is_held
    ground.beat(GRACE + SECOND)
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop is not connected\n")


def test_a_call_that_is_no_dumpers_finds_a_client_that_is_back_soon(ground: Ground) -> None:
    """And if the client is there it may take its time."""
    ground.are_dumps = False
    ground.leave(ground.arrive(), is_lost=True)
    ssh = ground.hold()
    ground.beat(relay_module.SHORT_HOLD - SECOND)
    line = ground.arrive()
    ground.beat(relay_module.SHORT_HOLD)
    token = ground.asked(line)
    ground.beat(2 * relay_module.SHORT_HOLD)
    assert ground.attach(token).hear()[0] == "go"
    assert ground.is_waiting(ssh)
    assert ground.path().exists()


@pytest.mark.parametrize(
    ("name", "is_dump"),
    [("dumper", True), ("dumper7", True), ("planner", False), ("amcheck", False)],
)
def test_an_ssh_is_a_dumps_if_a_dumper_started_it(tmp_path: Path, name: str, is_dump: bool) -> None:
    """Not if it has that name itself, nor when it is gone."""
    shell = tmp_path / name
    shutil.copy("/bin/sh", shell)
    with subprocess.Popen(
        [shell, "-c", "sleep 600 & echo $!; wait; exit"], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_of_a_dump(child) == is_dump
        assert not is_of_a_dump(parent.pid)
        os.kill(child, signal.SIGKILL)
    assert not is_of_a_dump(child)


def test_a_client_that_does_not_come_back_in_time_is_given_up(ground: Ground) -> None:
    """Amanda reads why on ssh's stderr, and the next call fails at once."""
    line = ground.arrive()
    line.heard_at -= GRACE / 2
    ground.leave(line, is_lost=True)
    ssh = ground.hold()
    ground.beat(GRACE / 2 - SECOND)
    assert ground.is_waiting(ssh)
    ground.beat(GRACE / 2 + SECOND)
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop is not connected\n")
    assert ground.wait(ground.call()) == (255, "", "asyncamanda: laptop is not connected\n")
    assert not ground.relay.is_busy


def test_a_clock_that_is_set_back_keeps_no_call_for_long(ground: Ground) -> None:
    """The grace is counted again, and not by the difference."""
    line = ground.arrive()
    line.heard_at += timedelta(days=1)
    ground.leave(line, is_lost=True)
    ssh = ground.hold()
    ground.beat()
    ground.beat(GRACE + SECOND)
    assert ground.wait(ssh)[0] == 255


def test_a_client_that_is_lost_while_it_is_asked_is_asked_when_it_is_back(ground: Ground) -> None:
    """With another token; the first is good for nothing."""
    line = ground.arrive()
    ssh = ground.call()
    first = ground.asked(line)
    ground.leave(line, is_lost=True)
    assert ground.attach(first).hear()[0] == "no"
    back = ground.arrive()
    ground.beat()
    assert ground.attach(ground.asked(back)).hear()[0] == "go"
    assert ground.is_waiting(ssh)


def test_a_client_that_left_in_good_order_is_not_waited_for(ground: Ground) -> None:
    """A call fails at once, and so do further ones."""
    line = ground.arrive()
    ssh = ground.call()
    token = ground.asked(line)
    ground.leave(line, is_lost=False)
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop has left\n")
    assert ground.wait(ground.call()) == (255, "", "asyncamanda: laptop is not connected\n")
    assert ground.attach(token).hear()[0] == "no"
    assert not ground.relay.is_busy


def test_one_of_two_lines_may_leave(ground: Ground) -> None:
    """As long as there is another, the client is there."""
    first, second = ground.arrive(), ground.arrive(connection=OTHER_SSHD)
    ground.leave(first, is_lost=False)
    ground.beat(2 * GRACE)
    ssh = ground.call()
    ground.asked(second)
    assert ground.is_waiting(ssh)


def test_whoever_gives_up_while_held_is_forgotten(ground: Ground) -> None:
    """Amanda's ssh may be killed: nothing of it is left, and nobody is asked for it."""
    before = count_descriptors()
    line = ground.arrive()
    ground.leave(line, is_lost=True)
    listening = count_descriptors()
    held = [ground.hold(count) for count in (1, 2, 3)]
    for ssh in held:
        ssh.kill()
        ground.wait(ssh)
    ground.until(lambda: not ground.relay.is_busy, "the calls are forgotten")
    assert count_descriptors() <= listening
    back = ground.arrive()
    ground.beat()
    assert back.tokens == []
    ground.leave(back, is_lost=False)
    ground.relay.drop("laptop")
    assert count_descriptors() <= before


def test_whoever_gives_up_while_the_client_is_asked_is_forgotten(ground: Ground) -> None:
    """The client comes too late, and is told so."""
    line = ground.arrive()
    ssh = ground.call()
    token = ground.asked(line)
    ssh.send_signal(signal.SIGTERM)
    ground.wait(ssh)
    ground.until(lambda: not ground.relay.is_busy, "the call is forgotten")
    assert ground.attach(token).hear()[0] == "no"


def test_a_call_fails_with_words_however_many_descriptors_there_are(ground: Ground) -> None:
    """A busy dispatcher has more than 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    many: list[int] = []
    try:
        ground.leave(ground.arrive(), is_lost=True)
        while not many or many[-1] < 1100:
            many.append(os.open(os.devnull, os.O_RDONLY))
        ssh = ground.hold()
        ground.beat(GRACE + SECOND)
        assert ground.wait(ssh) == (255, "", "asyncamanda: laptop is not connected\n")
    finally:
        for descriptor in many:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ask(ssh: subprocess.Popen[bytes], request: bytes) -> None:
    """Let an ssh's Amanda send something."""
    assert ssh.stdin
    ssh.stdin.write(request)
    ssh.stdin.flush()


def refusal(reason: str) -> str:
    """Return what Amanda reads for its first request."""
    return packet(1, NAK, f"ERROR asyncamanda: {reason}\n").decode()


NOOP = packet(1, REQ, "SERVICE noop\n")


@pytest.mark.parametrize(
    ("is_lost", "reason"), [(True, "laptop is not connected"), (False, "laptop has left")]
)
def test_what_amanda_asks_is_refused_before_its_ssh_ends(
    ground: Ground, is_lost: bool, reason: str
) -> None:
    """Of a client that is waited for in vain, of one that leaves, and of one that has left."""
    line = ground.arrive()
    ssh = ground.call()
    ask(ssh, NOOP)
    ground.asked(line)
    ground.leave(line, is_lost=is_lost)
    ground.beat(GRACE + SECOND)
    assert ground.wait(ssh)[:2] == (255, refusal(reason))
    late = ground.call()
    ask(late, NOOP)
    assert ground.wait(late)[:2] == (255, refusal("laptop is not connected"))


def test_a_client_that_was_never_there_is_answered_for(ground: Ground) -> None:
    """As soon as it comes it is called; and it is not waited for if it only tries to come."""
    ground.relay.expect(["laptop", "tablet"])
    line = ground.admit()
    ground.leave(line, is_lost=True)
    ssh = ground.call()
    ask(ssh, NOOP)
    assert ground.wait(ssh)[:2] == (255, refusal("laptop is not connected"))
    assert ground.relay.reachable() == []
    back = ground.arrive()
    ground.relay.expect(["laptop"])
    ground.call()
    ground.asked(back)
    ground.relay.drop("tablet")
    assert not ground.path("tablet").exists()


def test_what_amanda_asks_is_refused_when_the_dispatcher_ends(ground: Ground) -> None:
    """It tries the call again, and the next one has it."""
    ground.leave(ground.arrive(), is_lost=True)
    ssh = ground.hold()
    ask(ssh, NOOP)
    ground.relay.close()
    assert ground.wait(ssh)[:2] == (255, refusal("asyncamanda's dispatcher ends"))


def test_what_amanda_asks_a_little_later_is_refused_as_well(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has closed its side; whoever is killed meanwhile leaves nothing."""
    monkeypatch.setattr(request_module, "REFUSED_WITHIN", 600)
    line = ground.arrive()
    listening = count_descriptors()
    ssh, killed = ground.call(), ground.call()
    ground.asked(line, 2)
    ground.leave(line, is_lost=False)
    assert ground.is_waiting(ssh)
    ask(ssh, NOOP)
    assert ground.is_waiting(ssh)
    assert ssh.stdin
    ssh.stdin.close()
    ssh.stdin = None
    assert ground.wait(ssh)[:2] == (255, refusal("laptop has left"))
    killed.kill()
    ground.wait(killed)
    ground.until(lambda: count_descriptors() == listening, "nothing is left")


# -- after another dispatcher


def test_a_client_of_the_last_dispatchers_is_waited_for(ground: Ground) -> None:
    """Its run goes on: calls are held until it is back."""
    ground.relay.start(["laptop"])
    ssh = ground.hold()
    ground.beat(GRACE - SECOND)
    assert ground.is_waiting(ssh)
    assert not ground.path("tablet").exists()
    line = ground.arrive()
    ground.beat(GRACE + SECOND)
    assert ground.attach(ground.asked(line)).hear()[0] == "go"


def test_a_client_of_the_last_dispatchers_is_not_waited_for_for_ever(ground: Ground) -> None:
    """As one that was lost now."""
    ground.relay.start(["laptop"])
    ssh = ground.hold()
    ground.beat(GRACE + SECOND)
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop is not connected\n")
    assert ground.wait(ground.call())[0] == 255


def test_sockets_that_the_last_dispatcher_left_are_cleared_away(ground: Ground) -> None:
    """Else ssh would take a client for one that is there, and slow to answer."""
    ipc.make_runtime_folder()
    for client in ("laptop", "tablet"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(ground.path(client)))
    ground.relay.start(["laptop"])
    assert [path.name for path in ground.path().parent.iterdir()] == ["laptop"]
    ground.hold()


def test_a_client_that_comes_before_all_is_known_of_the_last_dispatcher_stays(
    ground: Ground,
) -> None:
    """It is not taken for away, and its socket stays, with whoever calls there."""
    line = ground.arrive()
    ssh = ground.call()
    before = ground.path().stat().st_ino
    ground.relay.start(["laptop", "tablet"])
    assert ground.path().stat().st_ino == before
    ground.beat(GRACE + SECOND)
    assert ground.attach(ground.asked(line)).hear()[0] == "go"
    assert ground.is_waiting(ssh)
    assert ground.path().exists()
    assert ground.wait(ground.call(client="tablet"))[0] == 255


def test_a_client_that_is_not_greeted_is_not_asked(ground: Ground) -> None:
    """It would not know what a stream is; as soon as it is greeted, it is asked."""
    ground.relay.start(["laptop"])
    line = ground.admit()
    assert ground.relay.reachable() == []
    ssh = ground.hold()
    ground.beat(GRACE / 2)
    assert line.tokens == []
    assert ground.is_waiting(ssh)
    ground.greet(line)
    ground.beat(GRACE / 2)
    assert ground.relay.reachable() == ["laptop"]
    ground.asked(line)


# -- how many at once


def test_a_connection_has_ten_sessions(ground: Ground) -> None:
    """What is asked for counts as well; the next call waits until one ends."""
    line = ground.arrive()
    streams = [ground.take_over(f"{number}") for number in range(SESSIONS - 2)]
    ground.call()
    tenth = ground.attach(ground.asked(line))
    assert tenth.hear()[0] == "go"
    ssh = ground.call()
    ground.until(lambda: "waits for its streams" in ground.log(), "the call is held")
    ground.beat()
    assert len(line.tokens) == 1
    streams[0].close()
    ground.settle()
    ground.beat()
    assert ground.attach(ground.asked(line, 2)).hear()[0] == "go"
    assert ground.is_waiting(ssh)


def test_what_is_asked_for_takes_a_place(ground: Ground) -> None:
    """Two calls at once do not both get the last one."""
    line = ground.arrive()
    for number in range(SESSIONS - 2):
        ground.take_over(f"{number}")
    for _ in range(2):
        ground.call()
    ground.until(lambda: "waits for its streams" in ground.log(), "a call is held")
    ground.asked(line)


def test_each_connection_has_its_own_ten(ground: Ground) -> None:
    """Neither another client's streams count, nor those of another connection."""
    line = ground.arrive()
    for number in range(SESSIONS):
        ground.take_over(f"{number}", TABLET)
        ground.take_over(f"{number}", LAPTOP, OTHER_SSHD)
    ground.call()
    ground.asked(line)


def test_an_sshd_that_allows_fewer_is_believed(ground: Ground) -> None:
    """One too many is no failure: it waits until another has ended, and then they are so many."""
    line = ground.arrive()
    streams = [ground.take_over(f"{number}") for number in range(3)]
    ssh = ground.call()
    ground.shut(line, ground.asked(line), 255, "Session open refused by peer", is_refused=True)
    ground.beat()
    assert len(line.tokens) == 1
    assert ground.is_waiting(ssh)
    streams.pop().close()
    ground.settle()
    ground.beat()
    assert ground.attach(ground.asked(line, 2)).hear()[0] == "go"
    further = ground.call()
    ground.until(lambda: ground.log().count("waits for its streams") == 2, "the next one waits")
    ground.leave(line, is_lost=True)
    for stream in streams:
        stream.close()
    again = ground.arrive()
    ground.beat()
    ground.asked(again)
    assert ground.is_waiting(further)


def test_what_an_sshd_allows_is_known_of_one_connection(ground: Ground) -> None:
    """It may be another sshd elsewhere, and another client's has nothing to do with it."""
    line = ground.arrive()
    ground.take_over("1")
    ground.call()
    ground.shut(line, ground.asked(line), 255, "refused", is_refused=True)
    tablet = ground.arrive(TABLET)
    ground.take_over("2", TABLET)
    ground.take_over("3", TABLET)
    ground.call(client="tablet")
    ground.asked(tablet)
    newer = ground.arrive(connection=OTHER_SSHD)
    for number in ("4", "5"):
        ground.take_over(number, connection=OTHER_SSHD)
    ground.beat()
    ground.asked(newer)


def test_what_an_sshd_refused_is_tried_again_after_a_time(ground: Ground) -> None:
    """Whoever had the sessions may have let them go, unseen."""
    line = ground.arrive()
    ground.take_over("1")
    ground.call()
    ground.shut(line, ground.asked(line), 255, "refused", is_refused=True)
    ground.beat(LIMIT_LASTS - SECOND)
    assert len(line.tokens) == 1
    ground.beat(LIMIT_LASTS + SECOND)
    ground.asked(line, 2)


def test_one_that_is_refused_again_and_again_fails(ground: Ground) -> None:
    """With the client's reason."""
    line = ground.arrive()
    streams = [ground.take_over(f"{number}") for number in range(4)]
    ssh = ground.call()
    for number in range(1, relay_module.MOST_TRIES + 1):
        ground.shut(line, ground.asked(line, number), 255, "refused", is_refused=True)
        streams.pop().close()
        ground.settle()
        ground.beat()
    assert ground.wait(ssh) == (255, "", "asyncamanda: refused\n")


@pytest.mark.parametrize(
    ("status", "streams", "is_refused"),
    [(255, 0, True), (255, 3, False), (127, 0, False), (127, 3, False), (1, 3, False)],
)
def test_a_stream_that_cannot_begin_fails_the_call(
    ground: Ground, status: int, streams: int, is_refused: bool
) -> None:
    """At once, where sshd has not refused one too many; with the client's words, made printable."""
    line = ground.arrive()
    for number in range(streams):
        ground.take_over(f"{number}")
    ssh = ground.call()
    token = ground.asked(line)
    ground.shut(line, token, status, "no amandad\x1b[2J here", is_refused=is_refused)
    ended, _, said = ground.wait(ssh)
    assert ended == status
    assert said.startswith("asyncamanda: no amandad")
    assert "\x1b" not in said
    assert ground.attach(token).hear()[0] == "no"


# -- who may not come in any more, and what goes wrong


def test_a_client_that_is_dropped_has_nothing_any_more(ground: Ground) -> None:
    """Its calls fail and its streams stop, whatever becomes of its line; others are left alone."""
    line = ground.arrive()
    ground.arrive(TABLET, OTHER_SSHD)
    stream, tablets = ground.take_over(), ground.take_over("3", TABLET, OTHER_SSHD)
    ssh = ground.call()
    ground.asked(line)
    ground.relay.drop("laptop")
    assert ground.wait(ssh) == (255, "", "asyncamanda: laptop is not enrolled any more\n")
    assert stream.hear() == ["stop", "laptop is not enrolled any more"]
    assert not tablets.has_words()
    assert not ground.path().exists()
    assert ground.path("tablet").exists()
    ground.beat()
    ground.leave(line, is_lost=True)  # it did not read, and so it ends later
    ground.beat()
    ground.relay.drop("laptop")
    ground.relay.drop("nobody")


def test_a_client_without_a_socket_comes_and_goes(ground: Ground) -> None:
    """The disk may be full: it cannot be called, and no more; the socket is made when it can be."""
    ground.path().mkdir(parents=True)
    line = ground.arrive()
    assert "laptop cannot be called: " in ground.log()
    ground.shut(line, "0" * 32, 0)
    ground.leave(line, is_lost=True)
    again = ground.arrive()
    ground.path().rmdir()
    ground.beat(SECOND / 2)
    ground.beat(2 * SECOND)
    ground.call()
    ground.asked(again)


def test_a_socket_that_was_cleared_away_is_made_anew(ground: Ground) -> None:
    """With its folder, or by another file in its place; calls that wait go on."""
    line = ground.arrive()
    ssh = ground.call()
    ground.asked(line)
    listening = count_descriptors()
    ground.path().unlink()
    ground.beat(2 * SECOND)
    ground.call()
    ground.asked(line, 2)
    ground.path().unlink()
    ground.path().write_text("not ours")
    ground.beat(4 * SECOND)
    ground.call()
    ground.asked(line, 3)
    ground.path().unlink()
    ground.path().parent.rmdir()
    ground.beat(6 * SECOND)
    ground.call()
    ground.asked(line, 4)
    assert ground.attach(line.tokens[0]).hear()[0] == "go"
    assert ground.is_waiting(ssh)
    assert count_descriptors() <= listening + 3 * (3 + 4) + 3  # three requests, an open stream


def test_a_socket_that_cannot_be_made_is_tried_again(ground: Ground) -> None:
    """And the log says why."""
    line = ground.arrive()
    ground.path().unlink()
    ground.path().mkdir()
    ground.beat(2 * SECOND)
    assert "laptop cannot be called: " in ground.log()
    ground.path().rmdir()
    ground.beat(4 * SECOND)
    ground.call()
    ground.asked(line)


def test_the_end_of_the_relay_leaves_no_socket(ground: Ground) -> None:
    """And streams go on, for the next dispatcher."""
    ground.arrive()
    ground.arrive(TABLET, OTHER_SSHD)
    stream = ground.take_over()
    ground.relay.close()
    assert list(ground.path().parent.iterdir()) == []
    assert not stream.has_words()


# -- what a watchdog does


def test_streams_and_calls_of_a_client_that_stands_still_are_cut(ground: Ground) -> None:
    """Those of no other. It stays, and may be called again."""
    laptop, tablet = ground.arrive(), ground.arrive(TABLET, OTHER_SSHD)
    ground.call()
    carrier = ground.attach(ground.asked(laptop))
    assert carrier.hear()[0] == "go"
    ground.call(client="tablet")
    other = ground.attach(ground.asked(tablet), TABLET, OTHER_SSHD)
    assert other.hear()[0] == "go"
    waiting = ground.call()
    ground.asked(laptop, 2)
    assert ground.relay.has_stream("laptop")
    ground.relay.cut("laptop", "nothing comes")
    assert ground.wait(waiting) == (255, "", "asyncamanda: nothing comes\n")
    assert carrier.hear() == ["stop", "nothing comes"]
    carrier.finish(255)
    ground.until(lambda: not ground.relay.has_stream("laptop"), "it has ended")
    assert ground.relay.has_stream("tablet")
    ground.call()
    ground.asked(laptop, 3)


def test_a_client_that_is_barred_is_not_called(ground: Ground) -> None:
    """Amanda hears why at once, until it may call again."""
    line = ground.arrive()
    ground.relay.bar("laptop", "nothing comes")
    status, _, said = ground.wait(ground.call())
    assert (status, line.tokens) == (255, [])
    assert said == "asyncamanda: laptop is not called any more in this run: nothing comes\n"
    ground.relay.unbar("laptop")
    ground.call()
    ground.asked(line)

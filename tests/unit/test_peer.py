"""Which server and client a memory is about, and what is left of it where that was another."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.test_by_gate import NOW, RUN, dle, finished, said, welcome

from asyncamanda.core.agent.by_gate import (
    come_back_at,
    contact_at,
    decide_by_gate,
    heed_welcome,
    settle_unseen,
)
from asyncamanda.core.agent.due import Due, decide_due, is_stale, survey_disks
from asyncamanda.core.agent.peer import (
    be_named,
    disown,
    find_differences,
    name_key,
    own,
    read_host_keys,
)
from asyncamanda.core.agent.remember import KEPT_ATTEMPTS, next_try_at, settles_at
from asyncamanda.core.model import (
    EPOCH,
    Attempt,
    BackupState,
    DumpRecord,
    Memory,
    Outcome,
    Peer,
    Policy,
    Span,
    Started,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAILY = Policy(DAY)
PEER = Peer(
    address="backup@amanda",
    host_keys=("a", "b"),
    keys=("k",),
    name="laptop",
    client="laptop",
    amanda_config="daily",
    files=("/etc/hostname",),
    digest="d",
)
DUMP = DumpRecord("/home", 0, NOW - HOUR)
LOST = Attempt(NOW - 2 * HOUR, NOW - HOUR, Outcome.LOST, run=RUN)
FULL = Memory(
    since=NOW - 90 * DAY,
    confirmed={"/home": DUMP},
    attempts=(LOST,),
    dles=("/home",),
    asked_at=NOW - HOUR,
    not_before=NOW + HOUR,
    tries=3,
    retry_at=NOW + HOUR,
    seen="power=mains",
    told={"mail": BackupState.FAILED},
    peer=PEER,
)
OTHERS = {
    "address": (replace(PEER, address="backup@amanda:2222"), "the server's address"),
    "host key": (replace(PEER, host_keys=("c",)), "the server's host key"),
    "key": (replace(PEER, keys=("l",)), "this machine's key"),
    "a further key": (replace(PEER, keys=("k", "l")), "this machine's key"),
    "name": (replace(PEER, name="tablet"), "this machine's name"),
    "command": (replace(PEER, command="c"), "the command"),
    "amandates": (replace(PEER, amandates="/elsewhere"), "the file amandates"),
}
SAME = {
    "the same": PEER,
    "one host key less": replace(PEER, host_keys=("b",)),
    "one host key more": replace(PEER, host_keys=("b", "c")),
    "no host key known": replace(PEER, host_keys=()),
    "no key there": replace(PEER, keys=()),
    "other files": replace(PEER, files=("/x",), digest="e"),
    "not named yet": replace(PEER, client="", amanda_config=""),
}


# -- who is who


@pytest.mark.parametrize(("other", "words"), OTHERS.values(), ids=OTHERS.keys())
def test_another_server_or_client_is_seen(other: Peer, words: str) -> None:
    """By each of the things that make it one, both ways, and named in words."""
    assert find_differences(PEER, other) == (words,)
    assert find_differences(other, PEER) == (words,)


@pytest.mark.parametrize("same", SAME.values(), ids=SAME.keys())
def test_what_makes_no_other_server(same: Peer) -> None:
    """ssh takes over new host keys by itself, and without any there is nothing to compare."""
    assert find_differences(PEER, same) == ()
    assert find_differences(same, PEER) == ()


def test_a_key_that_was_gone_for_a_while_is_compared_with_the_last() -> None:
    """A host key taken out of known_hosts, and another put there later: that is another server."""
    gone, differences = own(FULL, replace(PEER, host_keys=(), keys=()), NOW)
    assert (differences, gone.dles) == ((), ("/home",))
    assert own(gone, PEER, NOW)[1] == ()
    assert own(gone, replace(PEER, host_keys=("c",)), NOW)[1] == ("the server's host key",)
    assert own(gone, replace(PEER, keys=("l",)), NOW)[1] == ("this machine's key",)


def test_host_keys_that_change_one_after_the_other_are_one_servers() -> None:
    """Each time one of those known before is still there."""
    memory = FULL
    for keys in (("b", "c"), ("c", "d"), ("d",)):
        memory, differences = own(memory, replace(PEER, host_keys=keys), NOW)
        assert differences == ()
    assert memory.dles == ("/home",)
    assert own(memory, PEER, NOW)[1] == ("the server's host key",)


def test_a_memory_of_nobody_becomes_the_peers() -> None:
    """A first start, or a damaged memory; by then it knows no more than before."""
    for memory in (Memory(since=NOW), Memory(since=NOW, distrusted=(Span(EPOCH, NOW),))):
        assert own(memory, PEER, NOW) == (replace(memory, peer=PEER), ())


def test_what_the_server_named_stays_while_it_is_the_same() -> None:
    """No start can know that by itself."""
    memory, _ = own(FULL, replace(PEER, client="", amanda_config="", digest="new"), NOW)
    assert memory == replace(FULL, peer=replace(PEER, digest="new"))


@pytest.mark.parametrize(
    ("printed", "count"),
    [
        ("", 0),
        ("# Host amanda found: line 1\namanda ssh-ed25519 AAAA\n", 1),
        ("amanda ssh-ed25519 AAAA a comment\n|1|salt=|hash= ssh-ed25519 AAAA another\n", 1),
        ("amanda ssh-ed25519 AAAA\namanda ssh-rsa BBBB\n", 2),
        ("@revoked amanda ssh-ed25519 AAAA\n", 0),
        ("@cert-authority * ssh-ed25519 AAAA\namanda ssh-ed25519 AAAA\n", 2),
        ("amanda ssh-ed25519\n\n@cert-authority\n", 0),
    ],
)
def test_host_keys_are_read_from_what_ssh_keygen_finds(printed: str, count: int) -> None:
    """Whatever name they stand under; a revoked one is none, and an authority is no host's key."""
    assert len(read_host_keys(printed)) == count


def test_a_key_is_named_without_its_comment() -> None:
    """Of a private half, where only that is there, all counts."""
    assert name_key(b"ssh-ed25519 AAAA me@here\n") == name_key(b"ssh-ed25519 AAAA")
    assert name_key(b"ssh-ed25519 AAAA") != name_key(b"ssh-ed25519 AAAB")
    private = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
    assert name_key(private) != name_key(private.replace(b"AAAA", b"AAAB"))


# -- what is left


@pytest.mark.parametrize(("other", "words"), OTHERS.values(), ids=OTHERS.keys())
def test_nothing_that_another_said_decides_anything(other: Peer, words: str) -> None:
    """The server counts as never asked: it is due, nothing waits, and the history is there."""
    memory, differences = own(FULL, other, NOW)
    assert differences == (words,)
    assert decide_by_gate(memory, DAILY, (), NOW) == Due((), (), None)
    assert (memory.confirmed, memory.dles, memory.asked_at) == ({}, None, None)
    assert (memory.tries, memory.retry_at, memory.seen) == (0, None, "")
    assert contact_at(memory, NOW) <= NOW
    assert come_back_at(memory, NOW) is None
    assert next_try_at(memory, ("/home",), DAY, NOW) is None
    assert settles_at(memory, 9 * DAY, NOW) is None
    assert (memory.attempts, memory.past) == ((), (LOST,))
    assert (memory.peer, memory.told) == (other, FULL.told)


def test_in_direct_mode_what_amandates_has_by_then_does_not_count() -> None:
    """It has no server in it; what the new one dumps from then on does."""
    memory, _ = own(FULL, replace(PEER, command="c"), NOW)
    seconds = int(NOW.timestamp())
    for ago, is_due in ((DAY, True), (timedelta(0), True), (-timedelta(seconds=1), False)):
        rows = [("/home", 0, seconds - int(ago.total_seconds()))]
        disks = survey_disks(rows, memory.confirmed, memory.distrusted, NOW + DAY / 2)
        assert isinstance(decide_due(disks, DAILY, NOW + HOUR), Due) is is_due


def test_a_run_at_another_server_is_history() -> None:
    """Also one whose end nobody saw, and it is shown in its place."""
    started = replace(FULL, started=Started(NOW - HOUR, NOW, 4711, RUN))
    memory = disown(started, NOW)
    assert memory.started is None
    assert [attempt.outcome for attempt in memory.past] == [Outcome.LOST, Outcome.UNSEEN]
    assert disown(memory, NOW).past == memory.past


def test_history_has_an_end() -> None:
    """Of many moves the last attempts are kept."""
    attempts = tuple(replace(LOST, detail=str(number)) for number in range(KEPT_ATTEMPTS))
    memory = disown(replace(FULL, past=attempts), NOW)
    assert memory.past == (*attempts[1:], LOST)


# -- what the server says of who this is


@pytest.mark.parametrize(
    ("client", "amanda_config"), [("tablet", "daily"), ("laptop", "weekly"), ("", "daily")]
)
def test_nothing_that_was_said_of_another_client_stays(client: str, amanda_config: str) -> None:
    """Its key was enrolled again: a run that was lost as the other is not ended by this one's."""
    named = replace(PEER, client="laptop", amanda_config="daily")
    started = Started(NOW - HOUR, NOW, 4711, RUN)
    before = replace(FULL, peer=named, confirmed={"/old": DUMP}, started=started)
    last = finished(said("/home"), run=RUN)
    came = replace(
        welcome(dle("/home", HOUR), last=last), client=client, amanda_config=amanda_config
    )
    memory = settle_unseen(heed_welcome(before, came, NOW), came)
    assert (memory.attempts, memory.started, memory.tries) == ((), None, 0)
    assert set(memory.confirmed) == {"/home"}
    assert memory.peer == replace(PEER, client=client, amanda_config=amanda_config)


def test_who_is_named_for_the_first_time_or_as_before_keeps_all() -> None:
    """That is what nearly every Welcome does."""
    for peer in (PEER, replace(PEER, client="", amanda_config="")):
        memory = be_named(replace(FULL, peer=peer), "laptop", "daily", NOW)
        assert memory == FULL
    assert be_named(replace(FULL, peer=None), "laptop", "daily", NOW).peer is None


# -- stale?


def test_who_moves_is_not_stale_at_once_and_not_spared_for_ever() -> None:
    """A backup before the move earns the usual time; further moves earn no more."""
    policy = Policy(DAY, stale_after=7 * DAY)
    at = NOW
    memory, _ = own(FULL, replace(PEER, address="first"), at)
    assert memory.since == at
    for number in range(1, 5):
        at = NOW + number * 2 * DAY
        memory, _ = own(memory, replace(PEER, address=str(number)), at)
        assert memory.since == NOW
        decision = decide_by_gate(memory, policy, (), at)
        assert is_stale(decision, memory.since, policy, at) is (at > NOW + 7 * DAY)


@pytest.mark.parametrize("told", list(BackupState))
def test_what_people_were_told_stands_until_there_is_a_backup(told: BackupState) -> None:
    """A move ends no alarm."""
    assert disown(replace(FULL, told={"mail": told}), NOW).told == {"mail": told}


@pytest.mark.parametrize(
    ("case", "is_kept"),
    [("name", True), ("key", True), ("host key", False), ("address", False)],
)
def test_a_copy_with_another_name_still_shows_whose_it_is(case: str, *, is_kept: bool) -> None:
    """The server knows the ticket that it gave; another server gave none."""
    peer, _ = OTHERS[case]
    memory, differences = own(replace(FULL, ticket="8-0b", is_doubted=True), peer, NOW)
    assert differences
    assert (memory.ticket, memory.is_doubted) == ("8-0b" if is_kept else "", False)

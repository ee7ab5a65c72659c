"""Which machine a client is, in the ledger: tickets, disputes, and whose dumps count."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncamanda.core.amanda.runlog import RunLog
from asyncamanda.core.dispatch.records import (
    LogFile,
    Protection,
    ProtectionKind,
    RequestState,
    RunEnd,
    RunKind,
)
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.core.protocol.tickets import Claim, Machine, MachineFinding
from asyncamanda.server.ledger import machines
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.machines import Received
from asyncamanda.system.clock import format_local_stamp, parse_local_stamp

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STAMP, NEXT = "20261124130000", "20261124140000"
RANDOM = "0123456789abcdef" * 2


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = Ledger.open(str(tmp_path / "ledger.sqlite"), timedelta(seconds=1))
    yield opened
    opened.close()


def come(
    ledger: Ledger,
    ticket: str,
    host_name: str = "larch",
    *,
    at: datetime = NOON,
    is_elsewhere: bool | None = False,
) -> Received:
    """Say hello."""
    return machines.receive(
        ledger,
        "laptop",
        Claim(ticket, host_name),
        at,
        is_elsewhere=is_elsewhere,
        random=RANDOM,
        dles=("daily", ["/home", "/srv"]),
    )


def served(received: Received) -> Machine:
    """Return the machine that was served."""
    assert received.finding.is_served
    assert received.machine
    return received.machine


def run(ledger: Ledger, machine: int | None, stamp: str = STAMP, *, is_early: bool = False) -> None:
    """Make a dump of /home, asked for by that machine, or by one that Amanda calls directly."""
    request = ledger.requests.open("laptop", "daily", NOON, machine)
    assert request.machine == machine
    begun_at = parse_local_stamp(stamp)
    row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [request.id], begun_at)
    ledger.runs.note(row.id, timestamp=stamp)
    words = (DleVerdict("laptop", "/home", stamp, DumpState.HELD, 0, dumped_at=begun_at),)
    if is_early:
        ledger.verdicts.note(row.id, words)
        ledger.requests.finish(request.id, NOON, "backed up")
    else:
        ledger.runs.end(row.id, NOON, RunEnd(0, True, words))


def test_a_machine_that_comes_again_is_known_by_its_ticket(ledger: Ledger) -> None:
    """A new one each time; what is odd is news once."""
    first = come(ledger, "")
    assert (first.finding, first.is_news) == (MachineFinding.FIRST, True)
    ticket = served(first).ticket
    machines.note_written(ledger, "laptop", ticket, NOON + MINUTE)
    second = come(ledger, ticket, at=NOON + MINUTE)
    assert second.finding is MachineFinding.SAME
    assert served(second).ticket not in {"", ticket}
    for is_news in (True, False):
        lost = come(ledger, "", at=NOON + 2 * MINUTE)
        assert (lost.finding, lost.is_news) == (MachineFinding.LOST, is_news)
    assert machines.read_machines(ledger) == {"laptop": lost.machine}


def test_only_the_newest_ticket_can_be_shown_to_be_written(ledger: Ledger) -> None:
    """A line that was given an older one, and ends late, shows nothing."""
    first = served(come(ledger, "")).ticket
    second = served(come(ledger, first)).ticket
    machines.note_written(ledger, "laptop", first, NOON)
    assert not machines.read_machines(ledger)["laptop"].is_written
    assert come(ledger, first).finding is MachineFinding.CUT
    machines.note_written(ledger, "laptop", second, NOON)
    assert not machines.read_machines(ledger)["laptop"].is_written
    machines.note_written(ledger, "tablet", second, NOON)


def test_a_second_machine_is_written_down_once_and_for_both(ledger: Ledger) -> None:
    """Until it is settled, whatever either of them says."""
    old = served(come(ledger, "")).ticket
    newest = served(come(ledger, old)).ticket
    machines.note_written(ledger, "laptop", newest, NOON)
    copy = come(ledger, old, "copy", at=NOON + MINUTE)
    assert (copy.finding, copy.is_news) == (MachineFinding.SECOND, True)
    for ticket in (newest, old, ""):
        again = come(ledger, ticket, "larch", at=NOON + 2 * MINUTE)
        assert (again.finding, again.is_news) == (MachineFinding.SECOND, False)
        assert again.machine == copy.machine
    known = machines.read_machines(ledger)["laptop"]
    assert (known.host_name, known.other_host_name) == ("larch", "copy")
    assert known.disputed_at == NOON + MINUTE


def test_who_has_to_be_asked_first_changes_nothing(ledger: Ledger) -> None:
    """Whether a line that is open answers decides."""
    served(come(ledger, ""))
    before = machines.read_machines(ledger)
    assert come(ledger, "", is_elsewhere=None).finding is MachineFinding.ASK
    assert machines.read_machines(ledger) == before
    assert come(ledger, "", "copy", is_elsewhere=True).finding is MachineFinding.SECOND


def test_a_probe_is_judged_and_leaves_no_trace(ledger: Ledger) -> None:
    """Whatever it finds; what it would be told has both names."""
    assert machines.judge_probe(ledger, "laptop", Claim("", "larch"), NOON) == Received(
        MachineFinding.FIRST, None
    )
    old = served(come(ledger, "")).ticket
    machines.note_written(ledger, "laptop", served(come(ledger, old)).ticket, NOON)
    before = machines.read_machines(ledger)
    copy = machines.judge_probe(ledger, "laptop", Claim(old, "copy"), NOON + MINUTE)
    assert copy.finding is MachineFinding.SECOND
    assert copy.machine
    assert (copy.machine.other_host_name, copy.machine.disputed_at) == ("copy", NOON + MINUTE)
    assert (
        machines.judge_probe(ledger, "laptop", Claim("", "larch"), NOON).finding
        is MachineFinding.LOST
    )
    assert machines.read_machines(ledger) == before


def test_settling_needs_two_and_a_new_key_does_not(ledger: Ledger) -> None:
    """To enroll a client again, for one more disk perhaps, costs it no full dump."""
    assert not machines.open_anew(ledger, "laptop", is_settling=False)
    ticket = served(come(ledger, "")).ticket
    assert not machines.open_anew(ledger, "laptop", is_settling=True)
    assert served(come(ledger, ticket)).lineage == 1
    come(ledger, "nonsense", "copy")
    assert machines.open_anew(ledger, "laptop", is_settling=True)
    assert served(come(ledger, ticket)).lineage == 2
    assert machines.open_anew(ledger, "laptop", is_settling=False)
    assert served(come(ledger, "")).lineage == 3


def test_the_next_machine_begins_with_a_full_of_each_disk(ledger: Ledger) -> None:
    """A dump of the one before that ends later does not make up for it; one of its own does."""
    served(come(ledger, ""))
    assert ledger.protections.list_pending("daily") == []
    machines.open_anew(ledger, "laptop", is_settling=False)
    served(come(ledger, "", at=NOON))
    now = format_local_stamp(NOON)
    wanted = [
        Protection("laptop", disk, now, ProtectionKind.FORCE, 0, dumped_at=NOON)
        for disk in ("/home", "/srv")
    ]
    assert ledger.protections.list_pending("daily") == wanted
    run(ledger, 1, format_local_stamp(NOON - MINUTE))
    assert ledger.protections.list_pending("daily") == wanted
    run(ledger, 2, format_local_stamp(NOON + MINUTE))
    assert ledger.protections.list_pending("daily") == wanted[1:]


@pytest.mark.parametrize("is_early", [False, True])
def test_a_dump_counts_for_the_machine_whose_session_carried_it(
    ledger: Ledger, is_early: bool
) -> None:
    """Also where it is confirmed before its run ends, and after a flush by another run."""
    run(ledger, 1, is_early=is_early)
    flush = ledger.runs.begin(RunKind.FLUSH, "daily", [], [], NOON)
    ledger.runs.note(flush.id, timestamp=NEXT)
    moved = DleVerdict("laptop", "/home", STAMP, DumpState.STORED, 0)
    ledger.runs.end(flush.id, NOON, RunEnd(0, True, (moved,)))
    assert ledger.verdicts.newest_confirmed("daily", "laptop", 1)["/home"].state is DumpState.STORED
    assert ledger.verdicts.newest_confirmed("daily", "laptop", 2) == {}
    assert list(ledger.verdicts.newest_confirmed("daily", "laptop")) == ["/home"]


def test_a_log_that_is_taken_in_too_early_makes_a_dump_nobodys_for_a_while_only(
    ledger: Ledger,
) -> None:
    """Before it is known which of asyncamanda's runs its log is of."""
    request = ledger.requests.open("laptop", "daily", NOON, 1)
    row = ledger.runs.begin(RunKind.BATCH, "daily", ["laptop"], [request.id], NOON)
    word = DleVerdict("laptop", "/home", STAMP, DumpState.HELD, 0)
    log = RunLog(
        program="amdump",
        pid=4711,
        timestamp=STAMP,
        dles=(("laptop", "/home"),),
        verdicts=(word,),
        is_finished=True,
        labels=(),
        errors=(),
    )
    assert ledger.logs.take_in(
        "daily", LogFile(f"log.{STAMP}.0", 1, NOON, NOON), log, (word,), NOON
    )
    ledger.runs.note(row.id, timestamp=STAMP)
    ledger.runs.end(row.id, NOON, RunEnd(0, True, (word,)))
    assert [*ledger.verdicts.newest_confirmed("daily", "laptop", 1)] == ["/home"]
    assert ledger.verdicts.newest_confirmed("daily", "laptop", 2) == {}


def test_a_dump_that_no_session_carried_counts_for_whoever_comes(ledger: Ledger) -> None:
    """Of a client that Amanda calls directly; an older one of the machine's own stays behind."""
    run(ledger, None)
    assert [*ledger.verdicts.newest_confirmed("daily", "laptop", 7)] == ["/home"]
    run(ledger, 1, NEXT)
    assert ledger.verdicts.newest_confirmed("daily", "laptop", 7)["/home"].timestamp == STAMP
    assert ledger.verdicts.newest_confirmed("daily", "laptop", 1)["/home"].timestamp == NEXT


def test_a_request_remembers_whose_it_is(ledger: Ledger) -> None:
    """So that a dispatcher that takes it over does not give it to another machine."""
    ledger.requests.open("laptop", "daily", NOON, 3)
    (row,) = ledger.requests.list_open("daily")
    assert (row.machine, row.state) == (3, RequestState.QUEUED)


def test_what_no_session_carried_is_nobodys_once_two_were_there(ledger: Ledger) -> None:
    """It is of one of the two, and nobody knows of which."""
    served(come(ledger, ""))
    run(ledger, None)
    assert set(ledger.verdicts.newest_confirmed("daily", "laptop", 1)) == {"/home"}
    come(ledger, "nonsense", "copy")
    assert machines.open_anew(ledger, "laptop", is_settling=True)
    served(come(ledger, ""))
    assert ledger.verdicts.newest_confirmed("daily", "laptop", 2) == {}

"""Direct mode's verdict on a command that ended."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.core.agent.by_command import (
    BackedUp,
    NotBackedUp,
    explain_status,
    find_moved,
    has_moved,
    judge_run,
    may_move,
    names_one_client,
)
from asyncamanda.core.agent.due import Disk
from asyncamanda.core.model import DumpRecord, Outcome

AMDUMP = "/usr/sbin/amdump daily"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT, HOME = DumpRecord("/", 0, NOW), DumpRecord("/home", 1, NOW)


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (AMDUMP, 0, "exit status 0"),
        (AMDUMP, 1, "exit status 1: an error"),
        (AMDUMP, 2, "exit status 2: strange output from a dump"),
        (AMDUMP, 4, "exit status 4: a dump that failed"),
        (AMDUMP, 5, "exit status 5: an error, a dump that failed"),
        (AMDUMP, 8, "exit status 8: a dump without a result"),
        (AMDUMP, 16, "exit status 16: a tape error"),
        (
            AMDUMP,
            31,
            "exit status 31: an error, strange output from a dump, a dump that failed, "
            "a dump without a result, a tape error",
        ),
        (AMDUMP, 32, "exit status 32"),
        (AMDUMP, 137, "exit status 137"),
        (AMDUMP, 255, "exit status 255: it was killed, or ended so itself"),
        (AMDUMP, 126, "exit status 126: the command could not be started"),
        (AMDUMP, 127, "exit status 127: the command was not found"),
        ("amdump daily", 4, "exit status 4: a dump that failed"),
        ("sudo -u backup '/usr/sbin/amdump' daily", 4, "exit status 4: a dump that failed"),
        ("true; amdump", 4, "exit status 4: a dump that failed"),
        ("amdump_client", 4, "exit status 4"),
        ("/opt/myamdump", 4, "exit status 4"),
        ("backup.sh", 5, "exit status 5"),
    ],
)
def test_a_status_is_told_in_words(command: str, status: int, words: str) -> None:
    """Only amdump's status is a sum of bits."""
    assert explain_status(command, status) == words


def test_a_run_that_moved_every_wanted_disk_is_a_backup() -> None:
    """What else moved is confirmed with it."""
    assert judge_run(AMDUMP, 0, ("/",), (ROOT, HOME)) == BackedUp((ROOT, HOME))
    assert judge_run(AMDUMP, 0, (), (HOME,)) == BackedUp((HOME,))


def test_strange_output_is_a_backup_with_a_remark() -> None:
    """A file that changed while it was read spoils no dump."""
    verdict = judge_run(AMDUMP, 2, ("/",), (ROOT,))
    assert isinstance(verdict, BackedUp)
    assert "strange output" in verdict.remark


ALONE = "/usr/sbin/amdump daily --exact-match laptop"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        *((AMDUMP, status) for status in (1, 3, 16, 17, 20, 31, 32, 126, 127)),
        *((ALONE, status) for status in (1, 3, 4, 5, 6, 8, 9, 16, 31, 32, 126, 127)),
        ("backup.sh", 4),
    ],
)
def test_any_other_status_is_no_backup_whatever_moved(command: str, status: int) -> None:
    """amandates lies, so that it cannot make a failed run good."""
    verdict = judge_run(command, status, ("/",), (ROOT,))
    assert isinstance(verdict, NotBackedUp)
    assert verdict.reference == "run-failed"
    assert verdict.outcome is Outcome.FAILED
    assert explain_status(command, status) in verdict.message
    assert verdict.dumps == (ROOT,)
    assert not may_move(command, status)


@pytest.mark.parametrize("status", [4, 5, 6, 7, 8, 9, 12, 13])
@pytest.mark.parametrize("wanted", [(), ("/",)])
def test_a_dump_that_failed_may_be_another_clients(status: int, wanted: tuple[str, ...]) -> None:
    """Where all that is wanted moved, and the command names more than this client.

    amdump does not say whose it was, and amandates moves for a dump that was lost as well.
    """
    verdict = judge_run(AMDUMP, status, wanted, (ROOT,))
    assert isinstance(verdict, NotBackedUp)
    assert (verdict.outcome, verdict.dumps) == (Outcome.DOUBTFUL, (ROOT,))
    assert "does not show whose it was" in verdict.message
    assert "--exact-match" in verdict.hint
    assert may_move(AMDUMP, status)


@pytest.mark.parametrize("moved", [(), (ROOT,)])
def test_a_dump_that_failed_where_a_wanted_disk_did_not_move_is_ours(
    moved: tuple[DumpRecord, ...],
) -> None:
    """As far as anybody can tell, so it is a failure."""
    verdict = judge_run(AMDUMP, 5, ("/", "/home"), moved)
    assert isinstance(verdict, NotBackedUp)
    assert verdict.outcome is Outcome.FAILED


@pytest.mark.parametrize("status", [8, 9])
def test_a_run_that_dumped_nobody_is_no_failure_of_ours(status: int) -> None:
    """As Amanda 3.5.4 ends with 9 where another client vanishes while it is asked."""
    verdict = judge_run(AMDUMP, status, ("/",), ())
    assert isinstance(verdict, NotBackedUp)
    assert (verdict.reference, verdict.outcome) == ("nobody-dumped", Outcome.NOBODY)
    assert explain_status(AMDUMP, status) in verdict.message
    assert "--exact-match CLIENT" in verdict.hint
    alone = judge_run(ALONE, status, ("/",), ())
    assert isinstance(alone, NotBackedUp)
    assert (alone.reference, alone.outcome) == ("run-failed", Outcome.FAILED)
    assert "amcheck -c CONFIG CLIENT" in alone.hint


@pytest.mark.parametrize("status", [4, 5, 12, 13, 24, 25])
def test_a_run_in_which_a_dump_failed_did_not_leave_out_all(status: int) -> None:
    """Nor one whose volume failed: ours may be among them."""
    verdict = judge_run(AMDUMP, status, ("/",), ())
    assert isinstance(verdict, NotBackedUp)
    assert verdict.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("command", "names_one"),
    [
        (ALONE, True),
        ("amdump --exact-match daily laptop", True),
        ("amdump daily --exact-match laptop /home '/srv/d 3'", True),
        ("amdump daily -o retry-dump=1 --no-taper --exact-match laptop", True),
        ("amdump daily --exact-match -oretry-dump=1 laptop", True),
        ("sudo -u backup /usr/sbin/amdump daily --exact-match laptop", True),
        ("amdump daily laptop", False),  # a pattern, which may fit others
        ("amdump daily --exact-match", False),
        ("amdump daily --exact-match -o laptop", False),
        ("amdump daily --exact-match laptop desktop", False),
        ("amdump daily --exact-match laptop /home desktop /home", False),
        ("amdump daily --exact-match laptop /home home", False),  # a disk's name, or a client's
        ("amdump daily --exact-match laptop; amdump daily", False),
        ("amdump daily --exact-match laptop && amdump weekly", False),
        ("amdump daily --exact-match $CLIENTS", False),
        ("amdump daily --exact-match laptop*", False),
        ("amdump daily --exact-match laptop\namdump daily", False),
        ("amdump daily --exact-match 'laptop", False),
        ("backup.sh --exact-match daily laptop", False),
        ("", False),
    ],
)
def test_a_command_names_this_client_alone(command: str, *, names_one: bool) -> None:
    """Where that is not plain, it does not."""
    assert names_one_client(command) is names_one


@pytest.mark.parametrize("command", [AMDUMP, "backup.sh"])
@pytest.mark.parametrize("status", [128, 129, 130, 137, 143, 254, 255])
def test_a_command_that_was_killed_may_go_on_in_what_it_started(command: str, status: int) -> None:
    """A shell adds the signal to 128, ssh says 255; either way nobody saw the dumps end."""
    verdict = judge_run(command, status, ("/",), (ROOT,))
    assert isinstance(verdict, NotBackedUp)
    assert verdict.reference == "run-killed"
    assert verdict.outcome is Outcome.KILLED
    assert not verdict.outcome.is_settled
    assert f"cut off on the server, exit status {status}" in verdict.message
    assert verdict.dumps == (ROOT,)


def test_status_2_of_another_command_is_a_failure() -> None:
    """Only of amdump it is known to be harmless."""
    assert isinstance(judge_run("backup.sh", 2, (), (ROOT,)), NotBackedUp)


@pytest.mark.parametrize("status", [0, 2])
@pytest.mark.parametrize("wanted", [(), ("/",)])
def test_a_good_status_without_a_dump_is_no_backup(status: int, wanted: tuple[str, ...]) -> None:
    """An amdump that does not know this client ends well, too."""
    verdict = judge_run(AMDUMP, status, wanted, ())
    assert isinstance(verdict, NotBackedUp)
    assert verdict.reference == "nothing-dumped"
    assert verdict.outcome is Outcome.INCOMPLETE


def test_a_wanted_disk_that_did_not_move_is_named() -> None:
    """One good disk hides no other."""
    verdict = judge_run(AMDUMP, 0, ("/", "/home", "/srv"), (ROOT,))
    assert isinstance(verdict, NotBackedUp)
    assert verdict.reference == "disk-not-dumped"
    assert "did not dump /home, /srv" in verdict.message
    assert verdict.outcome is Outcome.INCOMPLETE
    assert verdict.dumps == (ROOT,)


@pytest.mark.parametrize(
    ("command", "status", "hint"),
    [
        (AMDUMP, 127, "try the command on the server"),
        ("backup.sh", 126, "try the command on the server"),
        (AMDUMP, 5, "--exact-match"),
        (AMDUMP, 16, "amreport"),
        (AMDUMP, 32, "its log on the server"),
        (AMDUMP, 143, "amcleanup"),
        ("backup.sh", 4, "its log on the server"),
    ],
)
def test_a_failure_says_what_to_do_next(command: str, status: int, hint: str) -> None:
    """The hint fits the command and its status."""
    verdict = judge_run(command, status, (), (ROOT,))
    assert isinstance(verdict, NotBackedUp)
    assert hint in verdict.hint


def test_a_disk_has_moved_if_its_last_dump_is_newer_or_its_first() -> None:
    """An equal or an older time is no movement, and a disk without a dump has none."""
    later = DumpRecord("/", 1, NOW + timedelta(seconds=1))
    before = (Disk("/", ROOT), Disk("/home", HOME), Disk("/new"), Disk("/srv"))
    new, fresh = DumpRecord("/new", 0, NOW), DumpRecord("/unheard-of", 0, NOW)
    after = (
        Disk("/", later),
        Disk("/home", HOME),
        Disk("/new", new),
        Disk("/srv", in_future=ROOT, distrusted=ROOT),
        Disk("/unheard-of", fresh),
    )
    assert find_moved(before, after) == (later, new, fresh)
    assert find_moved(after, before) == ()


def test_all_that_is_wanted_has_moved() -> None:
    """None that is wanted means any; what else moved does not matter."""
    assert has_moved((), (ROOT,))
    assert has_moved(("/",), (ROOT, HOME))
    assert not has_moved((), ())
    assert not has_moved(("/", "/home"), (ROOT,))
    assert not has_moved(("/",), ())


@pytest.mark.parametrize(("command", "status"), [(AMDUMP, 0), (AMDUMP, 2), ("backup.sh", 0)])
def test_after_a_good_end_a_disk_may_still_move(command: str, status: int) -> None:
    """An APPLICATION's dump ends before amandates is written."""
    assert may_move(command, status)
    assert not may_move("backup.sh", 2)

"""The verdict by command: a command's exit status, and what moved in amandates."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from asyncamanda.core.agent.due import Disk
from asyncamanda.core.model import DumpRecord, Outcome
from asyncamanda.core.values.shellwords import as_user

# amdump's exit status is a sum of these (amdump.pl of Amanda 3.5.1)
AMDUMP_BITS = {
    1: "an error",
    2: "strange output from a dump",
    4: "a dump that failed",
    8: "a dump without a result",
    16: "a tape error",
}
STRANGE = 2
DUMP_FAILED, NO_RESULT = 4, 8  # of one client at least
TAPE_ERROR = 16
KILLED = 128  # a shell adds a signal's number to it; ssh itself says 255 (ssh(1))
_BEYOND_WORDS = re.compile(r"[;&|<>$`()*?\[\n\\]")  # characters with a meaning in a shell
_AMDUMP = re.compile(r"(?:^|[\s/'\"])amdump(?=$|[\s'\"])")


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The run went well, and brought `dumps`, the wanted disks among them."""

    dumps: tuple[DumpRecord, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class NotBackedUp:
    """The run ended, and did not back up all that is wanted.

    `dumps` are what amandates claims of it; `outcome` says whether that counts.
    """

    reference: str
    message: str
    hint: str
    dumps: tuple[DumpRecord, ...]
    outcome: Outcome = Outcome.FAILED


RunVerdict = BackedUp | NotBackedUp


def find_moved(before: Iterable[Disk], after: Iterable[Disk]) -> tuple[DumpRecord, ...]:
    """Return the newest dump of each disk that has a newer one `after` than `before`."""
    was = {disk.name: disk.last.started_at for disk in before if disk.last}
    return tuple(
        disk.last
        for disk in after
        if disk.last and (disk.name not in was or disk.last.started_at > was[disk.name])
    )


def is_amdump_status(command: str, status: int) -> bool:
    """Return whether `status` is a sum of amdump's bits."""
    return _AMDUMP.search(command) is not None and 0 < status < 2 * max(AMDUMP_BITS)


def explain_status(command: str, status: int) -> str:
    """Return `status` in words; for amdump, by its bits."""
    if is_amdump_status(command, status):
        bits = [words for bit, words in AMDUMP_BITS.items() if status & bit]
        return f"exit status {status}: {', '.join(bits)}"
    other = {
        126: ": the command could not be started",
        127: ": the command was not found",
        255: ": it was killed, or ended so itself",
    }
    return f"exit status {status}{other.get(status, '')}"


def _is_strange(command: str, status: int) -> bool:
    return is_amdump_status(command, status) and status == STRANGE


def has_moved(wanted: tuple[str, ...], moved: tuple[DumpRecord, ...]) -> bool:
    """Return whether every disk `wanted` is among those that `moved`; none wanted means any."""
    return bool(moved) and {dump.disk for dump in moved}.issuperset(wanted)


def may_move(command: str, status: int) -> bool:
    """Return whether a run that ended with `status` may have moved all that is wanted.

    Then that may still show: an APPLICATION writes amandates after its dump's end was reported.
    """
    return status == 0 or _is_strange(command, status) or _is_perhaps_another(command, status)


def _is_perhaps_another(command: str, status: int) -> bool:
    """Return whether `status` says that dumps failed, which may all be of other clients.

    amdump adds 1 to that (5, where a client is away). An error alone, or one of the volume,
    concerns this client as well; so does a dump that failed where the command names one client
    only.
    """
    is_of_dumps = is_amdump_status(command, status) and bool(status & (DUMP_FAILED | NO_RESULT))
    return is_of_dumps and not status & TAPE_ERROR and not names_one_client(command)


def names_one_client(command: str) -> bool:
    """Return whether `command` is an amdump of one client, named so that it fits no other.

    What begins with "/" after that is a disk. Whatever is not plainly such a command does not count
    as one.
    """
    if _BEYOND_WORDS.search(command):
        return False
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that does not end
        return False
    amdumps = [n for n, word in enumerate(words) if word.rpartition("/")[2] == "amdump"]
    if not amdumps:
        return False
    words = words[amdumps[0] + 1 :]
    named: list[str] = []
    options = iter(words)
    for word in options:
        if word == "-o":
            next(options, None)
        elif not word.startswith("-"):
            named.append(word)
    others = [word for word in named[2:] if not word.startswith("/")]
    return "--exact-match" in words and len(named) > 1 and not others


def judge_run(
    command: str, status: int, wanted: tuple[str, ...], moved: tuple[DumpRecord, ...]
) -> RunVerdict:
    """Return the verdict on a run that ended with `status`; no disks `wanted` means any."""
    words = explain_status(command, status)
    if status >= KILLED:
        return NotBackedUp(
            "run-killed",
            f"the run was cut off on the server, {words}",
            "a killed amdump leaves its driver running; `amcleanup` on the server cleans up",
            moved,
            Outcome.KILLED,
        )
    if status != 0 and not _is_strange(command, status):
        return _judge_failed(command, status, wanted, moved)
    if not moved:
        return NotBackedUp(
            "nothing-dumped",
            f"the command ended with {words}, but no disk moved forward in amandates",
            "does the command dump this client? does its dumptype record (GNUTAR with "
            "'record yes', or an APPLICATION)? is `amandates` the file that Amanda writes, and may "
            "it (owner backup)? Amanda says nothing if not. It counts as tried for one interval",
            moved,
            Outcome.INCOMPLETE,
        )
    missing = [disk for disk in wanted if disk not in {dump.disk for dump in moved}]
    if missing:
        return NotBackedUp(
            "disk-not-dumped",
            f"the command ended with {words}, but did not dump {', '.join(missing)}",
            "is each of them still in the server's disklist for this client? If not, list those "
            "that are in `disks`; amreport on the server shows more. If it says that they were "
            "dumped: of two dumps that end at once (maxdumps) amandates may lose one",
            moved,
            Outcome.INCOMPLETE,
        )
    remark = f"with warnings ({words}); amreport on the server shows them"
    return BackedUp(moved, remark if status else "")


def _judge_failed(
    command: str, status: int, wanted: tuple[str, ...], moved: tuple[DumpRecord, ...]
) -> NotBackedUp:
    words = explain_status(command, status)
    if has_moved(wanted, moved) and _is_perhaps_another(command, status):
        return _cannot_tell(words, moved)
    if not moved and _is_nobodys(command, status) and not names_one_client(command):
        return _nobody_dumped(words)
    hint = _hint_at(command, status)
    return NotBackedUp("run-failed", f"the run failed, {words}", hint, moved)


def _cannot_tell(words: str, moved: tuple[DumpRecord, ...]) -> NotBackedUp:
    """Return the verdict on a run with failed dumps of which none need be this client's.

    It need not be right either: amandates moves for a dump that the server lost, too.
    """
    return NotBackedUp(
        "whose-dump-failed",
        f"the run ended with {words}; this client's disks moved forward in amandates, so the "
        f"failed dump may be another client's, but the command does not show whose it was"
        "",
        "this does not count as a backup. Let the command name this client alone: "
        "amdump CONFIG --exact-match CLIENT; amreport on the server shows which dump failed",
        moved,
        Outcome.DOUBTFUL,
    )


def _is_nobodys(command: str, status: int) -> bool:
    """Return whether `status` says that dumps have no result, and of none that it failed.

    Amanda 3.5.4's planner dies when a client vanishes while it is asked; then amdump ends with 9
    and has dumped nobody. 3.5.1 ends with 5, and dumps the others
    (test_another_client_that_is_away_is_no_failure_of_ours).
    """
    kind = status & (DUMP_FAILED | NO_RESULT | TAPE_ERROR)
    return is_amdump_status(command, status) and kind == NO_RESULT


def _nobody_dumped(words: str) -> NotBackedUp:
    """Return the verdict on a run that dumped no client: nothing is in doubt then."""
    return NotBackedUp(
        "nobody-dumped",
        f"the run ended with {words}: it dumped no client, as on Debian 13 if any client is away",
        "it is tried again after a wait. Let the command name this client alone, so that no other "
        "can do that: amdump CONFIG --exact-match CLIENT; amreport on the server shows more",
        (),
        Outcome.NOBODY,
    )


def _hint_at(command: str, status: int) -> str:
    if status in {126, 127}:
        return "try the command on the server, as the user that asyncamanda connects as"
    if _is_nobodys(command, status):
        return "no client was dumped: can Amanda reach this client? On the server, " + as_user(
            "backup", "amcheck -c CONFIG CLIENT"
        )
    if is_amdump_status(command, status) and status & DUMP_FAILED:
        return (
            "amreport on the server shows which and why; if it was another client's, let the "
            "command name this one: amdump CONFIG --exact-match CLIENT"
        )
    if is_amdump_status(command, status):
        return "amreport on the server shows why"
    return "the lines that it printed, or its log on the server, show why"

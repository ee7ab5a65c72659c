"""Direct mode's verdict: a command's exit status, and what moved in amandates."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from asyncamanda.core.due import Disk
from asyncamanda.core.model import DumpRecord, Outcome

# amdump's exit status is a sum of these (amdump.pl of Amanda 3.5.1)
AMDUMP_BITS = {
    1: "an error",
    2: "strange output from a dump",
    4: "a dump that failed",
    8: "a dump without a result",
    16: "a tape error",
}
STRANGE = 2
KILLED = 128  # a shell adds a signal's number to it; ssh itself says 255 (ssh(1))
_AMDUMP = re.compile(r"(?:^|[\s/'\"])amdump(?=$|[\s'\"])")


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The run went well, and brought `dumps`, the wanted disks among them."""

    dumps: tuple[DumpRecord, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class NotBackedUp:
    """The run ended, and is no backup of all that is wanted.

    `dumps` are what amandates claims of it; `outcome` says whether that counts.
    """

    reference: str
    message: str
    hint: str
    dumps: tuple[DumpRecord, ...]
    outcome: Outcome = Outcome.FAILED


DirectVerdict = BackedUp | NotBackedUp


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


def judge_run(
    command: str, status: int, wanted: tuple[str, ...], moved: tuple[DumpRecord, ...]
) -> DirectVerdict:
    """Return what a run that ended with `status` is worth; no disks `wanted` means any."""
    words = explain_status(command, status)
    if status >= KILLED:
        return NotBackedUp(
            "run-killed",
            f"the run was cut off at the server, {words}",
            "a killed amdump leaves its driver at work; `amcleanup` on the server tidies up",
            moved,
            Outcome.KILLED,
        )
    if status != 0 and not (is_amdump_status(command, status) and status == STRANGE):
        hint = _hint_at(command, status)
        return NotBackedUp("run-failed", f"the run failed, {words}", hint, moved)
    if not moved:
        return NotBackedUp(
            "nothing-dumped",
            f"the command ended with {words}, but no disk moved forward in amandates",
            "does the command dump this client? does its dumptype record (GNUTAR with "
            "'record yes', or an APPLICATION)? is `amandates` the file that Amanda writes, and may "
            "it (owner backup)? Amanda says nothing if not",
            moved,
            Outcome.INCOMPLETE,
        )
    missing = [disk for disk in wanted if disk not in {dump.disk for dump in moved}]
    if missing:
        return NotBackedUp(
            "disk-not-dumped",
            f"the command ended with {words}, but did not dump {', '.join(missing)}",
            "is each of them still in the server's disklist for this client? If not, name "
            "those that are in `disks`; amreport on the server tells more",
            moved,
            Outcome.INCOMPLETE,
        )
    remark = f"with remarks ({words}); amreport on the server shows them"
    return BackedUp(moved, remark if status else "")


def _hint_at(command: str, status: int) -> str:
    if status in {126, 127}:
        return "try the command on the server, as the user that asyncamanda connects as"
    if is_amdump_status(command, status) and status & 4:
        return (
            "amreport on the server tells which and why; if it was another client's, let the "
            "command name this one: amdump CONFIG --exact-match CLIENT"
        )
    if is_amdump_status(command, status):
        return "amreport on the server tells why"
    return "the lines that it printed, or its log on the server, tell why"

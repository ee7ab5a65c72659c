"""Direct mode's verdict: a command's exit status, and what moved in amandates."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from asyncamanda.core.due import Disk
from asyncamanda.core.model import DumpRecord

# amdump's exit status is a sum of these (amdump.pl of Amanda 3.5.1)
AMDUMP_BITS = {
    1: "an error",
    2: "strange output from a dump",
    4: "a dump that failed",
    8: "a dump without a result",
    16: "a tape error",
}
STRANGE = 2
_AMDUMP = re.compile(r"(?:^|[\s/'\"])amdump(?=$|[\s'\"])")


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The run went well, and brought `dumps`, the wanted disks among them."""

    dumps: tuple[DumpRecord, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class NotBackedUp:
    """The run ended, and does not count. `dumps` are what amandates claims of it."""

    reference: str
    message: str
    hint: str
    dumps: tuple[DumpRecord, ...]


DirectVerdict = BackedUp | NotBackedUp


def find_moved(before: Iterable[Disk], after: Iterable[Disk]) -> tuple[DumpRecord, ...]:
    """Return the newest dump of each disk that has a newer one `after` than `before`."""
    was = {disk.name: disk.last.started_at for disk in before if disk.last}
    return tuple(
        disk.last
        for disk in after
        if disk.last and (disk.name not in was or disk.last.started_at > was[disk.name])
    )


def explain_status(command: str, status: int) -> str:
    """Return `status` in words; for amdump, by its bits."""
    if status == 0:
        return "exit status 0"
    bits = [words for bit, words in AMDUMP_BITS.items() if status & bit]
    if _AMDUMP.search(command) and 0 < status < 32:
        return f"exit status {status}: {', '.join(bits)}"
    if status == 127:
        return "exit status 127: the command was not found"
    if status == 126:
        return "exit status 126: the command could not be started"
    return f"exit status {status}"


def judge_run(
    command: str, status: int, wanted: tuple[str, ...], moved: tuple[DumpRecord, ...]
) -> DirectVerdict:
    """Return what a run that ended with `status` is worth; no disks `wanted` means any."""
    is_strange = status == STRANGE and _AMDUMP.search(command) is not None
    words = explain_status(command, status)
    if status != 0 and not is_strange:
        return NotBackedUp(
            "run-failed", f"the run failed, {words}", _hint_at(command, status), moved
        )
    if not moved:
        return NotBackedUp(
            "nothing-dumped",
            f"the command ended with {words}, but no disk moved forward in amandates",
            "does the command dump this client? does its dumptype record (GNUTAR with "
            "'record yes', or an APPLICATION)? is `amandates` the file that Amanda writes?",
            moved,
        )
    missing = [disk for disk in wanted if disk not in {dump.disk for dump in moved}]
    if missing:
        return NotBackedUp(
            "disk-not-dumped",
            f"the command ended with {words}, but did not dump {', '.join(missing)}",
            "is each of them still in the server's disklist for this client? If not, name "
            "those that are in `disks`; amreport on the server tells more",
            moved,
        )
    return BackedUp(
        moved, f"with remarks ({words}); amreport on the server shows them" if status else ""
    )


def _hint_at(command: str, status: int) -> str:
    if status in (126, 127):
        return "try the command on the server, as the user that asyncamanda connects as"
    if _AMDUMP.search(command) and status & 4:
        return (
            "amreport on the server tells which and why; if it was another client's, let the "
            "command name this one: amdump CONFIG --exact-match CLIENT"
        )
    if _AMDUMP.search(command):
        return "amreport on the server tells why"
    return "the lines that it printed, or its log on the server, tell why"

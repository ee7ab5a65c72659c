"""Is what was backed up what is there? Which files are asked for back, and what they prove.

A file proves something only if it is certain that it has not changed since its dump: by both of its
times, with a margin, and looked at before and after. What may be missing for a reason, as what an
exclude pattern leaves out, proves nothing by that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from asyncamanda.core.restore.image import Kind, Member
from asyncamanda.core.restore.search import MAY_BE_EXCLUDED
from asyncamanda.errors import Exit

MOST_FILES = 6  # of a disk
MOST_BYTES = 32_000_000  # of all files of a disk
LARGEST_FILE = 16_000_000
# a page that a program has mapped may be written to for half a minute after the file's times say
# so (dirty_expire_centisecs), and clocks differ
MARGIN = timedelta(minutes=10)
SHORTENED = 3  # files that are named

_NANO = 1_000_000_000
# where a whole chain is not to be had for a reason that is no fault of the dumps
_NO_FAULT = frozenset(
    {"dump-overwritten", "nothing-dumped", "nothing-then", "no-chain", "chain-changed"}
)
_IMPOSSIBLE = frozenset({"no-tar-image"})
# what the server's configuration keeps from this disk alone
_NOT_UNPACKED = frozenset({"filter-refused", "filter-missing", "sealed"})


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A regular file as it is here; `path` leads there from the disk's folder.

    Times are nanoseconds since 1970. `is_settled`: no folder on the way to it can have got its
    name since the dump, so that the dump has the file at this path.
    """

    path: bytes
    size: int
    mtime_ns: int
    changed_ns: int
    mode: int
    uid: int
    gid: int
    inode: int
    is_settled: bool = True


class ProofStanding(Enum):
    """What a proof came to."""

    GOOD = "good"
    FAILED = "failed"
    NOTHING = "nothing"  # there was nothing that could be compared
    IMPOSSIBLE = "impossible"  # no single files can be had of this disk


@dataclass(frozen=True, slots=True)
class ClientProof:
    """What one try to prove a disk came to.

    `run` is that of the dump, "" if it did not come to one. `faults` name what failed, and `why`
    says why nothing was compared.
    """

    disk: str
    standing: ProofStanding
    run: str = ""
    files: int = 0
    size: int = 0
    faults: tuple[str, ...] = ()
    why: str = ""


def changed_limit(dumped_at: datetime) -> int:
    """Return the time before which a file has to have changed last, in nanoseconds since 1970."""
    seconds = (dumped_at.astimezone(UTC) - MARGIN).timestamp()
    return int(seconds * _NANO)


def is_unchanged(file: LiveFile, limit: int) -> bool:
    """Return whether the file is as it was at the limit that changed_limit() returns."""
    return max(file.mtime_ns, file.changed_ns) < limit


def choose_files(found: Iterable[LiveFile]) -> tuple[LiveFile, ...]:
    """Return the first of `found` that fit within the bounds of one proof, each once."""
    chosen: dict[bytes, LiveFile] = {}
    room = MOST_BYTES
    for file in found:
        if len(chosen) == MOST_FILES:
            break
        if file.path not in chosen and file.size <= min(room, LARGEST_FILE):
            chosen[file.path] = file
            room -= file.size
    return tuple(chosen.values())


def find_difference(file: LiveFile, member: Member) -> str:
    """Return how what came back differs from the file, its contents aside; "" if it does not.

    An image in GNU tar's own format has whole seconds.
    """
    if member.kind is not Kind.FILE:
        return f"it came back as a {member.kind.value}"
    if member.size != file.size:
        return f"it has {file.size} bytes, and came back with {member.size}"
    if (member.uid, member.gid) != (file.uid, file.gid):
        return f"it belongs to {file.uid}:{file.gid}, and came back as {member.uid}:{member.gid}'s"
    if member.mode & 0o7777 != file.mode & 0o7777:
        return f"its mode is {file.mode & 0o7777:o}, and came back as {member.mode & 0o7777:o}"
    is_whole = member.mtime_ns % _NANO == 0
    if member.mtime_ns != (file.mtime_ns // _NANO * _NANO if is_whole else file.mtime_ns):
        return "it came back with another time"
    return ""


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a file did not come back: `reason` is the server's, "" where it was not there then."""

    reason: str = ""


def judge_absence(
    file: LiveFile,
    absence: Absence,
    is_excluded: Callable[[bytes], bool],
    *,
    has_more_excludes: bool,
) -> str:
    """Return the fault that it is that a file did not come back; "" if it may well be so.

    `has_more_excludes`: what leaves files out is not all known.
    """
    may_be_left_out = has_more_excludes or is_excluded(file.path)
    if not absence.reason:
        return "" if may_be_left_out or not file.is_settled else "the backup does not have it"
    return "" if may_be_left_out and absence.reason in MAY_BE_EXCLUDED else absence.reason


def judge_refusal(exit_code: int, reference: str) -> ProofStanding | None:
    """Return what it proves that the server ended with an error; None if nothing at all."""
    if reference in _IMPOSSIBLE:
        return ProofStanding.IMPOSSIBLE
    if reference in _NOT_UNPACKED:
        return ProofStanding.NOTHING
    if exit_code != Exit.DATA:
        return None
    return ProofStanding.NOTHING if reference in _NO_FAULT else ProofStanding.FAILED


def conclude_proof(
    disk: str, run: str, same: Sequence[LiveFile], faults: Sequence[str], why: str
) -> ClientProof:
    """Return what a disk's proof came to: the files that are the same, and what is wrong."""
    size = sum(file.size for file in same)
    if faults:
        standing = ProofStanding.FAILED
    else:
        standing = ProofStanding.GOOD if same else ProofStanding.NOTHING
    why = why if standing is ProofStanding.NOTHING else ""
    return ClientProof(disk, standing, run, len(same), size, tuple(faults), why)


def judge_proofs(proofs: Sequence[ClientProof]) -> Exit:
    """Return the exit code for all disks together."""
    found = {proof.standing for proof in proofs}
    if ProofStanding.FAILED in found:
        return Exit.NOT_STORED
    return Exit.LATER if found == {ProofStanding.NOTHING} else Exit.OK


def sum_up_faults(faults: Sequence[str]) -> str:
    """Return the faults of a disk in one sentence."""
    named = "; ".join(faults[:SHORTENED])
    more = len(faults) - SHORTENED
    return f"{named}; and {more} more" if more > 0 else named

"""The quick way out: a scheduled start that finds nothing to do ends here.

When a full check finds nothing due it leaves a note: until when, and what it saw of each file that
the verdict rests on. A later start with the same arguments that finds all of them untouched, and
the clock between the note's making and its end, need not check again. All else leads to the full
check: so the note may be stale or damaged, but never wrong.

This runs before nearly everything, so it imports next to nothing.
"""

import os
import time
from binascii import crc32

from asyncamanda import __version__

SYSTEM_STATE = "/var/lib/asyncamanda"
LARGEST = 16_384  # bytes; no note comes near


def is_nothing_due(argv: list[str]) -> bool:
    """Return whether a start with `argv` would certainly find nothing due and say nothing.

    On a terminal somebody waits for an answer, so that the full check gives it.
    """
    try:
        place = place_note(argv)
        if place is None or os.isatty(1) or os.isatty(2):
            return False
        path, identity = place
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            folder = os.stat(path.rpartition("/")[0])  # noqa: PTH116 - as below
            if not _is_trusted(os.fstat(descriptor), folder):
                return False
            note = os.read(descriptor, LARGEST)
        finally:
            os.close(descriptor)
        body, _, check = note.rpartition(b"\0check ")
        if check != b"%08x" % crc32(body):
            return False
        written_for, made_at, until, *seen = body.decode("utf-8", "surrogateescape").split("\0")
        return (
            written_for == identity
            and float(made_at) <= time.time() < float(until)
            and all(glimpse(entry.partition("=")[2]) == entry for entry in seen)
        )
    except (OSError, ValueError):
        return False


def _is_trusted(note: os.stat_result, folder: os.stat_result) -> bool:
    """Return whether both are this user's or root's, and nobody else can write them.

    Whoever else could would keep this machine from every backup. Root's starts are the Amanda
    user's from then on: for them those are trusted to whom root gave the folder.
    """
    user = os.geteuid()
    owners = {0, user or folder.st_uid}
    return {note.st_uid, folder.st_uid} <= owners and not (note.st_mode | folder.st_mode) & 0o022


def place_note(argv: list[str]) -> tuple[str, str] | None:
    """Return where the note for `argv` lies, and whose it is; None for a start never quick.

    Whose: this version, user, folder, environment and arguments.
    """
    if not argv or {"--json", "-v", "--verbose"} & {*argv}:
        return None  # these need an answer every time
    if any(":" in word.rpartition("@")[0] for word in argv):
        return None  # there may be a password in it, which asyncamanda never writes down
    try:
        folder = os.getcwd()  # noqa: PTH109 - pathlib takes longer than all the rest
    except OSError:
        return None
    environ = [os.environ.get(name) for name in ("ASYNCAMANDA_CONFIG", "XDG_CONFIG_HOME", "HOME")]
    identity = repr((__version__, os.geteuid(), folder, environ, list(argv)))
    folder = state_folder("classic" if argv[0].startswith(("-", "+")) else "client")
    if folder.startswith("/var/tmp/"):  # noqa: S108 - where anybody may be before us
        return None
    return f"{folder}/note-{crc32(identity.encode('utf-8', 'surrogateescape')):08x}", identity


def state_folder(kind: str) -> str:
    """Return the folder in which this user's starts keep what they remember.

    The system's for root and for whom root made it; else the user's own; else, for an account
    whose home is not its own (Debian's backup), one that lasts.
    """
    system = f"{SYSTEM_STATE}/{kind}"
    if os.geteuid() == 0 or os.access(system, os.W_OK):
        return system
    state, home = os.environ.get("XDG_STATE_HOME", ""), os.environ.get("HOME", "")
    if state.startswith("/"):
        return f"{state}/asyncamanda/{kind}"
    if home.startswith("/") and os.access(home, os.W_OK):
        return f"{home}/.local/state/asyncamanda/{kind}"
    return f"/var/tmp/asyncamanda-{os.geteuid()}/{kind}"  # noqa: S108 - made with mode 0700


def render_note(identity: str, made_at: float, until: float, seen: list[str]) -> str:
    """Return the text of a note; `seen` are glimpses of files, taken before they were read."""
    body = "\0".join((identity, repr(made_at), repr(until), *seen))
    return f"{body}\0check {crc32(body.encode('utf-8', 'surrogateescape')):08x}"


def glimpse(path: str) -> str:
    """Return what stat() shows of `path`: which file it is, its size and times."""
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib takes longer than all the rest
    except OSError as error:
        return f"{error.errno}={path}"
    fields = (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
        status.st_uid,
    )
    return f"{fields}={path}"

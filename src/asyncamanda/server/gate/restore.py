"""The gate of a client that wants files back: it becomes `asyncamanda server serve`.

That reads, parses and filters what others have written, so it is a process of its own, polite to
the backups of the moment. It ends with its session: sshd closes its stdout, and where it waits for
a dead disk and does not notice, the end of its parent, sshd, ends it (prctl(2), PR_SET_PDEATHSIG).
"""

import os
import sys
from contextlib import suppress

from asyncamanda.core.protocol.authority import Identity
from asyncamanda.system.environ import clean_environ

LATER, REFUSED = 75, 77  # errors.Exit, as in gate.py
NICENESS = 10
# ionice(1): the last of what is served at all; the idle class would wait while a backup is written
_POLITE = ("ionice", "-t", "-c", "2", "-n", "7")
_DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")
_FAILED = '{"type":"failed","exit":%d,"reference":"%s","message":"%s","hint":"%s"}\n'


def become_restore(identity: Identity, *, may_restore: bool) -> int:
    """Become the program that answers the client; return the exit code if that cannot be."""
    if not may_restore:
        hint = f"the server's administrator can allow it: {_allow(identity)}"
        return refuse(REFUSED, "no-restore", "the server lets this client restore nothing", hint)
    argv = plan_serve(identity)
    try:
        os.nice(NICENESS)
        os.execvpe(argv[0], argv, clean_environ())  # noqa: S606
    except OSError as error:
        message = f"the server cannot work: {error.strerror}"
        return refuse(LATER, "no-process", message, "try again later")


def plan_serve(identity: Identity, *more: str) -> list[str]:
    """Return the command line of the program that answers a client; `more` are its options."""
    serve = [sys.executable, "-I", "-m", "asyncamanda", "server", "serve", *identity, *more]
    return [*_POLITE, *_DIES_WITH_PARENT, *serve]


def _allow(identity: Identity) -> str:
    return f"asyncamanda server enroll {identity.client} --restore"


def refuse(code: int, reference: str, message: str, hint: str) -> int:
    """Say it as core/restore/answer.py would; return the exit `code`."""
    line = _FAILED % (code, reference, message, hint)
    with suppress(OSError):
        os.write(2, line.encode("ascii", "replace"))
    return code

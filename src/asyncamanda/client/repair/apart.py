"""The doctor's checks in a process of their own, which becomes the Amanda user's; this is root's.

What comes from there is shown, and never followed: root finds out itself which paths to fix.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NoReturn

from asyncamanda.client.doctor.examination import ClientExamination
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import Exit, LaterError
from asyncamanda.system.endings import KILLED_WITHIN, reap


def examine_apart(named: str | None, now: datetime) -> Iterator[Check]:
    """Yield each check of ClientExamination as soon as it is made, in another process.

    Raises LaterError if that process did not come to its end.
    """
    reader, writer = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        os.close(reader)
        _examine(named, now, writer, before)
    os.close(writer)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with open(reader, encoding="utf-8", errors="surrogateescape") as pipe:  # noqa: PTH123
            yield from map(_read_check, pipe)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
        reap(child, KILLED_WITHIN)
        raise
    _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        if code == Exit.INTERNAL:
            raise RuntimeError("the checks failed; see above")
        raise LaterError("stopped", "stopped before all checks were made", "start it again")


def _examine(named: str | None, now: datetime, writer: int, signals: Iterable[int]) -> NoReturn:
    """Be the child: write the checks; `signals` are those that are blocked from now on."""
    code = Exit.INTERNAL
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        with open(writer, "w", encoding="utf-8", errors="surrogateescape") as pipe:
            for check in ClientExamination(named, now).checks():
                pipe.write(_write_check(check))
                pipe.flush()
        code = Exit.OK
    except (BrokenPipeError, KeyboardInterrupt):
        code = Exit.LATER
    except Exception:
        sys.stderr.write(traceback.format_exc())  # print_exc() may colour it
        sys.stderr.flush()
    finally:
        os._exit(code)


def _write_check(check: Check) -> str:
    """Return the check as a line, without what only the server's checks have."""
    words = (check.name, check.health.name, check.found, check.why, check.fix, int(check.exit))
    return json.dumps(words) + "\n"


def _read_check(line: str) -> Check:
    name, health, found, why, fix, code = parse_json(line)
    exits = {int(known): known for known in Exit}
    return Check(name, Health[health], found, why, fix, exit=exits[code])

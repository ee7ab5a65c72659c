"""A dispatcher that is killed at a given step. It runs in a host of the lab, begun by stage.py.

It is the real one, as `asyncamanda server dispatch --on-demand` is; only what it does to the world
is counted from outside. A step is a moment just before something durable, or something that others
see, is changed: a file below the state folder, the holding disk or Amanda's logs is opened to be
written, renamed, linked, removed; a transaction that has changed something is committed, and has
been; a program is started that changes something, and amdump is let go; a client is told
something, or let go. Where two steps follow each other, "killed before the second" is "killed after
the first". Programs that are only asked (amadmin dles, say) change nothing, and are no step.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy.engine.default import DefaultDialect

from asyncamanda.commands.server import dispatch
from asyncamanda.server.amanda import commands
from asyncamanda.server.amanda import run as run_module
from asyncamanda.server.dispatch import coordinator, dispatcher
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.server.gate.session import ClientSession

PLACE = "/srv/crash"
ARMED = f"{PLACE}/armed"  # holds the step before which the next dispatcher is killed
JOURNAL = f"{PLACE}/steps"  # ... and the steps that it came to are written here
HOLDING, LOGDIR = "/srv/amanda/holding", "/var/lib/amanda/daily/log"
PLACES = {f"{STATE}/": "", f"{HOLDING}/": "holding/", f"{LOGDIR}/": "log/"}
OWN = {"dispatcher.log", "start.lock"}  # its log, and what gates have
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGING = {"amflush", "amcleanup", "amreport", "force", "force-no-bump"}
TRANSACTIONS = re.compile(r"/(?:server/ledger/(?!transactions)|dispatch/)([a-z_]+)\.py$")
CHANGES = {"os.remove", "os.rename", "os.link", "os.rmdir", "os.mkdir"}
MAKING = {"os.link", "os.mkdir"}  # ... of which these fail where that is there already


class Steps:
    """Counts steps, and kills this process before the `fatal` one; "" kills at none."""

    def __init__(self, fatal: str) -> None:
        self._fatal = fatal
        self._seen: dict[str, int] = {}
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._journal = os.open(JOURNAL, flags, 0o600)

    def step(self, what: str) -> None:
        """Be at a step."""
        count = self._seen[what] = self._seen.get(what, 0) + 1
        name = what if count == 1 else f"{what} #{count}"
        os.write(self._journal, f"{name}\n".encode())
        if name == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Begin to count."""
        sys.addaudithook(self._hear)
        self._wrap_commit()
        self._wrap(commands, "release", "let amdump go")
        self._wrap(ClientSession, "drop", "let the client go")
        self._wrap(ClientSession, "send", "say {}")

    def _wrap(self, place: Any, name: str, what: str) -> None:
        """Let a function be a step; `what` may name the type of its last argument."""
        inner = getattr(place, name)

        def outer(*arguments: Any) -> Any:
            self.step(what.format(type(arguments[-1]).__name__.lower()))
            return inner(*arguments)

        setattr(place, name, outer)

    # -- files and programs, as Python's audit events report them

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and _has_place(path):
                self._hear_path("write", path)
        elif event in CHANGES:
            source, path = arguments[0], arguments[1 if event in {"os.rename", "os.link"} else 0]
            has_source = event == "os.mkdir" or os.path.lexists(source)
            if has_source and (event not in MAKING or not os.path.lexists(path)):
                self._hear_path(event.removeprefix("os."), path)
        elif event == "subprocess.Popen":
            self._hear_program([str(word) for word in arguments[1]])

    def _hear_path(self, what: str, path: object) -> None:
        text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
        for place, name in PLACES.items():
            rest = text.removeprefix(place)
            if rest != text and rest not in OWN:
                self.step(f"{what} {name}{re.sub('[0-9]{14}', 'STAMP', rest)}")

    def _hear_program(self, argv: list[str]) -> None:
        if argv[0] == "/bin/sh":
            self.step(f"start {argv[4]}, paused")
        elif changing := CHANGING & {*argv}:
            self.step(f"start {changing.pop()}")

    # -- the ledger

    def _wrap_commit(self) -> None:
        commit: Callable[..., None] = DefaultDialect.do_commit

        def do_commit(dialect: Any, connection: Any) -> None:
            """Commit; what has only been read is no step."""
            before, now = connection.info.get("changes", 0), connection.total_changes
            connection.info["changes"] = now
            name = _find_transaction()
            if now != before:
                self.step(f"commit {name}")
            commit(dialect, connection)
            if now != before:
                self.step(f"committed {name}")

        setattr(DefaultDialect, "do_commit", do_commit)  # noqa: B010 - another package's type


def _has_place(path: object) -> bool:
    """Return whether the directory is there; without it nothing is written, and it is no step."""
    return isinstance(path, (str, bytes, os.PathLike)) and Path(os.fsdecode(path)).parent.is_dir()


def _find_transaction() -> str:
    """Return the name of the function whose transaction is being committed, and its module's."""
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
        name = frame.f_code.co_name
        module = TRANSACTIONS.search(frame.f_code.co_filename)
        if module and name != "transaction":
            return f"{module[1]}.{name}"
    return "?"


def be_dispatcher() -> NoReturn:
    """Be a dispatcher that a gate has started; one that is to be killed, if that was asked for."""
    # it looks around more often, so that the walk takes seconds
    dispatcher.TICK = 0.02
    for module in (coordinator, run_module):
        setattr(module, "POLL", 0.05)  # noqa: B010 - which one of them only imports
    dispatcher.LEDGER_EVERY /= 10
    armed = Path(ARMED)
    if armed.exists():
        fatal = armed.read_text("utf-8")
        armed.unlink()
        Steps(fatal).install()
    code = dispatch.run(Namespace(on_demand=True, take_over_ledger=False, config=None))
    os._exit(code)

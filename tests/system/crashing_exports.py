"""Exports and imports that are killed at a given step. It runs in a host of the lab, as root.

A step is a moment just before a file below one of PLACES is opened to be written, renamed, linked,
removed, or a folder made; before SQLite opens a database, and before another program is started.
They are counted from outside, by Python's audit events. Each attempt is a fork of this process.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from asyncamanda.config.server import load_server_config
from asyncamanda.server.export.exporting import export_to
from asyncamanda.server.export.importing import ServerImport
from asyncamanda.server.export.sources import ServerSources, find_places, read_host_keys
from asyncamanda.server.export.verified import ExportFile, verify

AT = datetime(2026, 11, 30, 20, tzinfo=UTC)
OUT = Path("/srv/out")
FILE = OUT / "server.tar.gz"
STATE = Path("/var/lib/asyncamanda/server")
PLACES = ("/etc/amanda", "/var/lib/amanda", "/var/backups/.ssh", "/etc/ssh", "/etc/asyncamanda")
EVERYWHERE = (*PLACES, str(STATE), str(OUT))
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.remove", "os.rename", "os.link", "os.rmdir", "os.mkdir"}
LOSE = """
rm -rf /etc/asyncamanda /var/lib/asyncamanda /var/backups/.ssh /etc/amanda/* /var/lib/amanda/*
rm -f /etc/ssh/ssh_host_*
cp /srv/fresh-key /etc/ssh/ssh_host_ed25519_key
"""


class Steps:
    """Counts steps, and kills this process before the `fatal` one."""

    def __init__(self, fatal: int, told: int) -> None:
        self._fatal = fatal
        self._told = told
        self._main = os.getpid()
        self._count = memoryview(mmap.mmap(-1, 8)).cast("Q")  # shared with what it forks

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note an audit event."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and isinstance(path, (str, os.PathLike)):
                self._step(f"write {os.fspath(path)}")
        elif event in CHANGES:
            path = arguments[1 if event in {"os.rename", "os.link"} else 0]
            self._step(f"{event} {path}")
        elif event in {"sqlite3.connect", "subprocess.Popen"}:
            self._step(event)

    def _step(self, what: str) -> None:
        os.write(self._told, f"{what}\n".encode())
        self._count[0] += 1
        if self._count[0] == self._fatal:
            with suppress(PermissionError):  # of what it does as the Amanda user it hears itself
                os.kill(self._main, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(doing: Callable[[], object], fatal: int = 0) -> tuple[str, list[str]]:
    """Do it in a fork, which is killed before a step; return how it ended, and its steps."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        said = os.fdopen(os.dup(2), "w")
        try:
            sys.addaudithook(Steps(fatal, writer).hear)
            doing()
            gc.collect()
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=said)
            said.flush()
        os._exit(1)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
        steps = pipe.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "well", -9: "killed"}.get(code, f"failed: {code}"), steps


def import_() -> None:
    """Import what was exported."""
    export = verify(ExportFile(FILE))
    ServerImport(export, export.host_keys, AT, force=False).run()


def export() -> None:
    """Export this server."""
    _, config = load_server_config(None)
    sources = ServerSources(config, find_places(config.user), read_host_keys(), with_heads=True)
    export_to(FILE, sources, (), AT + timedelta(days=1))


def lose() -> None:
    """Be a fresh machine."""
    subprocess.run(["sh", "-c", LOSE], check=True)


def look() -> dict[str, Any]:
    """Return all that an import may write, but for what was set aside."""
    found = {}
    for place in (*PLACES, str(STATE)):
        for path in [Path(place), *Path(place).rglob("*")]:
            status = path.lstat()
            digest = ""
            if path.name == "ledger.sqlite":
                with closing(sqlite3.connect(path)) as connection:
                    digest = sha256("\n".join(connection.iterdump()).encode()).hexdigest()
            elif path.is_file():
                digest = sha256(path.read_bytes()).hexdigest()
            if "before-import" not in path.name and not path.name.endswith(
                (".lock", "-shm", "-wal")
            ):
                found[str(path)] = [status.st_uid, status.st_mode, digest]
    return found


def walk_import() -> dict[str, list[str]]:
    """Kill an import at each step, and make it again; return what is wrong, by steps."""
    faults: dict[str, list[str]] = {}
    lose()
    how, steps = attempt(import_)
    whole = look()
    if how != "well" or len(steps) < 40:
        return {"unkilled": [how, *steps]}
    for number, step in enumerate(steps, 1):
        lose()
        own = faults.setdefault(f"{number} {step}", [])
        how, _ = attempt(import_, number)
        keys = Path("/var/backups/.ssh/authorized_keys")
        is_open = keys.exists() and "asyncamanda gate" in keys.read_text()
        if is_open and {*whole} - {*look()}:
            own.append("clients may come in, and not all is there")
        if how == "well":
            own.append("it was not killed")
        how, _ = attempt(import_)
        if how == "failed: 1" and is_open and not Path("/etc/asyncamanda/import.begun").exists():
            how = "well"  # it had been through: what is there is in the way
        now = look()
        differing = [path for path in {*whole, *now} if whole.get(path) != now.get(path)]
        if how != "well" or differing:
            own.append(f"then {how}: {differing}")
    return {step: own for step, own in faults.items() if own}


def walk_export() -> dict[str, list[str]]:
    """Kill an export at each step; return what is wrong, by steps."""
    faults: dict[str, list[str]] = {}
    shutil.copy(FILE, "/srv/before")
    before = FILE.read_bytes()
    how, steps = attempt(export)
    if how != "well" or len(steps) < 6:
        return {"unkilled": [how, *steps]}
    for number, step in enumerate(steps, 1):
        shutil.copy("/srv/before", FILE)
        own = faults.setdefault(f"{number} {step}", [])
        how, _ = attempt(export, number)
        if how != "killed":
            own.append(how)
        if FILE.read_bytes() != before:
            own += [] if verify(ExportFile(FILE)).head.made_at > AT else ["it is another one"]
        if {path.name for path in OUT.iterdir()} - {FILE.name, f".{FILE.name}.new"}:
            own.append(f"left: {[*OUT.iterdir()]}")
        how, _ = attempt(export)
        if how != "well" or [*OUT.iterdir()] != [FILE] or (STATE / ".export").exists():
            own.append(f"then {how}: {[*OUT.iterdir()]}")
        verify(ExportFile(FILE))
    return {step: own for step, own in faults.items() if own}


if __name__ == "__main__":
    WALKS = {"import": walk_import, "export": walk_export}
    sys.stdout.write(json.dumps(WALKS[sys.argv[1]]()))

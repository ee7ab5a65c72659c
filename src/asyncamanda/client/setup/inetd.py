"""amandad on the network, which Debian's packages switch on, and which the gate does not need."""

from collections.abc import Sequence
from pathlib import Path

from asyncamanda.client.schedule.machine import BOOTED, find_program
from asyncamanda.client.start.network_offers import (
    INETD,
    find_network_offers,
    find_sockets,
    find_xinetd_files,
)
from asyncamanda.client.start.probing import read_lines
from asyncamanda.core.doctor.inetd import SWITCH_OFF, disable_xinetd_services, find_services
from asyncamanda.errors import RefusedError
from asyncamanda.system.files import write_whole
from asyncamanda.system.processes import iterate_processes
from asyncamanda.system.programs import run_or_refuse
from asyncamanda.system.steps import SetupStep

SWITCHED_WITHIN = 30.0  # seconds


def plan_offer_off() -> SetupStep:
    """Return the step after which nothing offers amandad to the network.

    Making it raises RefusedError with what prevented it.
    """
    what = "nothing offers amandad to the network"
    return SetupStep(what, lambda: not [*find_network_offers()], _switch_off)


def _switch_off() -> None:
    if find_services(read_lines(INETD)):
        _run(SWITCH_OFF, f"put a # before its line in {INETD}, and reload inetd")
    is_changed = False
    for path in find_xinetd_files():
        is_changed = _disable(path) or is_changed
    if is_changed and any(process.name == "xinetd" for process in iterate_processes()):
        reload = ("systemctl", "reload", "xinetd.service")
        _run(reload if BOOTED.is_dir() else ("service", "xinetd", "reload"), "reload xinetd")
    for unit in find_sockets():
        now = ("--now",) if BOOTED.is_dir() else ()
        _run(("systemctl", "disable", *now, unit), f"systemctl status {unit} may say why")


def _disable(path: Path) -> bool:
    """Let a file of xinetd's start no amandad; return whether that changed it."""
    try:
        before = path.read_bytes().decode("utf-8", "surrogateescape")
        after = disable_xinetd_services(before)
        if after == before:
            return False
        write_whole(path.resolve(), after, path.stat().st_mode & 0o7777)
    except OSError as error:
        hint = f"in {path}, set disable = yes where amandad is started, and reload xinetd"
        words = f"{path} cannot be changed: {error.strerror}"
        raise RefusedError("not-written", words, hint) from error
    return True


def _run(argv: Sequence[str], hint: str) -> None:
    program = find_program(argv[0]) or argv[0]
    run_or_refuse((program, *argv[1:]), SWITCHED_WITHIN, hint, " ".join(argv))

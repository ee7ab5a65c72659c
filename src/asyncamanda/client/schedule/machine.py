"""What this machine has that could start the agent, and how the agent is started."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from asyncamanda.core.schedule import schedule
from asyncamanda.core.schedule.schedule import ScheduleKind, ScheduleTarget
from asyncamanda.errors import ConfigurationError
from asyncamanda.system.processes import iterate_processes
from asyncamanda.system.programs import run_program

BOOTED = Path("/run/systemd/system")  # sd_booted(3)
CRONS = ("cron", "crond")
_UNITS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def find_program(name: str) -> str | None:
    """Return where a system program is, None if it is not on this machine."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/sbin:/sbin:/usr/bin:/bin")


def look_at_machine() -> ScheduleTarget:
    """Return what of this machine matters for a schedule."""
    name = ""
    with suppress(OSError):
        name = Path("/etc/machine-id").read_text("utf-8").strip()
    return ScheduleTarget(
        name=name or socket.gethostname(),
        has_cron=_has_cron(),
        has_network_manager=Path(schedule.DISPATCHER).parent.is_dir(),
        has_polkit=Path(schedule.POLKIT_RULE).parent.is_dir(),
        is_booted_by_systemd=BOOTED.is_dir(),
        idle=tuple(_find_idle()),
    )


def is_cron_running() -> bool:
    """Return whether there is a daemon of cron's."""
    return any(process.name in CRONS for process in iterate_processes())


def _find_idle() -> Iterator[str]:
    """Yield what does not run and could be started; nothing where no process can be seen."""
    is_booted = BOOTED.is_dir()
    if not Path("/proc/self").exists():
        return
    units = [schedule.ANACRON_TIMER] if any(map(_is_anacrons, _UNITS)) else []
    if not is_cron_running():
        there = [name for name in CRONS if find_program(name)]
        if is_booted:
            units += [f"{name}.service" for name in there]
        else:
            yield from (name for name in there if Path("/etc/init.d", name).exists())
    if is_booted:
        systemctl = find_program("systemctl") or "systemctl"
        for unit in units:
            if run_program([systemctl, "is-active", "--quiet", unit]).status:
                yield unit


def _is_anacrons(folder: str) -> bool:
    return Path(folder, schedule.ANACRON_TIMER).exists()


def choose_kind(wanted: ScheduleKind | None) -> ScheduleKind:
    """Return who is to start the agent. Raises ConfigurationError if that is not here."""
    usable = {
        ScheduleKind.SYSTEMD: find_program("systemctl") is not None,
        ScheduleKind.ANACRON: Path(schedule.ANACRONTAB).exists()
        and find_program("anacron") is not None,
        ScheduleKind.CRON: _has_cron(),
    }
    if wanted:
        candidates = [wanted]
    elif BOOTED.is_dir():
        candidates = [ScheduleKind.SYSTEMD]
    else:
        candidates = [ScheduleKind.ANACRON, ScheduleKind.CRON]
    for kind in candidates:
        if usable[kind]:
            return kind
    raise ConfigurationError(
        "no-scheduler",
        f"this machine has no {' or '.join(candidates)}",
        f"apt install {candidates[-1]}; or --kind names another one",
    )


def _has_cron() -> bool:
    is_there = find_program("cron") or find_program("crond")
    return is_there is not None and Path(schedule.CRON_FILE).parent.is_dir()


def find_own_program() -> tuple[str, ...]:
    """Return how to start this program from anywhere: absolute path and first arguments.

    Raises ConfigurationError if it is not installed.
    """
    for program in (Path(sys.prefix, "bin", "asyncamanda"), Path(sys.argv[0]).absolute()):
        if program.name == "asyncamanda" and os.access(program, os.X_OK):
            return (str(program),)
    if Path(__file__).is_relative_to(sys.prefix):
        return (sys.executable, "-P", "-m", "asyncamanda")
    raise ConfigurationError(
        "not-installed",
        "this asyncamanda runs from a checkout, and a timer would not find it",
        "install it: /opt/asyncamanda/bin/pip install .",
    )

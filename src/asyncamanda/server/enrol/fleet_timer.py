"""The timer by which this server looks at its fleet, whether clients can connect or not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.schedule import fleet_units
from asyncamanda.system.files import write_whole
from asyncamanda.system.programs import run_or_refuse, run_program
from asyncamanda.system.steps import LINK, SEARCHED, SetupStep

BOOTED = Path("/run/systemd/system")  # sd_booted(3)
SYSTEMCTL_WITHIN = 60.0  # seconds
CONTINUES = "fix that and run the same command again"


def plan_fleet_timer(config: ServerConfig) -> list[SetupStep]:
    """Return the step after which this server looks at its fleet each hour.

    There is none where neither systemd nor cron runs anything.
    """
    if BOOTED.is_dir():
        what = f"systemd examines the clients every hour: {fleet_units.TIMER}"
        return [SetupStep(what, _is_timer_on, _switch_on)]
    if Path(fleet_units.CRON_FILE).parent.is_dir():
        path, user = Path(fleet_units.CRON_FILE), config.user
        what = f"cron examines the clients every hour: {path}"
        return [
            SetupStep(
                what,
                lambda: _is_like(path, _cron_text(user)),
                lambda: write_whole(path, _cron_text(user)),
            )
        ]
    return []


def check_fleet_timer(config: ServerConfig) -> Iterator[Check]:
    """Yield whether this server looks at its fleet by itself, if server.toml wants that."""
    if not wants_looks(config):
        return
    steps = plan_fleet_timer(config)
    if not steps:
        why = "nothing is told or written while no client can connect"
        fix = "as root: apt install cron; then: asyncamanda server setup"
        yield Check("fleet", Health.WARNING, "there is neither systemd nor cron", why, fix)
    elif all(step.is_so() for step in steps):
        yield Check("fleet", Health.OK, "the clients are examined every hour")
    else:
        found = "nothing examines the clients every hour"
        why = "nothing is told or written while no client can connect"
        yield Check("fleet", Health.BAD, found, why, "as root: asyncamanda server setup")


def wants_looks(config: ServerConfig) -> bool:
    """Return whether server.toml asks for what has to be looked at when nobody connects."""
    return config.keeps_fleet_fresh


def _is_timer_on() -> bool:
    if not all(_is_like(Path(path), text) for path, text in _units()):
        return False
    return run_program([_systemctl(), "is-enabled", "--quiet", fleet_units.TIMER]).status == 0


def _switch_on() -> None:
    for path, text in _units():
        write_whole(Path(path), text)
    run_or_refuse([_systemctl(), "daemon-reload"], SYSTEMCTL_WITHIN, CONTINUES)
    argv = [_systemctl(), "enable", "--now", fleet_units.TIMER]
    run_or_refuse(argv, SYSTEMCTL_WITHIN, CONTINUES)


def _systemctl() -> str:
    return shutil.which("systemctl") or "systemctl"


def _units() -> tuple[tuple[str, str], ...]:
    return (
        (fleet_units.SERVICE_FILE, fleet_units.render_fleet_service(_program())),
        (fleet_units.TIMER_FILE, fleet_units.render_fleet_timer(_machine())),
    )


def _cron_text(user: str) -> str:
    return fleet_units.render_fleet_cron(_program(), user, _machine())


def _program() -> str:
    """Return where sshd finds this program, too: setup sees to that first."""
    return shutil.which("asyncamanda", path=SEARCHED) or str(LINK)


def _machine() -> str:
    with suppress(OSError):
        if name := Path("/etc/machine-id").read_text("utf-8").strip():
            return name
    return os.uname().nodename


def _is_like(path: Path, text: str) -> bool:
    try:
        return path.read_text("utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False

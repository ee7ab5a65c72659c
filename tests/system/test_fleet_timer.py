"""systemd's own opinion of the server's timer, and what setup and a doctor make of it."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from asyncamanda.config.notify import Notices
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.doctor.findings import Health
from asyncamanda.core.schedule import fleet_units
from asyncamanda.server.enrol import fleet_timer
from asyncamanda.system.steps import make_step

WANTED = replace(ServerConfig(), notify=Notices(mail="root"))


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """`verify` says nothing at all."""
    service, timer = tmp_path / fleet_units.SERVICE, tmp_path / fleet_units.TIMER
    service.write_text(fleet_units.render_fleet_service("/usr/bin/true"))
    timer.write_text(fleet_units.render_fleet_timer("machine"))
    verify = subprocess.run(
        ["systemd-analyze", "verify", service, timer], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stdout, verify.stderr) == (0, "", "")


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that systemd booted; its systemctl links what is enabled, and notes each call."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n'
        f'case "$1" in is-enabled) test -e {tmp_path}/on ;; enable) touch {tmp_path}/on ;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(fleet_timer, "BOOTED", tmp_path)
    monkeypatch.setattr(fleet_units, "SERVICE_FILE", str(tmp_path / fleet_units.SERVICE))
    monkeypatch.setattr(fleet_units, "TIMER_FILE", str(tmp_path / fleet_units.TIMER))
    return tmp_path


def test_setup_switches_the_timer_on_and_mends_what_was_changed(units: Path) -> None:
    """Of what is there already nothing is changed; a doctor misses it only where it is wanted."""
    (step,) = fleet_timer.plan_fleet_timer(WANTED)
    assert not step.is_so()
    assert [*fleet_timer.check_fleet_timer(ServerConfig())] == []
    (check,) = fleet_timer.check_fleet_timer(WANTED)
    assert (check.health, check.fix) == (Health.BAD, "as root: asyncamanda server setup")
    make_step(step)
    calls = (units / "calls").read_text().splitlines()
    changes = [line for line in calls if not line.startswith("is-enabled")]
    assert changes == ["daemon-reload", f"enable --now {fleet_units.TIMER}"]
    assert [each.health for each in fleet_timer.check_fleet_timer(WANTED)] == [Health.OK]
    (units / fleet_units.TIMER).write_text("[Timer]\nOnCalendar=yearly\n")
    assert not step.is_so()
    make_step(step)
    assert step.is_so()
    (units / "on").unlink()
    assert not step.is_so()


def test_where_there_is_no_systemd_cron_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where there is neither, a doctor says so."""
    monkeypatch.setattr(fleet_timer, "BOOTED", tmp_path / "none")
    monkeypatch.setattr(fleet_units, "CRON_FILE", str(tmp_path / "asyncamanda-fleet"))
    (step,) = fleet_timer.plan_fleet_timer(WANTED)
    assert not step.is_so()
    make_step(step)
    assert " backup " in (tmp_path / "asyncamanda-fleet").read_text()
    assert [each.health for each in fleet_timer.check_fleet_timer(WANTED)] == [Health.OK]
    monkeypatch.setattr(fleet_units, "CRON_FILE", str(tmp_path / "none" / "x"))
    assert fleet_timer.plan_fleet_timer(WANTED) == []
    assert [each.health for each in fleet_timer.check_fleet_timer(WANTED)] == [Health.WARNING]

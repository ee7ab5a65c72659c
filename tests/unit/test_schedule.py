"""What files let a machine start the agent, as values."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from asyncamanda.core.conditions.inhibit import INHIBIT_ACTIONS
from asyncamanda.core.schedule import prove_units, restore_units, systemd
from asyncamanda.core.schedule.schedule import (
    ANACRONTAB,
    CRON_FILE,
    DISPATCHER,
    POLKIT_RULE,
    ScheduleKind,
    ScheduleTarget,
    add_block,
    cut_block,
    is_ours,
    plan_disable,
    plan_enable,
    read_block,
    render_schedule,
)
from asyncamanda.core.schedule.systemd import Starts

PROGRAM = "/opt/asyncamanda/bin/asyncamanda"
STARTS = Starts((PROGRAM,), "backup", (), "/var/lib/asyncamanda/client/desktop.json")
MACHINE = ScheduleTarget("0f1e", True, True, True, True)
BARE = ScheduleTarget("0f1e", False, False, False, False)
UNITS = [systemd.SERVICE_FILE, systemd.TIMER_FILE, systemd.NUDGE_FILE]


def render(
    kind: ScheduleKind, starts: Starts = STARTS, machine: ScheduleTarget = MACHINE
) -> dict[str, str]:
    """Return the texts of a schedule's files by their paths."""
    return {file.path: file.text for file in render_schedule(kind, starts, machine)}


@pytest.mark.parametrize(
    ("kind", "machine", "paths"),
    [
        (ScheduleKind.SYSTEMD, MACHINE, [*UNITS, DISPATCHER, POLKIT_RULE]),
        (ScheduleKind.SYSTEMD, BARE, UNITS),
        (ScheduleKind.ANACRON, MACHINE, [ANACRONTAB, CRON_FILE, DISPATCHER, POLKIT_RULE]),
        (ScheduleKind.ANACRON, BARE, [ANACRONTAB]),
        (ScheduleKind.CRON, MACHINE, [CRON_FILE, DISPATCHER, POLKIT_RULE]),
    ],
)
def test_each_kind_has_its_files(
    kind: ScheduleKind, machine: ScheduleTarget, paths: list[str]
) -> None:
    """What is not on the machine gets no file; each whole file says that it is ours."""
    files = render_schedule(kind, STARTS, machine)
    assert [file.path for file in files] == paths
    assert all(file.is_block or is_ours(file.text) for file in files)
    assert {file.path: file.mode for file in files if file.mode != 0o644} == (
        {DISPATCHER: 0o755} if machine.has_network_manager else {}
    )


@pytest.mark.parametrize("kind", ScheduleKind)
def test_each_start_names_the_configuration(kind: ScheduleKind) -> None:
    """Where another than the default is meant, so does each command, the desktops' too."""
    starts = replace(STARTS, options=("--config", "/srv/away.toml"))
    for text in render(kind, starts).values():
        assert text.count(PROGRAM) == text.count("--config /srv/away.toml")


def settings(unit: str) -> dict[str, list[str]]:
    """Return the settings of a unit, each with its values."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("path", [systemd.SERVICE_FILE, systemd.NUDGE_FILE])
def test_a_unit_leaves_a_backup_what_it_needs(path: str) -> None:
    """Setuid programs work, nothing is hidden from tar, and nothing ends a long backup."""
    unit = settings(render(ScheduleKind.SYSTEMD)[path])
    assert unit["ExecStart"][0].startswith("!/")
    assert unit["User"] == ["backup"]
    assert unit["TimeoutStartSec"] == ["infinity"]
    assert unit["SuccessExitStatus"] == ["75"]
    hiding = {"NoNewPrivileges", "PrivateTmp", "PrivateUsers", "ProtectKernelModules", "RemoveIPC"}
    hiding |= {"PrivateDevices", "InaccessiblePaths", "TemporaryFileSystem", "RootDirectory"}
    assert not hiding & {*unit}
    assert unit["ProtectHome"] == ["read-only"]
    kept = set(" ".join(unit["CapabilityBoundingSet"]).split())
    assert kept == {*systemd.CAPABILITIES}
    assert "-/tmp" in unit["ReadWritePaths"]


def test_a_unit_may_write_where_the_configuration_says() -> None:
    """Each place once, Amanda's own among them."""
    starts = replace(STARTS, writable=("/srv/metrics", "/var/lib/amanda"))
    unit = settings(render(ScheduleKind.SYSTEMD, starts)[systemd.SERVICE_FILE])
    assert unit["ReadWritePaths"].count("-/var/lib/amanda") == 1
    assert "-/srv/metrics" in unit["ReadWritePaths"]


def test_cron_starts_four_times_an_hour_and_spreads_machines() -> None:
    """The same machine at the same minutes, others at others."""
    seen = set()
    for name in map(str, range(200)):
        text = render(ScheduleKind.CRON, machine=replace(MACHINE, name=name))[CRON_FILE]
        minutes = [int(word) for word in text.splitlines()[-1].split()[0].split(",")]
        assert [minute - minutes[0] for minute in minutes] == [0, 15, 30, 45]
        assert minutes[-1] < 60
        seen.add(minutes[0])
    assert seen == {*range(15)}
    assert render(ScheduleKind.CRON) == render(ScheduleKind.CRON)


def test_a_timer_has_no_delay_and_times_of_its_own() -> None:
    """The machine's own, at cron's minutes: a delay counts again from each start of systemd's.

    So a laptop that is awake for less than its delay would never be backed up by the timer.
    """
    seen = set()
    for name in map(str, range(200)):
        machine = replace(MACHINE, name=name)
        timer = settings(render(ScheduleKind.SYSTEMD, machine=machine)[systemd.TIMER_FILE])
        assert not {key for key in timer if "Delay" in key}
        assert timer["Persistent"] == ["true"]
        (calendar,) = timer["OnCalendar"]
        found = re.fullmatch(r"\*:(\d\d)/15:(\d\d)", calendar)
        assert found, calendar
        cron = render(ScheduleKind.CRON, machine=machine)[CRON_FILE].splitlines()[-1]
        assert cron.startswith(f"{int(found[1])},")
        assert int(found[2]) < 60
        seen.add(calendar)
    assert len(seen) > 150
    twice = {render(ScheduleKind.SYSTEMD)[systemd.TIMER_FILE] for _ in range(2)}
    assert len(twice) == 1


def test_a_nudge_has_no_start_limit() -> None:
    """A network that goes up and down would use up systemd's five starts in ten seconds."""
    unit = render(ScheduleKind.SYSTEMD)[systemd.NUDGE_FILE]
    assert settings(unit.partition("[Service]")[0])["StartLimitIntervalSec"] == ["0"]


def test_the_rule_names_each_action_and_the_user() -> None:
    """What logind asks polkit about, for nobody else."""
    rule = render(ScheduleKind.CRON, replace(STARTS, user="amandabackup"))[POLKIT_RULE]
    assert all(f'"{action}"' in rule for action in INHIBIT_ACTIONS)
    assert 'subject.user == "amandabackup"' in rule


def test_what_is_run_after_it_was_written() -> None:
    """Only systemd has to be told, and without a running one links are all that is made."""
    assert (
        plan_enable(ScheduleKind.CRON, MACHINE) == plan_enable(ScheduleKind.ANACRON, MACHINE) == ()
    )
    assert plan_enable(ScheduleKind.SYSTEMD, MACHINE)[0] == ("systemctl", "daemon-reload")
    (offline,) = plan_enable(ScheduleKind.SYSTEMD, BARE)
    assert offline == ("systemctl", "enable", systemd.TIMER, systemd.NUDGE)


def test_a_backup_by_the_gate_brings_the_way_back_for_users() -> None:
    """With systemd alone; and by a command there is nothing that could give files back."""
    by_gate = replace(STARTS, has_gate=True)
    units = {restore_units.SERVICE_FILE, restore_units.SOCKET_FILE}
    assert units <= {*render(ScheduleKind.SYSTEMD, by_gate)}
    assert not units & {*render(ScheduleKind.SYSTEMD)}
    assert not units & {*render(ScheduleKind.CRON, by_gate)}
    enabled = plan_enable(ScheduleKind.SYSTEMD, MACHINE, has_gate=True)
    assert enabled[-1] == ("systemctl", "enable", "--now", restore_units.SOCKET)
    (offline,) = plan_enable(ScheduleKind.SYSTEMD, BARE, has_gate=True)
    assert offline[-1] == restore_units.SOCKET
    assert plan_disable((restore_units.SOCKET_FILE, restore_units.SERVICE_FILE), MACHINE) == (
        ("systemctl", "disable", "--now", restore_units.SOCKET),
    )


def test_who_answers_users_has_the_amanda_users_rights_and_no_more() -> None:
    """Every user may connect; nothing runs as root, and nothing can become it."""
    files = render(ScheduleKind.SYSTEMD, replace(STARTS, has_gate=True))
    socket = settings(files[restore_units.SOCKET_FILE])
    assert (socket["SocketMode"], socket["Accept"]) == (["0666"], ["yes"])
    assert int(socket["MaxConnections"][0]) <= 64
    service = settings(files[restore_units.SERVICE_FILE])
    assert service["User"] == ["backup"]
    assert service["ExecStart"] == [f"{PROGRAM} broker"]
    assert service["StandardInput"] == ["socket"]
    assert service["StandardOutput"] == ["null"]  # else it would be the socket as well
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == [""]


def test_a_proof_has_a_timer_of_its_own_that_gives_way() -> None:
    """Between the backup's starts, with a backup's rights and no more, and only by the gate."""
    by_gate = replace(STARTS, has_gate=True)
    files = render(ScheduleKind.SYSTEMD, by_gate)
    service = settings(files[prove_units.SERVICE_FILE])
    assert service["ExecStart"] == [f"!{PROGRAM} prove --if-due"]
    assert (service["Nice"], service["IOSchedulingClass"]) == (["19"], ["idle"])
    assert {*" ".join(service["CapabilityBoundingSet"]).split()} == {*systemd.CAPABILITIES}
    assert service["SuccessExitStatus"] == ["75"]
    seen = set()
    for name in map(str, range(100)):
        machine = replace(MACHINE, name=name)
        schedule = render(ScheduleKind.SYSTEMD, by_gate, machine)
        (calendar,) = settings(schedule[prove_units.TIMER_FILE])["OnCalendar"]
        found = re.fullmatch(r"\*:(\d\d):(\d\d)", calendar)
        assert found, calendar
        first, _ = systemd.pick_offset(name)
        assert (int(found[1]) - first) % systemd.EVERY == prove_units.BETWEEN
        assert int(found[1]) < 60
        seen.add(calendar)
    assert len(seen) > 80
    assert prove_units.TIMER in plan_enable(ScheduleKind.SYSTEMD, BARE, has_gate=True)[0]
    disabled = plan_disable((prove_units.TIMER_FILE,), MACHINE)
    assert disabled == (("systemctl", "disable", "--now", prove_units.TIMER),)
    assert not {prove_units.TIMER_FILE, prove_units.SERVICE_FILE} & {*render(ScheduleKind.SYSTEMD)}


def test_cron_and_anacron_prove_as_well() -> None:
    """Once an hour, once a day; where backups go by the gate."""
    by_gate = replace(STARTS, has_gate=True)
    cron = render(ScheduleKind.CRON, by_gate)[CRON_FILE]
    (line,) = [line for line in cron.splitlines() if "prove" in line]
    assert re.match(rf"\d+ \* \* \* \* root {PROGRAM} prove --if-due; ", line)
    anacron = render(ScheduleKind.ANACRON, by_gate)[ANACRONTAB]
    assert f"asyncamanda-prove {PROGRAM} prove --if-due; " in anacron
    assert "prove" not in render(ScheduleKind.CRON)[CRON_FILE]
    assert "prove" not in render(ScheduleKind.ANACRON)[ANACRONTAB]


def test_removing_never_ends_a_backup_that_runs() -> None:
    """Only the timer is stopped; and what is gone is not named, which systemctl would refuse."""
    commands = plan_disable((systemd.TIMER_FILE, systemd.NUDGE_FILE), MACHINE)
    assert commands == (
        ("systemctl", "disable", "--now", systemd.TIMER),
        ("systemctl", "disable", systemd.NUDGE),
    )
    assert plan_disable((systemd.NUDGE_FILE,), BARE) == (("systemctl", "disable", systemd.NUDGE),)
    assert plan_disable((CRON_FILE,), MACHINE) == ()


BLOCK = "1 10 asyncamanda run\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n",
        "SHELL=/bin/sh\n",
        "no end of a line",
        "dos\r\n",
        "a byte \udcff\n",
        "a line\n# begin: Made by `asyncamanda schedule install`.\nleft alone\n",
    ],
)
def test_a_block_comes_and_goes_without_a_trace(text: str) -> None:
    """What stood there stands there afterwards, to the byte; a second block takes its place."""
    added = add_block(text, BLOCK)
    assert added.startswith(text)
    assert read_block(added) == BLOCK
    assert f"\n{BLOCK}" in added
    assert cut_block(added) == text
    assert add_block(added, BLOCK) == added
    assert cut_block(add_block(added, "another\n")) == text


def test_lines_after_a_block_stay() -> None:
    """Somebody went on writing below it."""
    assert cut_block(add_block("a\n", BLOCK) + "b\n") == "a\nb\n"
    assert read_block("a\n") is None
    assert cut_block("a\n") == "a\n"


def test_a_mark_counts_near_the_top_only() -> None:
    """A file that merely cites it is somebody else's."""
    assert is_ours(f"#!/bin/sh\n# {systemd.MARK}\n")
    assert not is_ours("\n" * 3 + systemd.MARK)
    assert not is_ours("")


@pytest.mark.parametrize(
    ("kind", "is_booted", "idle", "commands"),
    [
        (ScheduleKind.CRON, True, ("cron.service",), "systemctl enable --now cron.service"),
        (ScheduleKind.CRON, False, ("crond",), "service crond start"),
        (ScheduleKind.CRON, True, ("anacron.timer",), ""),
        (ScheduleKind.ANACRON, True, ("anacron.timer",), "systemctl enable --now anacron.timer"),
        (ScheduleKind.CRON, True, (), ""),
    ],
)
def test_what_does_not_run_is_started(
    kind: ScheduleKind, is_booted: bool, idle: tuple[str, ...], commands: str
) -> None:
    """cron's daemon, and anacron's timer where anacron is wanted; by who starts services."""
    machine = replace(MACHINE, is_booted_by_systemd=is_booted, idle=idle)
    assert "; ".join(map(" ".join, plan_enable(kind, machine))) == commands

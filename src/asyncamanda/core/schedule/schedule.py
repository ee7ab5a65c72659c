"""What makes a machine start the agent: which files do that, and how they are switched on.

Of each kind of scheduler there is one. systemd's units are in systemd.py.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from asyncamanda.core.conditions.inhibit import INHIBIT_ACTIONS
from asyncamanda.core.conditions.links import INSIDE_NAMES
from asyncamanda.core.schedule import prove_units, restore_units, systemd
from asyncamanda.core.schedule.systemd import MARK, Starts

ANACRONTAB = "/etc/anacrontab"
ANACRON_TIMER = "anacron.timer"
CRON_FILE = "/etc/cron.d/asyncamanda"
DISPATCHER = "/etc/NetworkManager/dispatcher.d/90-asyncamanda"
POLKIT_RULE = "/etc/polkit-1/rules.d/50-asyncamanda.rules"
MARKED_WITHIN = 3  # lines: a script's first one is the kernel's

_BEGIN = f"# begin: {MARK}\n"
_BEGIN_AFTER_HALF_A_LINE = f"# begin, after a line without an end: {MARK}\n"
_END = f"# end: {MARK}\n"


class ScheduleKind(StrEnum):
    """Who starts the agent."""

    SYSTEMD = "systemd"
    ANACRON = "anacron"
    CRON = "cron"


@dataclass(frozen=True, slots=True)
class ScheduleTarget:
    """A machine, as far as it matters here: `name` is its id, the rest says what is on it.

    `idle` is what reads schedules, and does not run though it could be started: units of systemd's
    that runs, else the name of cron's daemon.
    """

    name: str
    has_cron: bool
    has_network_manager: bool
    has_polkit: bool
    is_booted_by_systemd: bool
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduleFile:
    """A file that is wanted, or (`is_block`) a marked block in a file that is not asyncamanda's."""

    path: str
    text: str
    mode: int = 0o644
    is_block: bool = False


def render_schedule(
    kind: ScheduleKind, starts: Starts, machine: ScheduleTarget
) -> tuple[ScheduleFile, ...]:
    """Return the files that make `machine` start the agent."""
    return tuple(_files(kind, starts, machine))


def _files(kind: ScheduleKind, starts: Starts, machine: ScheduleTarget) -> Iterator[ScheduleFile]:
    match kind:
        case ScheduleKind.SYSTEMD:
            yield ScheduleFile(systemd.SERVICE_FILE, systemd.render_service(starts))
            yield ScheduleFile(systemd.TIMER_FILE, systemd.render_timer(machine.name))
            yield ScheduleFile(systemd.NUDGE_FILE, systemd.render_nudge(starts))
            if starts.has_gate:
                broker = restore_units.render_broker(starts)
                yield ScheduleFile(restore_units.SERVICE_FILE, broker)
                yield ScheduleFile(restore_units.SOCKET_FILE, restore_units.render_socket())
                prove = prove_units.render_prove_service(starts)
                yield ScheduleFile(prove_units.SERVICE_FILE, prove)
                timer = prove_units.render_prove_timer(machine.name)
                yield ScheduleFile(prove_units.TIMER_FILE, timer)
        case ScheduleKind.ANACRON:
            yield ScheduleFile(ANACRONTAB, _render_anacron(starts), is_block=True)
    if kind is ScheduleKind.CRON or (kind is ScheduleKind.ANACRON and machine.has_cron):
        yield ScheduleFile(CRON_FILE, _render_cron(starts, machine.name))
    if machine.has_network_manager:
        nudge = f"exec systemctl start --no-block {systemd.NUDGE}"
        if kind is not ScheduleKind.SYSTEMD:
            command = shlex.join([*starts.program, "run", "--nudged", *starts.options])
            nudge = f"setsid {command} </dev/null >/dev/null 2>&1 &"
        yield ScheduleFile(DISPATCHER, _render_dispatcher(nudge), 0o755)
    if machine.has_polkit:
        yield ScheduleFile(POLKIT_RULE, _render_rule(starts.user))


def _run(starts: Starts) -> str:
    """Return the shell's command: a run, and then what it left for desktops."""
    run = shlex.join([*starts.program, "run", *starts.options])
    return f"{run}; {systemd.render_desktop_hook(starts)}"


def _render_anacron(starts: Starts) -> str:
    """Return the lines of anacron's table: each once a day."""
    run = f"1 10 asyncamanda {_run(starts)}\n"
    prove = f"1 40 asyncamanda-prove {prove_units.render_prove_command(starts)}\n"
    return run + prove if starts.has_gate else run


def _render_cron(starts: Starts, machine: str) -> str:
    """Return the crontab: four starts an hour, at minutes that differ between machines."""
    first, _ = systemd.pick_offset(machine)
    minutes = ",".join(str(minute) for minute in range(first, 60, systemd.EVERY))
    prove = ""
    if starts.has_gate:
        command = prove_units.render_prove_command(starts)
        prove = f"{prove_units.pick_minute(machine)} * * * * root {command}\n"
    return f"""\
# {MARK}
# root's start becomes the Amanda user by itself.
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
{prove}{minutes} * * * * root {_run(starts)}
"""


_DISPATCHER = """\
#!/bin/sh
# {mark}
# NetworkManager calls this with an interface and an event.
# what containers and virtual machines have of their own is no network
case "$1" in
    {inside}) exit 0 ;;
esac
link=/sys/class/net/$1
test ! -d "$link/bridge" || exit 0
test ! -e "$link/tun_flags" || test ! -e "$link/master" || exit 0
case "$2" in
    up | vpn-up) ;;
    connectivity-change) test "$CONNECTIVITY_STATE" = FULL || exit 0 ;;
    *) exit 0 ;;
esac
{nudge}
"""


def _render_dispatcher(nudge: str) -> str:
    """Return what NetworkManager starts; of links it knows those that parse_link() knows."""
    inside = " | ".join(("lo", *(f"{name}*" for name in INSIDE_NAMES)))
    return _DISPATCHER.format(mark=MARK, nudge=nudge, inside=inside)


def _render_rule(user: str) -> str:
    actions = "".join(f"\n        {json.dumps(action)}," for action in INHIBIT_ACTIONS)
    return f"""\
// {MARK}
// A backup may keep this machine awake, without a login of this account's.
polkit.addRule(function(action, subject) {{
    var allowed = [{actions.rstrip(",")}
    ];
    if (subject.user == {json.dumps(user)} && allowed.indexOf(action.id) >= 0) {{
        return polkit.Result.YES;
    }}
}});
"""


def plan_enable(
    kind: ScheduleKind, machine: ScheduleTarget, *, has_gate: bool = False
) -> tuple[tuple[str, ...], ...]:
    """Return the commands that switch on what was written."""
    if kind is not ScheduleKind.SYSTEMD:
        return tuple(_plan_start(kind, machine))  # who runs notices by itself
    further = (prove_units.TIMER, restore_units.SOCKET) if has_gate else ()
    if not machine.is_booted_by_systemd:  # an image that is being made: links are all it needs
        return (("systemctl", "enable", systemd.TIMER, systemd.NUDGE, *further),)
    return (
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable", systemd.NUDGE),
        ("systemctl", "enable", "--now", systemd.TIMER),
        *(("systemctl", "enable", "--now", unit) for unit in further),
    )


def _plan_start(kind: ScheduleKind, machine: ScheduleTarget) -> Iterator[tuple[str, ...]]:
    """Yield what starts those that read this kind's files, and do not run."""
    for name in machine.idle:
        if name == ANACRON_TIMER and kind is not ScheduleKind.ANACRON:
            continue
        if machine.is_booted_by_systemd:
            yield ("systemctl", "enable", "--now", name)
        else:
            yield ("service", name, "start")


def plan_disable(present: tuple[str, ...], machine: ScheduleTarget) -> tuple[tuple[str, ...], ...]:
    """Return the commands that switch off what is in `present`, files that are still there.

    A backup that runs is left to its end, and so is who gets files back.
    """
    now = ("--now",) if machine.is_booted_by_systemd else ()
    commands = []
    if systemd.TIMER_FILE in present:
        commands.append(("systemctl", "disable", *now, systemd.TIMER))
    if systemd.NUDGE_FILE in present:
        commands.append(("systemctl", "disable", systemd.NUDGE))
    if restore_units.SOCKET_FILE in present:
        commands.append(("systemctl", "disable", *now, restore_units.SOCKET))
    if prove_units.TIMER_FILE in present:
        commands.append(("systemctl", "disable", *now, prove_units.TIMER))
    return tuple(commands)


def is_ours(text: str) -> bool:
    """Return whether a file's text says that it was made here."""
    return any(MARK in line for line in text.splitlines()[:MARKED_WITHIN])


# -- a block in somebody else's file


def add_block(text: str, block: str) -> str:
    """Return `text` with `block`, marked, replacing an earlier one or at the end."""
    rest = cut_block(text)
    if rest and not rest.endswith("\n"):
        return f"{rest}\n{_BEGIN_AFTER_HALF_A_LINE}{block}{_END}"
    return f"{rest}{_BEGIN}{block}{_END}"


def cut_block(text: str) -> str:
    """Return `text` as it was before add_block()."""
    place = _find_block(text)
    return text[: place[0]] + text[place[1] :] if place else text


def read_block(text: str) -> str | None:
    """Return the block in `text`, without its marks; None if there is none."""
    place = _find_block(text)
    if not place:
        return None
    _, _, inner = text[place[0] : place[1]].removeprefix("\n").partition("\n")
    return inner.removesuffix(_END)


def _find_block(text: str) -> tuple[int, int] | None:
    """Return from where to where the last marked block goes."""
    for begin in (f"\n{_BEGIN_AFTER_HALF_A_LINE}", _BEGIN):
        start = text.rfind(begin)
        stop = text.find(_END, start + len(begin))
        if start >= 0 and stop >= 0:
            return start, stop + len(_END)
    return None

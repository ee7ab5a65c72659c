"""systemd's units that prove now and then that files come back: a timer, and what it starts.

They are none of the backup's, so that no backup waits for a proof. Who proves reads what users have
here, as root, and needs of a backup's rights no more.
"""

import shlex
from dataclasses import replace

from asyncamanda.core.schedule.restore_units import STATE
from asyncamanda.core.schedule.systemd import (
    FOLDER,
    MARK,
    Starts,
    pick_offset,
    render_desktop_hook,
    render_unit,
)

SERVICE, TIMER = "asyncamanda-prove.service", "asyncamanda-prove.timer"
SERVICE_FILE, TIMER_FILE = f"{FOLDER}/{SERVICE}", f"{FOLDER}/{TIMER}"
BETWEEN = 7  # minutes after a start of the backup's timer
_WORDS = ("prove", "--if-due")

# what people do at this machine comes first, and so does a backup
_POLITE = """\
Nice=19
CPUWeight=10
IOSchedulingClass=idle
IOWeight=10
MemoryMax=1G
"""


def pick_minute(machine: str) -> int:
    """Return the minute of each hour at which the machine of that id looks what is due."""
    first, _ = pick_offset(machine)
    return first + BETWEEN


def render_prove_command(starts: Starts) -> str:
    """Return the shell's command: a proof, and then what it left for desktops."""
    prove = shlex.join([*starts.program, *_WORDS, *starts.options])
    return f"{prove}; {render_desktop_hook(starts)}"


def render_prove_service(starts: Starts) -> str:
    """Return the unit that proves what is due."""
    if starts.is_sealing:  # the lists of what was opened are kept there
        starts = replace(starts, writable=(*starts.writable, STATE))
    description = "Prove that files come back from Amanda's dumps, if that is due"
    return render_unit(description, "", starts, _WORDS, "", _POLITE)


def render_prove_timer(machine: str) -> str:
    """Return the timer of the machine of that id: nearly all of what it starts ends at once."""
    _, second = pick_offset(machine)
    return f"""\
# {MARK}
# Use `systemctl edit {TIMER}` for local changes.
[Unit]
Description=Check every hour whether a proof of the backup is due

[Timer]
OnCalendar=*:{pick_minute(machine):02}:{second:02}
AccuracySec=1min

[Install]
WantedBy=timers.target
"""

"""What makes a server look at its fleet every hour: systemd's timer, or a line for cron.

Where clients cannot connect no dispatcher runs, and it is then that somebody has to look.

The service starts as root, and becomes the Amanda user by itself: an MTA's sendmail may need what
is setgid (Postfix' postdrop), and where User= is set each option that needs seccomp forbids that
(systemd.py). It may write anywhere that the user may: where the page and the metrics go is the
administrator's choice.
"""

from asyncamanda.core.schedule.systemd import FOLDER, pick_offset

MARK = "Made by `asyncamanda server setup`."
SERVICE, TIMER = "asyncamanda-fleet.service", "asyncamanda-fleet.timer"
SERVICE_FILE, TIMER_FILE = f"{FOLDER}/{SERVICE}", f"{FOLDER}/{TIMER}"
CRON_FILE = "/etc/cron.d/asyncamanda-fleet"
WORDS = ("server", "refresh")


def render_fleet_service(program: str) -> str:
    """Return the unit that looks at the fleet, by the whole path of this program."""
    return f"""\
# {MARK}
# Use `systemctl edit {SERVICE}` for local changes.
[Unit]
Description=Examine the clients of this Amanda server, and report what changed
After=network-online.target

[Service]
Type=oneshot
ExecStart={" ".join((program, *WORDS))}
# 75: later, and so the next start tries again
SuccessExitStatus=75
TimeoutStartSec=15min
Nice=10
IOSchedulingClass=idle
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
LockPersonality=yes
RestrictRealtime=yes
"""


def render_fleet_timer(machine: str) -> str:
    """Return the timer of the machine of that id."""
    minute, second = pick_minute(machine)
    return f"""\
# {MARK}
# Use `systemctl edit {TIMER}` for local changes.
[Unit]
Description=Examine the clients of this Amanda server every hour

[Timer]
OnCalendar=*:{minute:02}:{second:02}
Persistent=true
AccuracySec=1min

[Install]
WantedBy=timers.target
"""


def render_fleet_cron(program: str, user: str, machine: str) -> str:
    """Return the same for cron, which starts it as `user`; its output is nobody's mail."""
    minute, _ = pick_minute(machine)
    return f"""\
# {MARK}
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
{minute} * * * * {user} {" ".join((program, *WORDS))} >/dev/null 2>&1
"""


def pick_minute(machine: str) -> tuple[int, int]:
    """Return the minute of each hour, and the second, at which the machine of that id looks."""
    return pick_offset(machine)

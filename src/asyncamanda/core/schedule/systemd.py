"""systemd's units: a timer, what it starts, and what a network or a resume starts.

What a backup needs limits what the sandbox here may take away:

- Amanda's runtar, rundump, calcsize and killpgrp are setuid root, so NoNewPrivileges has to stay
  off. With User= systemd sets it for every option that needs seccomp, until its version 254: its
  context_has_no_new_privileges() (src/core/execute.c) asks whether this process, which by then is
  the user's, still has CAP_SYS_ADMIN. With the prefix "!" it is still root's: the sandbox is
  built, the bounding set dropped and the seccomp filters loaded anyway, and then
  `asyncamanda run`, as all root's starts, becomes the user before it does anything.
- What is hidden would be missing in the backup, silently: tar takes what has another device
  number for another file system. So there is no PrivateTmp, no ProtectHome=yes or tmpfs, and no
  ProtectKernelModules, which hides /usr/lib/modules. Read-only is no harm: a bind mount keeps the
  device number.
- tar and Amanda's programs as root need to read all, to write to the Amanda user's snapshots
  (CAP_DAC_OVERRIDE) and to leave the access times alone (CAP_FOWNER, for O_NOATIME). CAP_CHOWN is
  for the agent's own folder. DUMP and xfsdump read block devices.
- RemoveIPC would take the shared memory of an Amanda server on the same machine.
"""

import shlex
from binascii import crc32
from dataclasses import dataclass

MARK = "Made by `asyncamanda schedule install`."
FOLDER = "/etc/systemd/system"
SERVICE, TIMER, NUDGE = "asyncamanda.service", "asyncamanda.timer", "asyncamanda-nudge.service"
SERVICE_FILE, TIMER_FILE, NUDGE_FILE = (f"{FOLDER}/{unit}" for unit in (SERVICE, TIMER, NUDGE))

EVERY = 15  # minutes

# where Amanda and the agent write, wherever they are configured to: logs, snapshots, sockets
_ALWAYS_WRITABLE = ("/tmp", "/var/tmp", "/var/lib/amanda", "/var/log/amanda")  # noqa: S108
_RESUMES = (
    "suspend.target hibernate.target",
    "hybrid-sleep.target suspend-then-hibernate.target",
)
# else a network that goes up and down would use up five starts in ten seconds
_UNLIMITED = "StartLimitIntervalSec=0\n"

CAPABILITIES = (
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_DAC_READ_SEARCH",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_CHOWN",
)


@dataclass(frozen=True, slots=True)
class Starts:
    """How the agent is started: in plain words, which mean the same to every scheduler.

    `program` begins with an absolute path, `options` follow the command's name, `desktop` is the
    file that is there while something waits for a desktop, `writable` where a run writes besides
    Amanda's own places. `has_gate`: backups go by the server's gate, so that files can come back.
    `is_sealing`: dumps are encrypted here, so that only root can open them.
    """

    program: tuple[str, ...]
    user: str
    options: tuple[str, ...]
    desktop: str
    writable: tuple[str, ...] = ()
    has_gate: bool = False
    is_sealing: bool = False


def render_desktop_hook(starts: Starts) -> str:
    """Return the shell's command that shows on desktops, as root, what a run left for them."""
    show = shlex.join([*starts.program, "notify", "--desktop", *starts.options])
    return f"test ! -e {starts.desktop} || {show}"


def render_service(starts: Starts) -> str:
    """Return the unit that backs up when a backup is due."""
    return render_unit("Back up with Amanda, if a backup is due", "", starts, ("run",), "")


def render_nudge(starts: Starts) -> str:
    """Return the unit that does so when a network comes up, or the machine wakes up."""
    return render_unit(
        "Back up with Amanda after a network change",
        "".join(f"After={targets}\n" for targets in _RESUMES) + _UNLIMITED,
        starts,
        ("run", "--nudged"),
        "".join(["\n[Install]\n", *(f"WantedBy={targets}\n" for targets in _RESUMES)]),
    )


def pick_offset(machine: str) -> tuple[int, int]:
    """Return the minute, below EVERY, and the second at which the machine of that id starts."""
    number = crc32(machine.encode("utf-8", "surrogateescape"))
    return number % EVERY, number // EVERY % 60


def render_timer(machine: str) -> str:
    """Return the timer of the machine of that id: most of what it starts ends at once.

    It has no random delay: systemd counts one from its own start, too, and for a start that is made
    up for (systemd.timer(5)), and then a laptop that is awake for less is never backed up by it.
    """
    minute, second = pick_offset(machine)
    return f"""\
# {MARK}
# Use `systemctl edit {TIMER}` for local changes.
[Unit]
Description=Check every quarter of an hour whether a backup is due

[Timer]
# many machines, each at times of its own
OnCalendar=*:{minute:02}/{EVERY}:{second:02}
Persistent=true
AccuracySec=1min

[Install]
WantedBy=timers.target
"""


_LOCKED_IN = """\
# the dump programs of a file system read its device
DevicePolicy=closed
DeviceAllow=block-* r
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete
SystemCallFilter=~@raw-io @reboot @swap
SystemCallErrorNumber=EPERM
"""


def render_unit(  # noqa: PLR0913, PLR0917 - what makes a unit
    description: str,
    ordering: str,
    starts: Starts,
    words: tuple[str, ...],
    install: str,
    polite: str = "",
) -> str:
    """Return a service that starts asyncamanda with `words`, and may do what a backup needs.

    `ordering` are lines of its first section, `polite` some of its second, `install` the last one.
    """
    start = " ".join([*starts.program, *words, *starts.options])
    writable = "\n".join(
        f"ReadWritePaths=-{path}" for path in dict.fromkeys((*_ALWAYS_WRITABLE, *starts.writable))
    )
    return f"""\
# {MARK}
# Use `systemctl edit` for local changes.
[Unit]
Description={description}
{ordering}
[Service]
Type=oneshot
User={starts.user}
# "!": it becomes that user by itself. If systemd did, it would be for good,
# and then Amanda's setuid programs, such as runtar, could not read all.
ExecStart=!{start}
ExecStopPost=+-/bin/sh -c \\
    '{render_desktop_hook(starts)}'
# 75: later. The machine is away, or on battery; no failure.
SuccessExitStatus=75
# a backup takes its time; one that is stopped ends its programs in order
TimeoutStartSec=infinity
KillMode=mixed
StateDirectory=asyncamanda/client asyncamanda/public
{polite}
# All may be read, and little be written. Nothing is hidden: what is would be
# missing in the backup.
ProtectSystem=strict
ProtectHome=read-only
{writable}
PrivateMounts=yes
CapabilityBoundingSet={" ".join(CAPABILITIES[:3])}
CapabilityBoundingSet={" ".join(CAPABILITIES[3:])}
{_LOCKED_IN}{install}"""

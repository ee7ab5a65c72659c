"""systemd's units that give users of this machine their files back: a socket, and who answers.

Each connection has a process of its own, the Amanda user's, which has the key and no right beyond.
It sees homes, to tell who could have come to them, and writes only beside the agent's memory.

A user who connects over and over costs processes, not the socket: systemd closes one that is asked
too often (TriggerLimitBurst=) to all users, until somebody starts it again. So that is off, and
what runs at once is limited instead. Of one user's connections two are answered at a time.
"""

from asyncamanda.core.restore.frames import SOCKET_PATH
from asyncamanda.core.schedule.systemd import FOLDER, MARK, Starts

SOCKET, SERVICE = "asyncamanda-restore.socket", "asyncamanda-restore@.service"
SOCKET_FILE, SERVICE_FILE = f"{FOLDER}/{SOCKET}", f"{FOLDER}/{SERVICE}"
AT_ONCE = 16
STATE = "/var/lib/asyncamanda"  # root keeps lists of encrypted dumps there


def render_socket() -> str:
    """Return the socket at which every user may ask for files."""
    return f"""\
# {MARK}
# Use `systemctl edit {SOCKET}` for local changes.
[Unit]
Description=Give users of this machine their files back from Amanda's dumps

[Socket]
ListenStream={SOCKET_PATH}
SocketMode=0666
Accept=yes
MaxConnections={AT_ONCE}
# of one user, where systemd counts these (from 256 on)
MaxConnectionsPerSource=4
TriggerLimitIntervalSec=0
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""


def render_broker(starts: Starts) -> str:
    """Return the service that answers one user."""
    start = " ".join([*starts.program, "broker", *starts.options])
    # what has the key of encrypted dumps is root's; the process itself becomes the Amanda user's.
    # For systemd it always is: StateDirectory= becomes that user's, all that is in it included
    as_root = "!" if starts.is_sealing else ""
    kept = f"ReadWritePaths=-{STATE}\n" if starts.is_sealing else ""
    rights = "CAP_SETUID CAP_SETGID" if starts.is_sealing else ""
    refused = "@resources" if starts.is_sealing else "@privileged @resources"
    return f"""\
# {MARK}
# Use `systemctl edit` for local changes.
[Unit]
Description=Give files back to a user of this machine
CollectMode=inactive-or-failed

[Service]
User={starts.user}
ExecStart={as_root}{start}
StandardInput=socket
StandardOutput=null
StandardError=journal
TimeoutStopSec=10
StateDirectory=asyncamanda/client

# what people do at this machine comes first
Nice=10
CPUWeight=20
IOWeight=20
TasksMax=32
MemoryMax=1G

NoNewPrivileges=yes
CapabilityBoundingSet={rights}
AmbientCapabilities=
UMask=0077
ProtectSystem=strict
{kept}# homes are looked at, to tell who could have come to them, and not read
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~{refused}
SystemCallErrorNumber=EPERM
"""

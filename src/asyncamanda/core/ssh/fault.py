"""What went wrong with a connection, from what ssh printed.

The patterns are OpenSSH 9.2's words, each proved against a real sshd by
tests/system/test_ssh.py.
"""

import re
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """A way for a connection to fail."""

    UNRESOLVED = "unresolved"
    CONNECTION_REFUSED = "connection-refused"
    UNREACHABLE = "unreachable"
    DROPPED = "dropped"
    HOST_KEY_CHANGED = "host-key-changed"
    HOST_KEY_REVOKED = "host-key-revoked"
    HOST_KEY_UNKNOWN = "host-key-unknown"
    PERMISSION_DENIED = "permission-denied"
    NOTHING_COMMON = "nothing-common"
    BAD_OPTIONS = "bad-ssh-options"
    OTHER = "not-connected"


@dataclass(frozen=True, slots=True)
class ConnectFault:
    """A fault, the line of ssh's that shows it, and the warnings that came before it."""

    fault: Fault
    line: str
    warnings: tuple[str, ...] = ()


_PATTERNS = (
    (Fault.HOST_KEY_CHANGED, r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* has changed"),
    (Fault.HOST_KEY_REVOKED, r"REVOKED HOST KEY|revoked by file|was revoked|marked as revoked"),
    (Fault.HOST_KEY_UNKNOWN, r"No \S+ host key is known for|Host key verification failed"),
    (Fault.PERMISSION_DENIED, r"Permission denied \(|Too many authentication failures"),
    (Fault.UNRESOLVED, r"Could not resolve hostname"),
    (Fault.CONNECTION_REFUSED, r"Connection refused"),
    (Fault.UNREACHABLE, r"timed out|No route to host|Network is unreachable"),
    (Fault.DROPPED, r"Connection (closed|reset)"),
    (Fault.NOTHING_COMMON, r"Unable to negotiate"),
    (Fault.BAD_OPTIONS, r"\bline \d+: "),
    (Fault.BAD_OPTIONS, r"Bad owner or permissions|bad configuration option"),
)
_WARNING = re.compile(r"no such identity|Load key|UNPROTECTED PRIVATE KEY|Permissions .* too open")


def interpret_connect_failure(printed: str) -> ConnectFault:
    """Return the fault behind what ssh printed before it gave up. Accepts any text."""
    lines = [line.strip() for line in printed.splitlines() if line.strip(" @\r\t")]
    warnings = tuple(line for line in lines if _WARNING.search(line))
    for fault, pattern in _PATTERNS:
        for line in reversed(lines):
            if re.search(pattern, line, re.IGNORECASE) and not _WARNING.search(line):
                return ConnectFault(fault, line, warnings)
    return ConnectFault(Fault.OTHER, lines[-1] if lines else "ssh said nothing", warnings)

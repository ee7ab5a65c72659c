"""What went wrong with a connection, from what ssh printed.

The patterns are OpenSSH 9.2's words, each proved against a real sshd by
tests/system/test_ssh.py. What the other side makes ssh print is no evidence: it may be a network's
login page, or anybody, as long as the host key is not verified.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Fault(Enum):
    """A way for a connection to fail."""

    UNRESOLVED = "unresolved"
    CONNECTION_REFUSED = "connection-refused"
    UNREACHABLE = "unreachable"
    DROPPED = "dropped"
    NOT_SSH = "not-ssh"
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
    (
        Fault.PERMISSION_DENIED,
        r"^\S+@\S+: Permission denied \(|:2: Too many authentication failures",
    ),
    (Fault.UNRESOLVED, r"Could not resolve hostname"),
    (Fault.CONNECTION_REFUSED, r"Connection refused"),
    (Fault.UNREACHABLE, r"timed out|No route to host|Network is unreachable"),
    (
        Fault.UNREACHABLE,
        r"^ssh: connect to (host|address) .* port \d+: |^channel \d+: open failed: ",
    ),
    (Fault.NOT_SSH, r"invalid characters|: invalid format$|Bad remote protocol version"),
    (Fault.DROPPED, r"Connection (closed|reset)|Received disconnect|Disconnected from|Broken pipe"),
    (Fault.DROPPED, r"^Timeout, server .* not responding|^Bad packet length|Corrupted MAC"),
    (Fault.NOTHING_COMMON, r"Unable to negotiate"),
    (Fault.BAD_OPTIONS, r"\bline \d+: "),
    (Fault.BAD_OPTIONS, r"Bad owner or permissions|bad configuration option"),
)
_WARNING = re.compile(r"no such identity|Load key|UNPROTECTED PRIVATE KEY|Permissions .* too open")


# the rest of such a line is the server's; but for this one reason, it may be anything
_FOREIGN = re.compile(
    r"((?:^Received disconnect from .*? port \d+:(?!2: Too many authentication))|Their offer:).*"
)
# a ProxyCommand ended, which a ProxyJump is as well: the server itself was not reached
_NO_WAY = re.compile(r"UNKNOWN port 65535")


def interpret_connect_failure(printed: str, beside: str = "") -> ConnectFault:
    """Return the fault behind what ssh printed before it gave up. Accepts any text.

    `printed` is in its own log; `beside` came on its standard error: from the server, whom nobody
    believes, or from the ssh that was to lead to it by a jump host. ssh ends its own lines with a
    carriage return there.
    """
    if not printed.strip():
        return _interpret(_split(beside))
    lines = _split(printed)
    found = _interpret(lines)
    if not any(map(_NO_WAY.search, lines)) or not beside.strip():
        return found
    of_jump = _interpret([line.strip() for line in beside.split("\n") if line.endswith("\r")])
    if of_jump.fault is not Fault.OTHER:
        return of_jump
    return replace(found, warnings=(*found.warnings, _split(beside)[-1]))


def _split(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip(" @\r\t")]


def _interpret(lines: Sequence[str]) -> ConnectFault:
    warnings = tuple(line for line in lines if _WARNING.search(line))
    for fault, pattern in _PATTERNS:
        for line in reversed(lines):
            own = _FOREIGN.sub(r"\1", line)
            if re.search(pattern, own, re.IGNORECASE) and not _WARNING.search(line):
                return ConnectFault(fault, line, warnings)
    return ConnectFault(Fault.OTHER, lines[-1] if lines else "ssh said nothing", warnings)

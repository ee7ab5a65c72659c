"""Each way for a connection to fail: what it means, and what to do."""

import contextlib
import os
import pwd

from asyncamanda.core.model import Outcome
from asyncamanda.core.ssh.argv import Target
from asyncamanda.core.ssh.fault import ConnectFault, Fault
from asyncamanda.errors import (
    AsyncamandaError,
    ConfigurationError,
    EverydayError,
    LaterError,
    ProtocolError,
    RefusedError,
)

_EXPLAINED: dict[Fault, tuple[type[AsyncamandaError], str, str]] = {
    Fault.UNRESOLVED: (
        EverydayError,
        "the name {host} does not resolve",
        "is this machine connected to its network? If so, check the server's name",
    ),
    Fault.CONNECTION_REFUSED: (
        EverydayError,
        "{host} refused the connection",
        "is sshd running there, and on this port?",
    ),
    Fault.UNREACHABLE: (
        EverydayError,
        "{host} cannot be reached",
        "is this machine away from its network? the next start tries again",
    ),
    Fault.DROPPED: (
        EverydayError,
        "{host} closed the connection before the login was over",
        "somebody at this address failed to log in (sshd's PerSourcePenalties: a few minutes at "
        "most), or it is busy (MaxStartups), or going down; `journalctl -u ssh` on the server "
        "shows which"
        "",
    ),
    Fault.NOT_SSH: (
        EverydayError,
        "what answers as {host} is no ssh server",
        "is it a network's login page (a captive portal)? Log in there; or is the port right?",
    ),
    Fault.HOST_KEY_CHANGED: (
        RefusedError,
        "THE HOST KEY OF {host} HAS CHANGED: it may not be your server",
        "nothing was sent. Ask its administrator. Only if the server was reinstalled: "
        "{as_user}ssh-keygen -R {known}, then connect once by hand and compare the fingerprint: "
        "{as_user}ssh {words} true",
    ),
    Fault.HOST_KEY_REVOKED: (
        RefusedError,
        "THE HOST KEY OF {host} IS REVOKED: whoever has it may not be your server",
        "nothing was sent. Ask its administrator",
    ),
    Fault.HOST_KEY_UNKNOWN: (
        RefusedError,
        "the host key of {host} is not known here",
        "connect once by hand and compare the fingerprint with the server's: "
        "{as_user}ssh {words} true",
    ),
    Fault.PERMISSION_DENIED: (
        RefusedError,
        "{host} refused the login as {user}",
        "is the key in that user's authorized_keys there, and does that user have a shell (Debian"
        "'s backup has none)? {as_user}ssh -v {words} true shows each step",
    ),
    Fault.NOTHING_COMMON: (
        ProtocolError,
        "{host} and this machine have no cipher or key type in common",
        "one of the two has an OpenSSH that is too old, or settings that are too strict",
    ),
    Fault.BAD_OPTIONS: (
        ConfigurationError,
        "ssh does not accept its configuration",
        "see ~/.ssh/config and /etc/ssh/ssh_config",
    ),
    Fault.OTHER: (
        LaterError,
        "no connection to {host}",
        "{as_user}ssh -v {words} true shows each step",
    ),
}

_NOT_ENROLLED = (
    "this client is not, or no longer, enrolled there: on the server, `asyncamanda server enroll` "
    "does it; or here, as root: asyncamanda setup {server}"
)


def name_user() -> str:
    """Return what root types before a command, to run it as this process's user; "" for root."""
    uid = os.geteuid()
    with contextlib.suppress(KeyError):
        return f"as root: runuser -u {pwd.getpwuid(uid).pw_name} -- " if uid else ""
    return ""


def explain_fault(fault: ConnectFault, target: Target, *, has_gate: bool) -> AsyncamandaError:
    """Return the error for `fault`: later for what passes, refused for what does not.

    `has_gate`: the client is enrolled at the server, or is to be.
    """
    kind, message, hint = _EXPLAINED[fault.fault]
    if has_gate and fault.fault is Fault.PERMISSION_DENIED:
        hint = _NOT_ENROLLED
    user = f"{target.user}@" if target.user else ""
    words = {
        "as_user": name_user(),
        "host": target.host,
        "user": target.user or "this user",
        "known": f"'[{target.host}]:{target.port}'" if target.port else target.host,
        "server": target,
        "words": (f"-p {target.port} " if target.port else "") + user + target.host,
    }
    ssh_says = "; ".join((*fault.warnings, fault.line.removeprefix("ssh: ")))
    return kind(
        fault.fault.value, f"{message.format(**words)} (ssh: {ssh_says})", hint.format(**words)
    )


def explain_not_connected(
    fault: ConnectFault | None, target: Target, *, has_gate: bool
) -> tuple[Outcome, AsyncamandaError]:
    """Return outcome and error of a failed connection; no `fault`: a signal stopped the attempt."""
    if fault is None:
        error: AsyncamandaError = LaterError(
            "stopped", "stopped before the command was started", "nothing runs on the server"
        )
        return Outcome.STOPPED, error
    error = explain_fault(fault, target, has_gate=has_gate)
    return Outcome.UNREACHABLE if isinstance(error, LaterError) else Outcome.REFUSED, error

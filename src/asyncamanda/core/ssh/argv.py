"""ssh destinations, and the command lines for them.

One master connection carries everything: making it first separates "could not connect"
from "the command failed", which both end ssh with 255 (PROTOCOL.mux and ssh(1)).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

ALLOWED = "[user[:password]@]host[:port], an IPv6 address in brackets"

_TARGET = re.compile(
    r"(?:(?P<user>[^:@]*)(?::(?P<password>.*))?@)?"
    r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:@\[\]]*))(?::(?P<port>[^:@]*))?",
    re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_HOST = re.compile(r"[\w.][\w.-]*")
_V6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. The password never shows in a text made of it."""

    host: str
    user: str | None = None
    port: int | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            (f"{self.user}@" if self.user else "")
            + host
            + (f":{self.port}" if self.port is not None else "")
        )


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How to connect: which key file, how long to try, and how soon a silent link is dead."""

    key: str | None = None
    connect_timeout: timedelta = timedelta(seconds=20)
    keepalive: timedelta = timedelta(seconds=15)


def parse_target(text: str) -> Target:
    """Return the destination that `text` names; the last `@` ends the password.

    Raises ValueError, with what is wrong and never with the password, where it names none.
    """
    parts = _TARGET.fullmatch(text)
    if not parts:
        raise ValueError("not of that form (is an IPv6 address without its brackets?)")
    user, password, host, port = parts["user"], parts["password"], parts["host"], parts["port"]
    if user is not None and not _NAME.fullmatch(user):
        raise ValueError("the user's name is empty or has a character that none may have")
    if password == "":
        raise ValueError("the password is empty")
    if parts["v6"] is not None:
        host = parts["v6"]
        if not _V6.fullmatch(host):
            raise ValueError("no IPv6 address within the brackets")
    elif host.startswith("-"):
        raise ValueError("a host's name does not begin with '-'")
    elif not _HOST.fullmatch(host):
        raise ValueError("the host's name is empty or has a character that none may have")
    if port is not None and not (_PORT.fullmatch(port) and 1 <= int(port) <= 65535):
        raise ValueError("the port is not a number from 1 to 65535")
    return Target(host, user, int(port) if port is not None else None, password)


def plan_master(
    target: Target, options: SshOptions, socket: str, log: str | None = None
) -> list[str]:
    """Return the argv of the ssh that connects, listens on `socket` and runs no command.

    Its own words go to the file `log`, and only what others print is on its standard error then.
    It stands first in what it sets, so the user's ssh_config can add to it and not undo it.
    Silence is death after two keepalives go unanswered.
    """
    argv = ["ssh", "-M", "-N", "-T", "-x", "-a", "-S", socket, *(["-E", log] if log else [])]
    settings = {
        "BatchMode": "no" if target.password else "yes",
        "StrictHostKeyChecking": "yes",
        "NoHostAuthenticationForLocalhost": "no",
        "ConnectTimeout": str(_seconds(options.connect_timeout)),
        "ConnectionAttempts": "1",
        "ServerAliveInterval": str(_seconds(options.keepalive)),
        "ServerAliveCountMax": "2",
        "ControlPersist": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "ForkAfterAuthentication": "no",
        "LogLevel": "INFO",
    }
    if target.password:
        settings["NumberOfPasswordPrompts"] = "1"
    if options.key:
        # not -i: ssh drops a file that does not exist, and takes the user's default keys
        quoted = options.key.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
        settings["IdentityFile"] = f'"{quoted}"'
        settings["IdentitiesOnly"] = "yes"
    return [*argv, *_options(settings), *_destination(target)]


def plan_look(
    target: Target, algorithms: Sequence[str], known_hosts: str, log: str, seconds: int
) -> list[str]:
    """Return the argv of the ssh that notes the server's host key in the file `known_hosts`.

    Of the first of the `algorithms` that the server has; it shows no key of its own and is refused
    the login. Its words, the server's version among them, go to the file `log`.
    """
    settings = {
        "HostKeyAlgorithms": ",".join(algorithms),
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "none",
        "KnownHostsCommand": "none",
        "StrictHostKeyChecking": "accept-new",
        "VerifyHostKeyDNS": "no",
        "UpdateHostKeys": "no",
        "NoHostAuthenticationForLocalhost": "no",
        "PreferredAuthentications": "none",
        "PubkeyAuthentication": "no",
        "BatchMode": "yes",
        "ConnectTimeout": str(seconds),
        "ConnectionAttempts": "1",
        "ControlMaster": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "ForkAfterAuthentication": "no",
        "LogLevel": "DEBUG1",
    }
    argv = ["ssh", "-T", "-x", "-a", "-S", "none", "-E", log, *_options(settings)]
    return [*argv, *_destination(target), "true"]


def plan_session(target: Target, socket: str, command: str) -> list[str]:
    """Return the argv of the ssh that runs `command` over the master at `socket`.

    Without its master it must fail, not connect again: hence the ProxyCommand.
    """
    settings = {
        "ControlMaster": "no",
        "ProxyCommand": "false",
        "RemoteCommand": "none",
        "SessionType": "default",
        "ForkAfterAuthentication": "no",
        "ClearAllForwardings": "yes",
        "LogLevel": "INFO",
    }
    argv = ["ssh", "-T", "-x", "-a", "-S", socket, *_options(settings)]
    return [*argv, *_destination(target), command]


def _options(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _destination(target: Target) -> list[str]:
    user = ["-l", target.user] if target.user else []
    port = ["-p", str(target.port)] if target.port is not None else []
    return [*user, *port, "--", target.host]


def _seconds(span: timedelta) -> int:
    """Return whole seconds, at least one, as ssh takes them."""
    return max(1, round(span.total_seconds()))

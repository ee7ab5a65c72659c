"""The Amanda user's ssh finds each client at its relay, by an alias in a file of asyncamanda's.

~/.ssh/config includes it, before all else: there the first word on a host counts
(ssh_config(5)). Amanda runs `ssh ... CLIENT amandad`, with the name as in the disklist, so
an alias is enough, and no name has to resolve (amanda-facts, "The network").
"""

import errno
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from asyncamanda.server.gate.ipc import relay_path
from asyncamanda.system.files import write_whole

ALIASES = "asyncamanda.conf"  # beside authorized_keys
INCLUDE = f"Include {ALIASES}"  # relative to ~/.ssh

_HEAD = """\
# Clients that Amanda reaches back through their own connections.
# Written by `asyncamanda server enroll`, `revoke` and `setup`: changes here are lost.
"""

# ssh takes this way when nobody listens at the ControlPath, or the call was refused there: a
# connection that fails at once. A shell of its own says so, because ssh kills what it started as
# soon as that closes its stdout, by `>&2`. The rest are ssh's own defaults: what is not said here
# an administrator's `Host *` may say otherwise, and each of these breaks the call, or adds to what
# is said there (tests/system/test_user_ssh_words.py tries every keyword).
_ALIAS = """\

Host {client}
    ControlMaster no
    ControlPath {path}
    ProxyCommand sh -c "echo asyncamanda: %n is not connected, or refused the request >&2"
    ClearAllForwardings yes
    RemoteCommand none
    SessionType default
    RequestTTY no
    EscapeChar none
    StdinNull no
    ForkAfterAuthentication no
    ControlPersist no
    ProxyUseFdpass no
    PermitLocalCommand no
    ForwardAgent no
    ForwardX11 no
    Tunnel no
    CanonicalizeHostname no
    PKCS11Provider none
    LogLevel INFO
    LogVerbose none
"""

_INCLUDED = re.compile(rf'include[ \t]+"?(?:~/\.ssh/)?{re.escape(ALIASES)}"?', re.IGNORECASE)


def render_aliases(clients: Iterable[str]) -> str:
    """Return the file for these clients."""
    blocks = (_ALIAS.format(client=client, path=relay_path(client)) for client in clients)
    return _HEAD + "".join(blocks)


def is_included(text: str) -> bool:
    """Return whether a ~/.ssh/config with this `text` includes the file, for every host.

    Below a Host or a Match it would be for that one alone, and after other words too late.
    """
    for line in text.split("\n"):  # as ssh has it: str.splitlines() cuts within comments
        words = line.strip()
        if words and not words.startswith("#"):
            return _INCLUDED.fullmatch(words) is not None
    return False


def plan_include(text: str) -> str:
    """Return the ~/.ssh/config that includes the file; the same text if it does already."""
    if is_included(text):
        return text
    return f"# Clients that are connected, by asyncamanda: keep this first\n{INCLUDE}\n\n{text}"


def read_text(path: Path) -> str:
    """Return a file's text, "" if there is none. Raises OSError, also if it is not a file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def write_include(config: Path) -> None:
    """Have ~/.ssh/config include the file; a link stays one. Raises OSError."""
    write_whole(config.resolve(), plan_include(read_text(config)), 0o600)


def write_aliases(folder: Path, clients: Iterable[str]) -> None:
    """Write the file into ~/.ssh, if that changes it. Raises OSError."""
    path, text = folder / ALIASES, render_aliases(clients)
    if read_text(path) != text:
        write_whole(path, text, 0o600)

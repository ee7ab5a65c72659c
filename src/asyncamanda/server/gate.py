"""The forced command of a client's key: thin, and never typed.

It knows who is calling from its own arguments, which stand in authorized_keys, and takes
nothing else for it. It hands its stdin and stdout to the dispatcher, which talks, and waits.
If the dispatcher dies, it fetches a new one and hands them over again. Hundreds of these
wait at a time, so it imports next to nothing.
"""

import fcntl
import os
import signal
import socket
import sys
import time

from asyncamanda.core.authority import Attach, Denied, Identity, decide_verb, parse_identity
from asyncamanda.core.printable import printable_lines
from asyncamanda.server import switchboard
from asyncamanda.system.environ import clean_environ

USAGE, LATER, REFUSED = 64, 75, 77  # errors.Exit, whose module takes long to load
PATIENCE = 40.0  # seconds for a dispatcher to start: less than a client has
POLL = 0.05  # seconds
MOST_ATTEMPTS = 20  # dispatchers that one line may wear out
LATER_LINE = '{"type":"later","after":60,"reason":"%s"}\n'  # json takes long to load, too


def main(argv: list[str]) -> int:
    """Serve the client that `argv` names until it or the dispatcher ends; return the exit code."""
    try:
        identity = parse_identity(argv)
    except ValueError as error:
        say(f"asyncamanda gate: {error}\nhint: `asyncamanda server enroll` writes this command")
        return USAGE
    verb = decide_verb(os.environ.get("SSH_ORIGINAL_COMMAND"))
    if isinstance(verb, Denied):
        say(f"asyncamanda gate: {verb.message}\nhint: {verb.hint}")
        return REFUSED
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a dispatcher that it started leaves no zombie
    try:
        if isinstance(verb, Attach):
            from asyncamanda.server.attach import attach  # noqa: PLC0415 - who waits needs it not

            return attach(identity, verb)
        return _serve(identity)
    except OSError as error:
        say(
            f"asyncamanda gate: {error}\nhint: `asyncamanda server setup` on the server makes "
            f"{switchboard.STATE}, which belongs to the Amanda user"
        )
        if isinstance(verb, Attach):
            return LATER  # amandad is at the other end
        return _put_off(f"the server cannot work: {error.strerror}")


def _serve(identity: Identity) -> int:
    attempt = "first"
    for _ in range(MOST_ATTEMPTS):
        line = fetch_dispatcher()
        if line is None:
            return _put_off("the dispatcher at the server does not start")
        with line:
            words = ("talk", identity.client, identity.amanda_config, attempt)
            try:
                socket.send_fds(line, [switchboard.pack(*words)], [0, 1])
                answer = switchboard.unpack(line.recv(switchboard.LARGEST))
            except OSError:
                answer = [""]
        if answer[0] == "exit":
            return int(answer[1])
        attempt = "again"  # it died, and with it all that it knew of this line
        time.sleep(POLL)
    return _put_off("the dispatcher at the server does not stay")


def fetch_dispatcher() -> socket.socket | None:
    """Return a connection to the dispatcher, started if there is none; None if that fails.

    Raises OSError if the state folder cannot be used.
    """
    if line := switchboard.call_dispatcher():
        return line
    give_up_at = time.monotonic() + PATIENCE
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(f"{switchboard.STATE}/start.lock", flags, 0o600), "w") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)  # of many gates that find none, one starts it
        started_at = 0.0
        while time.monotonic() < give_up_at:
            if line := switchboard.call_dispatcher():
                return line
            if time.monotonic() - started_at > PATIENCE / 4:
                started_at = time.monotonic()
                start_dispatcher()
            time.sleep(POLL)
    return None


def start_dispatcher() -> None:
    """Start a dispatcher that outlives this process, in a session of its own.

    Of this session's environment it sees nothing.
    If another one lives, though its socket does not show yet, it ends at once.
    """
    log = f"{switchboard.STATE}/dispatcher.log"
    argv = [sys.executable, "-I", "-m", "asyncamanda", "server", "dispatch", "--on-demand"]
    os.posix_spawn(
        sys.executable,
        argv,
        clean_environ(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        ],
        setsid=True,
        setsigdef=[signal.SIGCHLD, signal.SIGHUP],
    )


def _put_off(reason: str) -> int:
    """Tell the client to come back; return the exit code."""
    plain = "".join(c for c in reason if c.isalnum() or c in " -,.'")
    os.write(1, (LATER_LINE % plain).encode("ascii", "replace"))
    return LATER


def say(text: str) -> None:
    """Tell whoever is at the other end, on stderr, in as many lines as `text` has."""
    print(printable_lines(text), file=sys.stderr)  # noqa: T201 - nobody else speaks for the gate

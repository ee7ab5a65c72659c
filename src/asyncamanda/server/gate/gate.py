"""The forced command of a client's key: thin, and never typed.

It knows who is calling from its own arguments, which stand in authorized_keys, and takes
nothing else for it. It hands its stdin and stdout to the dispatcher, which talks, and waits.
If the dispatcher dies, it fetches a new one and hands them over again. Hundreds of these
wait at a time, so it imports next to nothing. For who wants files back it becomes another program.
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress

from asyncamanda.core.protocol.authority import (
    Attach,
    Denied,
    Identity,
    Verb,
    decide_verb,
    find_lost,
    may_restore,
    parse_identity,
)
from asyncamanda.core.values.printable import printable, printable_lines
from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.start_dispatcher import (
    NoDispatcher,
    fetch_dispatcher,
    wait_for_answer,
)

USAGE, LATER, REFUSED = 64, 75, 77  # errors.Exit, whose module takes long to load
POLL = 0.05  # seconds
MOST_ATTEMPTS = 20  # dispatchers that one line may wear out
LONGEST_REASON = 900  # characters: a client takes 1000
_LOST = (
    "this key was reported lost at the server on %s, and is not served",
    "the server's administrator can take that back: asyncamanda server found %s",
)
_LOST_LINE = '{"type":"refused","reference":"lost","message":"%s","hint":"%s","exit":77}\n'
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
    stamp = find_lost(argv)
    if stamp or verb is Verb.RESTORE:
        return _refuse_lost(identity, verb, stamp) if stamp else _become_restore(identity, argv)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a dispatcher that it started leaves no zombie
    try:
        return _attach(identity, verb) if isinstance(verb, Attach) else _serve(identity)
    except OSError as error:
        say(
            f"asyncamanda gate: {error}\nhint: `asyncamanda server setup` on the server makes "
            f"{ipc.STATE}, which belongs to the Amanda user"
        )
        if isinstance(verb, Attach):
            return LATER  # amandad is at the other end
        return _put_off(f"the server cannot work: {error.strerror}")


def _become_restore(identity: Identity, argv: list[str]) -> int:
    from asyncamanda.server.gate.restore import become_restore  # noqa: PLC0415 - as below

    return become_restore(identity, may_restore=may_restore(argv))


def _attach(identity: Identity, token: Attach) -> int:
    from asyncamanda.server.gate.attach import attach  # noqa: PLC0415 - who waits needs it not

    return attach(identity, token)


def _serve(identity: Identity) -> int:
    attempt = "first"
    for _ in range(MOST_ATTEMPTS):
        try:
            line = fetch_dispatcher()
        except NoDispatcher as error:
            return _put_off(error.reason)
        with line:
            words = ("talk", identity.client, identity.amanda_config, attempt)
            with suppress(OSError):  # it is gone, and may have said why
                socket.send_fds(line, [ipc.pack(*words)], [0, 1])
            try:
                answer = wait_for_answer(line)
            except NoDispatcher as error:
                return _put_off(error.reason)
        match answer:
            case ["exit", code, *reasons]:
                for reason in reasons:
                    say(f"asyncamanda gate: {reason}")
                return int(code)
        attempt = "again"  # it died, and with it all that it knew of this line
        time.sleep(POLL)
    return _put_off("the dispatcher on the server does not stay")


def _refuse_lost(identity: Identity, verb: Verb | Attach, stamp: str) -> int:
    """Tell whoever has the key of a client that was lost; return the exit code."""
    day = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
    message, hint = _LOST[0] % day, _LOST[1] % identity.client
    if verb is Verb.RESTORE:
        from asyncamanda.server.gate.restore import refuse  # noqa: PLC0415 - as above

        return refuse(REFUSED, "lost", message, hint)
    if verb is Verb.TALK:
        os.write(1, (_LOST_LINE % (message, hint)).encode("ascii"))
    else:
        say(f"asyncamanda gate: {message}\nhint: {hint}")
    return REFUSED


def _put_off(reason: str) -> int:
    """Tell the client to come back; return the exit code."""
    plain = "".join("'" if c in '"\\' else c for c in printable(reason)[:LONGEST_REASON])
    os.write(1, (LATER_LINE % plain).encode("ascii", "replace"))
    return LATER


def say(text: str) -> None:
    """Tell whoever is at the other end, on stderr, in as many lines as `text` has."""
    print(printable_lines(text), file=sys.stderr)  # noqa: T201 - nobody else speaks for the gate

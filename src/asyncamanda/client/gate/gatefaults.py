"""Each way for the gate not to serve: what it means, and what to do."""

from datetime import datetime
from enum import Enum

from asyncamanda.client.gate.session import Closed, Garbled
from asyncamanda.core.conditions.judge import Deferred, explain_deferred
from asyncamanda.core.protocol.messages import Later, Refused
from asyncamanda.core.ssh.argv import Target
from asyncamanda.errors import (
    AsyncamandaError,
    EverydayError,
    LaterError,
    ProtocolError,
    RefusedError,
    kind_by_exit,
)
from asyncamanda.report.text import format_time

_NOT_FOUND = {126, 127}  # a shell's, where a program cannot be started or is not there
KILLED = 128  # and above: a shell's for a killed program; ssh's own 255 among them
_INSTALL = (
    "the gate needs asyncamanda there, and this machine's key enrolled: `asyncamanda server "
    "enroll` on the server. Without it, name a `command` in client.toml"
)


class RequestStanding(Enum):
    """The state of a request."""

    UNASKED = "unasked"
    WAITING = "waiting"
    RUNNING = "running"


def explain_refused(refused: Refused) -> AsyncamandaError:
    """Return the error for a refusal, of the kind that its exit code names."""
    kind = kind_by_exit(refused.exit, RefusedError)
    return kind(refused.reference, refused.message, refused.hint)


def explain_garbled(garbled: Garbled, target: Target) -> AsyncamandaError:
    """Return the error for an answer that is not the gate's."""
    return ProtocolError(
        "no-gate",
        f"{target.host} sent an unexpected reply (not asyncamanda's gate: {garbled.reason}): "
        f"{garbled.text!r}",
        f"does this machine's key run the gate, and does its account's shell print something "
        f"first? {_INSTALL}",
    )


def explain_closed(closed: Closed, target: Target) -> AsyncamandaError:
    """Return the error for a session that ended before the server answered."""
    host, said = target.host, " / ".join(closed.said)
    if closed.status is None:
        words = f" (ssh: {said})" if said else ""
        return EverydayError(
            "connection-lost",
            f"no answer from asyncamanda at {host}: {closed.words}{words}",
            "nothing was asked yet; the next start tries again",
        )
    if closed.status in _NOT_FOUND or "not found" in said:
        return ProtocolError(
            "no-gate", f"asyncamanda is not installed at {host} ({said or closed.words})", _INSTALL
        )
    if closed.status >= KILLED:
        return LaterError(
            "gate-ended",
            f"asyncamanda at {host} ended before it answered: {said or closed.words}",
            "the next start tries again",
        )
    kind = kind_by_exit(closed.status, ProtocolError)
    message, hint = _split_hint(closed.said)
    if kind is ProtocolError:
        hint = hint or _INSTALL
    return kind(
        "gate-refused",
        message or f"what this machine's key runs at {host} ended with status {closed.status}",
        hint or "the server's administrator can tell more",
    )


def _split_hint(said: tuple[str, ...]) -> tuple[str, str]:
    """Return the message and the hint in the lines that the gate printed to stderr."""
    ours = [line for line in said if line.startswith(("asyncamanda gate: ", "hint: "))]
    messages = [line.removeprefix("asyncamanda gate: ") for line in ours if line[:5] != "hint:"]
    hints = [line.removeprefix("hint: ") for line in ours if line[:5] == "hint:"]
    return " ".join(messages) or " / ".join(said), " ".join(hints)


def explain_put_off(later: Later, until: datetime, target: Target) -> AsyncamandaError:
    """Return the error for a server that wants to be asked again `until` then."""
    return EverydayError(
        "come-back",
        f"{target.host} says: not now, come back at {format_time(until)} ({later.reason})",
        "the first start after that asks again; --force asks now",
    )


def explain_stop(signal_name: str, standing: RequestStanding, target: Target) -> AsyncamandaError:
    """Return the error for a signal to stop, by the state of the request."""
    reference, words, hint = {
        RequestStanding.UNASKED: (
            "stopped",
            " before the server was asked",
            "nothing runs on the server",
        ),
        RequestStanding.WAITING: (
            "withdrawn",
            " while the request waited; it was withdrawn",
            "nothing runs on the server; the next start asks again",
        ),
        RequestStanding.RUNNING: (
            "stopped",
            f"; the run continues on {target.host}",
            "the next start joins it, or learns how it ended",
        ),
    }[standing]
    return LaterError(reference, f"stopped by {signal_name}{words}", hint)


def explain_turned(turned: Deferred, standing: RequestStanding, target: Target) -> AsyncamandaError:
    """Return the error for conditions that are no longer met, before the backup was done."""
    why = explain_deferred(turned)
    if standing is RequestStanding.RUNNING:
        return EverydayError(
            "paused",
            f"{why}; the run at {target.host} was left",
            "a start in a better moment joins it, learns how it ended, or asks again"
            + ("" if turned.is_critical else '; with `pause = "finish"` it would have continued'),
        )
    return EverydayError("deferred", why, "the next start checks again; --force asks anyway")


def explain_lost(closed: Closed, standing: RequestStanding, target: Target) -> AsyncamandaError:
    """Return the error for a connection that broke and could not be restored."""
    if standing is RequestStanding.UNASKED:
        return explain_closed(closed, target)
    what = "run continues" if standing is RequestStanding.RUNNING else "request is kept"
    return LaterError(
        "connection-lost",
        f"{closed.words}, and reconnecting to {target.host} failed; the {what} on the server",
        "the next start joins it, or learns how it ended",
    )

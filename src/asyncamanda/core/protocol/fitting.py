"""What the server says, brought within the bounds that its client accepts.

The server's text comes from logs and disklists of any size. A client does not accept a line that is
too long or a value that is too large, and ends with an error; so the server says less, or that it
cannot say it.
"""

from collections.abc import Iterator
from dataclasses import replace

from asyncamanda.core.model import DleProgress, DleVerdict
from asyncamanda.core.protocol.codec import fit_record
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_SERVER,
    DleState,
    Finished,
    Progress,
    Refused,
    ServerMessage,
    Welcome,
)
from asyncamanda.core.protocol.wire import encode
from asyncamanda.core.values.printable import clip
from asyncamanda.errors import Exit

SHORTER_REASON = 100  # characters, where all of them together are too long


def encode_answer(message: ServerMessage) -> tuple[bytes, Refused | None]:
    """Return `message` as a line that its client takes, and None.

    What is too long has its reasons cut, then what a client does without left out, then how the
    last run ended. Where that is not
    enough, or a name cannot be said, a refusal that says so is in its place, and returned as well;
    progress is just left out. Never raises.
    """
    trouble = "there is too much of it"
    for smaller in _make_smaller(message):
        try:
            line = encode(smaller)
        except ValueError as error:
            trouble = str(error)
            continue
        if len(line) <= LARGEST_FROM_SERVER + 1:
            return line, None
    if isinstance(message, Progress):
        return b"", None
    refused = refuse_unsaid(trouble)
    return encode(refused), refused


def refuse_unsaid(trouble: str) -> Refused:
    """Return the answer to a client whose state cannot be sent."""
    return Refused(
        "too-much-to-say",
        f"the server cannot tell this client the state of its disks: {trouble}",
        "ask the server's administrator to check this client's lines in the disklist: too many "
        "disks, or names that are too long",
        int(Exit.CONFIGURATION),
    )


def _make_smaller(message: ServerMessage) -> Iterator[ServerMessage]:
    """Yield `message`, then less and less of it."""
    yield message
    message = _leave_out_what_cannot_be_said(message)
    for longest in (SHORTER_REASON, 0):
        yield _cut_reasons(message, longest)
    if isinstance(message, Welcome):
        message = replace(message, dles=tuple(map(_leave_out_extras, message.dles)))
        yield _cut_reasons(message, 0)
        yield replace(message, last=None)


def _leave_out_extras(dle: DleState) -> DleState:
    return replace(dle, restorable_since=None, program="", device="", proof_fault="")


def _leave_out_what_cannot_be_said(message: ServerMessage) -> ServerMessage:
    """Return `message` without what a log alone claims: there is no such disk."""
    match message:
        case Finished():
            return replace(message, verdicts=tuple(v for v in message.verdicts if _can_say(v)))
        case Progress():
            return replace(message, dles=tuple(dle for dle in message.dles if _can_say(dle)))
        case Welcome(last=Finished() as last):
            verdicts = tuple(verdict for verdict in last.verdicts if _can_say(verdict))
            return replace(message, last=replace(last, verdicts=verdicts))
        case _:
            return message


def _can_say(record: DleVerdict | DleProgress) -> bool:
    try:
        fit_record(record)
    except ValueError:
        return False
    return True


def _cut_reasons(message: ServerMessage, longest: int) -> ServerMessage:
    match message:
        case Finished():
            return replace(
                message, verdicts=tuple(_cut_reason(v, longest) for v in message.verdicts)
            )
        case Welcome(last=Finished() as last):
            verdicts = tuple(_cut_reason(verdict, longest) for verdict in last.verdicts)
            return replace(message, last=replace(last, verdicts=verdicts))
        case _:
            return message


def _cut_reason(verdict: DleVerdict, longest: int) -> DleVerdict:
    return replace(verdict, reason=clip(verdict.reason, longest) if longest else "")

"""Joining by a code: one connection with the one-time key that is in it.

All of it as the Amanda user, whose ssh it is; the key lies in a folder of that user's meanwhile.
"""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from asyncamanda.client.gate.faults import explain_not_connected
from asyncamanda.core.protocol.codec import write_record
from asyncamanda.core.protocol.joining import (
    JOIN,
    LONGEST_LINE,
    Joined,
    JoinRequest,
    encode_join,
    parse_joined,
)
from asyncamanda.core.ssh.argv import SshOptions, Target
from asyncamanda.core.ssh.fault import Fault
from asyncamanda.core.ssh.invitation_code import InvitationCode
from asyncamanda.core.ssh.one_time_key import render_private_key
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.errors import (
    AsyncamandaError,
    LaterError,
    ProtocolError,
    RefusedError,
    error_value,
    parse_error,
)
from asyncamanda.system.account import ask_as
from asyncamanda.system.files import write_whole
from asyncamanda.system.interrupts import catch_stop
from asyncamanda.system.session import Session
from asyncamanda.system.ssh import NotConnected, connect

ANSWERED_WITHIN = 180.0  # seconds: it asks Amanda several times, and waits for its turn
_PIECE = 4096  # bytes, as Session.send() takes them
_LONGEST_WORDS = 1000  # characters


def ask_to_join(target: Target, code: InvitationCode, request: JoinRequest, user: str) -> Joined:
    """Return as whom the server has enrolled this machine; `user` is the Amanda user here.

    Raises RefusedError if the server does not accept the code or what is asked, LaterError if it
    could not be reached, or asks for another try, and whatever else the server ends with.
    """
    answer = parse_json(ask_as(user, lambda: _ask_as_user(target, code, request)))
    if "exit" in answer:
        raise parse_error(answer)
    return replace(Joined(**answer), warnings=tuple(answer["warnings"]))


def _ask_as_user(target: Target, code: InvitationCode, request: JoinRequest) -> str:
    try:
        return json.dumps(write_record(_ask(target, code, request)))
    except AsyncamandaError as error:
        return json.dumps(error_value(error))


def _ask(target: Target, code: InvitationCode, request: JoinRequest) -> Joined:
    with tempfile.TemporaryDirectory(prefix="asyncamanda-") as folder, catch_stop() as stop:
        key = Path(folder, "key")
        write_whole(key, render_private_key(code.seed), 0o600)
        try:
            with (
                connect(target, SshOptions(key=str(key)), stop, Path(folder)) as connection,
                connection.talk(JOIN) as session,
            ):
                line = encode_join(request).encode()
                for start in range(0, len(line), _PIECE):
                    session.send(line[start : start + _PIECE])
                return _read_answer(session, target)
        except NotConnected as failure:
            raise _explain(failure, target) from failure


def _read_answer(session: Session, target: Target) -> Joined:
    """Return the server's answer. Raises the error that it is, or ProtocolError."""
    give_up_at, answer = time.monotonic() + ANSWERED_WITHIN, b""
    while len(answer) <= LONGEST_LINE and not answer.endswith(b"\n"):
        piece = session.receive(give_up_at - time.monotonic())
        if piece is None:
            raise LaterError("join-silent", f"{target.host} does not answer", "try again later")
        if not piece:
            break
        answer += piece
    try:
        value = parse_json(answer)
        if isinstance(value, dict) and value.get("outcome") == "error":
            raise _read_error(value)
        return parse_joined(answer)
    except (ValueError, KeyError, TypeError) as error:
        said = " / ".join(session.said())
        raise ProtocolError(
            "join-not-understood",
            f"{target.host} does not answer as asyncamanda does" + (f" ({said})" if said else ""),
            "is asyncamanda installed there, and of about the same age?",
        ) from error


def _read_error(value: dict[str, object]) -> AsyncamandaError:
    """Return the error in a line that `--json` prints. Raises KeyError, TypeError or ValueError."""
    words = {
        name: clip(printable(str(value[key])), _LONGEST_WORDS)
        for name, key in (("reference", "error"), ("message", "message"), ("hint", "hint"))
    }
    return parse_error({"exit": value["exit"], **words})


def _explain(failure: NotConnected, target: Target) -> AsyncamandaError:
    fault = failure.fault
    if fault and fault.fault is Fault.PERMISSION_DENIED:
        return RefusedError(
            "code-not-known",
            f"{target.host} does not accept this code: it was used or withdrawn, or has expired, "
            "some time ago, or was never this server's",
            "ask the server's administrator for another one: asyncamanda server invite CLIENT",
        )
    return explain_not_connected(fault, target, has_gate=True)[1]

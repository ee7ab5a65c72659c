"""The dispatcher's socket: where it is, and what is said on it.

It lies in a folder of its own below the state folder, made again wherever it is missing: a
socket needs nothing of a boot, and gates without root could not make one below /run. Packets
(SOCK_SEQPACKET) keep messages apart; a message is words with NULs between. A gate says

    talk CLIENT AMANDA_CONFIG (first | again)         with its stdin and stdout, by SCM_RIGHTS

and waits for `exit CODE [REASON]`. One that is to carry a stream (attach.py) says

    attach CLIENT AMANDA_CONFIG TOKEN
    attached CLIENT AMANDA_CONFIG TOKEN               again, to the next dispatcher

and is told `no REASON`, or `go SESSION` with four descriptors: Amanda's stdin, stdout and
stderr, and the connection to its ssh. It then hears `well` every few seconds, and perhaps `status
CODE REASON` or `stop REASON`; and says `alive` while bytes come from the client. Everybody else
says one thing and reads the answer, a JSON text, to the end.

Beside that socket lies, for each client that is connected, the one on which Amanda's ssh calls
it (relay.py). Only the Amanda user and root get into the folders (0700).

The gate imports this, so it imports next to nothing.
"""

import os
import socket

from asyncamanda.quick import SYSTEM_STATE

STATE = f"{SYSTEM_STATE}/server"
LARGEST = 65536  # bytes of a packet
LONGEST_NAME = 60  # characters: sun_path ends at 108, and the folder takes 39
ANSWER_WITHIN = 10.0  # seconds
CONNECT_WITHIN = 5.0  # seconds: its queue may be full, and it hang


def socket_path(state: str = STATE) -> str:
    """Return where the dispatcher listens."""
    return f"{state}/run/dispatcher.sock"


def relay_folder(state: str = STATE) -> str:
    """Return the folder of the clients' sockets."""
    return f"{state}/run/relay"


def relay_path(client: str, state: str = STATE) -> str:
    """Return where Amanda's ssh finds a client that is connected: its ControlPath."""
    if len(client) > LONGEST_NAME:
        from hashlib import sha256  # noqa: PLC0415 - hardly any name is that long

        digest = sha256(client.encode()).hexdigest()[:32]
        client = f"{client[: LONGEST_NAME - 34]}..{digest}"  # no client's name has two dots
    return f"{relay_folder(state)}/{client}"


def call_dispatcher(state: str = STATE, *, is_patient: bool = True) -> socket.socket | None:
    """Return a connection to the dispatcher, or None if none listens.

    Whoever is not patient gets None, too, where it is too busy to be connected at once, and a
    connection that never blocks. Raises PermissionError to whom the folder is closed.
    """
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    caller.settimeout(CONNECT_WITHIN if is_patient else 0)
    try:
        caller.connect(socket_path(state))
    except PermissionError:
        caller.close()
        raise
    except OSError:
        caller.close()
        return None
    caller.setblocking(is_patient)
    return caller


def pack(*words: str) -> bytes:
    """Return a message of `words`."""
    return "\0".join(words).encode("utf-8", "surrogateescape")


def unpack(packet: bytes) -> list[str]:
    """Return the words of a message."""
    return packet.decode("utf-8", "surrogateescape").split("\0")


def ask_dispatcher(*words: str, state: str = STATE) -> str | None:
    """Return the dispatcher's answer to `words`, a JSON text; None if no dispatcher runs.

    Raises PermissionError to whom the folder is closed, and OSError if it does not answer.
    """
    caller = call_dispatcher(state)
    if caller is None:
        return None
    with caller:
        caller.settimeout(ANSWER_WITHIN)
        caller.send(pack(*words))
        pieces = []
        while piece := caller.recv(LARGEST):
            pieces.append(piece)
    return b"".join(pieces).decode("utf-8")


def make_runtime_folder(state: str = STATE) -> None:
    """Make the folders of the sockets, if they are missing. Raises OSError."""
    for folder in (f"{state}/run", relay_folder(state)):
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - as in quick

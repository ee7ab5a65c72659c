"""Which version of the protocol a client and a server speak with each other."""

from asyncamanda.core.protocol.messages import PROTOCOLS, Refused
from asyncamanda.errors import Exit


def choose_protocol(theirs: tuple[int, ...], ours: tuple[int, ...] = PROTOCOLS) -> int | None:
    """Return the highest protocol that both speak, None if there is none."""
    return max(set(theirs) & set(ours), default=None)


def refuse_protocol(theirs: tuple[int, ...], ours: tuple[int, ...] = PROTOCOLS) -> Refused:
    """Return the server's answer to a client that speaks none of `ours`: who has to update."""
    newest = max(theirs, default=0)
    spoken = f"the client speaks protocol {newest} at most, the server {max(ours)}"
    if newest > max(ours):
        message = f"the server's asyncamanda is too old for this client's: {spoken}"
        hint = "ask the server's administrator to update asyncamanda there"
    else:
        message = f"this client's asyncamanda is too old for the server's: {spoken}"
        hint = "update asyncamanda on this client"
    return Refused("protocol", message, hint, int(Exit.PROTOCOL))

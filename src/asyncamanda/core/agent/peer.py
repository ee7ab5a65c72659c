"""Which server and client the memory is about. What it holds of others is void."""

import hashlib
from dataclasses import replace
from datetime import datetime

from asyncamanda.core.agent.remember import KEPT_ATTEMPTS, note_unseen_end
from asyncamanda.core.model import EPOCH, Memory, Peer, Span

_WORDS = {
    "address": "the server's address",
    "command": "the command",
    "amandates": "the file amandates",
    "name": "this machine's name",
}
OWN_KEY, HOST_KEY = "this machine's key", "the server's host key"


def read_host_keys(printed: str) -> set[str]:
    """Return the fingerprint of each key, or authority, in the lines that `ssh-keygen -F` prints.

    A line is `[@MARKER] NAMES TYPE KEY [COMMENT]` (sshd(8)). A revoked one does not count.
    """
    found = set()
    for line in printed.splitlines():
        words = line.split()
        authority = words[:1] == ["@cert-authority"]
        if authority:
            del words[0]
        if len(words) >= 3 and not words[0].startswith(("#", "@")):
            found.add(f"{'authority ' * authority}{name_key(' '.join(words[1:]).encode())}")
    return found


def name_key(content: bytes) -> str:
    """Return type and key of a file or line with a key, without the comment beside it."""
    words = content.split()
    is_line = len(words) >= 2 and b"-" in words[0] and not words[0].startswith(b"-")
    return hashlib.sha256(b" ".join(words[:2]) if is_line else content).hexdigest()


def find_differences(before: Peer, now: Peer) -> tuple[str, ...]:
    """Return in words what makes `now` another peer than `before`; nothing if it is the same.

    A server is the same as long as one of its host keys is: ssh itself takes over new ones from a
    server that it trusts. Where there is no key to compare that is no difference: without one no
    connection is made, and the next that comes is compared with the last.
    """
    found = [words for name, words in _WORDS.items() if getattr(before, name) != getattr(now, name)]
    if before.keys and now.keys and before.keys != now.keys:
        found.append(OWN_KEY)
    if before.host_keys and now.host_keys and {*before.host_keys}.isdisjoint(now.host_keys):
        found.append(HOST_KEY)
    return tuple(found)


def own(memory: Memory, peer: Peer, now: datetime) -> tuple[Memory, tuple[str, ...]]:
    """Return `memory` as far as it counts for `peer`.

    Also returns in words what made it void, nothing if it counts.
    """
    before = memory.peer
    if before is None:
        return replace(memory, peer=peer), ()
    differences = find_differences(before, peer)
    if differences:
        # the server that gave it knows a copy of this machine by it, whatever that is called now
        is_its = {_WORDS["address"], HOST_KEY}.isdisjoint(differences)
        ticket = memory.ticket if is_its else ""
        return replace(disown(memory, now), peer=peer, ticket=ticket), differences
    same = replace(
        peer,
        host_keys=peer.host_keys or before.host_keys,
        keys=peer.keys or before.keys,
        client=before.client,
        amanda_config=before.amanda_config,
    )
    return replace(memory, peer=same), ()


def be_named(memory: Memory, client: str, amanda_config: str, now: datetime) -> Memory:
    """Return `memory` as it counts for the client that the server says this machine is."""
    peer = memory.peer
    if peer is None or (peer.client, peer.amanda_config) == (client, amanda_config):
        return memory
    named = replace(peer, client=client, amanda_config=amanda_config)
    return replace(disown(memory, now) if peer.client else memory, peer=named)


def disown(memory: Memory, now: datetime) -> Memory:
    """Return what is left of `memory` once it is another's: history, and what people were told.

    Nobody was asked then, nothing is confirmed, and what amandates has by `now` is of no worth.

    Whoever had a backup has one time of grace before having none counts as stale. It is not given
    again before there is a backup once more, so that a change each week hides nothing.
    """
    seen = note_unseen_end(memory)
    return Memory(
        since=now if memory.confirmed else memory.since,
        distrusted=(Span(EPOCH, now),),
        told=memory.told,
        past=(*memory.past, *seen.attempts)[-KEPT_ATTEMPTS:],
    )

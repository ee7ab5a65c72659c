"""Why a key is refused: the errors of those who change the registry."""

from typing import TYPE_CHECKING

from asyncamanda.core.values.printable import printable
from asyncamanda.errors import RefusedError

if TYPE_CHECKING:
    from asyncamanda.server.enrol.enrolled import Enrolled


def refuse_lost(client: str) -> RefusedError:
    """Return the error for a key that is to be enrolled, and is one that was lost."""
    return RefusedError(
        "lost",
        f"this is the key of {client} that was lost",
        f"if that machine is back: asyncamanda server found {client}; another one needs a key of "
        f"its own, by the invitation that this prints: asyncamanda server lost {client}",
    )


def refuse_known_key(
    number: int, found: "Enrolled | None", client: str, *, is_free: bool = True
) -> RefusedError:
    """Return the error for a key that is to be `client`'s, and is `found`'s, in this line.

    `is_free`: nobody is called so yet.
    """
    whose = f"in line {number} of authorized_keys"
    hint = "make another one on the client, as root: asyncamanda setup SERVER --new-key"
    if found:
        whose = f"{found.client}'s"
        renamed = (
            f"if {client} is that machine with another name: asyncamanda server rename "
            f"{found.client} {client}; "
        )
        hint = (
            f"{renamed if is_free else ''}if it is another machine, with a copy of the key, it "
            f"needs its own, as root there: asyncamanda setup SERVER --name {client} --new-key"
        )
    return RefusedError(
        "key-in-use", f"this key is {whose} already, and a key identifies one client", hint
    )


def refuse_other_key(found: "Enrolled", seen: str = "", command: str = "") -> RefusedError:
    """Return the error for a client that has another key, `found`'s; `seen`: more about that one.

    `command` replaces the key.
    """
    how = command or "the same command with --replace"
    return RefusedError(
        "enrolled-already",
        f"{found.client} is enrolled already, with another key ({describe_key(found)}{seen})",
        f"if {found.client} has lost that key, for example by a new installation, replace it: "
        f"{how}; if this is another machine, it needs another name",
    )


def describe_key(found: "Enrolled") -> str:
    """Return a client's key as people compare it: its type, fingerprint and comment."""
    key = found.key
    try:
        words = [f"{printable(key.key_type)} {key.fingerprint}"]
    except ValueError:  # somebody has changed it, and sshd accepts nobody with it
        words = [printable(key.key_type)]
    return ", ".join([*words, *([printable(key.comment)] if key.comment else [])])


def refuse_to_move(found: "Enrolled") -> RefusedError:
    """Return the error for a client that is enrolled for another Amanda configuration."""
    return RefusedError(
        "enrolled-already",
        f"{found.client} is enrolled already, for {found.amanda_config}",
        "for another Amanda configuration: --move, beside --amanda-config; else leave that out",
    )

"""Who somebody is that is to be enrolled, by key and name: a new client, or one that is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncamanda.server.enrol.enrolled import Enrolled


@dataclass(frozen=True, slots=True)
class KnownKey:
    """The key is that of another client, `owner`: renamed, or its key was copied.

    `is_free`: nobody else has the new name, so the client can be given it.
    """

    owner: Enrolled
    is_free: bool


@dataclass(frozen=True, slots=True)
class OtherKey:
    """The client is enrolled, with another key, `known`'s: lost, or this is another machine."""

    known: Enrolled


Recognition = KnownKey | OtherKey | None


def recognise(entries: Sequence[Enrolled], entry: Enrolled) -> Recognition:
    """Return what `entries` have of the name or of the key of `entry`; None for nothing odd."""
    owner = next((one for one in entries if _has_key_of(one, entry)), None)
    if owner:
        taken = {one.client.lower() for one in entries if one.client != owner.client}
        return KnownKey(owner, entry.client.lower() not in taken)
    for one in entries:
        if one.client == entry.client and one.key.key != entry.key.key:
            return OtherKey(one)
    return None


def find_before(entries: Sequence[Enrolled], client: str, key: str | None) -> Enrolled | None:
    """Return how a client is enrolled, by its name or else by its key; None if it is not.

    What is not said of it when it is enrolled again stays like that.
    """
    named = next((one for one in entries if one.client == client), None)
    return named or next((one for one in entries if one.key.key == key), None)


def _has_key_of(one: Enrolled, entry: Enrolled) -> bool:
    return one.key.key == entry.key.key and one.client != entry.client


def connects_otherwise(one: Enrolled, other: Enrolled) -> bool:
    """Return whether a session of one's is not as those of the other will be.

    Whether it may restore is looked at by what restores, again and again.
    """
    return (one.key.key, one.identity, one.is_direct) != (
        other.key.key,
        other.identity,
        other.is_direct,
    )

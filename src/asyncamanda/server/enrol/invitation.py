"""Invitations, as values: who may join by a code, how often and until when, and who did."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from asyncamanda.core.protocol.authority import check_client_name
from asyncamanda.core.protocol.codec import read_record, write_record, write_value
from asyncamanda.core.values.foreign import parse_json

FORMAT = 1
DEFAULT_SPAN, LONGEST_SPAN = timedelta(days=7), timedelta(days=366)
MOST_USES = 1000  # of one code
MOST_INVITATIONS = 200  # that are kept
KEPT_AFTER = timedelta(days=7)  # its end, so that who comes with it is told why it is refused
TOLD_EVERY = timedelta(minutes=1)  # the same refusal of the same code
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Use:
    """A machine that joined: as whom, the fingerprint of its key. Not `is_done`: it began to."""

    client: str
    fingerprint: str
    at: datetime
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a code is good for. Neither the code nor the seed in it is kept.

    `invitation` names it, by its one-time public key. `names` is one name, or a pattern. `is_again`
    lets the machine take the place of one that is, or was, enrolled by that name. `disks` are those
    that it gets; without any it may name its own. `refused` is why it was last refused to somebody.
    """

    invitation: str
    names: str
    amanda_config: str
    made_at: datetime
    expires_at: datetime
    count: int = 1
    disks: tuple[str, ...] = ()
    dumptype: str = ""
    is_again: bool = False
    is_direct: bool = False
    may_restore: bool = True
    withdrawn_at: datetime | None = None
    uses: tuple[Use, ...] = ()
    refusals: int = 0
    refused_at: datetime | None = None
    refused: str = ""

    @property
    def is_pattern(self) -> bool:
        """Whether it is for all names that fit."""
        return bool(_WILD.search(self.names))

    @property
    def left(self) -> int:
        """How many machines may still join with it."""
        return max(0, self.count - len(self.uses))

    def state(self, now: datetime) -> str:
        """Return in a word whether it is open, and else why not."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if not self.left:
            return "used"
        return "open" if now < self.expires_at else "expired"

    def admits(self, now: datetime) -> bool:
        """Return whether a machine may join by it: a new one, or one that has begun to."""
        is_begun = self.withdrawn_at is None and not all(use.is_done for use in self.uses)
        return is_begun or self.state(now) == "open"

    def ended_at(self, now: datetime) -> datetime | None:
        """Return when it ceased to be of use to anybody; None while it is open."""
        match self.state(now):
            case "withdrawn":
                return self.withdrawn_at
            case "used":
                return max((use.at for use in self.uses), default=self.made_at)
            case "expired":
                return self.expires_at
        return None


@dataclass(frozen=True, slots=True)
class _Kept:
    format: int
    invitations: tuple[Invitation, ...]


def parse_invitations(text: str) -> tuple[Invitation, ...]:
    """Return those in the text of the file, none if it is empty. Raises ValueError."""
    if not text:
        return ()
    kept = read_record(_Kept, parse_json(text), may_lack=True)
    if kept.format != FORMAT:
        raise ValueError("it is of another version of asyncamanda")
    return kept.invitations


def render_invitations(invitations: Iterable[Invitation]) -> str:
    """Return the text of the file that holds these."""
    kept = _Kept(FORMAT, tuple(invitations))
    return json.dumps(write_record(kept), default=write_value, indent=1) + "\n"


def plan_kept(invitations: Sequence[Invitation], now: datetime) -> tuple[Invitation, ...]:
    """Return those that are worth keeping: not those that ended long ago.

    Where there are too many, those that ended first go earlier.
    """
    ended = [(at, one.invitation) for one in invitations if (at := one.ended_at(now))]
    gone = {name for at, name in ended if now - at > KEPT_AFTER}
    surplus = len(invitations) - len(gone) - MOST_INVITATIONS
    rest = sorted(end for end in ended if end[1] not in gone)
    gone |= {name for _, name in rest[: max(0, surplus)]}
    return tuple(one for one in invitations if one.invitation not in gone)


def check_names(names: str) -> None:
    """Raise ValueError unless `names` can be a client's name, or a pattern of such names."""
    check_client_name(_WILD.sub("x", names))


def is_meant(invitation: Invitation, client: str) -> bool:
    """Return whether an invitation is for this name; the case of letters does not count."""
    return fnmatchcase(client.lower(), invitation.names.lower())


def note_use(invitation: Invitation, use: Use) -> Invitation:
    """Return the invitation with this use instead of what it had of the same key."""
    others = tuple(one for one in invitation.uses if one.fingerprint != use.fingerprint)
    return replace(invitation, uses=(*others, use))


def drop_use(invitation: Invitation, use: Use) -> Invitation:
    """Return the invitation without a use that failed."""
    kept = tuple(one for one in invitation.uses if one.fingerprint != use.fingerprint)
    return replace(invitation, uses=kept)


def note_refusal(invitation: Invitation, words: str, now: datetime) -> Invitation:
    """Return the invitation with a refusal; the same one if that was noted just now."""
    at = invitation.refused_at
    if words == invitation.refused and at is not None and abs(now - at) < TOLD_EVERY:
        return invitation
    count = min(invitation.refusals + 1, 10**6)
    return replace(invitation, refusals=count, refused_at=now, refused=words[:300])

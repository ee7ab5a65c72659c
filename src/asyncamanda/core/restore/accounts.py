"""How old an account is: a uid may have been somebody else's when a dump was made.

No file of Unix says when an account was made. So the agent writes down at each backup which
accounts there are: one that was not there the time before is younger than that. Of those that were
there when this began, the home folder's birth can say that they are older; of others it cannot,
for a home may be left over from an earlier account.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

LEAST_UID = 1000  # UID_MIN of Debian's login.defs: below it are no persons
NOBODY = 65534
MOST_ACCOUNTS = 100_000


@dataclass(frozen=True, slots=True)
class SeenAccount:
    """An account since when it is known; `is_local` if it is one of /etc/passwd."""

    uid: int
    name: str
    since: datetime
    is_local: bool


@dataclass(frozen=True, slots=True)
class SeenAccounts:
    """All accounts that are known: since when they are written down at all, and until when.

    A clock that is set back makes no account older: what is new is younger than `looked_at`.
    """

    began_at: datetime
    looked_at: datetime
    accounts: tuple[SeenAccount, ...] = ()

    def find(self, uid: int, name: str) -> SeenAccount | None:
        """Return the account of that uid and name, None if it is not known."""
        wanted = (uid, name)
        return next((one for one in self.accounts if (one.uid, one.name) == wanted), None)


def is_ordinary(uid: int) -> bool:
    """Return whether a uid is a person's, as far as its number says so."""
    return uid >= LEAST_UID and uid != NOBODY


def parse_passwd(text: str) -> frozenset[tuple[int, str]]:
    """Return uid and name of each ordinary account in /etc/passwd; odd lines are passed over."""
    found = set()
    for line in text.splitlines():
        name, *fields = line.split(":")
        if name and len(fields) == 6 and fields[1].isdecimal() and is_ordinary(int(fields[1])):
            found.add((int(fields[1]), name))
    return frozenset(found)


def look_again(
    seen: SeenAccounts | None,
    local: Iterable[tuple[int, str]],
    ask_name: Callable[[int], str | None],
    now: datetime,
) -> SeenAccounts:
    """Return `seen` after another look, at `now`: which accounts `local` has, and whose uid it is.

    An account that has gone is forgotten, so that one which takes its place is new. `ask_name` says
    whose a uid is that is not local, None if nobody knows: a directory in a network that is away.
    """
    present = frozenset(local)
    before = seen or SeenAccounts(now, now)
    now = max(now, before.looked_at)
    kept = []
    for one in before.accounts:
        if (one.uid, one.name) in present:
            kept.append(replace(one, is_local=True))
        elif not one.is_local and ask_name(one.uid) in {None, one.name}:
            kept.append(one)
    known = {(one.uid, one.name) for one in kept}
    fresh = [SeenAccount(uid, name, now, is_local=True) for uid, name in sorted(present - known)]
    return replace(before, looked_at=now, accounts=tuple([*kept, *fresh][:MOST_ACCOUNTS]))


def meet(seen: SeenAccounts, uid: int, name: str, now: datetime) -> SeenAccounts:
    """Return `seen` with an account that came by itself, as one of a network's directory does."""
    if seen.find(uid, name) or len(seen.accounts) >= MOST_ACCOUNTS:
        return seen
    others = tuple(one for one in seen.accounts if one.uid != uid)
    fresh = SeenAccount(uid, name, max(now, seen.looked_at), is_local=False)
    return replace(seen, accounts=(*others, fresh))


def date_account(
    seen: SeenAccounts, uid: int, name: str, home_born_at: datetime | None
) -> datetime | None:
    """Return since when the account is there for certain; None if it is not known.

    `home_born_at` is when its home folder was made, None where that is not known.
    """
    account = seen.find(uid, name)
    if account is None:
        return None
    if account.since > seen.began_at or home_born_at is None:
        return account.since
    return min(account.since, home_born_at)

"""What sshd demands of a login, by what `sshd -T -C user=...` prints: what is in a client's way.

A keyword in small letters and its value, a line each; of users, groups and methods a line each, too
(sshd(8), -T; sshd_config(5)). tests/e2e/test_sshd_settings.py asks the real one.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

LEAST_SESSIONS = 2  # on one connection: the client's own, and Amanda's
_CONFIG = "/etc/ssh/sshd_config"


@dataclass(frozen=True, slots=True)
class Login:
    """An account, as sshd's settings speak of it."""

    user: str
    uid: int
    home: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SshdHindrance:
    """A setting of sshd's that keeps clients from logging in, and what to do about it."""

    what: str
    fix: str


def plan_sshd(user: str, host: str) -> list[str]:
    """Return the argv that prints what counts for a login of `user` from `host`. Root's alone."""
    where = f"user={user},host={host},addr=192.0.2.1"  # which address is not known (RFC 5737)
    return ["/usr/sbin/sshd", "-T", "-C", where]


def parse_settings(printed: str) -> Mapping[str, tuple[str, ...]]:
    """Return the values of each keyword, a line each. Never raises."""
    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        name, _, value = line.strip().partition(" ")
        found.setdefault(name.lower(), []).append(value.strip())
    return {name: tuple(values) for name, values in found.items()}


def find_key_files(settings: Mapping[str, tuple[str, ...]], login: Login) -> tuple[str, ...]:
    """Return the whole paths of the files in which sshd looks for the account's keys."""
    words = _words(settings, "authorizedkeysfile")
    known = {"%h": login.home, "%u": login.user, "%U": str(login.uid), "%%": "%"}
    paths = []
    for word in words:
        if word.lower() != "none":
            path = re.sub("%[huU%]", lambda found: known[found[0]], word)
            paths.append(path if path.startswith("/") else f"{login.home}/{path}")
    return tuple(paths)


def find_hindrances(
    settings: Mapping[str, tuple[str, ...]], login: Login
) -> Sequence[SshdHindrance]:
    """Return all that keeps the account's clients out, whatever key they have."""

    def value(name: str, default: str) -> str:
        return next(iter(settings.get(name, ())), default)

    user = login.user
    found = list(_find_lists(settings, login))
    if value("pubkeyauthentication", "yes") == "no":
        found.append(_match(user, "PubkeyAuthentication no", "PubkeyAuthentication yes"))
    methods = _words(settings, "authenticationmethods")
    if methods and not {"any", "publickey"} & set(methods):
        said = f"AuthenticationMethods {' '.join(methods)}"
        found.append(_match(user, said, "AuthenticationMethods publickey"))
    if (command := value("forcecommand", "none")) != "none":
        found.append(_match(user, f"ForceCommand {command}", "ForceCommand none"))
    if (folder := value("chrootdirectory", "none")) != "none":
        found.append(_match(user, f"ChrootDirectory {folder}", "ChrootDirectory none"))
    if value("refuseconnection", "no") == "yes":
        found.append(_match(user, "RefuseConnection yes", "RefuseConnection no"))
    sessions = value("maxsessions", "10")
    if sessions.isdigit() and int(sessions) < LEAST_SESSIONS:
        found.append(_match(user, f"MaxSessions {sessions}", "MaxSessions 10"))
    return found


def _find_lists(settings: Mapping[str, tuple[str, ...]], login: Login) -> Iterator[SshdHindrance]:
    """Yield the lists of users and groups that leave the account out; USER@HOST counts for USER."""
    user = login.user
    allowed, denied, groups, denied_groups = (
        _words(settings, name) for name in ("allowusers", "denyusers", "allowgroups", "denygroups")
    )
    if allowed and not _fits([name.partition("@")[0] for name in allowed], [user]):
        fix = f"in {_CONFIG}: add {user} to AllowUsers"
        yield SshdHindrance(f"AllowUsers {' '.join(allowed)}", fix)
    if _fits(denied, [user]):
        fix = f"in {_CONFIG}: take {user} out of DenyUsers"
        yield SshdHindrance(f"DenyUsers {' '.join(denied)}", fix)
    if groups and not _fits(groups, login.groups):
        such_as = f", such as {login.groups[0]}" if login.groups else "; it has none with a name"
        fix = f"in {_CONFIG}: add a group of {user}'s to AllowGroups{such_as}"
        yield SshdHindrance(f"AllowGroups {' '.join(groups)}", fix)
    if _fits(denied_groups, login.groups):
        fix = f"in {_CONFIG}: take the groups of {user} out of DenyGroups"
        yield SshdHindrance(f"DenyGroups {' '.join(denied_groups)}", fix)


def _words(settings: Mapping[str, tuple[str, ...]], name: str) -> list[str]:
    return [word for value in settings.get(name, ()) for word in value.split()]


def _match(user: str, said: str, better: str) -> SshdHindrance:
    return SshdHindrance(said, f"in {_CONFIG}, before any other Match: Match User {user}, {better}")


def _fits(patterns: Iterable[str], names: Collection[str]) -> bool:
    """Return whether one of the names is as one of the patterns says, which have * and ?."""
    for pattern in patterns:
        words = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        if any(re.fullmatch(words, name, re.DOTALL) for name in names):
            return True
    return False

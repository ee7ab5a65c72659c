"""What an ordinary user could have read: as the kernel would have decided it then.

The access check of POSIX.1e, as Linux makes it (acl(5), "ACCESS CHECK ALGORITHM"), on what an
image says of owner, group, mode and access control list. Nobody is above it: uid 0 does not come
this way.

Where it is not known it is refused. An image that was made without access control lists shows in
a mode's group bits the mask of one that it may have lost. So they give nobody anything; they only
take from the group's members what all others may do.
"""

from dataclasses import dataclass

from asyncamanda.core.restore.access_list import read_acl
from asyncamanda.core.restore.acl import AclEntry

READ, ENTER = 4, 1


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what with a file or folder, as an image has it; `acl` is empty if it has none."""

    mode: int
    uid: int
    gid: int
    acl: bytes = b""


@dataclass(frozen=True, slots=True)
class Asker:
    """An ordinary user who wants files: name and uid, and the groups of now.

    `groups` are the ways to know the groups, each a set of names and of gids in decimal digits:
    those of the process that asks, and those of the user database. Something is allowed if each of
    them allows it: so neither a login from before the user left a group, nor a process that gave
    a group up, gains by it.
    """

    uid: int
    name: str
    groups: tuple[frozenset[str], ...]

    def __post_init__(self) -> None:
        """Raise ValueError if no way is given: what each of none allows would be everything."""
        if not self.groups:
            raise ValueError("it has to be known which groups the user is in")


def may_read(access: Access, asker: Asker, *, keeps_acls: bool) -> bool:
    """Return whether `asker` may read the file's contents, or the folder's list of names.

    `keeps_acls`: the image would have the access control list if there had been one.
    """
    return _may(access, asker, READ, keeps_acls=keeps_acls)


def may_enter(access: Access, asker: Asker, *, keeps_acls: bool) -> bool:
    """Return whether `asker` may use the folder as a part of a path."""
    return _may(access, asker, ENTER, keeps_acls=keeps_acls)


def _may(access: Access, asker: Asker, wanted: int, *, keeps_acls: bool) -> bool:
    if asker.uid == access.uid:
        return bool(access.mode >> 6 & wanted)
    if not access.acl:
        return all(_by_mode(access, groups, wanted, keeps_acls) for groups in asker.groups)
    try:
        entries = read_acl(access.acl)
    except ValueError:
        return False
    return all(_by_acl(access, entries, asker, groups, wanted) for groups in asker.groups)


def _by_mode(access: Access, groups: frozenset[str], wanted: int, keeps_acls: bool) -> bool:
    of_all = bool(access.mode & wanted)
    if str(access.gid) not in groups:
        return of_all
    of_group = bool(access.mode >> 3 & wanted)
    return of_group if keeps_acls else of_group and of_all


def _by_acl(
    access: Access,
    entries: tuple[AclEntry, ...],
    asker: Asker,
    groups: frozenset[str],
    wanted: int,
) -> bool:
    nameless = {entry.kind: entry.bits for entry in entries if not entry.name}
    mask = nameless.get("mask", 7)
    known_as = {str(asker.uid)} if asker.name.isdigit() else {str(asker.uid), asker.name}
    for entry in entries:
        if entry.kind == "user" and _who(entry) in known_as:
            return bool(entry.bits & mask & wanted)
    of_groups = [
        entry.bits & mask
        for entry in entries
        if entry.kind == "group" and (_who(entry) or str(access.gid)) in groups
    ]
    if of_groups:
        return any(bits & wanted for bits in of_groups)
    return bool(nameless["other"] & wanted)


def _who(entry: AclEntry) -> str:
    """Return whom an entry names, by number if it has one; "" for nobody."""
    return entry.name if entry.number is None else str(entry.number)

"""How the doctor judges Amanda's programs on a client, and of the user that they run as."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.doctor.rights import OTHERS_WRITE, SETUID, PathKind, Seen, quoted

INSTALL = "apt install amanda-client"
REINSTALL = "apt install --reinstall amanda-common amanda-client"
WANTED = "4754"  # of the setuid programs, root:backup, as Debian's packages have it
_OF_PACKAGE = "backup"  # whom Debian's packages put into these, for programs that open devices
_DEVICES = ("disk", "tape")
_LIBRARY = "error while loading shared libraries: "
_CANNOT_EXECUTE, _NOT_FOUND = 126, 127  # a shell's, and ld.so's
_MUST_BE = "must be run as user"


@dataclass(frozen=True, slots=True)
class Trial:
    """How a start of amandad with no input ended: its status, and what it printed first.

    `error` is the system's error where it could not be started, or did not end.
    """

    status: int | None
    said: str = ""
    error: str = ""


def judge_user(user: str, groups: Collection[str], existing: Collection[str]) -> Check:
    """Return whether the Amanda user is in the groups that Debian's packages put it in.

    `existing` are the groups of this machine. GNU tar runs as root and needs none of them; what
    opens a disk's device does (amanda-common's postinst).
    """
    lacking = [name for name in _DEVICES if name in existing and name not in groups]
    if user == _OF_PACKAGE and lacking:
        return Check(
            "user",
            Health.WARNING,
            f"{user} is not in the group {' and '.join(lacking)}",
            "Amanda opens devices by these groups, for a dumptype with program DUMP; GNU tar "
            "needs neither",
            "as root: " + " && ".join(f"adduser {user} {name}" for name in lacking),
        )
    return well("user", f"{user}, in {', '.join(groups)}")


def judge_installed(candidates: Sequence[Seen], *, is_configured: bool) -> Check:
    """Return whether one of the candidates is an amandad that can be executed."""
    there = next((seen for seen in candidates if seen.kind is not PathKind.NOTHING), None)
    why = "Amanda's requests start amandad here: without it nothing is backed up"
    if there is None:
        places = " or ".join(seen.path for seen in candidates)
        fix = f"as root: {INSTALL}"
        if is_configured:
            fix += "; or correct `amandad` in client.toml"
        return Check("amanda-client", Health.BAD, f"there is no {places}", why, fix)
    if there.is_noexec:
        found = f"{there.path} lies on a file system that is mounted noexec"
        fix = f"as root: mount -o remount,exec $(findmnt -no TARGET -T {quoted(there.path)})"
        return Check("amanda-client", Health.BAD, found, why, fix)
    if there.kind is not PathKind.FILE or not there.may_execute:
        found = f"{there.path} ({there.kind.value}, mode {there.mode:04o}) cannot be executed"
        fix = f"as root: chmod 755 {quoted(there.path)}; or {REINSTALL}"
        return Check("amanda-client", Health.BAD, found, why, fix)
    return well("amanda-client", there.path)


def judge_trial(path: str, user: str, trial: Trial) -> Check:
    """Return whether amandad starts: with its input at its end, it ends with 0 and is silent."""
    why = "each dump begins with a start of amandad"
    if trial.error:
        found, fix = f"{path} cannot be started: {trial.error}", f"as root: {REINSTALL}"
        return Check("amandad", Health.BAD, found, why, fix)
    if _LIBRARY in trial.said:
        library = trial.said.partition(_LIBRARY)[2].partition(":")[0]
        found = f"{path} lacks the library {library}: {trial.said.rpartition(': ')[2]}"
        return Check("amandad", Health.BAD, found, why, f"as root: {REINSTALL}; ldd {path}")
    if _MUST_BE in trial.said:
        wanted = trial.said.partition(_MUST_BE)[2].split("'")[1:2]
        fix = f'in client.toml: user = "{wanted[0]}"' if wanted else "correct `user`"
        return Check("amandad", Health.BAD, f"{trial.said} (it is {user})", why, fix)
    if trial.status != 0:
        end = f"{path} ended with status {trial.status}"
        found = f"{end}: {trial.said}" if trial.said else end
        fix = f"the newest file in /var/log/amanda/amandad may say more; as root: {REINSTALL}"
        return Check("amandad", Health.BAD, found, why, fix)
    return well("amandad", f"starts as {user}, and ends well")


def judge_start(path: str, trial: Trial) -> Check | None:
    """Return why a program of Amanda's does not run, None if it does: with nothing to do it ends.

    With which status is its own affair.
    """
    why = "dumps are made by this program"
    found = ""
    if trial.error:
        found = f"{path} cannot be started: {trial.error}"
    elif _LIBRARY in trial.said:
        library = trial.said.partition(_LIBRARY)[2].partition(":")[0]
        found = f"{path} lacks the library {library}: {trial.said.rpartition(': ')[2]}"
    elif trial.status in {_CANNOT_EXECUTE, _NOT_FOUND} or (trial.status or 0) < 0:
        found = f"{path} ended with status {trial.status}: {trial.said}".rstrip(": ")
    return Check("programs", Health.BAD, found, why, f"as root: {REINSTALL}") if found else None


def judge_programs(programs: Sequence[Seen], user: str) -> Check:
    """Return whether Amanda's setuid programs can be what they have to be: root's."""
    why = "Amanda reads other users' files through these programs only"
    for seen in programs:
        wanted = f"chown root:{user} {quoted(seen.path)} && chmod {WANTED} {quoted(seen.path)}"
        fix = f"as root: {wanted}; or {REINSTALL}"
        if found := _find_program_fault(seen, user):
            return Check("programs", Health.BAD, f"{seen.path} {found}", why, fix)
    loose = [seen for seen in programs if seen.mode & 0o001]
    if loose:
        seen = loose[0]
        found = f"{seen.path}, mode {seen.mode:04o}, can be started by anybody"
        fix = f"as root: chmod {WANTED} {quoted(seen.path)}"
        return Check("programs", Health.WARNING, found, "it runs as root", fix)
    names = ", ".join(seen.path.rpartition("/")[2] for seen in programs)
    return well("programs", f"{names} run as root for {user}")


def _find_program_fault(seen: Seen, user: str) -> str:
    if seen.kind is not PathKind.FILE:
        return f"is missing ({seen.error})" if seen.error else f"is {seen.kind.value}"
    if seen.owner != "root" or not seen.mode & SETUID:
        return f"is {seen.owner}'s, mode {seen.mode:04o}: not root's with setuid"
    if seen.mode & OTHERS_WRITE:
        return f"has mode {seen.mode:04o}: others can write it"
    if seen.is_nosuid:
        return "lies on a file system that is mounted nosuid"
    if not seen.may_execute:
        return f"has mode {seen.mode:04o}: {user} may not start it"
    return ""


def judge_conf(fault: str, amandates: str, *, is_there: bool) -> Check:
    """Return whether Amanda understands its own configuration of a client, by its own account.

    `is_there`: it could be asked at all.
    """
    if not fault:
        return well("amanda-conf", f"amandates is {amandates}")
    found = f"Amanda says: {fault}" if is_there else fault
    why = "every program of Amanda's reads it first"
    fix = "correct /etc/amanda/amanda-client.conf, which the Amanda user has to be able to read"
    if not is_there:
        fix = f"as root: {REINSTALL}"
    return Check("amanda-conf", Health.BAD, found, why, fix)

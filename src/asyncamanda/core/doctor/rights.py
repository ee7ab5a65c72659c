"""What is found at a path, and whether the Amanda user can do with it what is needed."""

import shlex
from dataclasses import dataclass
from enum import Enum

from asyncamanda.core.doctor.findings import Check, Health, well

OTHERS_READ = 0o077
OTHERS_WRITE = 0o022
SETUID = 0o4000


class PathKind(Enum):
    """What a path names."""

    FILE = "a file"
    FOLDER = "a folder"
    OTHER = "neither a file nor a folder"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Seen:
    """A path as the Amanda user sees it, links followed: what it is, whose, and what it may do.

    `mode` has the twelve bits of chmod. `error` is the system's error where it could not be
    examined; `is_nosuid`, `is_noexec` and `is_readonly` are its file system's.
    """

    path: str
    kind: PathKind
    owner: str = ""
    mode: int = 0
    may_read: bool = False
    may_write: bool = False
    may_execute: bool = False
    is_nosuid: bool = False
    is_readonly: bool = False
    is_noexec: bool = False
    error: str = ""


def judge_file(name: str, seen: Seen, user: str, why: str) -> Check | None:
    """Return what is wrong with a file that `user` has to read and write; None if nothing is."""
    if seen.kind is PathKind.NOTHING:
        folder = seen.path.rpartition("/")[0]
        fix = f"as root: {plan_file(seen.path, user)}"
        if "denied" in seen.error:
            fix = f"as root: chown {user}: {quoted(folder)} && chmod u+rwx {quoted(folder)}"
        return Check(name, Health.BAD, f"{seen.path}: {seen.error}", why, fix)
    if seen.kind is not PathKind.FILE:
        fix = f"move it away; then as root: {plan_file(seen.path, user)}"
        return Check(name, Health.BAD, f"{seen.path} is {seen.kind.value}", why, fix)
    if seen.is_readonly:
        return _read_only(name, seen, why)
    if not (seen.may_read and seen.may_write):
        fix = f"as root: chown {user}: {quoted(seen.path)} && chmod 660 {quoted(seen.path)}"
        return Check(name, Health.BAD, _forbidden(seen, user), why, fix)
    return None


def judge_folder(name: str, seen: Seen, user: str, why: str) -> Check | None:
    """Return what is wrong with a folder that `user` has to write in; None if nothing is."""
    path = quoted(seen.path)
    make = f"install -d -o {user} -g {user} -m 770 {path}"
    if seen.kind is PathKind.NOTHING:
        return Check(name, Health.BAD, f"{seen.path}: {seen.error}", why, f"as root: {make}")
    if seen.kind is not PathKind.FOLDER:
        fix = f"move it away; then as root: {make}"
        return Check(name, Health.BAD, f"{seen.path} is {seen.kind.value}", why, fix)
    if seen.is_readonly:
        return _read_only(name, seen, why)
    if not (seen.may_read and seen.may_write and seen.may_execute):
        fix = f"as root: chown -R {user}: {path} && chmod u+rwx {path}"
        return Check(name, Health.BAD, _forbidden(seen, user), why, fix)
    return None


def judge_secret(name: str, key: str, seen: Seen, user: str, lines: int) -> Check:
    """Return whether the file of secrets that `key` names is for `user` alone; `lines` it has."""
    path = quoted(seen.path)
    fix = f"as root: chown {user} {path} && chmod 600 {path}"
    why = f"asyncamanda uses no {key} that it cannot read, or that others can"
    if seen.kind is not PathKind.FILE:
        found = seen.error or f"is {seen.kind.value}"
        return Check(name, Health.BAD, f"{key} {seen.path}: {found}", why, f"make it; then {fix}")
    if seen.mode & OTHERS_READ or seen.owner not in {user, "root"} or not seen.may_read:
        found = f"{seen.path} is {seen.owner}'s, mode {seen.mode:04o}: not for {user} alone"
        return Check(name, Health.BAD, f"{key} {found}", why, fix)
    if not lines:
        return Check(name, Health.BAD, f"{key} {seen.path} is empty", why, f"fill {seen.path}")
    return well(name, f"{seen.path}, for {seen.owner} alone")


def plan_file(path: str, user: str) -> str:
    """Return the command that makes an empty file of `user`'s."""
    return f"install -o {user} -g {user} -m 660 /dev/null {quoted(path)}"


def quoted(path: str) -> str:
    """Return `path` as a shell takes it."""
    return shlex.quote(path)


def _read_only(name: str, seen: Seen, why: str) -> Check:
    """Return the check of what nobody can write, whoever owns it."""
    found = f"{seen.path} lies on a file system that is mounted read-only"
    place = f"$(findmnt -no TARGET -T {quoted(seen.path)})"
    fix = f"after an error of its device? dmesg says so; else as root: mount -o remount,rw {place}"
    return Check(name, Health.BAD, found, why, fix)


def _forbidden(seen: Seen, user: str) -> str:
    return f"{seen.path} is {seen.owner}'s, mode {seen.mode:04o}: {user} cannot use it"

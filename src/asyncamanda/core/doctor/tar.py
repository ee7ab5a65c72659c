"""How the doctor judges GNU tar, and amanda-security.conf, by which Amanda starts it as root.

How Amanda reads that file was seen with 3.5.1 and 3.5.4, which behave alike (test_amanda_facts.py):
a line counts as it stands, blanks included, but for the case of what is before the `=`. What has no
line may start the path that Amanda was built with, if that has no link in it: so an empty file
stops every dump on Debian 12, built with /bin/tar, and none on Debian 13, built with /usr/bin/tar.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.doctor.rights import OTHERS_WRITE, PathKind, Seen, quoted

RUNTAR, AMGTAR = "runtar:gnutar_path", "amgtar:gnutar_path"
_LOST = "as root: apt install --reinstall -o Dpkg::Options::=--force-confmiss amanda-client"
_WHY = "as root Amanda starts only what that file allows, and only if root alone can write it"


@dataclass(frozen=True, slots=True)
class Security:
    """amanda-security.conf: the file, the folders above its real place, and what it says."""

    seen: Seen
    folders: tuple[Seen, ...]
    text: str

    def allows(self, key: str, built_in: str, real_path: str) -> bool:
        """Return whether the program and option that `key` names may start `real_path`."""
        pairs = [line.partition("=") for line in self.text.split("\n") if not line.startswith("#")]
        named = [path for name, _, path in pairs if name.lower() == key]
        return real_path in (named or [built_in])


@dataclass(frozen=True, slots=True)
class Tar:
    """What is known of GNU tar: where Amanda looks for it, where that leads, its version line."""

    seen: Seen
    real_path: str
    said: str
    security: Security


def judge_tar(tar: Tar) -> Check:
    """Return whether Amanda can start GNU tar as root, by runtar (GNUTAR) and by amgtar."""
    return _judge_program(tar) or _judge_trust(tar.security) or _judge_lines(tar)


def _judge_program(tar: Tar) -> Check | None:
    path, seen = tar.seen.path, tar.seen
    why = "GNUTAR and amgtar dumps are made by it"
    fix = "as root: apt install --reinstall tar"
    if seen.kind is not PathKind.FILE or not seen.may_execute:
        found = f"{path}: {seen.error or f'mode {seen.mode:04o}, cannot be executed'}"
        return Check("tar", Health.BAD, found, why, fix)
    if "GNU tar" not in tar.said:
        found = f"{path} is not GNU tar: {tar.said or 'it says nothing'}"
        return Check("tar", Health.BAD, found, why, fix)
    if not _is_roots_alone(seen):
        why = "Amanda starts nothing as root that somebody else may change"
        fix = f"as root: {_take_back(tar.real_path)}; or apt install --reinstall tar"
        return Check("tar", Health.BAD, _whose(seen), why, fix)
    return None


def _judge_trust(security: Security) -> Check | None:
    """Return why Amanda does not trust amanda-security.conf, None if it does."""
    seen = security.seen
    if seen.kind is not PathKind.FILE:
        found = f"{seen.path}: {seen.error or seen.kind.value}"
        fix = _LOST if seen.kind is PathKind.NOTHING else f"move it away; then {_LOST}"
        return Check("tar", Health.BAD, found, _WHY, fix)
    for place in (seen, *security.folders):
        if not _is_roots_alone(place):
            fix = f"as root: {_take_back(place.path)}"
            return Check("tar", Health.BAD, _whose(place), _WHY, fix)
    if not seen.may_read:
        found = f"{_whose(seen)}: the Amanda user cannot read it, and amgtar reads it so"
        return Check("tar", Health.BAD, found, _WHY, f"as root: chmod 644 {quoted(seen.path)}")
    return None


def _judge_lines(tar: Tar) -> Check:
    security, path = tar.security, tar.real_path
    allowed = {key: security.allows(key, tar.seen.path, path) for key in (RUNTAR, AMGTAR)}
    lacking = [key for key, is_allowed in allowed.items() if not is_allowed]
    if not lacking:
        return well("tar", f"{tar.seen.path}, {tar.said}")
    found = f"{security.seen.path} does not allow {path} for {' and '.join(lacking)}"
    fix = f"as root: {_add_lines(security, [f'{key}={path}' for key in lacking])}"
    if RUNTAR in lacking:
        return Check("tar", Health.BAD, found, _WHY, fix)
    why = "dumps with the application amgtar fail; those with GNUTAR do not need it"
    return Check("tar", Health.WARNING, found, why, fix)


def _add_lines(security: Security, lines: Sequence[str]) -> str:
    """Return the command that adds lines, after the end of a last one that has none."""
    if security.text and not security.text.endswith("\n"):
        lines = ["", *lines]
    return f"printf '%s\\n' {' '.join(map(quoted, lines))} >>{quoted(security.seen.path)}"


def _is_roots_alone(seen: Seen) -> bool:
    return seen.owner == "root" and not seen.mode & OTHERS_WRITE


def _whose(seen: Seen) -> str:
    return f"{seen.path} is {seen.owner}'s, mode {seen.mode:04o}"


def _take_back(path: str) -> str:
    return f"chown root:root {quoted(path)} && chmod go-w {quoted(path)}"

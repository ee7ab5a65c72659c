"""How the doctor judges what encrypts a client's dumps: the program, the key, and its sheet."""

from collections.abc import Iterator
from dataclasses import dataclass

from asyncamanda.core.amanda.sealing import AGE, IDENTITY, PROGRAM, RECIPIENT
from asyncamanda.core.doctor.findings import Check, Health, not_needed, well
from asyncamanda.errors import Exit

NAME = "encryption"
AGAIN = "as root: asyncamanda setup SERVER --encrypt"
_OWN = f"chown root:root {IDENTITY} && chmod 600 {IDENTITY}"


@dataclass(frozen=True, slots=True)
class SealingSeen:
    """What was seen of it.

    `has_key`, `is_private` and `is_confirmed` are of the key's file and of its sheet; `is_match`:
    the public half is that of the key, None where only root could tell. `is_program`: the program
    is root's, and as setup writes it. `fault` is what it said when the Amanda user tried it, "" if
    it encrypted.
    """

    is_sealing: bool
    has_age: bool = True
    has_key: bool = True
    is_private: bool = True
    is_match: bool | None = True
    is_program: bool = True
    is_confirmed: bool = True
    fault: str = ""


def judge_sealing(seen: SealingSeen) -> Check:
    """Return whether dumps can be encrypted here, and what was encrypted can be opened."""
    if not seen.is_sealing:
        return not_needed(NAME, "this machine's dumps are not encrypted")
    if fault := next((check for is_wrong, check in _list_faults(seen) if is_wrong), None):
        return fault
    told = "" if seen.is_match else ", as far as can be seen without being root"
    return well(NAME, f"only this machine's key opens its dumps{told}")


def _list_faults(seen: SealingSeen) -> Iterator[tuple[bool, Check]]:
    """Yield whether something is wrong, and what is said then; the worst first."""
    bad, refused = Health.BAD, Exit.REFUSED
    why = "it encrypts the dumps; without it there are none"
    yield not seen.has_age, Check(NAME, bad, f"{AGE} is not here", why, "as root: apt install age")
    why = "without it nobody can restore anything, nor what is dumped now"
    yield not seen.has_key, Check(NAME, bad, f"{IDENTITY} is not here", why, AGAIN, exit=refused)
    why, fix = "whoever can read it can read all backups", f"as root: {_OWN}"
    yield not seen.is_private, Check(NAME, bad, f"{IDENTITY} is not root's alone", why, fix)
    found = f"{RECIPIENT} is not the public half of {IDENTITY}"
    why = "what is dumped now could not be opened with this key"
    yield seen.is_match is False, Check(NAME, bad, found, why, AGAIN, exit=refused)
    found = f"{PROGRAM} {seen.fault}" if seen.is_program else f"{PROGRAM} was changed"
    why = "Amanda encrypts the dumps with it, as the Amanda user; others may not change it"
    yield not seen.is_program or bool(seen.fault), Check(NAME, bad, found, why, AGAIN)
    found = "nobody has confirmed its recovery sheet"
    why = "if this disk is lost, so are its backups, unless the key is on paper"
    fix = "as root: asyncamanda recovery-sheet"
    yield not seen.is_confirmed, Check(NAME, Health.WARNING, found, why, fix)

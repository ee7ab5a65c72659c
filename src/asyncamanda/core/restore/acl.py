"""POSIX access control lists: as tar writes them, and as the kernel takes them.

tar stores the text of acl(5), an entry a line or with commas between them, in the pax records
SCHILY.acl.access and SCHILY.acl.default; star adds a fourth part, the number, to named entries. The
kernel's form is that of system.posix_acl_access (linux/posix_acl_xattr.h): a version, then for
each entry its tag, its permissions and a number, in little endian.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

ACCESS, DEFAULT = b"SCHILY.acl.access", b"SCHILY.acl.default"
ATTRIBUTES = {ACCESS: b"system.posix_acl_access", DEFAULT: b"system.posix_acl_default"}
MOST_ENTRIES = 8000  # as many fit into an attribute of 64 KiB

_VERSION = 2
_NOBODY = 0xFFFFFFFF  # the number of an entry without a name
_TAGS = {("user", False): 1, ("user", True): 2, ("group", False): 4, ("group", True): 8}
_TAGS |= {("mask", False): 0x10, ("other", False): 0x20}
_KINDS = {"u": "user", "g": "group", "m": "mask", "o": "other"}
_PERMISSIONS = re.compile(r"[r-][w-][x-]")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # what acl_to_text(3) makes of odd bytes of a name


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One entry: its kind (user, group, mask, other), whom it names ("" for none), its rwx bits.

    `number` is the one that was stored beside the name, None for none.
    """

    kind: str
    name: str
    bits: int
    number: int | None = None


def parse_acl(text: bytes) -> tuple[AclEntry, ...]:
    """Return the entries of a list as tar stores it. Raises ValueError if it is none."""
    entries = []
    for line in re.split(r"[\n,]", text.decode("utf-8", "surrogateescape")):
        words = line.partition("#")[0].strip()
        if words:
            entries.append(_parse_entry(words))
        if len(entries) > MOST_ENTRIES:
            raise ValueError("an access control list with too many entries")
    return tuple(entries)


def _parse_entry(words: str) -> AclEntry:
    kind, *rest = words.split(":")
    kind = _KINDS.get(kind, kind)
    if len(rest) == 1 and kind in {"mask", "other"}:
        rest = ["", *rest]
    if len(rest) not in {2, 3} or (kind, bool(rest[0])) not in _TAGS:
        raise ValueError("an access control list with an entry that is none")
    name, permissions = rest[0], rest[1].strip()
    if not _PERMISSIONS.fullmatch(permissions):
        raise ValueError("an access control list with permissions that are none")
    bits = sum(bit for bit, letter in zip((4, 2, 1), permissions, strict=True) if letter != "-")
    number = _number(rest[2]) if len(rest) == 3 else None
    return AclEntry(kind, _ESCAPED.sub(_unescape, name), bits, number)


def _unescape(digits: re.Match[str]) -> str:
    return bytes([int(digits[1], 8) & 0xFF]).decode("utf-8", "surrogateescape")


def _number(text: str) -> int | None:
    is_one = text.isascii() and text.isdigit() and len(text) <= 10
    return int(text) if is_one and int(text) < _NOBODY else None


def render_acl(entries: tuple[AclEntry, ...], find_id: Callable[[str, str], int | None]) -> bytes:
    """Return the kernel's form of `entries`.

    `find_id` returns the number of a kind ("user" or "group") and a name here, None for none; then
    the number that was stored counts, or the name itself if it is one. Raises ValueError if an
    entry names nobody that there is.
    """
    packed = []
    for entry in entries:
        tag = _TAGS[entry.kind, bool(entry.name)]
        number = _find_number(entry, find_id) if entry.name else _NOBODY
        packed.append((tag, number, entry.bits))
    packed.sort()  # the kernel refuses any other order
    body = b"".join(struct.pack("<HHI", tag, bits, number) for tag, number, bits in packed)
    return struct.pack("<I", _VERSION) + body


def _find_number(entry: AclEntry, find_id: Callable[[str, str], int | None]) -> int:
    for number in (find_id(entry.kind, entry.name), entry.number, _number(entry.name)):
        if number is not None:
            return number
    raise ValueError(f"an access control list names a {entry.kind} that is not there")

"""An access control list of an image, read so that it can be judged: whole, or not at all.

An image may have it in two forms: as text with names, by `tar --acls` (acl.py), and as the kernel's
own with numbers, an xattr, by `tar --xattrs --xattrs-include='*'` (linux/posix_acl_xattr.h).
"""

import re
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from asyncamanda.core.restore.acl import ACCESS, MOST_ENTRIES, AclEntry, parse_acl

BINARY = b"SCHILY.xattr.system.posix_acl_access"

_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_KINDS = {1: "user", 2: "user", 4: "group", 8: "group", 0x10: "mask", 0x20: "other"}
_NAMED = {2, 8}
_QUOTED = re.compile(r"\\([0-3][0-7]{2})")  # what acl_to_text(3) makes of odd bytes of a name


def find_acl(attributes: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the access control list among a member's attributes, b"" if there is none.

    The one with numbers counts where there are both: names may have changed hands since.
    """
    found = dict(attributes)
    return found.get(BINARY) or found.get(ACCESS, b"")


def read_acl(value: bytes) -> tuple[AclEntry, ...]:
    """Return the entries of an access control list in either form.

    Raises ValueError if it is none, or not a whole one: then nobody knows what it allowed.
    """
    if value.startswith(_VERSION):
        entries = _parse_binary(value[len(_VERSION) :])
    else:
        entries = tuple(replace(one, name=_unquote(one.name)) for one in parse_acl(value))
    nameless = Counter(entry.kind for entry in entries if not entry.name)
    is_whole = all(nameless[kind] == 1 for kind in ("user", "group", "other"))
    is_masked = nameless["mask"] == 1 or len(entries) == nameless.total()
    if not is_whole or not is_masked or nameless["mask"] > 1:
        raise ValueError("an access control list that is not whole")
    return entries


def _parse_binary(body: bytes) -> tuple[AclEntry, ...]:
    if len(body) % _ENTRY.size or len(body) > MOST_ENTRIES * _ENTRY.size:
        raise ValueError("an access control list that is cut short, or too long")
    entries = []
    for tag, bits, number in _ENTRY.iter_unpack(body):
        if tag not in _KINDS or bits > 7:
            raise ValueError("an access control list with an entry that is none")
        name = str(number) if tag in _NAMED else ""
        entries.append(AclEntry(_KINDS[tag], name, bits, number if name else None))
    return tuple(entries)


def _unquote(name: str) -> str:
    if "\\" not in name:
        return name
    raw = name.encode("utf-8", "surrogateescape").decode("latin-1")
    plain = _QUOTED.sub(lambda found: chr(int(found[1], 8)), raw)
    return plain.encode("latin-1").decode("utf-8", "surrogateescape")

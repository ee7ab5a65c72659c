"""The records of renamed folders in an image, which GNU tar writes after the topmost folder's list.

A folder that lay elsewhere at the dump before is `R` with its old name, then `T` with its new one.
Where two or more took each other's names, one goes by a temporary folder: `X` says where that is
to be made, and an empty name stands for it. The names are not always those that the folders had:
see descent.py. Source: incremen.c of GNU tar 1.34 and 1.35.
"""

from collections.abc import Iterable

Rename = tuple[bytes, bytes]  # the old path, and the new one
KINDS = {b"R", b"T", b"X"}
MOST_RENAMES = 100_000


def parse_renames(records: Iterable[bytes]) -> tuple[Rename, ...]:
    """Return the renames of an image, in its order, each once; detours are joined.

    `records` are those that begin with R, T or X, without the NULs. Raises ValueError if they are
    not as tar writes them.
    """
    found: dict[Rename, None] = {}
    source: bytes | None = None  # of an R whose T is to come
    detour: bytes | None = None  # what lies at the temporary name
    for record in records:
        kind, name = record[:1], record[1:]
        if kind == b"X" and source is None:
            continue
        if kind == b"R" and source is None:
            source = name
        elif kind == b"T" and source is not None:
            if source and not name and detour is None:
                detour = source
            elif not source and name and detour is not None:
                found[_parse_name(detour), _parse_name(name)] = None
                detour = None
            elif source and name:
                found[_parse_name(source), _parse_name(name)] = None
            else:
                raise ValueError("a record of renamed folders is broken")
            source = None
        else:
            raise ValueError("a record of renamed folders is broken")
    if source is not None or detour is not None:
        raise ValueError("the records of renamed folders are cut off")
    if len(found) > MOST_RENAMES:
        raise ValueError("there are too many records of renamed folders")
    return tuple(found)


def _parse_name(name: bytes) -> bytes:
    """Return the path that a record's name means. Raises ValueError if it is none."""
    if name == b".":
        return b""
    path = name.removeprefix(b"./")
    if any(part in {b"", b".", b".."} for part in path.split(b"/")):
        raise ValueError("a record of renamed folders has a name that is not a path")
    return path

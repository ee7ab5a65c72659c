"""A disklist for one run alone, with the DLEs of its own clients and no others.

Amanda's driver, when it ends, takes each unfinished dump in another live run's holding directory
for one that was broken off, and marks it as partial: but only that of a DLE that its disklist has,
or of which it saw an older dump when it started (hiding.py; docs/design/0010;
tests/e2e/test_side_by_side.py shows both).
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from asyncamanda.core.amanda.disklist import (
    Dle,
    find_included,
    join_disklist,
    narrow_disklist,
    parse_disklist,
    parse_dles,
)
from asyncamanda.errors import LaterError
from asyncamanda.server.amanda.commands import Settings, first_fault
from asyncamanda.server.background.programs import run_apart
from asyncamanda.server.background.threads import apart
from asyncamanda.system.programs import Answer

_DEEPEST = 8  # of files that include each other


async def ask_dles(name: str, *options: str) -> tuple[Answer, Answer]:
    """Return what `amadmin dles` and `amadmin disklist` say of a configuration."""
    dles, disklist = await asyncio.gather(
        *(run_apart(["amadmin", name, *options, word]) for word in ("dles", "disklist"))
    )
    return dles, disklist


async def write_own_list(
    settings: Settings, hosts: Sequence[str], path: Path, known: Mapping[tuple[str, str], Dle]
) -> str:
    """Write the DLEs of `hosts` to a new file at `path`; return why that cannot be, or "".

    Amanda has to find there what it finds in its own disklist, of which `known` is all.
    """
    try:
        await apart(f"{settings.name}: its disklist", partial(_write, settings, hosts, path))
    except LaterError as error:
        return error.message
    except (OSError, RecursionError, ValueError) as error:  # the last: a NUL in a name
        return str(error)
    answers = await ask_dles(settings.name, f"-odiskfile={path}")
    listed, said = (answer.stdout for answer in answers)
    found = join_disklist(parse_dles(listed), parse_disklist(said))
    wanted = {place: dle for place, dle in known.items() if dle.host in hosts}
    if all(answer.status == 0 for answer in answers) and found == wanted:
        return ""
    with suppress(OSError):
        path.unlink()
    failed = next((answer for answer in answers if answer.status != 0), None)
    return first_fault(failed) if failed else "Amanda reads something else from it"


def _write(settings: Settings, hosts: Sequence[str], path: Path) -> None:
    lines = _read_lines(settings.folder, settings.diskfile, _DEEPEST)
    text = narrow_disklist(lines, hosts)
    with suppress(FileNotFoundError):
        path.unlink()  # of a run of that number in a ledger that is gone
    with path.open("xb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def _read_lines(folder: Path, path: Path, depth: int) -> Iterator[str]:
    """Yield the lines of a disklist, and instead of an include those of its file."""
    if not depth:
        raise RecursionError(f"{path} is included by a file that it includes")
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    for line in text.split("\n"):
        included = find_included(line)
        if included is None:
            yield line
        else:
            yield from _read_lines(folder, folder / included, depth - 1)

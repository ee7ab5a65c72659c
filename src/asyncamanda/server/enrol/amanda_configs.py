"""The Amanda configurations of this server, by name."""

import difflib
from contextlib import suppress

from asyncamanda.core.protocol.authority import check_amanda_config_name
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import BadDataError, RefusedError, UsageError
from asyncamanda.server.enrol.newconfig import AMANDA_FOLDER

WRITE_ONE = "asyncamanda server setup --new-config NAME --vtapes DIR --size SIZE writes one"


def find_amanda_configs() -> list[str]:
    """Return the names of all that there are, but for those that no client could be given."""
    names = (path.parent.name for path in AMANDA_FOLDER.glob("*/amanda.conf"))
    return sorted(filter(_may_be_named, names))


def _may_be_named(name: str) -> bool:
    with suppress(ValueError):
        check_amanda_config_name(name)
        return True
    return False


def choose_amanda_config(name: str | None, option: str) -> str:
    """Return `name`, or without one that of the only configuration; `option` would name it.

    Raises UsageError for several or none where none is named, BadDataError for one that does not
    exist, RefusedError where it may not be looked at.
    """
    known = find_amanda_configs()
    if name is None:
        if len(known) == 1:
            return known[0]
        if known:
            raise UsageError(
                "which-amanda-config",
                f"this server has several Amanda configurations: {', '.join(known)}",
                f"name one: {option}",
            )
        raise UsageError(
            "no-amanda-config",
            f"there is no Amanda configuration in {AMANDA_FOLDER}",
            WRITE_ONE,
        )
    path = AMANDA_FOLDER / name / "amanda.conf"
    try:
        path.stat()
    except PermissionError as error:
        raise RefusedError(
            "not-amanda-user",
            f"this account cannot access {path}",
            "run the same command as root",
        ) from error
    except OSError as error:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise BadDataError(
            "no-amanda-config",
            f"there is no {path}",
            f"{hint}known here: {', '.join(map(printable, known))}" if known else WRITE_ONE,
        ) from error
    return name

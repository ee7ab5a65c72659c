"""Codes that are not needed any more, since the client was changed without them."""

from pathlib import Path

from asyncamanda.commands.server.options import warn
from asyncamanda.errors import BadDataError
from asyncamanda.server.enrol.invitations import withdraw


def withdraw_codes(path: Path, client: str) -> None:
    """Withdraw the open invitations for this client alone; `path` is of authorized_keys.

    Or whoever has one would be this client. Where they cannot be read nobody can join: a warning
    says so. Raises RefusedError if they cannot be written, LaterError while another changes them.
    """
    try:
        withdraw(path, client)
    except BadDataError as error:
        warn(f"{error.message}; {error.hint}")

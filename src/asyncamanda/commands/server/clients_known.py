"""The enrolled client that a command is about."""

from asyncamanda.commands.server.options import unknown_client
from asyncamanda.server.enrol.amanda_configs import choose_amanda_config
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import read_registry, registry_path


def find_enrolled(client: str, user: str) -> list[Enrolled]:
    """Return how a client is enrolled; `user` is the Amanda user.

    Raises BadDataError for one that is not, RefusedError if that cannot be read.
    """
    entries = read_registry(registry_path(user))
    own = [entry for entry in entries if entry.client == client]
    if not own:
        raise unknown_client(client, sorted({entry.client for entry in entries}))
    return own


def find_amanda_config(client: str, given: str | None, user: str) -> str:
    """Return the Amanda configuration that is given, or the one that the client is enrolled for.

    Raises what find_enrolled() raises where none is given, and BadDataError for one that there is
    not.
    """
    if given is None:
        return find_enrolled(client, user)[0].amanda_config
    return choose_amanda_config(given, "")

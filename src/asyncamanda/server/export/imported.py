"""What an import makes: the configuration that the new server has, and what was done."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from asyncamanda.config.server import (
    SERVER_FILE,
    ServerConfig,
    load_server_config,
    parse_server_config,
)
from asyncamanda.core.export.members import SERVER_TOML
from asyncamanda.errors import ConfigurationError, RefusedError
from asyncamanda.server.export.verified import VerifiedExport
from asyncamanda.system.account import find_user


@dataclass(slots=True)
class ImportedServer:
    """What an import has done. `told` are sentences for the administrator; `aside` has what was
    there before, `left` the lines of authorized_keys that were not taken.
    """

    clients: list[str] = field(default_factory=list)
    aside: list[Path] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    has_host_keys: bool = False


def find_config(export: VerifiedExport) -> ServerConfig:
    """Return the server's configuration by the export.

    Raises ConfigurationError if it is wrong or there is no such account. Raises RefusedError for an
    account that this machine's own server.toml does not name: what it has would be the export's.
    """
    text = export.texts.get(SERVER_TOML)
    config = ServerConfig()
    if text is not None:
        config = parse_server_config(text.decode("utf-8", "replace"), "the export's server.toml")
    if find_user(config.user).pw_uid == 0:
        raise RefusedError(
            "bad-user", "the export's Amanda user is root here", "nothing was changed"
        )
    own = ServerConfig()
    with suppress(ConfigurationError):
        _, own = load_server_config(None)
    if config.user not in {own.user, ServerConfig().user}:
        raise RefusedError(
            "bad-user",
            f"the export's Amanda user is {config.user}, and this machine's is {own.user}",
            f"nothing was changed. If Amanda is to be that user's here, put it into {SERVER_FILE} "
            "first, and import with --force",
        )
    return config

"""What an import makes: the configuration that the new server has, and what was done."""

import pwd
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from asyncamanda.config.server import (
    SERVER_FILE,
    ServerConfig,
    load_server_config,
    parse_server_config,
)
from asyncamanda.core.export.manifest import ExportedConfig
from asyncamanda.core.export.members import SERVER_TOML
from asyncamanda.errors import ConfigurationError, RefusedError
from asyncamanda.server.amanda.commands import plan_config, plan_force_all, plan_hosts
from asyncamanda.server.export.verified import VerifiedExport
from asyncamanda.system.account import find_user
from asyncamanda.system.programs import run_program

FORCE_WITHIN = 300.0  # seconds


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


def force_fulls(configs: Iterable[ExportedConfig], account: pwd.struct_passwd) -> list[str]:
    """Tell Amanda that each disk needs a full dump: it may not know the client's last one.

    Returns what could not be done, in words.
    """
    told = []
    for config in configs:
        asked = run_program(plan_hosts(config.name), account=account)
        for host in filter(None, asked.stdout.split("\n")):
            argv = plan_force_all(config.name, host)
            done = run_program(argv, FORCE_WITHIN, account=account)
            if done.status != 0:
                told.append(f"no full dump is forced of {config.name} {host}: {done.first_line}")
        answer = run_program(plan_config(config.name), account=account)
        if answer.status != 0:
            told.append(f"Amanda cannot use {config.name}: {answer.first_line}")
    return told

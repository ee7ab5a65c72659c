"""The client.toml that setup writes, and what to do where there is one."""

import json
import os
import pwd
import stat
from dataclasses import replace

from asyncamanda.client.setup.naming import write_name
from asyncamanda.client.setup.options import DEFAULT_INTERVAL, SetupOptions
from asyncamanda.config.client import SYSTEM_FILE, ClientConfig, load_client_config
from asyncamanda.core.values.interval import parse_interval
from asyncamanda.errors import ConfigurationError
from asyncamanda.system.files import write_whole
from asyncamanda.system.pages import name_pages
from asyncamanda.system.steps import SetupStep

MODE = 0o640
NEW_FILE = "--new-client-toml writes a new one"
_TEXT = """\
# asyncamanda on this machine. The guide (docs/guide.md) has every key with its default.

server   = {server}
interval = {interval}
{exclude}
# stale_after  = "7 days"       # exit 101 instead of 75 when the last backup is older
# stale_after_use = "20h"       # the same, by hours of use instead of days
# reconnect_for = "2m"          # how long a broken connection is retried
# on_battery   = "30%"          # or "refuse", or "allow"
# metered      = "refuse"       # or "allow": on a link that costs by the byte
# networks     = ["Office*"]    # where backups run: names, SSIDs or kinds of networks
# not_networks = ["Guest*"]     # and where they do not
# rate         = ["2 MB/s on metered, Hotel*"]   # what a backup may send; any without it
# windows      = ["Mon..Fri 08:00-19:00"]
# max_load     = 4.0            # above which no backup starts
# relax_after  = "3 days"       # age of the last backup from which conditions are ignored
# pause        = "finish"       # or "stop": when power or network get worse during a run

[ssh]
# connect_timeout = "20s"
# keepalive       = "15s"       # after three without an answer the link is dead

[notify]
# desktop = true                # notify users logged in on this machine's desktop
# mail    = "root"
"""


def render_client_toml(options: SetupOptions) -> str:
    """Return the text of a client.toml that asks the gate, with the most useful keys shown."""
    return name_pages(_TEXT).format(
        server=json.dumps(str(options.server)),
        interval=json.dumps(options.interval or DEFAULT_INTERVAL),
        exclude=_render_exclude(options.exclude),
    )


def _render_exclude(patterns: tuple[str, ...]) -> str:
    if not patterns:
        return '# exclude = ["*.iso"]           # names to leave out, beside caches and trash\n'
    return f"exclude  = {json.dumps(list(patterns), ensure_ascii=False)}\n"


def read_present() -> ClientConfig | None:
    """Return what this machine's client.toml says, None if there is none.

    Raises ConfigurationError with every mistake in it.
    """
    if not os.path.lexists(SYSTEM_FILE):
        return None
    try:
        return load_client_config((SYSTEM_FILE,))[1]
    except ConfigurationError as error:
        hint = f"{error.hint}; {NEW_FILE}"
        raise ConfigurationError(error.reference, error.message, hint) from error


def check_present(present: ClientConfig, options: SetupOptions) -> str:
    """Return what is worth a note about a client.toml that is kept; "" for nothing.

    Raises ConfigurationError if it is for another server, or for direct mode.
    """
    kept = f"{NEW_FILE}, and keeps this one as client.toml.old"
    if (there := _with_user(present, options)) != str(options.server):
        raise ConfigurationError(
            "other-server", f"{SYSTEM_FILE} exists, for the server {there}", kept
        )
    if present.command is not None:
        raise ConfigurationError(
            "direct-mode",
            f"{SYSTEM_FILE} has a `command`: this client works without the server's gate",
            kept,
        )
    own = ""
    if options.exclude and set(options.exclude) != set(present.exclude):
        own = "exclude"
    elif options.interval and parse_interval(options.interval) != present.interval:
        own = "interval"
    if own:
        return f"{SYSTEM_FILE} is kept as it is, with its own {own}; change it there, or {NEW_FILE}"
    return ""


def _with_user(present: ClientConfig, options: SetupOptions) -> str:
    """Return the server that the file names, with the user that it leaves to ssh's settings."""
    server = present.server
    return str(server if server.user else replace(server, user=options.server.user))


def plan_client_toml(
    options: SetupOptions, account: pwd.struct_passwd, *, is_replacing: bool
) -> SetupStep:
    """Return the step after which there is a client.toml, or with `is_replacing` this one."""
    text = render_client_toml(options)

    def is_so() -> bool:
        if not is_replacing:
            return SYSTEM_FILE.exists()
        return SYSTEM_FILE.exists() and SYSTEM_FILE.read_bytes() == text.encode()

    def make() -> None:
        SYSTEM_FILE.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if SYSTEM_FILE.exists():
            old = SYSTEM_FILE.with_name(f"{SYSTEM_FILE.name}.old")
            write_whole(old, SYSTEM_FILE.read_text("utf-8", "surrogateescape"), MODE)
        write_whole(SYSTEM_FILE, text, MODE, (0, account.pw_gid))

    return SetupStep(f"{SYSTEM_FILE} names the server {options.server}", is_so, make)


def plan_name(name: str) -> SetupStep:
    """Return the step after which client.toml says by which name the server knows this machine."""

    def is_so() -> bool:
        present = read_present()
        return present is not None and present.name == name

    def make() -> None:
        status = SYSTEM_FILE.stat()
        after = write_name(SYSTEM_FILE.read_text("utf-8", "surrogateescape"), name)
        write_whole(
            SYSTEM_FILE, after, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
        )

    return SetupStep(f"{SYSTEM_FILE} names this machine {name}, as the server does", is_so, make)

"""Make an Amanda server ready for clients, in steps that look first whether they are needed.

All of it is root's, in folders that belong to the Amanda user: so nothing here follows a link
that lies in one of them.
"""

import functools
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from asyncamanda.config.server import SERVER_FILE, ServerConfig
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import ConfigurationError, RefusedError
from asyncamanda.server.enrol import ssh_aliases
from asyncamanda.server.enrol.newconfig import DISKLIST, NewConfig, render_amanda_conf
from asyncamanda.server.enrol.registry import read_registry, relayed_clients
from asyncamanda.server.enrol.sshd import plan_key_link
from asyncamanda.server.gate import ipc
from asyncamanda.system.account import do_as, find_user
from asyncamanda.system.files import open_folder, write_whole
from asyncamanda.system.programs import run_or_refuse
from asyncamanda.system.steps import SetupStep, give, plan_file, plan_folder, plan_link

SHELL = "/bin/sh"
_NO_SHELLS = frozenset({"nologin", "false"})
USERMOD_WITHIN = 60.0  # seconds: it waits for a lock on the accounts

SERVER_TOML = """\
# asyncamanda on the Amanda server. Every key has its default here; docs/server.md explains them.

# user         = "backup"       # the account that Amanda runs as
# ledger       = "/var/lib/asyncamanda/server/ledger.sqlite" # or (experimental) "postgresql://..."
# batch_window = "3s"           # how long an idle server waits for others before a run
# max_runs     = 3              # at a time, from 1 to 16
# heartbeat    = "15s"          # a client that is silent for three of these is gone
# grace        = "2m"           # how long a request waits for a client that lost its connection
# idle_exit    = "1m"           # then the dispatcher ends, and the next client starts one
# max_waiting  = 1000           # clients; more are told to come back
# come_back    = "15m"          # ... after that time, at least
# start_within = "1m"           # how long the next amdump waits for one to begin

[flush]
# policy       = "threshold"    # or "daily", or "off"
# threshold    = "70%"          # of the holding disk
# at           = "03:30"        # local time, for "daily"
# patience     = "15m"          # how long a flush waits for a gap between runs
# hold_back    = "10m"          # ... and for how long it then holds new runs back
# retry_after  = "1h"           # after one that failed

[limits]                        # of each client
# requests_per_hour   = 30
# sessions            = 4       # at a time
# messages_per_second = 10

[watch]                         # whatever makes no progress for this long is ended
# dump_silence    = "2h"        # a dump of which less than ...
# least_kilobytes = 1024        # ... these come
# silence         = "4h"        # a run of which nothing comes
# step            = "2m"        # how long each thing that is done about it has to work

[drill]                         # proves that backups can be restored
# scheduled       = true        # without being asked
# every           = "7d"        # how often each disk
# full_every      = "30d"       # how often with all bytes
# sample          = 20          # files that are read, chosen by chance

[restore]
# filters    = []     # programs that may decompress or decrypt dumps, as ["/usr/bin/zstd"]
# keep_heads = "2 GB" # how much may be kept of what is in the dumps

[export]
# folder     = ""     # where this server is exported to each day, as "/mnt/elsewhere"
# keep       = 7      # days whose exports stay
# encrypt_to = []     # recipients of age's, as ["age1..."]

[page]                # of all clients, for a browser
# folder     = ""     # where it is kept fresh, as "/var/www/html/asyncamanda"

[metrics]
# textfile   = ""     # for Prometheus, as "/var/lib/prometheus/node-exporter/asyncamanda.prom"

[fleet]               # of clients whose agent does not say what its settings are
# interval    = "1d"  # when a backup is due
# stale_after = "7d"  # how old its last backup may be
# never_after = "3d"  # how long any client may be without a backup before that is an alarm

[notify]              # who hears about clients that need somebody, once a change
# mail       = ""       # an address, or a user, by this machine's sendmail
# urls       = []       # apprise's, as ["ntfy://topic"]
# urls_file  = ""       # a file of them, one a line
# ping       = ""       # a watchdog that hears that the fleet was looked at, as "https://..."
# digest     = "never"  # or "daily", or "weekly"
# digest_at  = "07:00"  # local time, on Mondays if weekly
# digest_to  = ""       # an address, if not that of `mail`
"""


def plan_setup(config: ServerConfig, new: NewConfig | None, *, is_default: bool) -> list[SetupStep]:
    """Return every step, needed or not; `is_default`: the configuration is the system's.

    Raises ConfigurationError if there is no such account, and RefusedError if `new` would take
    the place of what somebody else made, or this program cannot be found.
    """
    account = find_user(config.user)
    ssh = Path(account.pw_dir, ".ssh")
    steps = [
        SetupStep(
            f"the account {account.pw_name} has the shell {SHELL}, which sshd needs",
            lambda: Path(find_user(config.user).pw_shell).name not in _NO_SHELLS,
            lambda: _give_shell(account),
        ),
        plan_folder(ssh, account, 0o700),
        plan_file(ssh / "authorized_keys", account, 0o600),
        *plan_key_link(config.user),
        *_plan_aliases(ssh, account),
        plan_folder(Path(ipc.STATE), account, 0o700),
    ]
    if is_default:
        steps.append(
            SetupStep(
                f"{SERVER_FILE} shows every default",
                SERVER_FILE.exists,
                lambda: _write_new(SERVER_FILE, SERVER_TOML),
            )
        )
    if config.export.folder:
        steps.append(plan_folder(Path(config.export.folder), account, 0o700))
    steps.append(plan_link("sshd"))
    return steps + (list(_plan_new_config(new, account)) if new else [])


def check_shell(user: str) -> None:
    """Raise ConfigurationError if sshd lets nobody in as `user`, who has no shell."""
    if Path(find_user(user).pw_shell).name in _NO_SHELLS:
        raise ConfigurationError(
            "not-set-up",
            f"the account {user} has no shell, and sshd lets no client in",
            "as root: asyncamanda server setup",
        )


def _plan_aliases(ssh: Path, account: pwd.struct_passwd) -> Iterator[SetupStep]:
    """Yield the steps after which Amanda's ssh finds the clients that are connected."""
    config, registry = ssh / "config", ssh / "authorized_keys"

    def clients() -> tuple[str, ...]:
        return relayed_clients(read_registry(registry))

    yield SetupStep(
        f"{ssh / ssh_aliases.ALIASES} has an alias for each client that is enrolled",
        lambda: _read(ssh / ssh_aliases.ALIASES) == ssh_aliases.render_aliases(clients()),
        lambda: do_as(account.pw_name, lambda: ssh_aliases.write_aliases(ssh, clients())),
    )
    yield SetupStep(
        f"{config} begins with `{ssh_aliases.INCLUDE}`",
        lambda: ssh_aliases.is_included(_read(config)),
        lambda: do_as(account.pw_name, lambda: ssh_aliases.write_include(config)),
    )


def _read(path: Path) -> str:
    try:
        return ssh_aliases.read_text(path)
    except OSError:
        return ""


def _plan_new_config(new: NewConfig, account: pwd.struct_passwd) -> Iterator[SetupStep]:
    text = render_amanda_conf(new)
    _refuse_foreign(new, text, account)
    for path, content in ((new.folder / "amanda.conf", text), (new.folder / "disklist", DISKLIST)):
        yield SetupStep(
            f"{path} exists", path.exists, functools.partial(_write_owned, path, content, account)
        )
    yield plan_folder(new.folder, account, 0o755)
    for folder in new.folders:
        yield plan_folder(folder, account, 0o750)


def _refuse_foreign(new: NewConfig, text: str, account: pwd.struct_passwd) -> None:
    """Raise RefusedError if one of the places that `new` names is somebody else's."""
    path = new.folder / "amanda.conf"
    if path.exists():
        if path.read_bytes() != text.encode():
            raise RefusedError(
                "amanda-config-exists",
                f"{path} exists, and is not what this setup would write",
                "choose another name; a configuration that works needs no --new-config",
            )
    elif new.folder.exists() and any(new.folder.iterdir()):
        raise RefusedError(
            "amanda-config-exists",
            f"{new.folder} exists, with files in it that asyncamanda did not write",
            "choose another name",
        )
    for folder in (new.vtapes, new.holding):
        if folder.exists() and (not folder.is_dir() or folder.is_symlink()):
            raise RefusedError("not-a-folder", f"{folder} is no folder", "name another one")
        is_foreign = folder.exists() and folder.stat().st_uid != account.pw_uid
        if is_foreign and any(folder.iterdir()):
            raise RefusedError(
                "folder-in-use",
                f"{folder} is not {account.pw_name}'s, and is not empty",
                "name a folder that does not exist yet, such as one below it",
            )


def warn_of_room(new: NewConfig) -> str:
    """Return a warning if the volumes' file system has less room than is to be used, else ""."""
    place = next(path for path in (new.vtapes, *new.vtapes.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free >= new.size:
        return ""
    return f"{place} has {format_size(free)} free, less than the {format_size(new.size)} wanted"


def _write_new(path: Path, text: str) -> None:
    os.close(open_folder(path.parent, make=True))
    write_whole(path, text)


def _write_owned(path: Path, text: str, account: pwd.struct_passwd) -> None:
    _write_new(path, text)
    give(path, account, 0o644)


def _give_shell(account: pwd.struct_passwd) -> None:
    argv = ["usermod", "--shell", SHELL, account.pw_name]
    run_or_refuse(argv, USERMOD_WITHIN, "do it by hand, and run setup again")

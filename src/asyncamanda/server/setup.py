"""Make an Amanda server ready for clients, in steps that look first whether they are needed.

All of it is root's, in folders that belong to the Amanda user: so nothing here follows a link
that lies in one of them.
"""

import errno
import functools
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.config.server import SERVER_FILE, ServerConfig
from asyncamanda.core.size import format_size
from asyncamanda.errors import AsyncamandaError, ConfigurationError, RefusedError
from asyncamanda.server import aliases, switchboard
from asyncamanda.server.newconfig import DISKLIST, NewConfig, render_amanda_conf
from asyncamanda.server.registry import read_registry, relayed_clients
from asyncamanda.system.account import become_user, find_user
from asyncamanda.system.files import write_whole

SSHD_PATH = "/usr/local/bin:/usr/bin:/bin"  # where sshd's shell finds the forced command
LINK = Path("/usr/local/bin/asyncamanda")
SHELL = "/bin/sh"

# what Debian's package brings: the package. amdump needs the second, and Debian's amanda-server
# does not depend on it (amanda-facts, "Packages and accounts")
PACKAGES = {
    Path("/usr/sbin/amdump"): "amanda-server",
    Path("/usr/share/perl5/Encode/Locale.pm"): "libencode-locale-perl",
    Path("/usr/sbin/sshd"): "openssh-server",
}

SERVER_TOML = """\
# asyncamanda on the Amanda server. Every key has its default here; docs/server.md explains them.

# user         = "backup"       # the account that Amanda runs as
# ledger       = "/var/lib/asyncamanda/server/ledger.sqlite"   # or "postgresql://..."
# batch_window = "3s"           # how long an idle server waits for others before a run
# max_runs     = 3              # at a time, from 1 to 16
# heartbeat    = "15s"          # a client that is silent for three of these is gone
# grace        = "2m"           # how long a request waits for a client that lost its line
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
"""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is to be so: in words, whether it is, and how to make it so."""

    what: str
    is_so: Callable[[], bool]
    make: Callable[[], None]


def find_missing_packages() -> tuple[str, ...]:
    """Return the Debian packages that are needed and not here."""
    return tuple(package for path, package in PACKAGES.items() if not path.exists())


def plan_setup(config: ServerConfig, new: NewConfig | None, *, is_default: bool) -> list[Step]:
    """Return every step, needed or not; `is_default`: the configuration is the system's.

    Raises ConfigurationError if there is no such account, and RefusedError if `new` would take
    the place of what somebody else made, or this program cannot be found.
    """
    account = find_user(config.user)
    ssh = Path(account.pw_dir, ".ssh")
    steps = [
        Step(
            f"the account {account.pw_name} has the shell {SHELL}, which sshd needs",
            lambda: Path(find_user(config.user).pw_shell).name not in {"nologin", "false"},
            lambda: _run("usermod", "--shell", SHELL, account.pw_name),
        ),
        _folder_step(ssh, account, 0o700),
        _file_step(ssh / "authorized_keys", account, 0o600),
        *_plan_aliases(ssh, account),
        _folder_step(Path(switchboard.STATE), account, 0o700),
    ]
    if is_default:
        steps.append(
            Step(
                f"{SERVER_FILE} shows every default",
                SERVER_FILE.exists,
                lambda: _write_new(SERVER_FILE, SERVER_TOML),
            )
        )
    steps.append(
        Step(
            f"sshd finds asyncamanda: {LINK} leads to it",
            lambda: shutil.which("asyncamanda", path=SSHD_PATH) is not None,
            _link_program,
        )
    )
    return steps + (list(_plan_new_config(new, account)) if new else [])


def _plan_aliases(ssh: Path, account: pwd.struct_passwd) -> Iterator[Step]:
    """Yield the steps after which Amanda's ssh finds the clients that are connected."""
    config, registry = ssh / "config", ssh / "authorized_keys"

    def clients() -> tuple[str, ...]:
        return relayed_clients(read_registry(registry))

    yield Step(
        f"{ssh / aliases.ALIASES} has an alias for each client that is enrolled",
        lambda: _read(ssh / aliases.ALIASES) == aliases.render_aliases(clients()),
        lambda: _do_as(account, lambda: aliases.write_aliases(ssh, clients())),
    )
    yield Step(
        f"{config} begins with `{aliases.INCLUDE}`",
        lambda: aliases.is_included(_read(config)),
        lambda: _do_as(account, lambda: aliases.write_include(config)),
    )


def _read(path: Path) -> str:
    try:
        return aliases.read_text(path)
    except OSError:
        return ""


def _do_as(account: pwd.struct_passwd, doing: Callable[[], None]) -> None:
    """Do something as the Amanda user, in a process of its own. Raises its OSError."""
    child = os.fork()
    if child == 0:
        number = errno.EINVAL
        try:
            become_user(account.pw_name)
            doing()
            number = 0
        except OSError as error:
            number = error.errno or number
        finally:
            os._exit(number)
    _, status = os.waitpid(child, 0)
    if number := os.waitstatus_to_exitcode(status):
        raise OSError(number, os.strerror(number))


def _plan_new_config(new: NewConfig, account: pwd.struct_passwd) -> Iterator[Step]:
    text = render_amanda_conf(new)
    _refuse_foreign(new, text, account)
    for path, content in ((new.folder / "amanda.conf", text), (new.folder / "disklist", DISKLIST)):
        yield Step(
            f"{path} exists", path.exists, functools.partial(_write_owned, path, content, account)
        )
    yield _folder_step(new.folder, account, 0o755)
    for folder in new.folders:
        yield _folder_step(folder, account, 0o750)


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
            f"{new.folder} exists, with files in it that are not ours",
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


def _folder_step(path: Path, account: pwd.struct_passwd, mode: int) -> Step:
    return Step(
        f"{path} is a folder of {account.pw_name}'s, mode {mode:04o}",
        lambda: _is_like(path, account, stat.S_IFDIR | mode),
        lambda: _make_folder(path, account, mode),
    )


def _file_step(path: Path, account: pwd.struct_passwd, mode: int) -> Step:
    return Step(
        f"{path} is a file of {account.pw_name}'s, mode {mode:04o}",
        lambda: _is_like(path, account, stat.S_IFREG | mode),
        lambda: _give(path, account, mode, os.O_RDONLY | os.O_CREAT),
    )


def _is_like(path: Path, account: pwd.struct_passwd, mode: int) -> bool:
    try:
        seen = path.stat()
    except OSError:
        return False
    return (seen.st_uid, seen.st_mode) == (account.pw_uid, mode)


def _make_folder(path: Path, account: pwd.struct_passwd, mode: int) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not path.is_dir():
        path.mkdir(mode=0o700)
    _give(path, account, mode, os.O_RDONLY | os.O_DIRECTORY)


def _give(path: Path, account: pwd.struct_passwd, mode: int, flags: int) -> None:
    """Make `path` the account's, with this mode; a link in its place is refused."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        os.fchown(descriptor, account.pw_uid, account.pw_gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(path, text)


def _write_owned(path: Path, text: str, account: pwd.struct_passwd) -> None:
    _write_new(path, text)
    _give(path, account, 0o644, os.O_RDONLY)


def _link_program() -> None:
    for program in (Path(sys.prefix, "bin", "asyncamanda"), Path(sys.argv[0]).absolute()):
        if program.name == "asyncamanda" and os.access(program, os.X_OK):
            LINK.parent.mkdir(parents=True, exist_ok=True)
            LINK.unlink(missing_ok=True)
            LINK.symlink_to(program)
            return
    raise ConfigurationError(
        "not-installed",
        "this asyncamanda runs from a checkout, and sshd would not find it",
        "install it: /opt/asyncamanda/bin/pip install '.[server]'",
    )


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RefusedError(
            "command-failed",
            f"{' '.join(argv)}: {done.stderr.strip() or f'exit status {done.returncode}'}",
            "do it by hand, and start setup again",
        )


def make_step(step: Step) -> None:
    """Make `step` so. Raises AsyncamandaError with what stood in the way."""
    try:
        step.make()
    except OSError as error:
        raise cannot(step, error) from error
    if not step.is_so():
        raise cannot(step, None)


def cannot(step: Step, error: OSError | None) -> AsyncamandaError:
    """Return the error for a step that failed, or that changed nothing."""
    return RefusedError(
        "step-failed",
        f"this cannot be made so: {step.what}{f' ({error.strerror})' if error else ''}",
        "is there a link, or a read-only file system, in its place?",
    )

"""Make this machine ready to ask an Amanda server for backups."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from asyncamanda.client.gate.streams import AMANDADS
from asyncamanda.client.setup.hostkey import Place, pin_key, render_known
from asyncamanda.config.client import ClientConfig, candidate_files, load_client_config
from asyncamanda.core.ssh.argv import Target
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.errors import BadDataError, ConfigurationError
from asyncamanda.system.account import ask_as, find_user
from asyncamanda.system.programs import refuse_failure, run_program
from asyncamanda.system.steps import SetupStep, plan_folder

AMANDA_USER = "backup"  # as Debian's packages have it
MADE_WITHIN = 60.0  # seconds: a machine that has just booted may lack random numbers

# made whole beside its place, so that a kill leaves no half of it
_MAKE_KEY = """\
umask 077
if [ -e "$1" ]; then
    ssh-keygen -y -P "" -f "$1" >"$1.pub.new" </dev/null && mv -f "$1.pub.new" "$1.pub"
else
    rm -f "$1.new" "$1.new.pub" &&
    ssh-keygen -q -t ed25519 -N "" -f "$1.new" && mv -f "$1.new.pub" "$1.pub" && mv "$1.new" "$1"
fi
"""
_PUT_ASIDE = """\
if [ -e "$1.pub" ]; then mv -f "$1.pub" "$2.pub" || exit; fi
mv -f "$1" "$2"
"""


def find_account(present: ClientConfig | None) -> pwd.struct_passwd:
    """Return the Amanda user, if all that is needed is on this machine.

    Raises ConfigurationError with what is missing, and how to get it.
    """
    amandads = (present.amandad,) if present and present.amandad else AMANDADS
    missing = [] if any(path.exists() for path in amandads) else ["amanda-client"]
    if not all(map(shutil.which, ("ssh", "ssh-keygen"))):
        missing.append("openssh-client")
    if missing:
        raise ConfigurationError(
            "packages-missing",
            f"not on this machine: {' and '.join(missing)}",
            f"apt update && apt install {' '.join(missing)}",
        )
    return find_user(present.user if present else AMANDA_USER)


def find_key_path(present: ClientConfig | None, account: pwd.struct_passwd) -> Path:
    """Return where the Amanda user's private key is, or is to be."""
    home = Path(account.pw_dir)
    if present and present.key:
        parts = present.key.parts
        return home.joinpath(*parts[1:]) if parts[0] == "~" else present.key
    return home / ".ssh" / "id_ed25519"


def read_key_time(named: str | None) -> datetime | None:
    """Return since when the key is there of the configuration that `named` leads to.

    None where that cannot be told: there is no such file, or this user may not see it.
    """
    with suppress(OSError, KeyError, ConfigurationError):
        _, settings = load_client_config(candidate_files(dict(os.environ), named))
        path = find_key_path(settings, pwd.getpwnam(settings.user))
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return None


def plan_key(path: Path, account: pwd.struct_passwd) -> list[SetupStep]:
    """Return the steps after which the Amanda user has a key."""
    ssh = Path(account.pw_dir, ".ssh")
    return [
        plan_folder(ssh, account, 0o700),
        SetupStep(
            f"{account.pw_name} has a key of its own: {path}",
            lambda: _has_key(path, account),
            lambda: _make_key(path, account),
        ),
    ]


def plan_new_key(path: Path, account: pwd.struct_passwd, now: datetime) -> SetupStep:
    """Return the step after which the Amanda user has another key; the one it had is kept."""
    aside = path.with_name(f"{path.name}.old-{now:%Y%m%dT%H%M%SZ}")

    def make() -> None:
        argv = ["sh", "-c", _PUT_ASIDE, "sh", str(path), str(aside)]
        refuse_failure(
            run_program(argv, account=account),
            f"{path} could not be moved aside",
            f"move it away as {account.pw_name}, and run setup again",
        )
        _make_key(path, account)

    return SetupStep(f"{account.pw_name} has a new key; the old one is {aside}", aside.exists, make)


def _has_key(path: Path, account: pwd.struct_passwd) -> bool:
    try:
        read_key(path, account)
    except BadDataError:
        return False
    return True


def _make_key(path: Path, account: pwd.struct_passwd) -> None:
    refuse_failure(
        run_program(["sh", "-c", _MAKE_KEY, "sh", str(path)], MADE_WITHIN, account=account),
        f"could not make a key at {path}",
        f"as {account.pw_name}: ssh-keygen -t ed25519 -N '' -f {path}",
    )


def read_key(path: Path, account: pwd.struct_passwd) -> PublicKey:
    """Return the public half of the key, whose private half is there as well.

    Raises BadDataError if there is none, or it is invalid.
    """

    def read() -> str:
        with path.open("rb"):
            return path.with_name(f"{path.name}.pub").read_text("utf-8")

    try:
        return parse_public_key(ask_as(account.pw_name, read))
    except (OSError, ValueError) as error:
        raise BadDataError(
            "no-key", f"{path}.pub holds no key: {error}", "move it away, and run setup again"
        ) from error


def plan_pin(
    key: PublicKey, place: Place, account: pwd.struct_passwd, *, is_known: bool
) -> SetupStep:
    """Return the step after which ssh knows the server's host key."""
    pinned = [is_known]

    def make() -> None:
        pin_key(key, place, account)
        pinned[0] = True

    what = f"{account.pw_name} knows the host key of {place.known_as}: {key.fingerprint}"
    return SetupStep(what, lambda: pinned[0], make)


# -- at the server


def plan_via(via: Target, command: str, known: Sequence[str], *, is_watched: bool) -> list[str]:
    """Return the argv that runs `command` at the server, as an administrator.

    `known` are the files of known hosts. Without a terminal ssh asks nothing.
    """
    files = " ".join(f'"{name}"' for name in known)
    way = ["-t"] if is_watched else ["-T", "-o", "BatchMode=yes"]
    user = ["-l", via.user] if via.user else []
    port = ["-p", str(via.port)] if via.port else []
    return ["ssh", *way, "-o", f"UserKnownHostsFile={files}", *user, *port, "--", via.host, command]


def is_root_at(via: Target) -> bool:
    """Return whether the login at the server is root's, as far as can be told."""
    return (via.user or os.environ.get("SUDO_USER") or "root") == "root"


def run_via(via: Target, command: str, pinned: tuple[PublicKey, str], *, is_watched: bool) -> int:
    """Run `command` at the server with its output shown; return the exit status, ssh's own 255.

    ssh runs as whoever called sudo here, so that their keys and settings count; `pinned` is a
    host key and its name, and is trusted in addition to what they know.
    """
    caller = os.environ.get("SUDO_USER")
    as_caller = ["runuser", "-u", caller, "--"] if caller and caller != "root" else []
    with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="asyncamanda-") as file:
        file.write(render_known(*pinned))
        file.flush()
        os.fchmod(file.fileno(), 0o644)  # it is public, and the caller reads it
        known = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", file.name)
        argv = [*as_caller, *plan_via(via, command, known, is_watched=is_watched)]
        stdin = None if is_watched else subprocess.DEVNULL
        return subprocess.run(argv, stdin=stdin, check=False).returncode

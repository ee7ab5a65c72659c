"""What the server's own sshd demands of clients: asked of it, as root alone can."""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.ssh.sshd_settings import (
    Login,
    SshdHindrance,
    find_hindrances,
    find_key_files,
    parse_settings,
    plan_sshd,
)
from asyncamanda.errors import RefusedError
from asyncamanda.server.enrol.registry import registry_path
from asyncamanda.system.account import find_user
from asyncamanda.system.files import open_folder
from asyncamanda.system.programs import run_program
from asyncamanda.system.steps import SetupStep

ANY_CLIENT = "client"  # for `Match Host`, where no client is meant


@dataclass(frozen=True, slots=True)
class SshdAnswer:
    """What sshd says of logins to the Amanda user: what is in the way, where it reads keys.

    `fault` is why it could not be asked; then the others are empty.
    """

    hindrances: tuple[SshdHindrance, ...] = ()
    key_files: tuple[Path, ...] = ()
    fault: str = ""


def ask_sshd(user: str, client: str = ANY_CLIENT) -> SshdAnswer | None:
    """Return what this machine's sshd says of a client's login; None to others than root.

    Raises ConfigurationError if there is no such user.
    """
    if os.geteuid() != 0:
        return None
    answer = run_program(plan_sshd(user, client))
    if answer.status != 0:
        return SshdAnswer(fault=answer.first_line)
    account = find_user(user)
    login = Login(user, account.pw_uid, account.pw_dir, _groups(account))
    settings = parse_settings(answer.stdout)
    files = tuple(Path(path) for path in find_key_files(settings, login))
    found = tuple(find_hindrances(settings, login))
    if not any(is_registry(path, user) for path in files):
        found += (_name_key_files(user, files),)
    return SshdAnswer(found, files)


def _groups(account: pwd.struct_passwd) -> tuple[str, ...]:
    names = []
    for gid in os.getgrouplist(account.pw_name, account.pw_gid):
        try:
            names.append(grp.getgrgid(gid).gr_name)
        except KeyError:  # a number without a name is in no list
            continue
    return tuple(names)


def _name_key_files(user: str, files: tuple[Path, ...]) -> SshdHindrance:
    said = " ".join(map(str, files)) or "none"
    fix = "as root: asyncamanda server setup"
    if not files:
        fix = f"in /etc/ssh/sshd_config: Match User {user}, AuthorizedKeysFile .ssh/authorized_keys"
    return SshdHindrance(f"AuthorizedKeysFile {said}, which is not {registry_path(user)}", fix)


def is_registry(path: Path, user: str) -> bool:
    """Return whether what is read at `path` is the registry."""
    try:
        return path.resolve() == registry_path(user).resolve()
    except (OSError, RuntimeError):  # the latter: links that go round
        return False


def plan_key_link(user: str) -> list[SetupStep]:
    """Return the step after which sshd reads the registry; none where it does, or cannot be asked.

    Where AuthorizedKeysFile names other files, the first of them becomes a link to the registry:
    sshd follows links, and looks whose the file behind them is.
    """
    answer = ask_sshd(user)
    if answer is None or not answer.key_files:
        return []
    first, registry = answer.key_files[0], registry_path(user)
    return [
        SetupStep(
            f"sshd reads {registry}: {first} leads to it",
            lambda: any(is_registry(path, user) for path in answer.key_files),
            lambda: _link(first, registry),
        )
    ]


def _link(path: Path, registry: Path) -> None:
    folder = open_folder(path.parent, make=True)
    try:
        os.symlink(registry, path.name, dir_fd=folder)
    except FileExistsError as error:
        raise RefusedError(
            "keys-elsewhere",
            f"sshd reads the Amanda user's keys in {path}, which exists",
            f"move its lines to {registry}, remove {path}, and run setup again; or let "
            f"AuthorizedKeysFile in /etc/ssh/sshd_config name {registry}, too",
        ) from error
    finally:
        os.close(folder)


def check_sshd(answer: SshdAnswer) -> Check:
    """Return whether sshd lets clients log in, by its own settings."""
    if answer.fault:
        return Check("sshd", Health.SKIPPED, f"sshd cannot be asked: {answer.fault}")
    if not answer.hindrances:
        return Check("sshd", Health.OK, "its settings let clients log in with their keys")
    return Check(
        "sshd",
        Health.BAD,
        "; ".join(one.what for one in answer.hindrances),
        "with this no client at all can connect, whatever key it has",
        "; ".join(one.fix for one in answer.hindrances) + "; then: systemctl reload ssh",
        is_partial=True,
    )


def describe_hindrances(answer: SshdAnswer | None) -> list[str]:
    """Return a warning for each setting that is in a client's way."""
    return [
        f"sshd's {one.what} keeps clients from connecting; {one.fix}"
        for one in (answer.hindrances if answer else ())
    ]

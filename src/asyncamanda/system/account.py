"""Whose process this is."""

import os
import pwd

from asyncamanda.errors import ConfigurationError


def become_user(name: str) -> None:
    """Make this process, now root's, wholly that of the user `name`, groups and HOME included.

    Raises ConfigurationError if there is no such user.
    """
    account = find_user(name)
    os.initgroups(account.pw_name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    os.environ.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
    for name_of_roots in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK"):
        os.environ.pop(name_of_roots, None)
    os.chdir("/")


def find_user(name: str) -> pwd.struct_passwd:
    """Return the account `name`. Raises ConfigurationError if there is none."""
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise ConfigurationError(
            "no-such-user",
            f"there is no user {name!r} on this machine",
            "Debian's amanda-client makes the user backup; set `user` to the one Amanda runs as",
        ) from error

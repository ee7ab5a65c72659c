"""The user of this process, and other users' processes."""

import contextlib
import errno
import os
import pwd
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from asyncamanda.core.values.shellwords import as_user
from asyncamanda.errors import ConfigurationError
from asyncamanda.system.endings import KILLED_WITHIN, reap


def become_user(name: str) -> None:
    """Make this process, now root's, one of the user `name`, groups and HOME included.

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


def as_own_user(command: str) -> str:
    """Return what root types to run `command` as this process's user; root's is the Amanda user."""
    name = "backup"
    if uid := os.geteuid():
        with contextlib.suppress(KeyError):
            name = pwd.getpwuid(uid).pw_name
    return as_user(name, command)


def keep_only(*kept: int) -> None:
    """Let this process, a fork of another one, have none of that one's descriptors but 0 to 2.

    They become /dev/null's: whatever here still knows one by its number closes no other by it.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers, and no paths
        if number > 2 and number not in {nothing, *kept}:
            os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


@contextlib.contextmanager
def act_as(account: pwd.struct_passwd) -> Iterator[None]:
    """Let this process, if it is root's, do what it does in the block with `account`'s rights.

    For files: a link that the account has made leads to what is the account's. Programs that are
    started meanwhile are root's again as soon as they like.
    """
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def do_as(user: str, doing: Callable[[], None]) -> None:
    """Do something as `user`, in a process of its own. Raises its OSError."""

    def do() -> str:
        doing()
        return ""

    ask_as(user, do)


def ask_as(user: str, asking: Callable[[], str]) -> str:
    """Return what `asking` returns as `user`, in a process of its own. Raises its OSError.

    Of any other error the traceback is printed there, and this raises OSError, too.
    """
    reader, writer = os.pipe()
    # a Ctrl-C in a hook that Python runs after a fork, as logging's, is printed and forgotten
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        _answer(user, asking, writer, before)
    os.close(writer)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with open(reader, encoding="utf-8", errors="surrogateescape") as pipe:  # noqa: PTH123
            text = pipe.read()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
        reap(child, KILLED_WITHIN)
        raise
    _, status = os.waitpid(child, 0)
    if number := os.waitstatus_to_exitcode(status):
        number = max(number, 0) or errno.EINTR
        raise OSError(number, os.strerror(number))
    return text


def _answer(user: str, asking: Callable[[], str], writer: int, signals: Iterable[int]) -> NoReturn:
    """Be the child: write what `asking` returns, and end with 0, or with an error's number.

    `signals`: those that are blocked from now on.
    """
    number = errno.EINVAL
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        if os.geteuid() == 0:
            become_user(user)
        with open(writer, "w", encoding="utf-8", errors="surrogateescape") as pipe:
            pipe.write(asking())
        number = 0
    except OSError as error:
        number = error.errno or number
    except Exception:
        sys.stderr.write(traceback.format_exc())  # print_exc() may colour it
    finally:
        os._exit(number)

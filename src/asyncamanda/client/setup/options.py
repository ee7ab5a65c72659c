"""What `asyncamanda setup` is asked for, checked as a whole before anything is done."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from asyncamanda.core.amanda.excludes import check_pattern
from asyncamanda.core.protocol.authority import check_amanda_config_name, check_client_name
from asyncamanda.core.ssh.argv import Target, parse_target
from asyncamanda.core.ssh.invitation_code import InvitationCode, parse_code
from asyncamanda.core.values import interval
from asyncamanda.errors import UsageError

GATE_USER = "backup"  # the user that clients log in as by default
DEFAULT_INTERVAL = "24h"
FINGERPRINT = 'as ssh-keygen -lf prints it: "SHA256:" and 43 characters'
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Said:
    """The command line's arguments, as they were given; None or () for those that were not."""

    server: str
    name: str
    amanda_config: str | None = None
    disks: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    interval: str | None = None
    fingerprint: str | None = None
    via: str | None = None
    wait: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """The options, as values.

    `interval` is as it was given, so that client.toml shows it in the user's way; None for the
    default. `fingerprint` may be no more than a beginning, as a `code` has it.
    """

    server: Target
    name: str
    amanda_config: str | None
    disks: tuple[str, ...]
    exclude: tuple[str, ...]
    interval: str | None
    fingerprint: str | None
    via: Target | None
    wait: timedelta | None
    code: InvitationCode | None = None


def read_options(said: Said, is_there: Callable[[str], bool]) -> SetupOptions:
    """Return what `said` means; `is_there` says whether a disk is on this machine.

    Raises UsageError with all mistakes at once.
    """
    mistakes: list[str] = []

    def read(option: str, text: str | None, reader: Callable[[str], _Read]) -> _Read | None:
        if text is None:
            return None
        try:
            return reader(text)
        except ValueError as error:
            mistakes.append(f"{option}: {error}")
            return None

    code = read("--code", said.code, parse_code)
    if said.code is not None and (said.fingerprint or said.via or said.amanda_config):
        mistakes.append("--code: it says what --fingerprint, --via and --amanda-config would")
    options = SetupOptions(
        server=read("SERVER", said.server, _read_server) or Target("unknown"),
        name=read("--name", said.name, _checked(check_client_name)) or "",
        amanda_config=read(
            "--amanda-config", said.amanda_config, _checked(check_amanda_config_name)
        ),
        disks=tuple(dict.fromkeys(said.disks)),
        exclude=tuple(dict.fromkeys(said.exclude)),
        interval=read("--interval", said.interval, _checked(_read_span)),
        fingerprint=code.fingerprint
        if code
        else read("--fingerprint", said.fingerprint, _checked(check_fingerprint)),
        via=read("--via", said.via, _read_target),
        wait=read("--wait", said.wait, _read_span),
        code=code,
    )
    mistakes += _wrong_disks(said.disks, is_there)
    for pattern in said.exclude:
        read("--exclude", pattern, _checked(check_pattern))
    if mistakes:
        raise UsageError("usage", "\n".join(mistakes), "asyncamanda setup --help lists the options")
    return options


def _checked(check: Callable[[str], object]) -> Callable[[str], str]:
    def read(text: str) -> str:
        check(text)
        return text

    return read


def _read_server(text: str) -> Target:
    target = _read_target(text)
    return target if target.user else replace(target, user=GATE_USER)


def _read_target(text: str) -> Target:
    try:
        target = parse_target(text)
    except ValueError as error:
        raise ValueError(f"{error}; allowed: [user@]host[:port]") from error
    if target.password:
        raise ValueError("no password on the command line; allowed: [user@]host[:port]")
    return target


def _read_span(text: str) -> timedelta:
    try:
        return interval.parse_interval(text)
    except ValueError as error:
        raise ValueError(f"{error}; allowed: {interval.ALLOWED}") from error


def check_fingerprint(text: str) -> None:
    """Raise ValueError if `text` cannot be a key's fingerprint."""
    digest = text.removeprefix("SHA256:")
    if not text.startswith("SHA256:") or len(digest) != 43 or not _BASE64.issuperset(digest):
        raise ValueError(f"not a fingerprint {FINGERPRINT}")


def _wrong_disks(disks: tuple[str, ...], is_there: Callable[[str], bool]) -> Iterator[str]:
    for disk in disks:
        if not disk.startswith("/") or not disk.isprintable():
            yield f"--disk: {disk!a} is not a path, such as /home"
        elif not is_there(disk):
            yield f"--disk: {disk} is not on this machine"

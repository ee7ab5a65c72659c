"""client.toml: read, checked as a whole, and turned into values."""

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from asyncamanda.core import interval, sshargv
from asyncamanda.core.model import Policy, Watch
from asyncamanda.core.sshargv import SshOptions, Target, parse_target
from asyncamanda.errors import ConfigurationError

SYSTEM_FILE = Path("/etc/asyncamanda/client.toml")
LONGEST_SILENCE = timedelta(minutes=5)
LONGEST_SHOWN = 60  # characters
LEAST_INTERVALS = 3  # of which `stale_after` and `forget_after` are, where not said


class Wrong(ValueError):  # noqa: N818 - a mistake of the file's, gathered with the others
    """A value that is not allowed: what was found, and what is allowed."""

    def __init__(self, found: object, allowed: str) -> None:
        super().__init__(f"found {_shown(found)}; allowed: {allowed}")


@dataclass(frozen=True, slots=True)
class SshSettings:
    """The `[ssh]` table."""

    connect_timeout: timedelta = timedelta(seconds=20)
    keepalive: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """A client's configuration."""

    server: Target
    command: str
    interval: timedelta = timedelta(hours=24)
    key: Path | None = None
    password_file: Path | None = None
    amandates: Path = Path("/var/lib/amanda/amandates")
    watch: Watch = Watch.EACH
    disks: tuple[str, ...] = ()
    forget_after: timedelta | None = None
    stale_after: timedelta | None = None
    settle: timedelta = timedelta(hours=1)
    user: str = "backup"
    ssh: SshSettings = SshSettings()

    @property
    def policy(self) -> Policy:
        """Return how fresh a backup has to be."""
        return Policy(
            interval=self.interval,
            watch=self.watch,
            disks=self.disks,
            forget_after=self.forget_after
            or max(timedelta(days=30), LEAST_INTERVALS * self.interval),
            stale_after=self.stale_after or default_stale_after(self.interval),
            settle=self.settle,
        )

    @property
    def ssh_options(self) -> SshOptions:
        """Return how to connect."""
        key = str(self.key) if self.key else None
        return SshOptions(key, self.ssh.connect_timeout, self.ssh.keepalive)


def default_stale_after(span: timedelta) -> timedelta:
    """Return when a backup that should be made every `span` is alarmingly old."""
    return max(timedelta(days=7), LEAST_INTERVALS * span)


def candidate_files(environ: dict[str, str], named: str | None) -> tuple[Path, ...]:
    """Return where a client's configuration is looked for: the first that exists counts."""
    if explicit := named or environ.get("ASYNCAMANDA_CONFIG"):
        return (Path(explicit).absolute(),)
    if os.geteuid() == 0:
        return (SYSTEM_FILE,)
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    return (Path(home) / "asyncamanda" / "client.toml", SYSTEM_FILE)


def load_client_config(candidates: tuple[Path, ...]) -> tuple[Path, ClientConfig]:
    """Return the first of `candidates` that exists, and what it says.

    Raises ConfigurationError: if none exists, or with every mistake that is in it.
    """
    for path in candidates:
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                "config-unreadable",
                f"{path} cannot be read: {error}",
                "is it a text file of yours?",
            ) from error
        return path, parse_client_config(text, str(path))
    raise ConfigurationError(
        "no-config",
        f"no configuration: {' and '.join(map(str, candidates))} "
        f"{'do' if len(candidates) > 1 else 'does'} not exist",
        "docs/guide.md shows one; the classic form (-i -h -c -a) needs none",
    )


def parse_client_config(text: str, name: str) -> ClientConfig:
    """Return what `text` says; `name` is its file's, for the report of mistakes.

    Raises ConfigurationError with all mistakes at once: key, found, allowed.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of a number or a nesting beyond all bounds
        raise ConfigurationError(
            "config-not-toml",
            f"{name} is not TOML: {error}",
            'texts stand in quotes: key = "value"',
        ) from error
    mistakes: list[str] = []
    values = _read_table(table, _CLIENT_KEYS, "", mistakes)
    for key, allowed in _NEEDED.items():
        if key not in table:
            mistakes.append(f"{key}: missing; allowed: {allowed}")
    wrong = {re.split(r"[.:]", mistake)[0] for mistake in mistakes}
    stand_in: dict[str, Any] = {"server": Target("unknown"), "command": "unknown"}
    config = ClientConfig(**(stand_in | values))
    mistakes += [words for keys, words in _contradictions(config) if not wrong & keys]
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise ConfigurationError(
            "config-wrong",
            "\n".join([f"{name} has {count}", *(f"  {mistake}" for mistake in mistakes)]),
            "docs/guide.md has every key with its default",
        )
    return config


def _contradictions(config: ClientConfig) -> Iterator[tuple[set[str], str]]:
    """Yield what is wrong between values that are allowed alone: the keys, and the words."""
    shorter = "found a shorter span than interval; allowed: at least interval"
    if config.server.password:
        words = "server: found a password; allowed: a key, or a password_file of mode 0600"
        yield {"server"}, words
    if config.stale_after and config.stale_after < config.interval:
        yield {"stale_after", "interval"}, f"stale_after: {shorter}"
    if config.forget_after and config.forget_after < config.interval:
        yield {"forget_after", "interval"}, f"forget_after: {shorter}"
    for name in ("connect_timeout", "keepalive"):
        if getattr(config.ssh, name) > LONGEST_SILENCE:
            words = 'found more than five minutes; allowed: at most that, such as "15s"'
            yield {"ssh"}, f"ssh.{name}: {words}"


def _read_table(
    table: Mapping[str, object],
    keys: Mapping[str, Callable[[Any], object]],
    prefix: str,
    mistakes: list[str],
) -> dict[str, Any]:
    """Return the values of `table` that are right, by key; add a line to `mistakes` for others."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in keys:
            shown = key if re.fullmatch(r"[\w-]+", key) else "..."  # it may be a password
            close = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(keys)}"
            mistakes.append(f"{prefix}{shown}: unknown key; {hint}")
            continue
        try:
            if isinstance(value, dict) and key == "ssh":
                values[key] = SshSettings(**_read_table(value, _SSH_KEYS, "ssh.", mistakes))
            else:
                values[key] = keys[key](value)
        except Wrong as wrong:
            mistakes.append(f"{prefix}{key}: {wrong}")
    return values


def _shown(value: object) -> str:
    """Return a value of the file's for its owner to recognise, without a password in it."""
    if isinstance(value, str):
        _, at, host = value.rpartition("@")
        start, colon, _ = host.partition(":")
        text = repr(f"...@{host}" if at else start + (colon and ":..."))
        return text if len(text) < LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    if isinstance(value, int | float):
        return str(value) if abs(value) < sys.maxsize else "a number beyond all bounds"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "something else"


def _read_text(value: object) -> str:
    if not isinstance(value, str) or not _is_text(value):
        raise Wrong(value, "a text in quotes")
    return value


def _is_text(value: str) -> bool:
    """Return whether the operating system would take `value` as an argument: not empty, no NUL."""
    return bool(value) and "\0" not in value


def _read_span(value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong(value, interval.ALLOWED)
    try:
        return interval.parse_interval(str(value))
    except ValueError as error:
        raise Wrong(value, f"{interval.ALLOWED} ({error})") from error


def _read_target(value: object) -> Target:
    if not isinstance(value, str):
        raise Wrong(value, sshargv.ALLOWED)
    try:
        return parse_target(value)
    except ValueError as error:
        raise Wrong(value, f"{sshargv.ALLOWED} ({error})") from error


def _read_watch(value: object) -> Watch:
    try:
        return Watch(value)
    except ValueError as error:
        raise Wrong(value, " or ".join(f'"{watch.value}"' for watch in Watch)) from error


def _read_path(value: object) -> Path:
    if not isinstance(value, str) or not value.startswith(("/", "~/")) or not _is_text(value):
        raise Wrong(object(), 'a file\'s whole path, "/..." or "~/..."')  # it may be a password
    return Path(value)


def _read_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise Wrong(value, 'a list of disks as the disklist names them, ["/home", "/etc"]')
    return tuple(value)


def _refuse_table(value: object) -> object:
    raise Wrong(value, "a table, begun by its name in brackets on a line of its own")


_NEEDED = {
    "server": sshargv.ALLOWED,
    "command": 'the command to run there, such as "/usr/sbin/amdump daily --exact-match laptop"',
}
_CLIENT_KEYS: dict[str, Callable[[Any], object]] = {
    "server": _read_target,
    "command": _read_text,
    "interval": _read_span,
    "key": _read_path,
    "password_file": _read_path,
    "amandates": _read_path,
    "watch": _read_watch,
    "disks": _read_texts,
    "forget_after": _read_span,
    "stale_after": _read_span,
    "settle": _read_span,
    "user": _read_text,
    "ssh": _refuse_table,  # what is no table
}
_SSH_KEYS: dict[str, Callable[[Any], object]] = {
    "connect_timeout": _read_span,
    "keepalive": _read_span,
}

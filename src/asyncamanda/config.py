"""client.toml: read, checked as a whole, and turned into values."""

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn

from asyncamanda.core import interval, sshargv
from asyncamanda.core.model import Policy, Watch
from asyncamanda.core.sshargv import SshOptions, Target, parse_target
from asyncamanda.errors import ConfigurationError

SYSTEM_FILE = Path("/etc/asyncamanda/client.toml")
LONGEST_SILENCE = timedelta(minutes=5)
LONGEST_SHOWN = 60  # characters
STALE_INTERVALS = 3  # the least `stale_after` that is not said

T = TypeVar("T")


class Wrong(ValueError):  # noqa: N818 - a mistake of the file's, gathered with the others
    """A value that is not allowed: what was found, and what is allowed."""

    def __init__(self, found: object, allowed: str) -> None:
        super().__init__(f"found {_shown(found)}; allowed: {allowed}")


@attrs.frozen
class SshSettings:
    """The `[ssh]` table."""

    connect_timeout: timedelta = timedelta(seconds=20)
    keepalive: timedelta = timedelta(seconds=15)


@attrs.frozen
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
            forget_after=self.forget_after or max(timedelta(days=30), 3 * self.interval),
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
    return max(timedelta(days=7), STALE_INTERVALS * span)


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
    try:
        config = _CONVERTER.structure(table, ClientConfig)
        mistakes = [mistake for _, mistake in _contradictions(config)]
    except BaseValidationError as group:
        mistakes = list(_mistakes(group, ""))
        mistakes += _contradictions_of_the_rest(table, mistakes)
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise ConfigurationError(
            "config-wrong",
            "\n".join([f"{name} has {count}", *(f"  {mistake}" for mistake in mistakes)]),
            "docs/guide.md has every key with its default",
        )
    return config


def _contradictions_of_the_rest(table: dict[str, Any], mistakes: list[str]) -> list[str]:
    """Return the contradictions between the keys that are not wrong already."""
    wrong = {re.split(r"[.:]", mistake)[0] for mistake in mistakes}
    known = {field.name for field in attrs.fields(ClientConfig)} - wrong
    sound = {key: value for key, value in table.items() if key in known}
    stand_in = {"server": "unknown", "command": "unknown"}
    config = _CONVERTER.structure(stand_in | sound, ClientConfig)
    return [mistake for keys, mistake in _contradictions(config) if not wrong & keys]


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


def _mistakes(group: BaseException, key: str) -> Iterator[str]:
    """Yield a line for each leaf of cattrs' tree of errors."""
    if isinstance(group, ForbiddenExtraKeysError):
        known = [field.alias for field in attrs.fields(group.cl)]
        for extra in sorted(group.extra_fields):
            close = difflib.get_close_matches(extra, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(known)}"
            shown = extra if re.fullmatch(r"[\w-]+", extra) else "..."  # it may be a password
            yield f"{_joined(key, shown)}: unknown key; {hint}"
    elif isinstance(group, BaseValidationError):
        for error in group.exceptions:
            notes = getattr(error, "__notes__", [])
            name = next((note.name for note in notes if hasattr(note, "name")), "")
            yield from _mistakes(error, _joined(key, name))
    elif isinstance(group, KeyError):
        yield f"{key}: missing; allowed: {_ALLOWED.get(key, 'a text')}"
    else:
        yield f"{key}: {group}"


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key and name else key or name


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


_ALLOWED = {
    "server": sshargv.ALLOWED,
    "command": 'the command to run there, such as "/usr/sbin/amdump daily --exact-match laptop"',
}


def _strict(kind: type[T], allowed: str, check: Callable[[T], bool]) -> Callable[[Any, Any], T]:
    def structure(value: Any, _: Any) -> T:
        if type(value) is not kind or not check(value):
            raise Wrong(value, allowed)
        return value

    return structure


def _is_text(value: str) -> bool:
    """Return whether the operating system would take `value` as an argument: not empty, no NUL."""
    return bool(value) and "\0" not in value


def _structure_span(value: Any, _: Any) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong(value, interval.ALLOWED)
    try:
        return interval.parse_interval(str(value))
    except ValueError as error:
        raise Wrong(value, f"{interval.ALLOWED} ({error})") from error


def _structure_target(value: Any, _: Any) -> Target:
    if not isinstance(value, str):
        raise Wrong(value, sshargv.ALLOWED)
    try:
        return parse_target(value)
    except ValueError as error:
        raise Wrong(value, f"{sshargv.ALLOWED} ({error})") from error


def _structure_watch(value: Any, _: Any) -> Watch:
    try:
        return Watch(value)
    except ValueError as error:
        raise Wrong(value, " or ".join(f'"{watch.value}"' for watch in Watch)) from error


def _structure_path(value: Any, _: Any) -> Path:
    if not isinstance(value, str) or not value.startswith(("/", "~/")) or not _is_text(value):
        raise Wrong(object(), 'a file\'s whole path, "/..." or "~/..."')  # it may be a password
    return Path(value)


def _structure_texts(value: Any, _: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise Wrong(value, 'a list of disks as the disklist names them, ["/home", "/etc"]')
    return tuple(value)


def _table(structure: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    def structure_table(value: Any, kind: Any) -> T:
        if not isinstance(value, dict):
            raise Wrong(value, "a table, begun by its name in brackets on a line of its own")
        return structure(value, kind)

    return structure_table


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(str, _strict(str, "a text in quotes", _is_text))
    converter.register_structure_hook(timedelta, _structure_span)
    converter.register_structure_hook(Target, _structure_target)
    converter.register_structure_hook(Watch, _structure_watch)
    converter.register_structure_hook(Path, _structure_path)
    structure_ssh = make_dict_structure_fn(SshSettings, converter, _cattrs_forbid_extra_keys=True)
    converter.register_structure_hook(SshSettings, _table(structure_ssh))
    converter.register_structure_hook_func(
        lambda kind: bool(kind == tuple[str, ...]), _structure_texts
    )
    return converter


_CONVERTER = _make_converter()

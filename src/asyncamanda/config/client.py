"""client.toml: read, checked as a whole, and turned into values."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from asyncamanda.config.client_values import read_exclude, read_target
from asyncamanda.config.moments import MOMENT_KEYS, NEVER
from asyncamanda.config.notify import RECIPIENT_KEYS, read_ping_of_client
from asyncamanda.config.reader import (
    Keys,
    one_of,
    parse_toml,
    read_file,
    read_flag,
    read_name,
    read_path,
    read_span,
    read_table,
    read_text,
    refuse_mistakes,
    texts_like,
)
from asyncamanda.core.conditions.judge import Conditions, Pause
from asyncamanda.core.conditions.rate import RateLimit
from asyncamanda.core.conditions.windows import Window
from asyncamanda.core.model import DiskRule, Policy
from asyncamanda.core.ssh import argv
from asyncamanda.core.ssh.argv import SshOptions, Target
from asyncamanda.errors import ConfigurationError, NotYoursError

SYSTEM_FILE = Path("/etc/asyncamanda/client.toml")
LONGEST_SILENCE = timedelta(minutes=5)
RELAXING = 3 / 7  # of `stale_after`: with a week, from three days on
LEAST_INTERVALS = 3  # of which `stale_after` and `forget_after` are, where not said


@dataclass(frozen=True, slots=True)
class SshSettings:
    """The `[ssh]` table."""

    connect_timeout: timedelta = timedelta(seconds=20)
    keepalive: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """The `[notify]` table: whom to tell when the state of the backup changes.

    `mail` is an address for sendmail; `urls` are apprise's, and those in `urls_file`, one a line;
    `ping` is a URL of the healthchecks kind, in which {client} is this client; `textfile` is for
    Prometheus' node exporter. `monthly`: the user is told once a month how well it went.
    """

    desktop: bool = True
    mail: str | None = None
    urls: tuple[str, ...] = ()
    urls_file: Path | None = None
    ping: str | None = None
    textfile: Path | None = None
    monthly: bool = False


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """A client's configuration; without a `command` the server's gate is asked."""

    server: Target
    command: str | None = None
    name: str | None = None
    interval: timedelta = timedelta(hours=24)
    key: Path | None = None
    password_file: Path | None = None
    amandates: Path = Path("/var/lib/amanda/amandates")
    watch: DiskRule = DiskRule.EACH
    disks: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    forget_after: timedelta | None = None
    stale_after: timedelta | None = None
    stale_after_use: timedelta | None = None
    settle: timedelta = timedelta(hours=1)
    reconnect_for: timedelta = timedelta(minutes=2)
    amandad: Path | None = None
    user: str = "backup"
    on_battery: float | None = 30.0
    metered: bool = False
    networks: tuple[str, ...] = ()
    not_networks: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
    max_load: float | None = None
    unknown: bool = True
    relax_after: timedelta | None = None
    pause: Pause = Pause.FINISH
    inhibit_for: timedelta = timedelta(hours=2)
    inhibit_lid: bool = False
    retry_within: timedelta = timedelta(hours=1)
    spread: timedelta = timedelta(minutes=5)
    rate: tuple[RateLimit, ...] = ()
    prove_every: timedelta = timedelta(days=7)
    ssh: SshSettings = SshSettings()
    notify: NotifySettings = NotifySettings()

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
            stale_after_use=self.stale_after_use,
            is_by_use=self.stale_after is None and self.stale_after_use is not None,
        )

    @property
    def conditions(self) -> Conditions:
        """Return what a good moment is."""
        return Conditions(
            battery_from=self.on_battery,
            is_metered_allowed=self.metered,
            networks=self.networks,
            not_networks=self.not_networks,
            windows=self.windows,
            max_load=self.max_load,
            is_unknown_allowed=self.unknown,
            relax_after=self._relax_after,
        )

    @property
    def _relax_after(self) -> timedelta | None:
        """Return when the first condition is ignored; None for never.

        Where it is not set, early enough for the last one to be ignored before the backup is stale.
        """
        if self.relax_after is not None:
            return None if self.relax_after == NEVER else self.relax_after
        return max(self.interval, self.policy.stale_after * RELAXING)

    @property
    def ssh_options(self) -> SshOptions:
        """Return how to connect."""
        return SshOptions(
            str(self.key) if self.key else None, self.ssh.connect_timeout, self.ssh.keepalive
        )


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

    Raises ConfigurationError: if none exists, or with every mistake that is in it. Raises
    NotYoursError if it is another user's, and not for this one to read.
    """
    for path in candidates:
        text = _read_candidate(path)
        if text is not None:
            return path, parse_client_config(text, str(path))
    raise ConfigurationError(
        "no-config",
        f"no configuration: {' and '.join(map(str, candidates))} "
        f"{'do' if len(candidates) > 1 else 'does'} not exist",
        "as root: asyncamanda setup SERVER, which writes one; docs/guide.md shows one for direct "
        "mode; the classic form (-i -h -c -a) needs none",
    )


def _read_candidate(path: Path) -> str | None:
    try:
        return read_file(path)
    except ConfigurationError as error:
        if isinstance(error.__cause__, PermissionError) and not is_own(path):
            raise refuse_others(path) from error
        raise


def is_own(path: Path) -> bool:
    """Return whether `path` can be seen to be this user's own."""
    try:
        return path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def refuse_others(path: Path) -> NotYoursError:
    """Return the error for a user who may not read `path`."""
    return NotYoursError(
        "not-yours",
        f"only root and the Amanda user (backup) can do this: {path} is readable only by them",
        "run it as root; `asyncamanda status` works for every user",
    )


def parse_client_config(text: str, name: str) -> ClientConfig:
    """Return what `text` says; `name` is its file's, for the report of mistakes.

    Raises ConfigurationError with all mistakes at once: key, found, allowed.
    """
    table = parse_toml(text, name)
    mistakes: list[str] = []
    values = read_table(table, _CLIENT_KEYS, mistakes)
    if "server" not in table:
        mistakes.append(f"server: missing; allowed: {argv.ALLOWED}")
    if "ssh" in values:
        values["ssh"] = SshSettings(**values["ssh"])
    if "notify" in values:
        values["notify"] = NotifySettings(**values["notify"])
    wrong = {re.split(r"[.:]", mistake)[0] for mistake in mistakes}
    config = ClientConfig(**{"server": Target("unknown"), **values})
    mistakes += [words for keys, words in _contradictions(config) if not wrong & keys]
    refuse_mistakes(name, mistakes, "docs/guide.md has every key with its default")
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
    if config.relax_after and config.relax_after < config.interval:
        yield {"relax_after", "interval"}, f"relax_after: {shorter}"
    if config.rate and config.command:
        words = "found a limit beside command; allowed: by gate, where asyncamanda moves the data"
        yield {"rate", "command"}, f"rate: {words}"
    for name in ("connect_timeout", "keepalive"):
        if getattr(config.ssh, name) > LONGEST_SILENCE:
            words = 'found more than five minutes; allowed: at most that, such as "15s"'
            yield {"ssh"}, f"ssh.{name}: {words}"


_CLIENT_KEYS: Keys = {
    "server": read_target,
    "command": read_text,
    "name": read_name,
    "interval": read_span,
    "key": read_path,
    "password_file": read_path,
    "amandates": read_path,
    "watch": one_of(DiskRule),
    "disks": texts_like("a list of disks as the disklist names them", '["/home", "/etc"]'),
    "exclude": read_exclude,
    "forget_after": read_span,
    "stale_after": read_span,
    "stale_after_use": read_span,
    "settle": read_span,
    "reconnect_for": read_span,
    "amandad": read_path,
    "user": read_text,
    **MOMENT_KEYS,
    "ssh": {"connect_timeout": read_span, "keepalive": read_span},
    "notify": {
        "desktop": read_flag,
        **RECIPIENT_KEYS,
        "ping": read_ping_of_client,
        "textfile": read_path,
        "monthly": read_flag,
    },
}

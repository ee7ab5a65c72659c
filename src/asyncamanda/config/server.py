"""server.toml: read, checked as a whole, and turned into values."""

import posixpath
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from asyncamanda.config.notify import SERVER_NOTIFY_KEYS, DigestEvery, Notices
from asyncamanda.config.reader import (
    Keys,
    Wrong,
    number_between,
    one_of,
    parse_toml,
    read_file,
    read_flag,
    read_share,
    read_size,
    read_table,
    read_text,
    read_time_of_day,
    refuse_mistakes,
    span_between,
)
from asyncamanda.core.dispatch.drills import DrillPolicy
from asyncamanda.core.dispatch.flush import FlushKind, FlushPolicy
from asyncamanda.core.dispatch.watchdog import WatchPolicy
from asyncamanda.core.fleet.policy import FleetPolicy
from asyncamanda.errors import ConfigurationError
from asyncamanda.quick import SYSTEM_STATE

SERVER_FILE = Path("/etc/asyncamanda/server.toml")


@dataclass(frozen=True, slots=True)
class Limits:
    """The `[limits]` table: what one client may ask of the server."""

    requests_per_hour: int = 30
    sessions: int = 4  # at a time
    messages_per_second: int = 10


@dataclass(frozen=True, slots=True)
class Restore:
    """The `[restore]` table: `filters` are programs that may decompress or decrypt dumps.

    They may beside those of the dumptypes, of today and of when the dump was confirmed
    (core/amanda/filters.py), though its header alone asks for them. `keep_heads` is how many bytes
    the kept heads of an Amanda configuration may have.
    """

    filters: tuple[str, ...] = ()
    keep_heads: int = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Exports:
    """The `[export]` table: `folder` is where the server is exported to each day, "" for nowhere.

    The exports of the last `keep` days stay. `encrypt_to` are age's recipients, or the paths of
    files of them.
    """

    folder: str = ""
    keep: int = 7
    encrypt_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PagePlace:
    """The `[page]` table: `folder` is where the fleet's page is kept fresh, "" for nowhere."""

    folder: str = ""


@dataclass(frozen=True, slots=True)
class MetricsFile:
    """The `[metrics]` table: `textfile` is the file for Prometheus' node exporter, "" for none."""

    textfile: str = ""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The server's configuration.

    `ledger` is a file's path or a database's URL. `grace` is how long a request outlives its
    client's session, `come_back` how long a client at least stays away that is refused because
    `max_waiting` wait already, and `start_within` how long an amdump may take to begin its log.
    `file` is the path that was named on the command line, "" for the usual one.
    """

    user: str = "backup"
    ledger: str = f"{SYSTEM_STATE}/server/ledger.sqlite"
    batch_window: timedelta = timedelta(seconds=3)
    max_runs: int = 3
    heartbeat: timedelta = timedelta(seconds=15)
    grace: timedelta = timedelta(minutes=2)
    idle_exit: timedelta = timedelta(minutes=1)
    max_waiting: int = 1000
    come_back: timedelta = timedelta(minutes=15)
    start_within: timedelta = timedelta(minutes=1)
    flush: FlushPolicy = field(default_factory=FlushPolicy)
    limits: Limits = field(default_factory=Limits)
    watch: WatchPolicy = field(default_factory=WatchPolicy)
    restore: Restore = field(default_factory=Restore)
    drill: DrillPolicy = field(default_factory=DrillPolicy)
    export: Exports = field(default_factory=Exports)
    page: PagePlace = field(default_factory=PagePlace)
    notify: Notices = field(default_factory=Notices)
    fleet: FleetPolicy = field(default_factory=FleetPolicy)
    metrics: MetricsFile = field(default_factory=MetricsFile)
    file: str = ""

    @property
    def keeps_fleet_fresh(self) -> bool:
        """Whether the fleet is to be looked at within seconds of each change.

        Each step of server/fleet/refreshing.py that has to be up to date is to be named here.
        """
        return bool(self.page.folder or self.metrics.textfile or self.notify.is_wanted)


def load_server_config(named: str | None) -> tuple[Path | None, ServerConfig]:
    """Return the file that counts, and what it says: `named`, else the system's.

    Without the system's file every default holds, and the path is None. Raises
    ConfigurationError if a file that is named does not exist, or with every mistake in the file.
    """
    path = Path(named).absolute() if named else SERVER_FILE
    text = read_file(path)
    if text is not None:
        config = parse_server_config(text, str(path))
        return path, replace(config, file=str(path) if named else "")
    if named:
        raise ConfigurationError(
            "no-config",
            f"no configuration: {path} does not exist",
            f"without --config it is {SERVER_FILE}, and every default where that is missing",
        )
    return None, ServerConfig()


def parse_server_config(text: str, name: str) -> ServerConfig:
    """Return what `text` says; `name` is its file's, for the report of mistakes.

    Raises ConfigurationError with all mistakes at once: key, found, allowed.
    """
    mistakes: list[str] = []
    values = read_table(parse_toml(text, name), _SERVER_KEYS, mistakes)
    notify = Notices(**values.pop("notify", {}))
    if notify.digest is not DigestEvery.NEVER and not notify.digest_mail:
        mistakes.append("notify.digest: found no address for it; allowed: beside digest_to or mail")
    refuse_mistakes(name, mistakes, "docs/server.md has every key with its default")
    flush = values.pop("flush", {})
    if "policy" in flush:
        flush["kind"] = flush.pop("policy")
    limits = Limits(**values.pop("limits", {}))
    watch = WatchPolicy(**values.pop("watch", {}))
    restore = Restore(**values.pop("restore", {}))
    drill = DrillPolicy(**values.pop("drill", {}))
    export = Exports(**values.pop("export", {}))
    page = PagePlace(**values.pop("page", {}))
    fleet = FleetPolicy(**values.pop("fleet", {}))
    metrics = MetricsFile(**values.pop("metrics", {}))
    return ServerConfig(
        flush=FlushPolicy(**flush),
        limits=limits,
        watch=watch,
        restore=restore,
        drill=drill,
        export=export,
        page=page,
        notify=notify,
        fleet=fleet,
        metrics=metrics,
        **values,
    )


def _read_ledger(value: object) -> str:
    place = read_text(value)
    if not place.startswith(("/", "postgresql")):
        raise Wrong(value, 'a file\'s whole path, "/...", or "postgresql://user@host/database"')
    return place


def _read_folder(value: object) -> str:
    if value == "":
        return ""
    folder = read_text(value)
    is_whole = folder.startswith("/") and not folder.startswith("//") and folder != "/"
    if not is_whole or posixpath.normpath(folder) != folder:
        raise Wrong(value, 'a folder\'s whole path, "/..."')
    return folder


def _read_textfile(value: object) -> str:
    if value == "":
        return ""
    path = read_text(value)
    is_whole = path.startswith("/") and not path.startswith("//")
    if not is_whole or not path.endswith(".prom") or posixpath.normpath(path) != path:
        raise Wrong(value, 'a file\'s whole path that ends with .prom, "/.../asyncamanda.prom"')
    return path


def _read_recipients(value: object) -> tuple[str, ...]:
    """Return recipients of age's. A secret key in their place is not repeated."""
    allowed = 'a list of age\'s recipients, ["age1..."], or of paths of files of them'
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Wrong(object(), allowed)
    if not all(item.startswith(("age1", "ssh-", "/")) and item.isprintable() for item in value):
        raise Wrong(object(), allowed)
    return tuple(value)


def _read_programs(value: object) -> tuple[str, ...]:
    """Return whole paths of programs, each written in the one way in which a header names it."""
    allowed = 'a list of programs by their whole paths, such as ["/usr/bin/zstd"]'
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Wrong(value, allowed)
    for item in value:
        is_whole = item.startswith("/") and not item.startswith("//") and item != "/"
        if not is_whole or not item.isprintable() or posixpath.normpath(item) != item:
            raise Wrong(item, allowed)
    return tuple(dict.fromkeys(value))


_SERVER_KEYS: Keys = {
    "user": read_text,
    "ledger": _read_ledger,
    "batch_window": span_between("0.01s", "10m"),
    "max_runs": number_between(1, 16),
    "heartbeat": span_between("1s", "15s"),  # thrice that, and Amanda has to see an end in 60 s
    "grace": span_between("0.1s", "1d"),
    "idle_exit": span_between("0.1s", "1d"),
    "max_waiting": number_between(1, 100_000),
    "come_back": span_between("1s", "1d"),
    "start_within": span_between("1s", "1h"),
    "flush": {
        "policy": one_of(FlushKind),
        "threshold": read_share,
        "at": read_time_of_day,
        "patience": span_between("0.1s", "7d"),
        "hold_back": span_between("0.1s", "1d"),
        "retry_after": span_between("1s", "7d"),
    },
    "limits": {
        "requests_per_hour": number_between(1, 100_000),
        "sessions": number_between(1, 100),
        "messages_per_second": number_between(1, 1000),
    },
    "watch": {
        "silence": span_between("1s", "30d"),
        "dump_silence": span_between("1s", "30d"),
        "least_kilobytes": number_between(1, 1_000_000),
        "step": span_between("1s", "1h"),
    },
    "drill": {
        "scheduled": read_flag,
        "every": span_between("1m", "365d"),
        "full_every": span_between("1m", "3650d"),
        "sample": number_between(0, 1000),
    },
    "restore": {"filters": _read_programs, "keep_heads": read_size},
    "export": {
        "folder": _read_folder,
        "keep": number_between(1, 1000),
        "encrypt_to": _read_recipients,
    },
    "page": {"folder": _read_folder},
    "notify": SERVER_NOTIFY_KEYS,
    "fleet": {
        "interval": span_between("1m", "365d"),
        "stale_after": span_between("1m", "3650d"),
        "never_after": span_between("1m", "3650d"),
    },
    "metrics": {"textfile": _read_textfile},
}

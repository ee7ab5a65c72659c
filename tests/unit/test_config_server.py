"""server.toml: its text to values, and every mistake at once."""

from datetime import time, timedelta

import pytest

from asyncamanda.config.server import (
    Exports,
    Limits,
    MetricsFile,
    PagePlace,
    Restore,
    ServerConfig,
    parse_server_config,
)
from asyncamanda.core.dispatch.drills import DrillPolicy
from asyncamanda.core.dispatch.flush import FlushKind, FlushPolicy
from asyncamanda.core.dispatch.watchdog import WatchPolicy
from asyncamanda.errors import ConfigurationError


def mistakes_in(text: str) -> list[str]:
    """Return the report of the mistakes in `text`, line by line."""
    with pytest.raises(ConfigurationError) as error:
        parse_server_config(text, "server.toml")
    assert error.value.exit == 78
    return error.value.message.split("\n")


def test_an_empty_file_is_enough() -> None:
    """Everything has a default."""
    config = parse_server_config("", "server.toml")
    assert config == ServerConfig()
    assert (config.user, config.ledger) == ("backup", "/var/lib/asyncamanda/server/ledger.sqlite")
    assert (config.max_runs, config.max_waiting) == (3, 1000)
    assert config.flush == FlushPolicy(FlushKind.THRESHOLD, 0.7, time(3, 30))
    assert config.limits == Limits(30, 4, 10)
    assert config.restore.filters == ()
    assert config.restore.keep_heads == 2_000_000_000


def test_every_key_is_understood() -> None:
    """Each reaches the value that it is for."""
    config = parse_server_config(
        """
        user = "amanda"
        ledger = "postgresql://amanda@db/ledger"
        batch_window = "0.5s"
        max_runs = 1
        heartbeat = "1s"
        grace = "3m"
        idle_exit = "5s"
        max_waiting = 7
        come_back = "20m"
        start_within = "30s"
        [flush]
        policy = "daily"
        threshold = "62.5 %"
        at = "23:05"
        patience = "1m"
        hold_back = "2m"
        retry_after = "3m"
        [limits]
        requests_per_hour = 1
        sessions = 2
        messages_per_second = 3
        [watch]
        silence = "8h"
        dump_silence = "3h"
        least_kilobytes = 64
        step = "30s"
        [drill]
        scheduled = false
        every = "2d"
        full_every = "40d"
        sample = 0
        [restore]
        filters = ["/usr/bin/zstd", "/opt/my zip", "/usr/bin/zstd"]
        keep_heads = "500 MB"
        [export]
        folder = "/mnt/elsewhere"
        keep = 3
        encrypt_to = ["age1xyz", "ssh-ed25519 AAAA me", "/etc/recipients"]
        [page]
        folder = "/var/www/html/asyncamanda"
        [metrics]
        textfile = "/var/lib/node exporter/asyncamanda.prom"
        """,
        "server.toml",
    )
    minute = timedelta(minutes=1)
    assert config == ServerConfig(
        user="amanda",
        ledger="postgresql://amanda@db/ledger",
        batch_window=timedelta(milliseconds=500),
        max_runs=1,
        heartbeat=timedelta(seconds=1),
        grace=3 * minute,
        idle_exit=timedelta(seconds=5),
        max_waiting=7,
        come_back=20 * minute,
        start_within=timedelta(seconds=30),
        drill=DrillPolicy(False, timedelta(days=2), timedelta(days=40), 0),
        flush=FlushPolicy(FlushKind.DAILY, 0.625, time(23, 5), minute, 2 * minute, 3 * minute),
        limits=Limits(1, 2, 3),
        watch=WatchPolicy(timedelta(hours=8), timedelta(hours=3), 64, timedelta(seconds=30)),
        restore=Restore(("/usr/bin/zstd", "/opt/my zip"), 500_000_000),
        export=Exports("/mnt/elsewhere", 3, ("age1xyz", "ssh-ed25519 AAAA me", "/etc/recipients")),
        page=PagePlace("/var/www/html/asyncamanda"),
        metrics=MetricsFile("/var/lib/node exporter/asyncamanda.prom"),
    )


def test_a_part_of_a_table_leaves_the_rest_as_it_is() -> None:
    """One key said, the others at their defaults."""
    config = parse_server_config('[flush]\npolicy = "off"\n[limits]\nsessions = 9\n', "x")
    assert config.flush == FlushPolicy(FlushKind.OFF)
    assert config.limits == Limits(sessions=9)


def test_a_time_may_be_written_as_tomls_own() -> None:
    """TOML knows times of day without quotes."""
    assert parse_server_config("[flush]\nat = 04:15:00\n", "x").flush.at == time(4, 15)


def test_all_mistakes_are_told_at_once() -> None:
    """Each with its key, what was found, and what is allowed."""
    text = """
        max_run = 2
        max_runs = 17
        heartbeat = "16s"
        ledger = "~/ledger"
        [flush]
        policy = "weekly"
        at = "24:00"
        [limits]
        sessions = true
        """
    assert mistakes_in(text) == [
        "server.toml has 7 mistakes",
        "  max_run: unknown key; did you mean max_runs?",
        "  max_runs: found 17; allowed: a whole number from 1 to 16",
        '  heartbeat: found \'16s\'; allowed: a span from "1s" to "15s"',
        "  ledger: found '~/ledger'; allowed: a file's whole path, \"/...\", or "
        '"postgresql://user@host/database"',
        '  flush.policy: found \'weekly\'; allowed: "threshold" or "daily" or "off"',
        '  flush.at: found \'24:...\'; allowed: a time of day from "00:00" to "23:59"',
        "  limits.sessions: found True; allowed: a whole number from 1 to 100",
    ]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("max_runs = 0", "max_runs"),
        ('max_runs = "3"', "max_runs"),
        ("max_runs = 1.5", "max_runs"),
        ('heartbeat = "0.9s"', "heartbeat"),
        ("heartbeat = 1", "heartbeat"),  # hours
        ('batch_window = "0s"', "batch_window"),
        ('batch_window = "soon"', "batch_window"),
        ('batch_window = "11m"', "batch_window"),
        ("grace = true", "grace"),
        ('ledger = "here"', "ledger"),
        ("ledger = 1", "ledger"),
        ('user = ""', "user"),
        ("max_waiting = 0", "max_waiting"),
        ('flush = "daily"', "flush"),
        ("limits = 3", "limits"),
        ('flush.threshold = "0%"', "flush.threshold"),
        ('flush.threshold = "101%"', "flush.threshold"),
        ("flush.threshold = 70", "flush.threshold"),
        ('flush.threshold = "%"', "flush.threshold"),
        ('flush.at = "3:30"', "flush.at"),
        ('flush.at = "03:60"', "flush.at"),
        ("flush.at = 330", "flush.at"),
        ("limits.sessions = 0", "limits.sessions"),
        ('drill.scheduled = "no"', "drill.scheduled"),
        ('drill.every = "1s"', "drill.every"),
        ("drill.sample = -1", "drill.sample"),
        ('restore.filters = "/usr/bin/zstd"', "restore.filters"),
        ('restore.filters = ["zstd"]', "restore.filters"),
        ('restore.filters = ["/usr/bin/zstd", 3]', "restore.filters"),
        ('restore.filters = ["/"]', "restore.filters"),
        ('restore.filters = [""]', "restore.filters"),
        ('restore.filters = ["/usr/bin/../bin/zstd"]', "restore.filters"),
        ('restore.filters = ["//usr/bin/zstd"]', "restore.filters"),
        ('restore.filters = ["/usr/bin/zstd/"]', "restore.filters"),
        ('restore.filters = ["/usr/bin/z\\u0007"]', "restore.filters"),
        ('restore.keep_heads = "2"', "restore.keep_heads"),
        ("restore.keep_heads = 2000000000", "restore.keep_heads"),
        ('export.folder = "elsewhere"', "export.folder"),
        ('export.folder = "/"', "export.folder"),
        ('export.folder = "/x/../y"', "export.folder"),
        ("export.keep = 0", "export.keep"),
        ('page.folder = "html"', "page.folder"),
        ('export.encrypt_to = "age1xyz"', "export.encrypt_to"),
        ('export.encrypt_to = ["AGE-SECRET-KEY-1XYZ"]', "export.encrypt_to"),
        ('export.encrypt_to = ["-o/etc/x"]', "export.encrypt_to"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_its_key(line: str, key: str) -> None:
    """One mistake, named by its key."""
    head, told = mistakes_in(f"{line}\n")
    assert head == "server.toml has 1 mistake"
    assert told.startswith(f"  {key}: found ")
    assert "; allowed: " in told


def test_a_section_that_is_there_twice_is_named_so() -> None:
    """As where a page's lines were added to the file that setup has written."""
    with pytest.raises(ConfigurationError, match="is not TOML: ") as error:
        parse_server_config('[export]\n\n[export]\nfolder = "/mnt/x"\n', "server.toml")
    assert "may begin once only" in error.value.hint


def test_a_text_file_is_one_that_the_exporter_reads() -> None:
    """By its whole path, and only *.prom; "" is none."""
    assert parse_server_config('[metrics]\ntextfile = ""\n', "x").metrics.textfile == ""
    for path in ("asyncamanda.prom", "/var/a.txt", "/var/../a.prom", "//a.prom", "~/a.prom"):
        assert (
            "whole path that ends with .prom" in mistakes_in(f'[metrics]\ntextfile = "{path}"\n')[1]
        ), path


def test_the_fleet_is_kept_fresh_for_who_has_a_page_metrics_or_notifications() -> None:
    """Within seconds of each change; else it is looked at once an hour."""
    assert not ServerConfig().keeps_fleet_fresh
    assert ServerConfig(page=PagePlace("/var/www/html/asyncamanda")).keeps_fleet_fresh
    for table in ('[metrics]\ntextfile = "/srv/x.prom"\n', '[notify]\nmail = "root"\n'):
        assert parse_server_config(table, "server.toml").keeps_fleet_fresh, table

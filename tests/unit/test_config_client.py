"""client.toml: its text to values, and every mistake at once."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from asyncamanda.config.client import (
    SYSTEM_FILE,
    ClientConfig,
    NotifySettings,
    SshSettings,
    candidate_files,
    parse_client_config,
)
from asyncamanda.core.conditions.judge import MAINS_ONLY, Conditions, Pause
from asyncamanda.core.conditions.windows import parse_window
from asyncamanda.core.model import DiskRule, Policy
from asyncamanda.core.ssh import argv
from asyncamanda.core.ssh.argv import SshOptions, Target
from asyncamanda.core.values import interval
from asyncamanda.errors import ConfigurationError

OFFICE_AND_NIGHT = (parse_window("Mon..Fri 08:00-19:00"), parse_window("22:00-06:00"))
DAY = timedelta(days=1)
LEAST = 'server = "backup@server"\ncommand = "/usr/sbin/amdump daily"\n'


def mistakes_in(text: str) -> list[str]:
    """Return the report of the mistakes in `text`, line by line."""
    with pytest.raises(ConfigurationError) as error:
        parse_client_config(text, "client.toml")
    assert error.value.exit == 78
    return error.value.message.split("\n")


def test_a_server_and_a_command_are_enough() -> None:
    """All else has a default."""
    config = parse_client_config(LEAST, "client.toml")
    assert config == ClientConfig(Target("server", "backup"), "/usr/sbin/amdump daily")
    assert config.policy == Policy(DAY)
    assert config.ssh_options == SshOptions()
    assert config.amandates == Path("/var/lib/amanda/amandates")
    assert config.user == "backup"
    assert config.amandad is None


def test_every_key_is_understood() -> None:
    """Each reaches the value that it is for."""
    config = parse_client_config(
        """
        server = "me@[2001:db8::1]:2222"
        command = "amdump daily"
        interval = "1d12h"
        key = "~/.ssh/amanda"
        password_file = "/etc/asyncamanda/password"
        amandates = "/etc/amandates"
        watch = "newest"
        disks = ["/home", "/etc"]
        forget_after = "4 weeks"
        stale_after = 72
        settle = "30m"
        reconnect_for = "90s"
        amandad = "/opt/amanda/libexec/amandad"
        user = "amanda"
        on_battery = "50%"
        metered = "allow"
        networks = ["Office*", "ethernet"]
        not_networks = ["Hotel*"]
        windows = ["Mon..Fri 08:00-19:00", "22:00-06:00"]
        max_load = 2.5
        unknown = "refuse"
        relax_after = "5 days"
        pause = "stop"
        inhibit_for = "30m"
        inhibit_lid = true
        retry_within = "2h"
        spread = "10m"
        prove_every = "never"
        [ssh]
        connect_timeout = "5s"
        keepalive = "PT1M"
        [notify]
        desktop = false
        mail = "root"
        urls = ["ntfy://topic"]
        urls_file = "/etc/asyncamanda/urls"
        ping = "https://hc-ping.com/some-uuid"
        textfile = "/var/lib/node/asyncamanda.prom"
        """,
        "client.toml",
    )
    assert config == ClientConfig(
        server=Target("2001:db8::1", "me", 2222),
        command="amdump daily",
        interval=1.5 * DAY,
        key=Path("~/.ssh/amanda"),
        password_file=Path("/etc/asyncamanda/password"),
        amandates=Path("/etc/amandates"),
        watch=DiskRule.NEWEST,
        disks=("/home", "/etc"),
        forget_after=28 * DAY,
        stale_after=3 * DAY,
        settle=timedelta(minutes=30),
        reconnect_for=timedelta(seconds=90),
        amandad=Path("/opt/amanda/libexec/amandad"),
        user="amanda",
        on_battery=50.0,
        metered=True,
        networks=("Office*", "ethernet"),
        not_networks=("Hotel*",),
        windows=OFFICE_AND_NIGHT,
        max_load=2.5,
        unknown=False,
        relax_after=5 * DAY,
        pause=Pause.STOP,
        inhibit_for=timedelta(minutes=30),
        inhibit_lid=True,
        retry_within=timedelta(hours=2),
        spread=timedelta(minutes=10),
        prove_every=timedelta.max,
        ssh=SshSettings(timedelta(seconds=5), timedelta(minutes=1)),
        notify=NotifySettings(
            desktop=False,
            mail="root",
            urls=("ntfy://topic",),
            urls_file=Path("/etc/asyncamanda/urls"),
            ping="https://hc-ping.com/some-uuid",
            textfile=Path("/var/lib/node/asyncamanda.prom"),
        ),
    )
    assert config.conditions == Conditions(
        battery_from=50.0,
        is_metered_allowed=True,
        networks=("Office*", "ethernet"),
        not_networks=("Hotel*",),
        windows=OFFICE_AND_NIGHT,
        max_load=2.5,
        is_unknown_allowed=False,
        relax_after=5 * DAY,
    )
    assert config.policy == Policy(
        1.5 * DAY,
        DiskRule.NEWEST,
        ("/home", "/etc"),
        28 * DAY,
        3 * DAY,
        timedelta(minutes=30),
    )
    assert config.ssh_options == SshOptions(
        "~/.ssh/amanda", timedelta(seconds=5), timedelta(minutes=1)
    )


@pytest.mark.parametrize(
    ("value", "least"),
    [('"allow"', None), ('"refuse"', MAINS_ONLY), ('"50%"', 50.0), ('"100%"', 100.0)],
)
def test_a_battery_is_allowed_refused_or_has_to_be_charged(value: str, least: float | None) -> None:
    """From a charge on, in percent."""
    config = parse_client_config(f"{LEAST}on_battery = {value}", "client.toml")
    assert config.conditions.battery_from == least


def test_what_is_not_said_is_polite_and_gives_in() -> None:
    """No backup on a link that costs, or on little charge, unless the last one is old."""
    assert parse_client_config(LEAST, "client.toml").conditions == Conditions()
    assert Conditions() == Conditions(30.0, is_metered_allowed=False, relax_after=3 * DAY)
    weekly = parse_client_config(f'{LEAST}interval = "7 days"', "client.toml").conditions
    assert weekly.relax_after == 9 * DAY  # a backup that is due has had no time to be late
    never = parse_client_config(f'{LEAST}relax_after = "never"', "client.toml").conditions
    assert never.relax_after is None


def test_without_a_command_the_gate_is_meant() -> None:
    """A server is all that is needed then; without a server there is nothing to do."""
    config = parse_client_config('server = "backup@server"\n', "client.toml")
    assert config == ClientConfig(Target("server", "backup"), None)
    assert config.reconnect_for == timedelta(minutes=2)
    assert mistakes_in("")[1:] == [f"  server: missing; allowed: {argv.ALLOWED}"]


@pytest.mark.parametrize(
    ("days", "stale", "forgotten"),
    [(1, 7, 30), (2, 7, 30), (3, 9, 30), (10, 30, 30), (56, 168, 168)],
)
def test_what_comes_rarely_is_missed_and_forgotten_later(
    days: int, stale: int, forgotten: int
) -> None:
    """Stale is a week or three intervals, forgotten thirty days or three intervals."""
    config = parse_client_config(f'{LEAST}interval = "{days}d"\n', "client.toml")
    assert config.policy.stale_after == stale * DAY
    assert config.policy.forget_after == forgotten * DAY


def test_all_mistakes_are_told_at_once() -> None:
    """Each with its key, what was found, and what is allowed."""
    text = """
        server = "-host"
        interval = "daily"
        watch = "both"
        disks = "/home"
        key = "id_rsa"
        pasword_file = "/etc/x"
        zzz = 1
        [ssh]
        keepalive = 0
        timeout = 1
        """
    keys = ", ".join(field.name for field in fields(ClientConfig))
    assert sorted(mistakes_in(text)) == sorted(
        [
            "client.toml has 9 mistakes",
            f"  server: found '-host'; allowed: {argv.ALLOWED} "
            "(a host's name does not begin with '-')",
            f"  interval: found 'daily'; allowed: {interval.ALLOWED} (not a span of time)",
            '  watch: found \'both\'; allowed: "newest" or "each"',
            "  disks: found '/home'; allowed: a list of disks as the disklist names them, "
            '["/home", "/etc"]',
            '  key: found something else; allowed: a file\'s whole path, "/..." or "~/..."',
            "  pasword_file: unknown key; did you mean password_file?",
            f"  zzz: unknown key; allowed: {keys}",
            f"  ssh.keepalive: found 0; allowed: {interval.ALLOWED} (not above zero)",
            "  ssh.timeout: unknown key; did you mean connect_timeout?",
        ]
    )


@pytest.mark.parametrize(
    ("line", "key", "found"),
    [
        ("interval = true", "interval", "True"),
        ("interval = [24]", "interval", "a list"),
        ("interval = -1", "interval", "-1"),
        ("interval = nan", "interval", "a number beyond all bounds"),
        ("interval = inf", "interval", "a number beyond all bounds"),
        (f"interval = 0x{'f' * 5000}", "interval", "a number beyond all bounds"),
        ("interval = 2026-11-23", "interval", "something else"),
        ("forget_after = 0", "forget_after", "0"),
        ('stale_after = "soon"', "stale_after", "'soon'"),
        ('settle = "-1h"', "settle", "'-1h'"),
        ("reconnect_for = 0", "reconnect_for", "0"),
        ('command = ""', "command", "''"),
        ("watch = 1", "watch", "1"),
        ("watch = []", "watch", "a list"),
        ("disks = [1]", "disks", "a list"),
        ('disks = [""]', "disks", "a list"),
        ("disks = {}", "disks", "a table"),
        ('user = ""', "user", "''"),
        ("user = 1", "user", "1"),
        ('amandates = ""', "amandates", "something else"),
        ("amandates = 1", "amandates", "something else"),
        ("on_battery = 50", "on_battery", "50"),
        ('on_battery = "half"', "on_battery", "'half'"),
        ('on_battery = "0%"', "on_battery", "'0%'"),
        ("on_battery = []", "on_battery", "a list"),
        ("metered = true", "metered", "True"),
        ('networks = "Office"', "networks", "'Office'"),
        ("not_networks = [1]", "not_networks", "a list"),
        ('windows = "08:00-19:00"', "windows", "'08:...'"),
        ("windows = [8]", "windows", "a list"),
        ('windows = ["8-19"]', "windows", "'8-19'"),
        ("max_load = 0", "max_load", "0"),
        ("max_load = true", "max_load", "True"),
        ("max_load = nan", "max_load", "a number beyond all bounds"),
        ('unknown = "maybe"', "unknown", "'maybe'"),
        ('relax_after = "soon"', "relax_after", "'soon'"),
        ('pause = "wait"', "pause", "'wait'"),
        ("inhibit_for = 0", "inhibit_for", "0"),
        ('inhibit_lid = "yes"', "inhibit_lid", "'yes'"),
        ("retry_within = 0", "retry_within", "0"),
        ("spread = 0", "spread", "0"),
        ("notify = 5", "notify", "5"),
        ("ssh = 5", "ssh", "5"),
        ("ssh = []", "ssh", "a list"),
        ('ssh = "x"', "ssh", "'x'"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_its_key(line: str, key: str, found: str) -> None:
    """Key, what was found (by its kind where its text may be a secret), what is allowed."""
    head, told = mistakes_in(f'server = "server"\n{line}\n')
    assert head == "client.toml has 1 mistake"
    assert told.startswith(f"  {key}: found {found}; allowed: ")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('interval = "2d"\nstale_after = "1d"', "stale_after"),
        ('interval = "2d"\nforget_after = "1d"', "forget_after"),
        ('interval = "2d"\nrelax_after = "1d"', "relax_after"),
    ],
)
def test_values_that_contradict_each_other_are_told(lines: str, told: str) -> None:
    """Each alone would be allowed."""
    assert mistakes_in(f"{LEAST}{lines}\n")[1:] == [
        f"  {told}: found a shorter span than interval; allowed: at least interval"
    ]


def test_a_contradiction_is_told_beside_a_value_that_is_not_allowed() -> None:
    """Who fixes the one is not sent back for the other."""
    text = 'server = "u:pw@h"\ncommand = "x"\nwatch = "both"\n'
    assert [told.partition(": ")[0] for told in mistakes_in(text)[1:]] == ["  watch", "  server"]


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ('interval = "8 weeks"\nforget_after = "soon"', ["forget_after"]),
        ('interval = "8 weeks"\nstale_after = "soon"', ["stale_after"]),
        ('interval = "daily"\nforget_after = "12h"\nstale_after = "12h"', ["interval"]),
        (
            'interval = "daily"\n[ssh]\nkeepalive = "6m"\nconnect_timeout = 0',
            ["interval", "ssh.connect_timeout"],
        ),
    ],
)
def test_a_value_that_is_not_allowed_contradicts_nothing(lines: str, keys: list[str]) -> None:
    """Each wrong key is told once, and what is unknown is not compared."""
    told = mistakes_in(f"{LEAST}{lines}\n")[1:]
    assert [mistake.strip().partition(": ")[0] for mistake in told] == keys


@pytest.mark.parametrize("value", ["12:30", "12:30 h", ":", "root:hunter2 x"])
def test_a_text_with_a_colon_is_shown_up_to_that(value: str) -> None:
    """What is found is not shown as what is allowed, and what may be a password not at all."""
    (told,) = mistakes_in(f'{LEAST}interval = "{value}"\n')[1:]
    assert told.startswith(f"  interval: found '{value.partition(':')[0]}:...'; allowed: ")


@pytest.mark.parametrize("key", ["command", "user", "amandates", "key"])
def test_a_text_that_no_system_call_takes_is_not_allowed(key: str) -> None:
    """A NUL ends a word too early, wherever it goes."""
    text = "".join(line for line in LEAST.splitlines(True) if not line.startswith(key))
    (told,) = mistakes_in(f'{text}{key} = "/a\\u0000b"\n')[1:]
    assert told.startswith(f"  {key}: found ")


def test_a_key_that_may_be_a_password_is_not_shown() -> None:
    """Who forgets the equals sign's left side has written the secret there."""
    (told,) = mistakes_in(f'{LEAST}"root:hunter2@server" = 1\n')[1:]
    assert told.startswith("  ...: unknown key; ")


@pytest.mark.parametrize("key", ["connect_timeout", "keepalive"])
def test_a_silence_of_five_minutes_is_the_longest(key: str) -> None:
    """A dead link is to be found out while somebody still waits."""
    config = parse_client_config(f'{LEAST}[ssh]\n{key} = "5m"\n', "client.toml")
    assert getattr(config.ssh, key) == timedelta(minutes=5)
    assert mistakes_in(f'{LEAST}[ssh]\n{key} = "301s"\n')[1:] == [
        f'  ssh.{key}: found more than five minutes; allowed: at most that, such as "15s"'
    ]


@pytest.mark.parametrize("text", ["server = host", 'command = "x', "=", "[ssh", "a=1\na=2\n"])
def test_what_is_no_toml_is_told_with_its_place(text: str) -> None:
    """The file's name and the place are in the message."""
    with pytest.raises(ConfigurationError, match=r"client.toml is not TOML: .*\(at .+\)") as error:
        parse_client_config(text, "client.toml")
    assert error.value.reference == "config-not-toml"


@pytest.mark.parametrize("text", [f"a={'1' * 5000}", f"a={'[' * 5000}"], ids=["digits", "deep"])
def test_what_no_parser_takes_is_no_toml_either(text: str) -> None:
    """A number or a nesting beyond all bounds ends like any other slip."""
    with pytest.raises(ConfigurationError, match=r"client.toml is not TOML: ") as error:
        parse_client_config(text, "client.toml")
    assert error.value.reference == "config-not-toml"


@pytest.mark.parametrize(
    "server",
    [
        "root:hunter2@server",
        "root:hunter2@server:none",
        "root:hunter2@-oProxyCommand=x",
        "root:hunter2@[x]",
        "root:p@hunter2:x@server@@",
        "-root:hunter2@server",
        "root:hunter2",
    ],
)
def test_a_password_in_the_file_is_refused_and_never_shown(server: str) -> None:
    """A configuration may be read by others; its error report is read by even more."""
    told = "\n".join(mistakes_in(f'server = "{server}"\ncommand = "x"\n'))
    assert "server: found " in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "text",
    [
        'command = "x"\n[server]\nhost = "x"\npassword = "hunter2"\n',
        'server = ["root:hunter2@h"]\ncommand = "x"\n',
        f'{LEAST}password_file = "hunter2"\n',
        f'{LEAST}key = {{password = "hunter2"}}\n',
        f'{LEAST}key = ["hunter2"]\n',
        f'{LEAST}watch = {{password = "hunter2"}}\n',
        f'{LEAST}password = "hunter2"\n',
    ],
)
def test_a_password_in_the_wrong_place_is_never_shown(text: str) -> None:
    """Wherever people who guess may have put it."""
    assert "hunter2" not in "\n".join(mistakes_in(text))


def test_a_configuration_printed_shows_no_password() -> None:
    """Not even one that was put there in the program."""
    config = ClientConfig(Target("server", "root", None, "hunter2"), "amdump")
    assert "hunter2" not in f"{config} {config!r} {config.server} {config.policy}"


def test_a_long_value_is_shown_short() -> None:
    """Enough to recognise it."""
    assert len(mistakes_in(f'{LEAST}interval = "{"x" * 1000}"\n')[1]) < 300


HOME = {"HOME": "/home/ana"}


@pytest.mark.parametrize(
    ("environ", "named", "path"),
    [
        (HOME, "/x.toml", "/x.toml"),
        ({**HOME, "ASYNCAMANDA_CONFIG": "/y.toml"}, None, "/y.toml"),
        ({**HOME, "ASYNCAMANDA_CONFIG": "/y.toml"}, "/x.toml", "/x.toml"),
    ],
)
def test_a_configuration_that_is_named_is_the_only_one(
    environ: dict[str, str], named: str | None, path: str
) -> None:
    """The option goes before the environment."""
    assert candidate_files(environ, named) == (Path(path),)


def test_the_system_file_is_looked_for_last() -> None:
    """Whoever starts it."""
    assert candidate_files(HOME, None)[-1] == SYSTEM_FILE

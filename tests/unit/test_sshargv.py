"""ssh destinations and command lines, as tables."""

from datetime import timedelta

import pytest

from asyncamanda.core.ssh.argv import (
    SshOptions,
    Target,
    parse_target,
    plan_master,
    plan_session,
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("host", Target("host")),
        ("host.example.org", Target("host.example.org")),
        ("10.0.0.1", Target("10.0.0.1")),
        ("under_score-and-dash", Target("under_score-and-dash")),
        ("bücher.example", Target("bücher.example")),
        ("host:22", Target("host", port=22)),
        ("host:1", Target("host", port=1)),
        ("host:65535", Target("host", port=65535)),
        ("user@host", Target("host", "user")),
        ("first.last+tag@host", Target("host", "first.last+tag")),
        ("user@host:2222", Target("host", "user", 2222)),
        ("user:pw@host", Target("host", "user", None, "pw")),
        ("user:pw@host:2222", Target("host", "user", 2222, "pw")),
        ("user:p@w@host", Target("host", "user", None, "p@w")),
        ("user:p:w@host", Target("host", "user", None, "p:w")),
        ("user:p@w:x@y:22@host:2222", Target("host", "user", 2222, "p@w:x@y:22")),
        ("user::@host", Target("host", "user", None, ":")),
        ("user:@@host", Target("host", "user", None, "@")),
        ("user:-o@host", Target("host", "user", None, "-o")),
        ("user:p[w]@host", Target("host", "user", None, "p[w]")),
        ("user:p w\n@host", Target("host", "user", None, "p w\n")),
        ("[::1]", Target("::1")),
        ("[fe80::1%eth0]:22", Target("fe80::1%eth0", port=22)),
        ("user@[2001:db8::1]", Target("2001:db8::1", "user")),
        ("user:p@[w@[2001:db8::1]:2222", Target("2001:db8::1", "user", 2222, "p@[w")),
        ("[::ffff:10.0.0.1]", Target("::ffff:10.0.0.1")),
    ],
)
def test_a_destination_is_taken_apart(text: str, target: Target) -> None:
    """The last @ ends the password, the first colon begins it; IPv6 stands in brackets."""
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "host's name is empty"),
        ("user@", "host's name is empty"),
        ("@host", "user's name is empty"),
        (":hunter2@host", "user's name is empty"),
        ("user:@host", "password is empty"),
        ("-oProxyCommand=touch", "does not begin with '-'"),
        ("user:hunter2@-oProxyCommand=touch", "does not begin with '-'"),
        ("user@-v", "does not begin with '-'"),
        ("-lroot@host", "user's name"),
        ("us er@host", "user's name"),
        ("user@ho st", "host's name"),
        ("host\n", "host's name"),
        ("user@host;reboot", "host's name"),
        ("$(reboot)", "host's name"),
        ("`reboot`", "host's name"),
        ("user@host/path", "host's name"),
        ("ssh://host", "port is not a number"),
        ("host:", "port is not a number"),
        ("host:0", "port is not a number"),
        ("host:65536", "port is not a number"),
        ("host:-1", "port is not a number"),
        ("host:٢٢", "port is not a number"),
        ("host:22x", "port is not a number"),
        ("host:000022", "port is not a number"),
        ("::1", "IPv6 address without its brackets"),
        ("host:22:33", "not of that form"),
        ("a@b@host", "not of that form"),
        ("[host]", "no IPv6 address within the brackets"),
        ("[]", "no IPv6 address within the brackets"),
        ("[-oProxyCommand=touch]", "no IPv6 address within the brackets"),
        ("[::1", "not of that form"),
        ("[::1]22", "not of that form"),
        ("user:hunter2@[nonsense]", "no IPv6 address within the brackets"),
        ("user:hunter2@host:none", "port is not a number"),
    ],
)
def test_what_names_no_destination_is_refused_with_its_fault(text: str, fault: str) -> None:
    """Nothing that ssh could take for an option passes, and no fault repeats a password."""
    with pytest.raises(ValueError, match=fault) as refusal:
        parse_target(text)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (Target("host"), "host"),
        (Target("host", "user", 22, "hunter2"), "user@host:22"),
        (Target("::1", "user", 22), "user@[::1]:22"),
        (Target("::1"), "[::1]"),
    ],
)
def test_a_target_is_shown_without_its_password(target: Target, shown: str) -> None:
    """What is shown names the same place again; the password is in no text made of it."""
    assert str(target) == shown
    assert "hunter2" not in repr(target)


MASTER_SETTINGS = [
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    "ConnectTimeout=20",
    "ConnectionAttempts=1",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=2",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "ForkAfterAuthentication=no",
    "LogLevel=INFO",
]


def master(batch: str, settings: list[str]) -> list[str]:
    """Return a master's argv up to the destination."""
    words = [f"BatchMode={batch}", *settings]
    options = [word for setting in words for word in ("-o", setting)]
    return ["ssh", "-M", "-N", "-T", "-x", "-a", "-S", "/run/s", *options]


@pytest.mark.parametrize(
    ("target", "options", "argv"),
    [
        (Target("host"), SshOptions(), [*master("yes", MASTER_SETTINGS), "--", "host"]),
        (
            Target("host", "user", 2222),
            SshOptions(),
            [*master("yes", MASTER_SETTINGS), "-l", "user", "-p", "2222", "--", "host"],
        ),
        (
            Target("::1", "user"),
            SshOptions(key="/etc/key"),
            [
                *master("yes", [*MASTER_SETTINGS, 'IdentityFile="/etc/key"', "IdentitiesOnly=yes"]),
                *("-l", "user", "--", "::1"),
            ],
        ),
        (
            Target("host", "user", None, "hunter2"),
            SshOptions(),
            [
                *master("no", [*MASTER_SETTINGS, "NumberOfPasswordPrompts=1"]),
                *("-l", "user", "--", "host"),
            ],
        ),
    ],
)
def test_the_master_checks_the_host_key_and_asks_nobody(
    target: Target, options: SshOptions, argv: list[str]
) -> None:
    """Options, then `--`, then the host; a password is never among them."""
    assert plan_master(target, options, "/run/s") == argv


@pytest.mark.parametrize(
    ("key", "setting"),
    [
        ("/etc/a key", 'IdentityFile="/etc/a key"'),
        ('/etc/"k"', r'IdentityFile="/etc/\"k\""'),
        ("/etc/k\\", r'IdentityFile="/etc/k\\"'),
        ("/etc/%h", 'IdentityFile="/etc/%%h"'),
        ("-oProxyCommand=x", 'IdentityFile="-oProxyCommand=x"'),
    ],
)
def test_a_key_is_the_only_one_offered_whatever_its_file_is_called(key: str, setting: str) -> None:
    """ssh takes blanks, quotes, backslashes and percent signs apart where nobody stops it."""
    argv = plan_master(Target("host"), SshOptions(key), "/run/s")
    assert argv[argv.index(setting) - 1] == "-o"
    assert argv[argv.index("IdentitiesOnly=yes") - 1] == "-o"
    assert key not in argv


@pytest.mark.parametrize(
    ("span", "seconds"),
    [(timedelta(milliseconds=1), 1), (timedelta(seconds=1.6), 2), (timedelta(minutes=2), 120)],
)
def test_ssh_gets_whole_seconds_and_never_zero(span: timedelta, seconds: int) -> None:
    """Zero would switch the check off."""
    argv = plan_master(Target("host"), SshOptions(None, span, span), "/run/s")
    assert f"ConnectTimeout={seconds}" in argv
    assert f"ServerAliveInterval={seconds}" in argv


def test_a_master_may_have_a_log_of_its_own() -> None:
    """What the server prints before the login is not in it."""
    argv = plan_master(Target("host"), SshOptions(), "/run/s", "/run/log")
    assert argv[argv.index("/run/log") - 1] == "-E"
    assert "-E" not in plan_master(Target("host"), SshOptions(), "/run/s")


def test_a_session_goes_over_its_master_or_not_at_all() -> None:
    """Its ProxyCommand fails, so that it cannot connect by itself; the command is one word."""
    command = "/usr/sbin/amdump daily; echo 'x y'"
    settings = [
        "ControlMaster=no",
        "ProxyCommand=false",
        "RemoteCommand=none",
        "SessionType=default",
        "ForkAfterAuthentication=no",
        "ClearAllForwardings=yes",
        "LogLevel=INFO",
    ]
    assert plan_session(Target("host", "user", 2222, "hunter2"), "/run/s", command) == [
        *("ssh", "-T", "-x", "-a", "-S", "/run/s"),
        *(word for setting in settings for word in ("-o", setting)),
        *("-l", "user", "-p", "2222", "--", "host", command),
    ]

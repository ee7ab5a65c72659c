"""The `[notify]` tables of both files, and a client's name in its watchdog's address."""

from datetime import time
from pathlib import Path

import pytest

from asyncamanda.config.client import parse_client_config
from asyncamanda.config.notify import DigestEvery, Notices, name_in_ping
from asyncamanda.config.server import parse_server_config
from asyncamanda.errors import ConfigurationError

HC = "https://hc.example"


def client_ping(url: str) -> str | None:
    """Return what client.toml makes of a watchdog's address."""
    text = f'server = "backup@host"\n[notify]\nping = "{url}"\n'
    return parse_client_config(text, "client.toml").notify.ping


@pytest.mark.parametrize(
    "url",
    [
        f"{HC}/ping/{{client}}",
        f"{HC}/key/{{client}}-backup?create=1&name={{client}}",
        f"{HC}/uuid",
        f"{HC}/{{123e4567-e89b-12d3-a456-426614174000}}",  # what was allowed, and is no placeholder
        f"{HC}/a{{}}b{{1,2}}",
        f"{HC}/%7Bclient%7D",
    ],
)
def test_an_address_may_have_a_place_for_the_client(url: str) -> None:
    """Braces of another kind stay as they are."""
    assert client_ping(url) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"{HC}/ping/{{host}}", "{client} is the only placeholder, and not {host}"),
        (f"{HC}/ping/{{Client}}", "{client} is the only placeholder, and not {Client}"),
        ("https://{client}.example/x", "{client} behind the host"),
        ("https://me:{client}@hc.example/x", "{client} behind the host"),
    ],
)
def test_a_placeholder_that_nobody_fills_is_refused(url: str, words: str) -> None:
    """And the address is not repeated, which may be a secret."""
    with pytest.raises(ConfigurationError) as error:
        client_ping(f"{url}/hunter2")
    assert words in error.value.message
    assert "hunter2" not in error.value.message


@pytest.mark.parametrize(
    ("client", "named"),
    [
        ("laptop", f"{HC}/ping/laptop?n=laptop"),
        ("lap-top_1.example", f"{HC}/ping/lap-top_1.example?n=lap-top_1.example"),
        ("a/b?c#d e%", f"{HC}/ping/a%2Fb%3Fc%23d%20e%25?n=a%2Fb%3Fc%23d%20e%25"),
        ("é\udcff", f"{HC}/ping/%C3%A9%FF?n=%C3%A9%FF"),
    ],
)
def test_a_name_cannot_leave_its_place(client: str, named: str) -> None:
    """Whatever is in it."""
    assert name_in_ping(f"{HC}/ping/{{client}}?n={{client}}", client) == named


def test_the_server_s_table_is_understood() -> None:
    """With the client's readers of what they share."""
    text = f"""
    [notify]
    mail = "root"
    urls = ["ntfy://a"]
    urls_file = "/etc/asyncamanda/urls"
    ping = "{HC}/x"
    digest = "weekly"
    digest_at = "06:30"
    digest_to = "me@example.com"
    """
    notify = parse_server_config(text, "server.toml").notify
    assert notify == Notices(
        "root",
        ("ntfy://a",),
        Path("/etc/asyncamanda/urls"),
        f"{HC}/x",
        DigestEvery.WEEKLY,
        time(6, 30),
        "me@example.com",
    )
    assert (notify.digest_mail, notify.is_wanted) == ("me@example.com", True)
    assert (Notices().is_wanted, Notices(mail="root").digest_mail) == (False, "root")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('digest = "daily"', "notify.digest: found no address for it"),
        ('digest = "hourly"', 'allowed: "daily" or "weekly" or "never"'),
        (f'ping = "{HC}/{{client}}"', "notify.ping: found something else; allowed: a web address"),
        ('desktop = "x"', "notify.desktop: unknown key"),
        ("monthly = true", "notify.monthly: unknown key"),
    ],
)
def test_what_the_server_cannot_do_is_a_mistake(line: str, words: str) -> None:
    """Said as every mistake."""
    with pytest.raises(ConfigurationError) as error:
        parse_server_config(f"[notify]\n{line}\n", "server.toml")
    assert words in error.value.message

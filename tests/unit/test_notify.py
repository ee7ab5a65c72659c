"""What goes out by each channel, before anything goes out."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asyncamanda.client.notify.desktop import find_session_bus, notification_of
from asyncamanda.client.notify.handoff import (
    KEPT,
    LARGEST,
    decode_alerts,
    encode_alerts,
    keep_fresh,
)
from asyncamanda.commands.notify import judge_sent
from asyncamanda.core.agent.alerts import Alert, AlertKind, word_alert
from asyncamanda.errors import Exit
from asyncamanda.notify.mail import compose_mail
from asyncamanda.notify.pings import ping_url
from asyncamanda.notify.sent import PingKind, Sent
from asyncamanda.notify.urls import name_urls, parse_urls

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STALE = word_alert(AlertKind.STALE, "laptop", NOW, None, "no <b>route</b> & no luck", "go home")


@pytest.mark.parametrize(
    ("url", "kind", "called"),
    [
        ("https://hc.example/uuid", PingKind.START, "https://hc.example/uuid/start"),
        ("https://hc.example/uuid", PingKind.SUCCESS, "https://hc.example/uuid"),
        ("https://hc.example/uuid/", PingKind.FAILURE, "https://hc.example/uuid/fail"),
        ("http://h:8000/k/slug?create=1", PingKind.START, "http://h:8000/k/slug/start?create=1"),
        ("http://h/k?rid=a/b#x", PingKind.SUCCESS, "http://h/k?rid=a/b"),
        ("http://h", PingKind.FAILURE, "http://h/fail"),
        ("http://h/é%20", PingKind.START, "http://h/%C3%A9%20/start"),
    ],
)
def test_a_ping_says_in_its_path_what_it_is(url: str, kind: PingKind, called: str) -> None:
    """A query stays behind the path."""
    assert ping_url(url, kind) == called


def test_a_url_is_named_by_its_scheme_only() -> None:
    """And by its number, where there are several; what is no URL is not shown at all."""
    urls = [
        "ntfy://secret",
        "tgram://12:secret/1",
        "NTFY://other",
        "secret",
        "a secret://x",
        "x" * 40 + "://",
        "json+x://h",
    ]
    assert name_urls(urls) == ["ntfy", "tgram", "ntfy 2", "url", "url 2", "url 3", "json+x"]


def test_the_file_of_urls_has_comments() -> None:
    """One URL a line; a # within a URL is a part of it."""
    lines = ["# mine", "", "  ntfy://a  ", "json://b/#room", "\t# no"]
    assert parse_urls(lines) == ["ntfy://a", "json://b/#room"]


def test_a_mail_has_what_machines_and_people_look_for() -> None:
    """Its subject in any language, one line; RFC 3834's header against holiday notices."""
    alert = replace(STALE, client="lap\r\nBcc: eve@example.com", summary="Rechner für Zoë\nx")
    mail = compose_mail("me@example.com", "backup", alert)
    assert mail["To"] == "me@example.com"
    assert mail["From"] == '"asyncamanda on lap Bcc: eve@example.com" <backup>'
    assert mail["Subject"] == "asyncamanda: Rechner für Zoë x"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Asyncamanda-Client"] == "lap Bcc: eve@example.com"
    assert mail["Bcc"] is None
    raw = mail.as_bytes()
    assert b"Subject: asyncamanda: Rechner =?utf-8?" in raw
    assert mail["Date"].datetime == NOW


def test_a_notification_is_short_plain_text() -> None:
    """What somebody has to act on stays on the screen."""
    shown = notification_of(STALE)
    assert (shown.title, shown.body) == (
        "laptop was never backed up",
        "no <b>route</b> & no luck\ngo home",
    )
    assert (shown.icon, shown.is_critical) == ("dialog-warning", True)
    well = notification_of(word_alert(AlertKind.RECOVERED, "laptop", NOW, detail="x\n" * 1000))
    assert (well.icon, well.is_critical, len(well.body)) == ("drive-harddisk", False, 503)


def test_the_sessions_own_address_goes_first() -> None:
    """Where neither is, there is no desktop."""
    assert find_session_bus({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}, 1) == "unix:path=/x"
    assert find_session_bus({}, 4_000_000_000) is None


def test_what_is_left_for_root_comes_back() -> None:
    """The newest of each kind, oldest first."""
    later = replace(STALE, at=NOW + timedelta(hours=1), detail="newer\udce9")
    failed = word_alert(AlertKind.FAILED, "laptop", NOW + timedelta(minutes=1))
    text = encode_alerts([later, failed, STALE])
    assert decode_alerts(text.encode()) == (failed, later)


def _changed(**changes: object) -> bytes:
    value = json.loads(encode_alerts([STALE]))
    value["alerts"][0].update(changes)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"root:x:0:0",
        b"[]",
        b"7",
        b'{"format": 1}',
        b'{"format": 2, "alerts": []}',
        b'{"format": 1, "alerts": {}}',
        b'{"format": 1, "alerts": [7]}',
        b'{"format": 1, "alerts": [{}]}',
        b"[" * LARGEST,
        b"[" * (LARGEST + 1),
        b"\xff",
        _changed(kind="other"),
        _changed(kind=[]),
        _changed(summary=7),
        _changed(summary="x" * 1001),
        _changed(at="2026-11-23T12:00:00"),
        _changed(at=7),
        _changed(at="0001-01-01T00:00:00+23:59"),
        _changed(more=""),
    ],
)
def test_what_is_left_for_root_is_read_strictly(raw: bytes) -> None:
    """It comes from somebody who is not root."""
    with pytest.raises((ValueError, KeyError, TypeError, OverflowError, RecursionError)):
        decode_alerts(raw)


@pytest.mark.parametrize(
    ("age", "is_kept"),
    [
        (timedelta(0), True),
        (KEPT, True),
        (KEPT + timedelta(seconds=1), False),
        (-KEPT - timedelta(seconds=1), False),
    ],
)
def test_news_grow_old(age: timedelta, is_kept: bool) -> None:
    """And what is dated far ahead is none."""
    assert bool(keep_fresh([STALE], NOW + age)) is is_kept


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([Sent("mail"), Sent("ntfy")], Exit.OK),
        ([Sent("mail"), Sent("ntfy", "no answer")], Exit.LATER),
        ([Sent("ntfy", "no answer"), Sent("mail", "none here", True)], Exit.CONFIGURATION),
    ],
)
def test_the_exit_says_whether_trying_again_would_help(sent: list[Sent], code: Exit) -> None:
    """What has to be fixed goes first."""
    assert judge_sent(sent) is code


def test_long_texts_are_cut_where_they_are_left() -> None:
    """So that what was written can be read again."""
    long = Alert(AlertKind.FAILED, "c" * 9999, NOW, "s" * 9999, "d" * 99_999, "h" * 9999)
    raw = encode_alerts([replace(long, kind=kind) for kind in AlertKind]).encode()
    assert len(raw) < LARGEST
    assert len(decode_alerts(raw)) == len(AlertKind)

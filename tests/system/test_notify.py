"""Telling people: by sendmail, web services, watchdogs and files; none can harm the agent."""

from __future__ import annotations

import email
import email.policy
import json
import os
import signal
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.system.desktops import notify_table
from tests.system.receiving import Receiver, set_sendmail

from asyncamanda.client.notify import channels
from asyncamanda.client.notify.channels import Metrics, PingKind, Sent
from asyncamanda.config.client import NotifySettings
from asyncamanda.core.agent.alerts import AlertKind, word_alert
from asyncamanda.core.model import BackupState, Outcome
from asyncamanda.notify import mail
from lab.patience import at_most

if TYPE_CHECKING:
    from tests.system.conftest import Rig

# which apprise imports, on Pythons that have it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAILED = word_alert(AlertKind.FAILED, "laptop", NOW, detail="no <b>disk</b>", hint="see to it")
SECRET = "hunter2"
SHORT = 2  # seconds


def tell(settings: NotifySettings, folder: Path, limit: float = 10) -> dict[str, Sent]:
    """Report a failure; return how it went by channel, the journal's aside."""
    sent = channels.tell(settings, FAILED, folder, limit=limit)
    return {one.channel: one for one in sent if one.channel != channels.JOURNAL}


def by_mail(to: str = "me@example.com") -> NotifySettings:
    """Return settings that tell by mail only."""
    return NotifySettings(desktop=False, mail=to)


# -- mail


def test_a_mail_goes_to_the_local_sendmail(sendmail: Path, tmp_path: Path) -> None:
    """Whole, as plain text, with the address as the argument."""
    assert tell(by_mail(), tmp_path) == {"mail": Sent("mail")}
    assert (sendmail / "arguments").read_text() == "-i me@example.com\n"
    raw = (sendmail / "mail").read_bytes()
    assert b"\r" not in raw
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message["Subject"] == "asyncamanda: the backup of laptop failed"
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_content()
    assert "no <b>disk</b>" in body
    assert "What to do: see to it" in body


def test_a_sendmail_that_fails_is_a_problem(sendmail: Path, tmp_path: Path) -> None:
    """In its own words."""
    set_sendmail(sendmail, "echo 'no such \x1b mailbox' >&2; exit 67")
    (sent,) = tell(by_mail(), tmp_path).values()
    assert sent.problem == r"sendmail ended with 67: no such \x1b mailbox"


def test_a_sendmail_that_hangs_is_ended(sendmail: Path, tmp_path: Path) -> None:
    """With what it has started."""
    set_sendmail(sendmail, f"echo $$ >{sendmail}/pid; sleep 60 & sleep 60")
    began = time.monotonic()
    (sent,) = tell(by_mail(), tmp_path, SHORT).values()
    assert sent.problem == "sendmail did not end within 2 seconds"
    assert time.monotonic() - began < at_most(10)
    assert not Path("/proc", (sendmail / "pid").read_text().strip()).exists()


def test_what_sendmail_leaves_running_keeps_nobody_waiting(sendmail: Path, tmp_path: Path) -> None:
    """An MTA may deliver in the background, with our descriptors."""
    set_sendmail(sendmail, f"sleep 600 & echo $! >{sendmail}/pid; exit 0")
    assert tell(by_mail(), tmp_path) == {"mail": Sent("mail")}
    os.kill(int((sendmail / "pid").read_text()), signal.SIGKILL)  # so it is still there


def test_without_a_sendmail_no_mail_can_go(
    sendmail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for on PATH, then where it usually is."""
    (sendmail / "sendmail").rename(tmp_path / "usual")
    monkeypatch.setattr(mail, "USUAL_PLACE", tmp_path / "usual")
    assert tell(by_mail(), tmp_path)["mail"].problem is None
    monkeypatch.setattr(mail, "USUAL_PLACE", tmp_path / "none")
    (sent,) = tell(by_mail(), tmp_path).values()
    assert (sent.is_mistake, "no sendmail here" in str(sent.problem)) == (True, True)


# -- apprise


def test_a_web_service_is_told(receiver: Receiver, tmp_path: Path) -> None:
    """Each URL, those in the file included; a failure is one to the service, too."""
    pytest.importorskip("apprise")
    file = tmp_path / "urls"
    file.write_text(f"# mine\n\n{receiver.url('/second', 'json')}\n")
    file.chmod(0o600)
    urls = (receiver.url("/first", "json"),)
    sent = tell(NotifySettings(desktop=False, urls=urls, urls_file=file), tmp_path)
    assert sent == {name: Sent(name) for name in ("json", "json 2")}
    assert sorted(path for _, path, _, _ in receiver.calls) == ["/first", "/second"]
    value = json.loads(receiver.calls[0][3])
    assert (value["title"], value["type"]) == (
        "asyncamanda: the backup of laptop failed",
        "failure",
    )
    assert "no <b>disk</b>" in value["message"]


def test_a_web_service_that_does_not_take_it_is_a_problem(
    receiver: Receiver,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that says no, one that refuses, one that nobody knows; no URL is shown or logged."""
    pytest.importorskip("apprise")
    receiver.status = 500
    urls = (
        receiver.url(f"/{SECRET}", "json", f"u:{SECRET}@"),
        f"xml://u:{SECRET}@127.0.0.1:1/{SECRET}",
        f"nosuch://{SECRET}",
        SECRET,
    )
    sent = tell(NotifySettings(desktop=False, urls=urls), tmp_path)
    assert {name: one.is_mistake for name, one in sent.items()} == {
        "json": False,
        "xml": False,
        "nosuch": True,
        "url": True,
    }
    assert all(one.problem for one in sent.values())
    said = capfd.readouterr()
    assert SECRET not in repr(sent) + said.out + said.err + caplog.text
    assert (said.out, said.err) == ("", "")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_of_urls_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    """There are secrets in it, which are then no longer."""
    file = tmp_path / "urls"
    file.write_text(f"json://127.0.0.1:1/{SECRET}\n")
    file.chmod(mode)
    (sent,) = tell(NotifySettings(desktop=False, urls_file=file), tmp_path).values()
    assert (sent.channel, sent.is_mistake) == ("urls_file", True)
    assert "others can read it" in str(sent.problem)


def test_a_file_of_urls_that_is_none(tmp_path: Path) -> None:
    """Missing, a folder, or far too large."""
    large = tmp_path / "large"
    large.write_text("#" * 70_000)
    large.chmod(0o600)
    for path, words in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (large, "larger than"),
    ):
        (sent,) = tell(NotifySettings(desktop=False, urls_file=path), tmp_path).values()
        assert words in str(sent.problem)


# -- pings


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (PingKind.START, "/key/start?create=1"),
        (PingKind.SUCCESS, "/key?create=1"),
        (PingKind.FAILURE, "/key/fail?create=1"),
    ],
)
def test_a_watchdog_hears_how_it_goes(receiver: Receiver, kind: PingKind, path: str) -> None:
    """With a short text; a name and a password in the URL go in a header."""
    url = receiver.url("/key?create=1", login="me:hunter%32@")
    sent = channels.ping(NotifySettings(ping=url), kind, "went\udce9 é")
    assert sent == Sent("ping")
    ((method, called, headers, body),) = receiver.calls
    assert (method, called, body) == ("POST", path, "went\\udce9 é".encode())
    assert headers["Authorization"] == "Basic bWU6aHVudGVyMg=="
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("status", "is_mistake"), [(500, False), (429, False), (404, True), (401, True)]
)
def test_a_watchdog_that_says_no_is_a_problem(
    receiver: Receiver, status: int, is_mistake: bool
) -> None:
    """The number is told, the URL is not."""
    receiver.status = status
    sent = channels.ping(NotifySettings(ping=receiver.url(f"/{SECRET}")), PingKind.SUCCESS, "")
    assert sent == Sent("ping", f"the server answered with {status}", is_mistake)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"http://127.0.0.1:1/{SECRET}", "Connection refused"),
        (f"http://127.0.0.1:port/{SECRET}", "not a web address"),
        (f"http://u:{SECRET}@127.0.0.1:99999999/{SECRET}", ""),
        (f"http://[{SECRET}/", "not a web address"),
        (f"http://{SECRET * 50}.invalid/", ""),
    ],
)
def test_a_watchdog_that_is_not_there_is_a_problem(url: str, words: str) -> None:
    """Whatever is wrong with its URL, which is a secret."""
    sent = channels.ping(NotifySettings(ping=url), PingKind.FAILURE, "")
    assert sent
    assert words in str(sent.problem)
    assert SECRET not in repr(sent)


def test_without_a_watchdog_nobody_is_pinged() -> None:
    """That is no problem."""
    assert channels.ping(NotifySettings(), PingKind.START, "") is None


# -- the time that it takes


def test_channels_that_hang_have_one_time_limit_together(
    receiver: Receiver, sendmail: Path, tmp_path: Path
) -> None:
    """They are tried side by side, and what went well is known at once."""
    set_sendmail(sendmail, "exit 0")
    receiver.status = None
    urls = (receiver.url("/a", "json"), receiver.url("/b", "json"))
    began = time.monotonic()
    sent = tell(NotifySettings(desktop=False, mail="root", urls=urls), tmp_path, SHORT)
    ping = channels.ping(NotifySettings(ping=receiver.url("/c")), PingKind.START, "", SHORT)
    assert time.monotonic() - began < at_most(2 * (SHORT + 1) + 1)
    assert sent["mail"] == Sent("mail")
    assert sent["json"].problem == sent["json 2"].problem == "no end within 2 seconds"
    assert ping == Sent("ping", "no answer in time")


# -- a change of state


def test_a_channel_that_could_not_be_told_is_told_by_the_next_start(
    receiver: Receiver, sendmail: Path, tmp_path: Path
) -> None:
    """Each channel is told once, and of a recovery only where it was told about the failure."""
    pytest.importorskip("apprise")
    settings = NotifySettings(desktop=False, mail="me", urls=(receiver.url("/a", "json"),))
    told: dict[str, BackupState] = {}
    mails = []
    for status, outcome in (
        (500, Outcome.FAILED),
        (200, Outcome.FAILED),
        (200, Outcome.FAILED),
        (200, Outcome.BACKED_UP),
        (200, Outcome.BACKED_UP),
    ):
        receiver.status = status
        told, _ = channels.tell_change(
            settings,
            told,
            outcome=outcome,
            is_stale=False,
            word=lambda kind: word_alert(kind, "laptop", NOW),
            state_folder=tmp_path,
        )
        mails.append((sendmail / "mail").exists())
        (sendmail / "mail").unlink(missing_ok=True)
    assert [json.loads(call[3])["type"] for call in receiver.calls] == [
        "failure",
        "failure",
        "success",
    ]
    assert mails == [True, False, False, True, False]
    assert told == {}


def test_a_failure_is_told_after_that_nothing_is_known(sendmail: Path, tmp_path: Path) -> None:
    """That no proof was made for long is less than that one has failed."""
    settings = NotifySettings(desktop=False, mail="me")
    told: dict[str, BackupState] = {}
    mails = []
    for state in (
        BackupState.STALE,
        BackupState.STALE,
        BackupState.FAILED,
        BackupState.FAILED,
        BackupState.WELL,
    ):
        told, _ = channels.tell_state(
            settings, told, state, lambda kind: word_alert(kind, "laptop", NOW), tmp_path
        )
        mails.append((sendmail / "mail").exists())
        (sendmail / "mail").unlink(missing_ok=True)
    assert mails == [True, False, True, False, True]
    assert told == {}


# -- the text file


def test_the_text_file_is_replaced_whole(tmp_path: Path) -> None:
    """Readable to the exporter, which is another user."""
    path = tmp_path / "asyncamanda.prom"
    path.write_text("old\n")
    standing = Metrics(NOW, {"/home": NOW})
    assert channels.write_textfile(NotifySettings(textfile=path), standing) == Sent("textfile")
    assert f'{{disk="/home"}} {NOW.timestamp()!r}\n' in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_text_file_that_nobody_would_read_is_a_problem(tmp_path: Path) -> None:
    """By its name, or since it cannot be written."""
    for path, words in (
        (tmp_path / "asyncamanda.txt", "*.prom"),
        (tmp_path / "none" / "a.prom", "No such file"),
    ):
        sent = channels.write_textfile(NotifySettings(textfile=path), Metrics(NOW, {}))
        assert sent
        assert (sent.is_mistake, words in str(sent.problem)) == (True, True)
    assert channels.write_textfile(NotifySettings(), Metrics(NOW, {})) is None


# -- the command


def test_the_command_tries_every_channel(rig: Rig) -> None:
    """As the Amanda user; what has to be fixed makes it end with 78."""
    path = "/usr/local/sbin/sendmail"
    script = "#!/bin/sh\n{ id -un; cat; } >/srv/mail/mail\n"
    rig.laptop.make_directory("/srv/mail", owner="backup")
    rig.laptop.write(path, script, mode=0o755)
    rig.configure()
    rig.laptop.write("/etc/asyncamanda/urls", f"ntfy://{SECRET}\n", owner="backup")
    notify_table(rig, desktop=False, mail="root", urls_file="/etc/asyncamanda/urls")
    done = rig.run("notify", "--test", "--json")
    rows = {row["channel"]: row["problem"] for row in done.json}
    assert done.exit == 78
    assert rows == {
        "journal": None,
        "mail": None,
        "urls_file": rows["urls_file"],
    }
    assert "others can read it" in rows["urls_file"]
    user, _, text = rig.laptop.read("/srv/mail/mail").partition("\n")
    assert user == "backup"
    assert "Subject: asyncamanda: a test notification from laptop" in text
    shown = rig.run("notify", "--test")
    assert "others can read it" in shown.stdout
    assert SECRET not in done.stdout + done.stderr + shown.stdout + shown.stderr
    rig.laptop.remove(path)


def test_a_network_that_is_not_there_is_for_later(rig: Rig) -> None:
    """It ends with 75, and shows no secret."""
    rig.configure()
    notify_table(rig, desktop=False, ping=f"http://127.0.0.1:1/{SECRET}")
    done = rig.run("notify", "--test")
    assert done.exit == 75
    assert "Connection refused" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_where_nobody_is_told_that_is_a_mistake(rig: Rig) -> None:
    """Who asks for a test wants to be told somehow."""
    rig.configure()
    notify_table(rig, desktop=False)
    done = rig.run("notify", "--test", "--json")
    assert (done.exit, done.json["error"]) == (78, "tells-nobody")

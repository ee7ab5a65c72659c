"""Who uses the machine is told once a month, by mail; and not twice, whatever happens."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.system.receiving import set_sendmail

from asyncamanda.client.notify.monthly import FILE_NAME, tell_month
from asyncamanda.config.client import NotifySettings
from asyncamanda.core.model import Attempt, Memory, Outcome
from asyncamanda.notify.sent import Sent

DAY = timedelta(days=1)
DECEMBER = datetime(2026, 12, 3, 9, tzinfo=UTC)
BACKUP = datetime(2026, 11, 12, 10, tzinfo=UTC)
MEMORY = Memory(BACKUP - 99 * DAY, attempts=(Attempt(BACKUP, BACKUP, Outcome.BACKED_UP),))
USE: dict[date, float | None] = {date(2026, 11, 12): 9000.0, date(2026, 11, 13): 9000.0}
WANTED = NotifySettings(desktop=False, mail="me", monthly=True)


def tell(
    folder: Path, settings: NotifySettings = WANTED, now: datetime = DECEMBER
) -> tuple[Sent, ...]:
    """Make one start's part of it."""
    return tell_month(
        settings,
        memory=MEMORY,
        use=USE,
        interval=DAY,
        client="laptop",
        state_folder=folder,
        now=now,
    )


def test_a_month_is_mailed_once(sendmail: Path, tmp_path: Path) -> None:
    """By the first start after it, and no other."""
    assert tell(tmp_path, NotifySettings(desktop=False, mail="me")) == ()
    assert tell(tmp_path) == (Sent("mail"),)
    text = (sendmail / "mail").read_text()
    subject = "Subject: asyncamanda: November: protected on 1 of 2 working days; no proof yet"
    assert subject in text.replace("\n ", " ")
    assert tell(tmp_path) == tell(tmp_path, now=DECEMBER + 20 * DAY) == ()


def test_who_could_not_be_reached_is_told_by_the_next_start(sendmail: Path, tmp_path: Path) -> None:
    """The month stays to be told."""
    set_sendmail(sendmail, "exit 75")
    for _ in range(2):
        (sent,) = tell(tmp_path)
        assert sent.problem == "sendmail ended with 75"
    set_sendmail(sendmail, "exit 0")
    assert tell(tmp_path) == (Sent("mail"),)
    assert tell(tmp_path) == ()


def test_a_crash_while_it_is_sent_does_not_tell_it_twice(
    sendmail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written down before."""
    set_sendmail(sendmail, "exit 0")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("asyncamanda.client.notify.monthly.tell_user", crash)
        with pytest.raises(KeyboardInterrupt):
            tell(tmp_path)
    assert tell(tmp_path) == ()


def test_where_nothing_can_be_written_nothing_is_told(sendmail: Path, tmp_path: Path) -> None:
    """Else each start would tell it."""
    assert tell(tmp_path / "none") == ()
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe garbage")
    assert tell(tmp_path) == (Sent("mail"),)
    assert (sendmail / "mail").exists()

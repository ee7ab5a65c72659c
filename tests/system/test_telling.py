"""The server tells people of its clients: by a real sendmail stand-in, web services, a watchdog."""

import email
import email.policy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import time, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.fleets import DAY, HOUR, NOON, make_client
from tests.system.receiving import Receiver, set_sendmail
from tests.system.test_restores_recorded import DATABASES, PATIENCE, place_of

from asyncamanda.config.notify import DigestEvery, Notices
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.notify.sent import Sent
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.telling.changes import tell_changes
from asyncamanda.server.telling.digests import to_local

# which apprise imports, on Pythons that have it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

PROTECTED, FAILING = ClientState.PROTECTED, ClientState.FAILING
BY_MAIL = Notices(mail="root")


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = Ledger.open(place_of(request.param, tmp_path), PATIENCE)
    yield opened
    opened.close()


@pytest.fixture
def mails(sendmail: Path) -> Path:
    """A folder in which each mail is a file."""
    folder = sendmail / "mails"
    folder.mkdir()
    set_sendmail(sendmail, f"cat >$(mktemp {folder}/XXXXXXXX)")
    return folder


def take(mails: Path) -> list[EmailMessage]:
    """Return the mails that came, and forget them."""
    taken = []
    for path in mails.iterdir():
        taken.append(email.message_from_bytes(path.read_bytes(), policy=email.policy.default))
        path.unlink()
    return sorted(taken, key=lambda mail: str(mail["Subject"]))


def client(name: str, state: ClientState) -> ClientView:
    """A client in that state."""
    made = make_client(0, name, NOON)
    alarm = "3 runs failed: no space left" if state is FAILING else ""
    standing = replace(made.standing, state=state, alarm=alarm, sentence=f"{state.value} since")
    return replace(made, standing=standing)


def fleet(state: ClientState, *names: str, after: timedelta = timedelta()) -> FleetView:
    """The clients of these names, all in one state."""
    return FleetView(NOON + after, tuple(client(name, state) for name in names))


def tell(notices: Notices, ledger: Ledger, view: FleetView) -> dict[str, Sent]:
    """Look once; return the results by channel."""
    sent = tell_changes(ServerConfig(notify=notices), ledger, view)
    return {each.channel: each for each in sent}


def test_a_client_s_alarm_and_its_end_are_mailed_once(ledger: Ledger, mails: Path) -> None:
    """With its reason, and what to do; a second look has nothing to say."""
    for _ in range(2):
        tell(BY_MAIL, ledger, fleet(FAILING, "laptop"))
    (mail,) = take(mails)
    assert mail["Subject"] == "asyncamanda: laptop: 3 runs failed: no space left"
    text = mail.get_content()
    assert "failing since\nits last dump was confirmed\n" in text
    assert "What to do: on the server, as root: asyncamanda server doctor laptop" in text
    for _ in range(2):
        tell(BY_MAIL, ledger, fleet(PROTECTED, "laptop", after=HOUR))
    (mail,) = take(mails)
    assert mail["Subject"] == "asyncamanda: laptop is backed up again"


def test_an_office_is_one_mail(ledger: Ledger, mails: Path) -> None:
    """Two hundred clients; its text names forty of them, and so many others."""
    names = [f"pc{number:03}" for number in range(200)]
    tell(BY_MAIL, ledger, fleet(FAILING, *names))
    (mail,) = take(mails)
    assert mail["Subject"] == "asyncamanda: 200 clients need attention (200 failing)"
    text = mail.get_content()
    assert "No client at all is connected, the last one was 1h ago" in text
    assert "pc039: 3 runs failed" in text
    assert "and 160 more" in text
    assert set(ledger.told.of_channel("mail")) == set(names)
    for after, count in ((HOUR, 0), (6 * HOUR, 1)):
        tell(BY_MAIL, ledger, fleet(PROTECTED, *names, after=after))
        assert [str(each["Subject"]) for each in take(mails)] == [
            "asyncamanda: 200 clients are backed up again"
        ] * count


def test_a_channel_that_could_not_be_reached_is_told_by_the_next_look(
    ledger: Ledger, mails: Path, receiver: Receiver
) -> None:
    """The others are not told twice by that."""
    pytest.importorskip("apprise")
    notices = replace(BY_MAIL, urls=(receiver.url("/a", "json"),))
    receiver.status = 500
    sent = tell(notices, ledger, fleet(FAILING, "a", "b", "c"))
    assert (sent["mail"].problem, bool(sent["json"].problem)) == (None, True)
    assert (len(take(mails)), len(receiver.calls)) == (1, 1)
    receiver.status = 200
    for _ in range(2):
        tell(notices, ledger, fleet(FAILING, "a", "b", "c", after=HOUR))
    assert (take(mails), len(receiver.calls)) == ([], 2)
    title = json.loads(receiver.calls[-1][3])["title"]
    assert title == "asyncamanda: 3 clients need attention (3 failing)"


def test_after_a_crash_before_it_was_written_down_a_message_comes_once_more(
    ledger: Ledger, mails: Path
) -> None:
    """And not a third time: of several messages only the one that was under way."""
    ledger.told.record("mail", {})
    tell(BY_MAIL, ledger, fleet(FAILING, "other"))
    take(mails)
    written: list[str] = []
    record = ledger.told.record

    def crash(channel: str, states: object) -> None:
        if channel == "mail" and written:
            raise KeyboardInterrupt
        written.extend([channel] * (channel == "mail"))
        record(channel, states)  # type: ignore[arg-type]

    ledger.told.record = crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        tell(BY_MAIL, ledger, fleet(FAILING, "a", "b", "other"))
    assert len(take(mails)) == 2
    ledger.told.record = record  # type: ignore[method-assign]
    for _ in range(2):
        tell(BY_MAIL, ledger, fleet(FAILING, "a", "b", "other"))
    (mail,) = take(mails)
    assert mail["Subject"] == "asyncamanda: b: 3 runs failed: no space left"


def test_a_channel_that_comes_back_is_told_what_stands(ledger: Ledger, mails: Path) -> None:
    """It was forgotten when it was no longer configured; a client that is gone is, too."""
    tell(BY_MAIL, ledger, fleet(FAILING, "laptop"))
    tell(Notices(), ledger, fleet(FAILING, "laptop"))
    assert ledger.told.of_channel("mail") == {}
    tell(BY_MAIL, ledger, fleet(FAILING, "laptop"))
    assert len(take(mails)) == 2
    tell(BY_MAIL, ledger, fleet(FAILING))
    assert (take(mails), ledger.told.of_channel("mail")) == ([], {})


def test_the_watchdog_hears_that_the_fleet_was_looked_at(
    ledger: Ledger, receiver: Receiver
) -> None:
    """Whatever was found; what could not be looked at is a failure, in its words."""
    notices = Notices(ping=receiver.url("/key"))
    well = tell(notices, ledger, fleet(FAILING, "laptop"))
    assert well["ping"] == Sent("ping")
    bad = replace(fleet(PROTECTED, "laptop"), faults=("daily: amanda.conf cannot be read",))
    tell(notices, ledger, bad)
    assert [(call[1], call[3].decode()) for call in receiver.calls] == [
        ("/key", "0 of 1 clients are protected, 1 need attention"),
        (
            "/key/fail",
            "1 of 1 clients are protected, 0 need attention\ndaily: amanda.conf cannot be read",
        ),
    ]


def test_a_digest_is_mailed_when_it_is_due(ledger: Ledger, mails: Path) -> None:
    """The first at the next time that is named, each once; one that failed by the next look."""
    at = to_local(NOON).time()
    notices = Notices(digest=DigestEvery.DAILY, digest_at=at, digest_to="boss")
    tell(notices, ledger, fleet(PROTECTED, "laptop", after=-2 * HOUR))
    tell(notices, ledger, fleet(PROTECTED, "laptop", after=-HOUR))
    assert take(mails) == []
    program = mails.parent
    set_sendmail(program, "exit 75")
    sent = tell(notices, ledger, fleet(PROTECTED, "laptop"))
    assert sent["digest"].problem == "sendmail ended with 75"
    set_sendmail(program, f"cat >$(mktemp {mails}/XXXXXXXX)")
    for after in (HOUR, 2 * HOUR, 23 * HOUR, 25 * HOUR):
        tell(notices, ledger, fleet(PROTECTED, "laptop", after=after))
    first, second = sorted(take(mails), key=lambda mail: str(mail["Date"].datetime))
    assert first["To"] == second["To"] == "boss"
    assert first["Subject"] == "asyncamanda: the only client is protected, nothing to do"
    assert "Nothing to do." in first.get_content()


def test_a_clock_that_was_ahead_ends_no_digests(ledger: Ledger, mails: Path) -> None:
    """They go on with the next time that is named, and not a year later."""
    ledger.told.record_digest(NOON + 365 * DAY)
    notices = Notices(digest=DigestEvery.DAILY, digest_at=to_local(NOON).time(), digest_to="boss")
    tell(notices, ledger, fleet(PROTECTED, "laptop", after=-HOUR))
    assert take(mails) == []
    tell(notices, ledger, fleet(PROTECTED, "laptop", after=HOUR))
    assert len(take(mails)) == 1


def test_a_digest_names_who_is_backed_up_again(ledger: Ledger, mails: Path) -> None:
    """As the journal was told, where no other channel is."""
    ledger.told.record_digest(NOON - DAY)
    tell(Notices(), ledger, fleet(FAILING, "laptop", after=-HOUR))
    tell(Notices(), ledger, fleet(PROTECTED, "laptop", after=-HOUR / 2))
    notices = Notices(mail="root", digest=DigestEvery.WEEKLY, digest_at=time(0))
    ledger.told.record_digest(NOON - 7 * DAY)
    tell(notices, ledger, fleet(PROTECTED, "laptop"))
    (mail,) = take(mails)
    assert "Backed up again: laptop." in mail.get_content()

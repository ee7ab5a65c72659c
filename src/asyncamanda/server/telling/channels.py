"""The server's own channels: the journal, mail, apprise's URLs, and a watchdog."""

from functools import partial

from asyncamanda.config.notify import Notices
from asyncamanda.core.agent.alerts import Alert, AlertKind, one_line
from asyncamanda.notify import urls
from asyncamanda.notify.mail import send_mail
from asyncamanda.notify.pings import send_ping
from asyncamanda.notify.sent import LIMIT, Channel, PingKind, Sender, Sent, send_all
from asyncamanda.system.journal import JournalLine, Priority, write_journal

JOURNAL = "journal"  # which always gets it
MESSAGE_IDS = {  # for `journalctl MESSAGE_ID=...`; docs/server.md names them
    AlertKind.FAILED: "ef7a8c1ccce540cb958c33e9516402b4",
    AlertKind.STALE: "64e060de56dd490396d28edf9a8e9702",
    AlertKind.RECOVERED: "3f4ba1f4f79447a3bab27e7fd6ec56a2",
}


def list_channels(notices: Notices) -> tuple[list[Channel], tuple[Sent, ...]]:
    """Return every channel that is configured, and what is wrong with those that cannot be used."""
    channels, problems = urls.list_channels(notices.urls, notices.urls_file)
    if notices.mail:
        channels.insert(0, Channel("mail", partial(send_mail, notices.mail)))
    channels.insert(0, Channel(JOURNAL, _write_alert))
    return channels, tuple(problems)


def ping(notices: Notices, kind: PingKind, text: str, limit: float = LIMIT) -> Sent | None:
    """Send `kind` to the server's watchdog; return the result, None where none is configured."""
    if notices.ping is None:
        return None
    (sent,) = send_all([Sender("ping", partial(send_ping, notices.ping, kind, text))], limit)
    return sent


def _write_alert(alert: Alert, _limit: float) -> Sent:
    is_there = write_journal(
        JournalLine(
            one_line(alert.summary),
            Priority.ERROR if alert.kind.is_alarm else Priority.NOTICE,
            client=alert.client,
            outcome=alert.kind.value,
            message_id=MESSAGE_IDS[alert.kind],
        )
    )
    return Sent(JOURNAL, remark="" if is_there else "there is none on this machine")

"""Notifying people and watchdogs of the backup: the one place that the agent calls.

None of these raises, and each ends after some ten seconds, whatever the network does.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from asyncamanda.config.client import NotifySettings
from asyncamanda.core.agent.alerts import Alert, AlertKind, decide_alert, judge_state, one_line
from asyncamanda.core.model import BackupState, Outcome
from asyncamanda.notify import textfile, urls
from asyncamanda.notify.sent import LIMIT, Channel, PingKind, Sender, Sent, send_all
from asyncamanda.report.prometheus import Metrics
from asyncamanda.system.journal import JournalLine, Priority, write_journal

__all__ = [
    "JOURNAL",
    "Metrics",
    "PingKind",
    "Sent",
    "ping",
    "tell",
    "tell_change",
    "tell_state",
    "tell_user",
    "write_textfile",
]

JOURNAL = "journal"  # which always gets it
DESKTOP, MAIL = "desktop", "mail"
_PERSONAL = frozenset({DESKTOP, MAIL})
MESSAGE_IDS = {  # for `journalctl MESSAGE_ID=...`; docs/guide.md names them
    AlertKind.FAILED: "1a01a4aa39464e87bfa4457cec53e605",
    AlertKind.STALE: "1bf22bc5818d45dd892a300d1ab34644",
    AlertKind.RECOVERED: "be0020ebbf68460f88a9161094cd1dd8",
    AlertKind.UNPROVED: "c047920b054b47a9bee817733e897a61",
    AlertKind.PROVED: "79f58b03b3a74dffa36d52f6a163f1c1",
    AlertKind.TEST: "39a27fe4a0e04e8c94dc460537153fa3",
}


def tell(
    settings: NotifySettings, alert: Alert, state_folder: Path, limit: float = LIMIT
) -> tuple[Sent, ...]:
    """Send `alert` by every channel that is configured; return the result of each.

    The journal, where there is one, is a channel as well.
    """
    channels, problems = _list_channels(settings, state_folder)
    return (*send_all([channel.bind(alert) for channel in channels], limit), *problems)


def tell_user(settings: NotifySettings, alert: Alert, state_folder: Path) -> tuple[Sent, ...]:
    """Send `alert` to who uses this machine, by desktop and mail; return the results."""
    channels, _ = _list_channels(settings, state_folder)
    return send_all([each.bind(alert) for each in channels if each.name in _PERSONAL])


def tell_change(  # noqa: PLR0913 - by keyword only
    settings: NotifySettings,
    told: Mapping[str, BackupState],
    *,
    outcome: Outcome | None,
    is_stale: bool,
    word: Callable[[AlertKind], Alert],
    state_folder: Path,
) -> tuple[dict[str, BackupState], tuple[Sent, ...]]:
    """Tell each channel what it does not know yet, after an attempt with `outcome`.

    Returns what each was `told` by now, nothing where that is well, and the results. A channel that
    could not be reached is told by the next start.
    """
    return _tell_states(
        settings,
        told,
        lambda before: judge_state(outcome, is_stale=is_stale, told=before),
        word,
        state_folder,
    )


def tell_state(
    settings: NotifySettings,
    told: Mapping[str, BackupState],
    now_is: BackupState,
    word: Callable[[AlertKind], Alert],
    state_folder: Path,
) -> tuple[dict[str, BackupState], tuple[Sent, ...]]:
    """Tell each channel what it does not know yet of a state that is known; as tell_change().

    A failure is told also where it was told that nothing is known for long.
    """
    if now_is is BackupState.FAILED:
        told = {name: state for name, state in told.items() if state is BackupState.FAILED}
    return _tell_states(settings, told, lambda _: now_is, word, state_folder)


def _tell_states(
    settings: NotifySettings,
    told: Mapping[str, BackupState],
    judge: Callable[[BackupState], BackupState],
    word: Callable[[AlertKind], Alert],
    state_folder: Path,
) -> tuple[dict[str, BackupState], tuple[Sent, ...]]:
    channels, problems = _list_channels(settings, state_folder)
    now_is, ways = {}, []
    for channel in channels:
        before = told.get(channel.name, BackupState.WELL)
        now_is[channel.name] = judge(before)
        if kind := decide_alert(before, now_is[channel.name]):
            ways.append(channel.bind(word(kind)))
    sent = send_all(ways)
    # a channel that is no longer configured is forgotten; not if its file was not to be read
    after = {name: told[name] for name in told if name in now_is or problems}
    after |= {each.channel: now_is[each.channel] for each in sent if each.problem is None}
    unwell: dict[str, BackupState] = {
        name: state for name, state in after.items() if state != BackupState.WELL
    }
    return unwell, (*sent, *(problems if sent else ()))


def _list_channels(
    settings: NotifySettings, state_folder: Path
) -> tuple[list[Channel], tuple[Sent, ...]]:
    """Return every channel that is configured, and what is wrong with those that cannot be used."""
    channels, problems = urls.list_channels(settings.urls, settings.urls_file)
    if settings.mail:
        channels.insert(0, Channel(MAIL, partial(_mail, settings.mail)))
    if settings.desktop:
        channels.insert(0, Channel(DESKTOP, partial(_show, state_folder)))
    channels.insert(0, Channel(JOURNAL, _write_alert))
    return channels, tuple(problems)


def _write_alert(alert: Alert, _: float) -> Sent:
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


def ping(settings: NotifySettings, kind: PingKind, text: str, limit: float = LIMIT) -> Sent | None:
    """Send `kind` to the watchdog; return the result, None where none is configured."""
    if settings.ping is None:
        return None
    (sent,) = send_all([Sender("ping", partial(_ping, settings.ping, kind, text))], limit)
    return sent


def write_textfile(settings: NotifySettings, standing: Metrics) -> Sent | None:
    """Write Prometheus' text file; return the result, None where none is configured."""
    if settings.textfile is None:
        return None
    way = Sender("textfile", partial(textfile.write_standing, settings.textfile, standing))
    (sent,) = send_all([way])
    return sent


# loading these takes longer than a whole start without a notification


def _mail(to: str, alert: Alert, limit: float) -> Sent:
    from asyncamanda.notify.mail import send_mail  # noqa: PLC0415 - as said above

    return send_mail(to, alert, limit)


def _show(state_folder: Path, alert: Alert, limit: float) -> Sent:
    from asyncamanda.client.notify.desktop import send_desktop  # noqa: PLC0415 - as said above

    return send_desktop(alert, state_folder, limit)


def _ping(url: str, kind: PingKind, text: str, limit: float) -> Sent:
    from asyncamanda.notify.pings import send_ping  # noqa: PLC0415 - as said above

    return send_ping(url, kind, text, limit)

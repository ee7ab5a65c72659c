"""What a client's own page says, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.core.fleet.facts import ClientReport, DiskFacts, SessionFacts
from asyncamanda.core.fleet.standing import ClientView
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.size import format_size
from asyncamanda.report.html.rows import ClientRow, ShownRun, tell_run
from asyncamanda.report.html.strips import spell_days
from asyncamanda.report.html.words import ShownTime, show_name, show_text, show_time

MOST_SESSIONS, MOST_RUNS, MOST_DISKS = 20, 12, 200


@dataclass(frozen=True, slots=True)
class ShownDisk:
    """A disk in words: its newest confirmed dump, the last result, and the proof."""

    name: str
    is_parked: bool
    confirmed: ShownTime | None
    dump: str
    last: str
    is_last_bad: bool
    proved: ShownTime | None
    fault: str


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A time for which the client was connected; `ended` is None while it is."""

    begun: ShownTime | None
    ended: ShownTime | None
    how: str


@dataclass(frozen=True, slots=True)
class ClientPage:
    """All that a client's page says. `settings` are (name, value) of what the client itself said.

    `reported` is when it said so. `today` is the last of the `days`,
    which have a letter each.
    """

    row: ClientRow
    evidence: tuple[str, ...]
    known_since: ShownTime | None
    gone: str
    place: str
    reported: ShownTime | None
    settings: tuple[tuple[str, str], ...]
    disks: tuple[ShownDisk, ...]
    more_disks: int
    days: str
    today: date
    sessions: tuple[ShownSession, ...]
    runs: tuple[ShownRun, ...]


def tell_client(
    view: ClientView, row: ClientRow, runs: Sequence[RunRow], today: date
) -> ClientPage:
    """Return what the client's page says, of which `row` is in the list, too.

    `runs` are those that were made for it, newest first.
    """
    facts = view.facts
    gone_at = facts.retired_at or facts.lost_at
    gone = show_time(gone_at)
    word = "retired" if facts.retired_at else "lost"
    return ClientPage(
        row,
        tuple(show_text(line) for line in view.standing.evidence),
        show_time(facts.known_since),
        f"{word} since {gone.text}" if gone else "",
        show_text(facts.place),
        show_time(facts.report.at) if facts.report else None,
        _tell_settings(facts.report) if facts.report else (),
        tuple(_tell_disk(disk) for disk in facts.disks[:MOST_DISKS]),
        len(facts.disks[MOST_DISKS:]),
        spell_days(facts.days),
        today,
        tuple(_tell_session(each) for each in facts.sessions[: -MOST_SESSIONS - 1 : -1]),
        tuple(tell_run(run) for run in runs[:MOST_RUNS]),
    )


def _tell_settings(report: ClientReport) -> tuple[tuple[str, str], ...]:
    spans = (
        ("backup wanted every", report.interval),
        ("stale after", report.stale_after),
        ("stale after use of", report.stale_after_use),
    )
    settings = [("software", show_name(report.software) or "unknown")]
    settings += [(name, _whole(span)) for name, span in spans if span is not None]
    if report.deferred_at:
        since = show_time(report.deferred_at)
        reason = f", {show_text(report.deferred_reason)}" if report.deferred_reason else ""
        settings.append(("put off since", f"{since.text if since else ''}{reason}"))
    return tuple(settings)


def _whole(span: timedelta) -> str:
    return format_age(span)


def _tell_disk(disk: DiskFacts) -> ShownDisk:
    last = disk.last
    is_bad = last is not None and not last.state.is_confirmed and last.reason != ""
    return ShownDisk(
        show_name(disk.disk),
        disk.is_parked,
        show_time(disk.confirmed.dumped_at) if disk.confirmed else None,
        _tell_dump(disk.confirmed) if disk.confirmed else "no backup",
        _tell_last(last) if last else "",
        is_bad,
        show_time(disk.proof.proved_at),
        show_text(disk.proof.fault),
    )


def _tell_dump(verdict: DleVerdict) -> str:
    level = "" if verdict.level is None else f"level {verdict.level}"
    size = format_size(verdict.kilobytes * 1024) if verdict.kilobytes else ""
    return ", ".join(word for word in (level, size) if word)


def _tell_last(verdict: DleVerdict) -> str:
    return verdict.state.value + (f": {show_text(verdict.reason)}" if verdict.reason else "")


def _tell_session(session: SessionFacts) -> ShownSession:
    return ShownSession(
        show_time(session.begun_at), show_time(session.ended_at), show_text(session.how)
    )

"""When people are notified about their backup, and in which words: once a change of state."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from asyncamanda.core.agent.due import Decision, NotDue, is_all_parked, made_good_at
from asyncamanda.core.model import Attempt, BackupState, Memory, Outcome
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import printable, printable_lines

LONGEST_LINE = 200  # characters of a summary; a detail may have as many lines as it likes

HINT = "as root on that machine: `asyncamanda status`, and `asyncamanda doctor` for what to fix"

FAILURES = frozenset({Outcome.FAILED, Outcome.INCOMPLETE, Outcome.KILLED, Outcome.REFUSED})
VERDICTS = FAILURES | {Outcome.BACKED_UP}


class AlertKind(Enum):
    """What is told: a change of state, how a month went, or that telling works."""

    FAILED = "failed"
    STALE = "stale"
    RECOVERED = "recovered"
    UNPROVED = "unproved"
    PROVED = "proved"
    MONTHLY = "monthly"
    TEST = "test"

    @property
    def is_alarm(self) -> bool:
        """Whether somebody has to do something."""
        return self in {AlertKind.FAILED, AlertKind.STALE, AlertKind.UNPROVED}


@dataclass(frozen=True, slots=True)
class Alert:
    """What people are told at the time `at` of the client `client`.

    `summary` is one line; `detail` says what was seen and `hint` what to do, "" for nothing.
    """

    kind: AlertKind
    client: str
    at: datetime
    summary: str
    detail: str = ""
    hint: str = ""


def standing_failure(memory: Memory, decision: Decision) -> Attempt | None:
    """Return the last attempt that had a verdict, if that was a failure that still stands.

    A refusal stands until the server accepts this client, however fresh the last backup is: a
    backup made by another run does not change it. Any other failure is over with a backup made
    after it.
    """
    attempts = memory.attempts
    at = max((n for n, each in enumerate(attempts) if each.outcome in VERDICTS), default=None)
    if at is None or attempts[at].outcome not in FAILURES:
        return None
    failure = attempts[at]
    if failure.outcome is Outcome.REFUSED:
        was_let_in = bool(memory.asked_at and memory.asked_at > failure.ended_at)
        later = attempts[at + 1 :]
        is_in = was_let_in or any(each.outcome.has_run for each in later)
        if is_in:
            return None
        if memory.asked_at:  # otherwise by command: no server is greeted, so only backups show it
            return failure
    good_at = _backed_up_at(decision)
    return None if good_at and good_at > failure.ended_at else failure


def _backed_up_at(decision: Decision) -> datetime | None:
    """Return since when there is a backup of all that matters, None if there is none."""
    if not isinstance(decision, NotDue):
        return made_good_at(decision)
    lasts = [v.disk.last.started_at for v in decision.disks if v.disk.last]
    return max(lasts, default=decision.last_at)


def judge_outcome(
    outcome: Outcome | None, decision: Decision, failure: Attempt | None
) -> Outcome | None:
    """Return the outcome that people are to be told, None for nothing.

    `outcome` is that of this start, None if it tried nothing; `failure` one that stands, of
    which a channel may not know yet.
    """
    if failure:
        return failure.outcome
    # if not by this start, then by another run
    is_well = isinstance(decision, NotDue) and not is_all_parked(decision)
    return Outcome.BACKED_UP if is_well or outcome is Outcome.BACKED_UP else None


def judge_state(outcome: Outcome | None, *, is_stale: bool, told: BackupState) -> BackupState:
    """Return the state of the backup after an attempt ended with `outcome`, None for no attempt.

    A backup that somebody else's run made is BACKED_UP, too. Only a confirmed backup ends what
    was told before; an attempt that did not come to a verdict changes nothing.
    """
    if outcome is Outcome.BACKED_UP:
        return BackupState.WELL
    if is_stale or told is BackupState.STALE:
        return BackupState.STALE
    return BackupState.FAILED if outcome in FAILURES else told


def decide_alert(told: BackupState, now_is: BackupState) -> AlertKind | None:
    """Return what is to be told, or None; what was `told` changes only with an alert."""
    if now_is is told:
        return None
    if now_is is BackupState.WELL:
        return AlertKind.RECOVERED
    if now_is is BackupState.STALE:
        return AlertKind.STALE
    return None if told is BackupState.STALE else AlertKind.FAILED


def decide_proof_alert(memory: Memory) -> AlertKind | None:
    """Return what people are to know of the proofs that disks can be restored, None for nothing."""
    is_unproved = any(disk in memory.unproved for disk in memory.dles or ())
    if is_unproved == memory.is_unproved_told:
        return None
    return AlertKind.UNPROVED if is_unproved else AlertKind.PROVED


def word_alert(  # noqa: PLR0913, PLR0917 - what makes an alert
    kind: AlertKind,
    client: str,
    at: datetime,
    last_at: datetime | None = None,
    detail: str = "",
    hint: str = "",
) -> Alert:
    """Return the alert with its summary; `last_at` is when the last confirmed backup began."""
    name = one_line(client)
    if kind is AlertKind.FAILED:
        summary = f"the backup of {name} failed"
    elif kind is AlertKind.RECOVERED:
        summary = f"{name} is backed up again"
    elif kind is AlertKind.UNPROVED:
        summary = f"the backup of {name} is not proved restorable"
    elif kind is AlertKind.PROVED:
        summary = f"the backup of {name} is proved restorable again"
    elif kind is AlertKind.TEST:
        summary = f"a test notification from {name}"
    elif last_at is None:
        summary = f"{name} was never backed up"
    else:
        summary = f"{name} was last backed up {format_age(at - last_at)} ago"
    return Alert(kind, client, at, summary, detail, hint)


def render_subject(alert: Alert) -> str:
    """Return the alert in one line, which says where it is from."""
    return f"asyncamanda: {one_line(alert.summary)}"


def render_body(alert: Alert) -> str:
    """Return the alert whole, in lines that a terminal may show; its time is in UTC."""
    told = [one_line(alert.summary)]
    if alert.detail:
        told += ["", printable_lines(alert.detail.rstrip("\n"))]
    if alert.hint:
        told += ["", f"What to do: {one_line(alert.hint)}"]
    told += ["", f"{one_line(alert.client)}, {alert.at:%Y-%m-%d %H:%M} UTC"]
    return "\n".join(told) + "\n"


def one_line(text: str) -> str:
    """Return `text` in one line that a terminal may show, cut where it is long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."

"""A digest as text of at most twenty lines, and as JSON."""

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime

from asyncamanda.core.fleet.changes import name_alarm
from asyncamanda.core.fleet.digest import Digest
from asyncamanda.core.fleet.standing import ClientState, ClientView
from asyncamanda.core.fleet.telling import name_reason
from asyncamanda.core.values.interval import format_age
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.report.json import time_value

WIDTH = 80
MOST_LINES = 20
MOST_ALARMS, MOST_ADVICE, MOST_SUMMARY = 6, 4, 4
NAMED = 3


def render_digest_subject(digest: Digest) -> str:
    """Return a mail's subject."""
    if digest.alarms:
        verb = "needs" if len(digest.alarms) == 1 else "need"
        return f"asyncamanda: {len(digest.alarms)} of {digest.clients} clients {verb} attention"
    return f"asyncamanda: no client needs attention{'; the server does' if digest.advice else ''}"


def render_digest(digest: Digest) -> str:
    """Return at most MOST_LINES lines of at most WIDTH characters; a command may be longer."""
    return "".join(f"{line}\n" for line in _lines(digest))


def digest_value(digest: Digest) -> dict[str, object]:
    """Return the digest for JSON; times are in UTC, `text` is for people."""
    return {
        "since": time_value(digest.since.astimezone(UTC)),
        "at": time_value(digest.at.astimezone(UTC)),
        "clients": digest.clients,
        "states": {state.value: digest.states[state] for state in ClientState},
        "protected_before": digest.protected_before,
        "alarms": [_alarm_value(view, digest) for view in digest.alarms],
        "recovered": list(digest.recovered),
        "runs": digest.runs,
        "failed_runs": digest.failed,
        "advice": list(digest.advice),
        "text": render_digest(digest),
    }


def _alarm_value(view: ClientView, digest: Digest) -> dict[str, object]:
    return {
        "client": view.facts.client,
        "state": view.standing.state.value,
        "alarm": name_alarm(view),
        "reason": name_reason(view),
        "since": time_value(view.standing.since),
        "is_new": view.facts.client in digest.new,
    }


def _lines(digest: Digest) -> Iterator[str]:
    yield f"Backups on {clip(digest.server, 24)}, {_day(digest.since)} to {_day(digest.at)}"
    yield from textwrap.wrap(
        _summarise(digest), WIDTH, max_lines=MOST_SUMMARY, break_on_hyphens=False
    )
    if not digest.alarms and not digest.advice:
        yield "Nothing to do."
        return
    if digest.alarms:
        yield ""
        yield "Who needs attention"
        width = min(max(len(view.facts.client) for view in digest.alarms[:MOST_ALARMS]), 24)
        for view in digest.alarms[:MOST_ALARMS]:
            yield _describe(view, digest, width)
        if (more := len(digest.alarms) - MOST_ALARMS) > 0:
            yield f"  and {more} more: asyncamanda server fleet"
    if digest.advice:
        yield ""
        yield "What to do, on the server, as root"
        for advice in digest.advice[:MOST_ADVICE]:
            yield _clip_comment(f"  {printable(advice)}")


def _clip_comment(line: str) -> str:
    """Return as much of the line as there is room for; a command is not cut."""
    command, sign, _ = line.partition("  # ")
    return line if len(line) <= WIDTH else clip(line, max(WIDTH, len(command) + len(sign)))


def _summarise(digest: Digest) -> str:
    others = [
        f"{count} {state.value}"
        for state in ClientState
        if state is not ClientState.PROTECTED and (count := digest.states[state])
    ]
    said = ", ".join([_say_protected(digest), *others])
    if digest.protected_before not in {None, digest.states[ClientState.PROTECTED]}:
        said += f"; {digest.protected_before} were protected at the beginning"
    sentences = [f"{said}."]
    if digest.runs:
        failed = f"{digest.failed} with errors" if digest.failed else "none with errors"
        sentences.append(f"{digest.runs} run{'s' if digest.runs > 1 else ''}, {failed}.")
    else:
        sentences.append("No run has ended.")
    if digest.new:
        sentences.append(f"New alarms: {_list(digest.new)}.")
    if digest.recovered:
        sentences.append(f"Backed up again: {_list(digest.recovered)}.")
    return " ".join(sentences)


def _say_protected(digest: Digest) -> str:
    protected = digest.states[ClientState.PROTECTED]
    if digest.clients == 0:
        return "no client is enrolled"
    if protected == digest.clients:
        return "the only client is protected" if protected == 1 else f"all {protected} protected"
    return f"{protected} of {digest.clients} clients protected"


def _describe(view: ClientView, digest: Digest, width: int) -> str:
    name = clip(printable(view.facts.client), width)
    standing = view.standing
    age = ""  # other reasons have one in them
    if standing.state is ClientState.FAILING and standing.since:
        age = f", for {format_age(digest.at - standing.since)}"
    room = WIDTH - width - 4 - len(age)
    return f"  {name:{width}}  {clip(name_reason(view), room)}{age}"


def _list(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED
    return ", ".join(map(printable, names[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _day(moment: datetime) -> str:
    return f"{moment:%a %Y-%m-%d %H:%M}"

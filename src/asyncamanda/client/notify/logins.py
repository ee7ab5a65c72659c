"""Root's part: showing what was left to everybody who is logged in, as that user."""

import contextlib
import os
import pwd
import signal
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic

from asyncamanda.client.notify.desktop import FIRST_USER, notification_of
from asyncamanda.client.notify.handoff import keep_fresh, open_handoff
from asyncamanda.core.agent.alerts import Alert
from asyncamanda.errors import AsyncamandaError
from asyncamanda.notify.sent import LIMIT, SLACK, Sent
from asyncamanda.system.account import become_user
from asyncamanda.system.endings import KILLED_WITHIN, reap
from asyncamanda.system.logins import find_logged_in
from asyncamanda.system.notifications import NotShownError, show_notification

RUNTIME = Path("/run/user")
TOOK, REFUSED, BROKE = 0, 1, 2  # what a child that shows something ends with


def show_left(folder: Path, owner: int, now: datetime) -> tuple[Sent, ...]:
    """Return how it went for each user who is logged in, nothing where nothing waits.

    What somebody saw is removed, and what is no news any more; else it waits for the next time.
    """
    try:
        with open_handoff(folder, owner) as handoff:
            if handoff is None:
                return ()
            fresh = keep_fresh(handoff.alerts, now)
            shown = _show_all(fresh) if fresh else ()
            if not fresh or any(sent.problem is None for sent in shown):
                handoff.remove()
            return shown
    except OSError as error:
        return (Sent("desktop", f"{folder} cannot be read: {error.strerror}"),)


def find_desktops() -> list[pwd.struct_passwd]:
    """Return the people who are logged in and whose session has a bus."""
    uids = find_logged_in()
    if uids is None:  # no logind: everyone who has a bus
        names = RUNTIME.iterdir() if RUNTIME.is_dir() else ()
        uids = {int(path.name) for path in names if path.name.isdigit()}
    found = []
    for uid in sorted(uids):
        with contextlib.suppress(KeyError):
            if uid >= FIRST_USER and (RUNTIME / str(uid) / "bus").is_socket():
                found.append(pwd.getpwuid(uid))
    return found


def _show_all(alerts: Sequence[Alert]) -> tuple[Sent, ...]:
    people = find_desktops()
    children = [_start_child(person, alerts) for person in people]
    give_up_at = monotonic() + LIMIT + SLACK
    return tuple(
        _word(person, _wait_for(child, give_up_at))
        for person, child in zip(people, children, strict=True)
    )


def _word(person: pwd.struct_passwd, status: int | None) -> Sent:
    problem = {
        TOOK: None,
        REFUSED: "none of their desktops accepts notifications",
        None: f"no end within {LIMIT:g} seconds",
    }.get(status, "it failed")
    return Sent(f"desktop of {person.pw_name}", problem)


def _start_child(person: pwd.struct_passwd, alerts: Sequence[Alert]) -> int:
    """Return the pid of a child that is wholly that user, and shows `alerts` on their bus."""
    child = os.fork()
    if child:
        return child
    status = BROKE
    try:
        become_user(person.pw_name)
        status = _show_as_user(person.pw_uid, alerts)
    finally:
        os._exit(status)  # nothing of the parent process is to be run or flushed here


def _show_as_user(uid: int, alerts: Sequence[Alert]) -> int:
    address = f"unix:path={RUNTIME / str(uid) / 'bus'}"
    try:
        for alert in alerts:
            show_notification(address, notification_of(alert), LIMIT / len(alerts))
    except (NotShownError, AsyncamandaError):
        return REFUSED
    return TOOK


def _wait_for(child: int, give_up_at: float) -> int | None:
    """Return the child's exit status, None if it had to be killed: its user may have stopped it."""
    status = reap(child, max(give_up_at - monotonic(), 0))
    if status is None:
        os.kill(child, signal.SIGKILL)
        reap(child, KILLED_WITHIN)
    return status

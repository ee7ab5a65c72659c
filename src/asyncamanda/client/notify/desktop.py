"""The desktop: notified at once from within its session, otherwise by way of root."""

import os
from collections.abc import Mapping
from pathlib import Path

from asyncamanda.client.notify.handoff import leave_alert
from asyncamanda.client.start.folders import make_folder
from asyncamanda.core.agent.alerts import Alert, AlertKind, one_line
from asyncamanda.notify.sent import Sent
from asyncamanda.system.notifications import Notification, NotShownError, show_notification

FIRST_USER = 1000  # below are the system's own accounts, by Debian's and Red Hat's custom
LONGEST_BODY = 500  # characters: a desktop shows a few lines
_ICONS = {
    AlertKind.FAILED: "dialog-warning",
    AlertKind.STALE: "dialog-warning",
    AlertKind.RECOVERED: "drive-harddisk",
    AlertKind.UNPROVED: "dialog-warning",
    AlertKind.PROVED: "drive-harddisk",
    AlertKind.MONTHLY: "drive-harddisk",
    AlertKind.TEST: "drive-harddisk",
}


def send_desktop(alert: Alert, state_folder: Path, limit: float) -> Sent:
    """Show `alert` to this process's user; leave a system account's to root."""
    uid = os.geteuid()
    if uid < FIRST_USER:
        return _leave(alert, state_folder)
    address = find_session_bus(os.environ, uid)
    if address is None:
        return Sent("desktop", "this user has no open desktop session")
    try:
        show_notification(address, notification_of(alert), limit)
    except NotShownError as error:
        return Sent("desktop", str(error))
    return Sent("desktop")


def find_session_bus(environ: Mapping[str, str], uid: int) -> str | None:
    """Return the address of the user's session bus, or None where none is open."""
    if address := environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return address
    place = Path("/run/user", str(uid), "bus")
    return f"unix:path={place}" if place.is_socket() else None


def notification_of(alert: Alert) -> Notification:
    """Return what a desktop shows of `alert`; its body is plain text."""
    lines = [one_line(line) for line in (*alert.detail.split("\n"), alert.hint) if line.strip()]
    body = "\n".join(lines)
    return Notification(
        title=one_line(alert.summary),
        body=body if len(body) <= LONGEST_BODY else f"{body[:LONGEST_BODY]}...",
        icon=_ICONS[alert.kind],
        is_critical=alert.kind.is_alarm,
    )


def _leave(alert: Alert, folder: Path) -> Sent:
    try:
        make_folder(folder)
        leave_alert(folder, alert)
    except OSError as error:
        problem = f"cannot be left for root in {folder}: {error.strerror}"
        return Sent("desktop", problem, is_mistake=True)
    return Sent("desktop", remark="left for root's `asyncamanda notify --desktop` to show")

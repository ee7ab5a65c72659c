"""Notifications on a desktop (specifications.freedesktop.org/notification-spec)."""

import html
from dataclasses import dataclass

from asyncamanda.system.bus import Unavailable, open_bus

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
NORMAL, CRITICAL = 1, 2  # urgency: a critical one stays until the user closes it
AS_THE_DESKTOP_LIKES = -1  # how long it is shown


class NotShownError(Exception):
    """Nothing was shown: says why."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What is shown: plain text, and an icon of the desktop's own by its name."""

    title: str
    body: str
    icon: str
    is_critical: bool = False


def show_notification(address: str, notification: Notification, limit: float) -> None:
    """Show it on the desktop whose session bus is at `address`.

    Raises NotShownError if that cannot be done within `limit` seconds.
    """
    try:
        with open_bus(address, limit) as bus:
            # the program that shows them may have to be started first
            (found,) = bus.call(NAME, PATH, NAME, "GetCapabilities", seconds=limit)
            capabilities = found if isinstance(found, list) else []
            is_markup = "body-markup" in capabilities
            urgency = CRITICAL if notification.is_critical else NORMAL
            words: tuple[object, ...] = (
                "asyncamanda",
                0,
                notification.icon,
                notification.title,
                html.escape(notification.body, quote=False) if is_markup else notification.body,
                [],
                {"urgency": ("y", urgency)},
                AS_THE_DESKTOP_LIKES,
            )
            bus.call(NAME, PATH, NAME, "Notify", "susssasa{sv}i", words, limit)
    except Unavailable as error:
        raise NotShownError(f"the desktop did not accept it: {error}") from error

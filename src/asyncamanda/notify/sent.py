"""Sending by several channels at once: each has a time limit, and none can harm the agent."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from asyncamanda.core.agent.alerts import Alert

LIMIT = 10.0  # seconds for each channel, which run side by side
SLACK = 1.0  # seconds in which a channel may say itself that its time is up


class PingKind(Enum):
    """What a watchdog is told, and what that adds to its URL's path."""

    START = "start"
    SUCCESS = ""
    FAILURE = "fail"


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of one channel: `problem` is None where it went well.

    `is_mistake` says that trying again will not help, since the configuration or this machine has
    to change. `remark` is any further remark.
    """

    channel: str
    problem: str | None = None
    is_mistake: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel for alerts: `send` gets the alert, and its time limit in seconds."""

    name: str
    send: Callable[[Alert, float], Sent]

    def bind(self, alert: Alert) -> "Sender":
        """Return the way of this alert by this channel."""
        return Sender(self.name, partial(self.send, alert))


@dataclass(frozen=True, slots=True)
class Sender:
    """A channel, and what sends by it; `send` gets its time limit in seconds."""

    channel: str
    send: Callable[[float], Sent]


def send_all(ways: Sequence[Sender], limit: float = LIMIT) -> tuple[Sent, ...]:
    """Return the result of each of `ways`, in their order, after `limit` seconds at most.

    Never raises. A way that hangs is left to itself; it does not keep the process from ending.
    """
    told: SimpleQueue[tuple[int, Sent]] = SimpleQueue()
    results = [Sent(way.channel, f"no end within {limit:g} seconds") for way in ways]
    for number, way in enumerate(ways):
        Thread(target=_send, args=(told, number, way, limit), daemon=True).start()
    give_up_at = monotonic() + limit + SLACK
    with contextlib.suppress(Empty):
        for _ in ways:
            number, sent = told.get(timeout=max(give_up_at - monotonic(), 0.001))
            results[number] = sent
    return tuple(results)


def _send(told: SimpleQueue[tuple[int, Sent]], number: int, way: Sender, limit: float) -> None:
    try:
        sent = way.send(limit)
    except Exception as error:  # its message may hold a secret, its name does not
        sent = Sent(way.channel, f"it failed: {type(error).__name__}")
    told.put((number, sent))

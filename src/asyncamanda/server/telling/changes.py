"""Telling each channel what changed in the fleet since it was told last.

What was sent is written down after it went, message by message. So a crash between the two tells
one message at most once more, and none is lost.
"""

import socket
from collections.abc import Sequence

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.agent.alerts import Alert
from asyncamanda.core.fleet.changes import ClientChange, Telling, plan_telling
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.core.fleet.telling import summarise_fleet, word_change, word_folded
from asyncamanda.notify.sent import Channel, PingKind, Sent, send_all
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.telling.channels import list_channels, ping
from asyncamanda.server.telling.digests import send_due_digest


def tell_changes(config: ServerConfig, ledger: Ledger, view: FleetView) -> tuple[Sent, ...]:
    """Tell what changed, send the digest that is due, and ping the watchdog; return the results.

    Only one may be at it at a time: who calls this holds a lock. Raises LedgerBusy or
    LedgerUnavailable.
    """
    channels, problems = list_channels(config.notify)
    tellings = [plan_telling(view, ledger.told.of_channel(each.name)) for each in channels]
    sent = _send_rounds(ledger, view, channels, tellings)
    for channel, telling in zip(channels, tellings, strict=True):
        ledger.told.forget(channel.name, telling.forgotten)
    if not problems:  # else a channel that is in a file may be configured still
        ledger.told.forget_others(channel.name for channel in channels)
    results = [*sent, *problems, send_due_digest(config.notify, ledger, view)]
    kind = PingKind.FAILURE if view.faults else PingKind.SUCCESS
    results.append(ping(config.notify, kind, summarise_fleet(view)))
    return tuple(each for each in results if each is not None)


def _send_rounds(
    ledger: Ledger, view: FleetView, channels: Sequence[Channel], tellings: Sequence[Telling]
) -> list[Sent]:
    """Send each channel's messages, all channels side by side; return the results.

    Who fails is told by the next look.
    """
    sent: list[Sent] = []
    left = [
        (channel, telling.messages)
        for channel, telling in zip(channels, tellings, strict=True)
        if telling.messages
    ]
    while left:
        ways = [channel.bind(_word(messages[0], view)) for channel, messages in left]
        results = send_all(ways)
        sent += results
        went = []
        for (channel, messages), result in zip(left, results, strict=True):
            if result.problem is None:
                states = {each.view.facts.client: each.told for each in messages[0]}
                ledger.told.record(channel.name, states)
                went.append((channel, messages[1:]))
        left = [(channel, messages) for channel, messages in went if messages]
    return sent


def _word(changes: Sequence[ClientChange], view: FleetView) -> Alert:
    server = socket.gethostname()
    if len(changes) == 1:
        return word_change(changes[0], view, server)
    return word_folded(changes, view, server)

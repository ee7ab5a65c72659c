"""A dispatcher that hangs is replaced before anybody gives up because of it."""

from datetime import timedelta

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.heartbeat import GONE_AFTER
from asyncamanda.server.gate import stuck_dispatcher
from asyncamanda.server.relay.open_streams import VOUCH_EVERY


def test_streams_live_longer_than_it_takes_to_replace_a_dispatcher() -> None:
    """Reckoned from the last time that it vouched for them; and Amanda sees an end in a minute."""
    last_word = VOUCH_EVERY + timedelta(seconds=stuck_dispatcher.REPLACED_WITHIN)
    assert last_word < timedelta(seconds=stuck_dispatcher.UNWATCHED_SECONDS) < timedelta(minutes=1)


def test_agents_wait_longer_than_it_takes_to_replace_a_dispatcher() -> None:
    """They may have heard nothing for a beat when it began to hang."""
    patience = (GONE_AFTER - 1) * ServerConfig().heartbeat
    assert timedelta(seconds=stuck_dispatcher.REPLACED_WITHIN) < patience


def test_a_mark_may_be_late_before_anybody_is_asked() -> None:
    """Else every gate would ask all the time."""
    assert stuck_dispatcher.STILL_SECONDS >= 3 * stuck_dispatcher.MARK_SECONDS

"""The way from an Amanda configuration's runs to their clients, for the watchdog of a run."""

from dataclasses import dataclass

from asyncamanda.core.protocol.authority import Identity
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.relay.relay import Relay


@dataclass(frozen=True, slots=True)
class ClientReach:
    """Whom Amanda reaches by the relay, and what goes on there."""

    relay: Relay
    registry: Registry
    amanda_config: str

    def is_relayed(self, client: str) -> bool:
        """Return whether Amanda reaches the client by the relay, when that is there.

        By the last that is known of it, for its run goes on.
        """
        identity = Identity(client, self.amanda_config)
        known = (entry for entry in self.registry.last_known() if entry.identity == identity)
        return any(not entry.is_direct for entry in known)

    def has_stream(self, client: str) -> bool:
        """Return whether a call of Amanda's to the client goes on, or waits for it."""
        return self.relay.has_stream(client)

    def cut(self, client: str, why: str) -> None:
        """End all of Amanda's calls to the client."""
        self.relay.cut(client, why)

    def bar(self, client: str, why: str) -> None:
        """Let each further call of Amanda's to the client fail at once, until unbar()."""
        self.relay.bar(client, why)

    def unbar(self, client: str) -> None:
        """Let Amanda call the client again."""
        self.relay.unbar(client)

"""The coordinators of all Amanda configurations that somebody asked for."""

import logging
from collections.abc import Callable

from asyncamanda.config.server import ServerConfig
from asyncamanda.server.background.tasks import Background, write_log
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.reach import ClientReach
from asyncamanda.server.ledger.access import LedgerAccess


class Coordinators:
    """One coordinator for each Amanda configuration, by its name.

    `faults` has the reason for each that could not be opened when that was last tried.
    """

    def __init__(
        self,
        config: ServerConfig,
        access: LedgerAccess,
        background: Background,
        make_reach: Callable[[str], ClientReach],
    ) -> None:
        self.by_name: dict[str, Coordinator] = {}
        self.faults: dict[str, str] = {}
        self._config = config
        self._access = access
        self._background = background
        self._make_reach = make_reach

    def get(self, name: str) -> Coordinator:
        """Return the coordinator of an Amanda configuration, which is opened if it is not yet."""
        if name not in self.by_name:
            self.by_name[name] = Coordinator(
                name, self._config, self._access, self._background, self._make_reach(name)
            )
        return self.by_name[name]

    @property
    def are_idle(self) -> bool:
        """Whether nothing waits, runs or is due in any of them."""
        return all(coordinator.is_idle for coordinator in self.by_name.values())

    def pump(self) -> None:
        """Do what is due now in each; forget one that cannot be opened."""
        for name, coordinator in list(self.by_name.items()):
            if coordinator.fault:
                del self.by_name[name]  # the next client tries again
                self.faults[name] = str(coordinator.fault)
                write_log(f"{name}: {coordinator.fault}", logging.WARNING)
            else:
                if coordinator.is_open:
                    self.faults.pop(name, None)
                coordinator.pump()

    def view(self) -> list[dict[str, object]]:
        """Return what goes on in those that are open."""
        return [one.view() for one in self.by_name.values() if one.is_open]

    def withdraw(self, client: str, why: str) -> None:
        """Forget a client's requests, unless a run serves them already."""
        for coordinator in self.by_name.values():
            coordinator.queue.withdraw(client, why)

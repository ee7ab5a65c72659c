"""No false base: Amanda hears about dumps whose snapshots claim what the server does not have."""

from collections.abc import Collection

from asyncamanda.core.amanda.disklist import render_lone_dle
from asyncamanda.core.dispatch.records import Protection
from asyncamanda.server.amanda.commands import plan_force
from asyncamanda.server.background.programs import run_apart
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.system.clock import now as read_clock
from asyncamanda.system.programs import Answer


class Protections:
    """What a configuration's DLEs need (core/dispatch/protect.py), as the ledger has it."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def make(self, hosts: Collection[str]) -> set[str]:
        """Tell Amanda what the DLEs of `hosts` need; return the hosts where that failed.

        None of those may be dumped before it is done.
        """
        name, failed = self._site.name, set()
        for need in await self._site.access.read(
            lambda ledger: ledger.protections.list_pending(name)
        ):
            if need.host in hosts and not await self._force(need):
                self._site.log(f"{need.host} waits: Amanda could not be told to distrust a dump")
                failed.add(need.host)
        return failed

    async def _force(self, need: Protection) -> bool:
        """Return whether Amanda knows now, or the DLE has left the disklist."""
        site, kind = self._site, need.kind.value
        if not site.has_dle(need.host, need.disk):
            return True  # nothing is dumped; should it come back, it is still needed
        answer = await self._ask(need)
        said = " ".join(answer.printed.split())
        site.log(f"{kind} {need.host} {need.disk}: {said}")
        # the exit status is 0 even where nothing matches (amanda-facts)
        is_known = answer.status == 0 and "is set to" in said
        if is_known:
            await site.access.write(
                lambda ledger: ledger.protections.note_made(site.name, need, read_clock())
            )
        return is_known

    async def _ask(self, need: Protection) -> Answer:
        """Let amadmin mark the one DLE, and return what it says.

        The disklist for that is in memory: a full disk does not matter to it, a crash leaves
        nothing behind, and amadmin can open it by name, which it cannot do with a pipe.
        """
        argv = plan_force(self._site.name, need.kind.value, need.host)
        return await run_apart(argv, text=render_lone_dle(need.host, need.disk))

"""What is done when runs have ended, by processes that read a great deal: for restores alone.

And for a new server, should this one be lost.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncamanda.core.dispatch.drills import nearly
from asyncamanda.core.export.daily import ExportOrder, render_export_order
from asyncamanda.core.restore.drill_order import DrillOrder, render_drill_order
from asyncamanda.core.restore.keep_order import HeldDump, KeepOrder, render_order
from asyncamanda.core.restore.reach_order import ReachOrder, render_reach_order
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.polite import EVERY, PoliteProcess
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.server.ledger.reach_file import ReachFile, ReachFound
from asyncamanda.system.clock import now as read_clock


class AfterRuns:
    """Has heads of one configuration's dumps kept, its disks drilled, and how far they go back.

    And has the server exported, where that is configured.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reach = ReachFile(site.name)
        self._processes = (
            PoliteProcess(site, "keep", "keeping heads", self._order_heads),
            PoliteProcess(site, "reach", "finding how far backups go back", self._order_reach),
            PoliteProcess(site, "drills", "proving backups restorable", self._order_drills),
            PoliteProcess(site, "daily", "exporting this server", self._order_export),
        )

    def look(self, ended: int, now: datetime) -> None:
        """Start what is due; `ended` counts the runs that have ended."""
        for process in self._processes:
            process.look(ended, now)

    async def _order_reach(self) -> str | None:
        """Return what to look for, None where nothing can have been overwritten since.

        Each full that has been made since is known without that (tell_since()).
        """
        config = self._site.config
        if not is_reach_old(self._reach.read(), self._site.settings.tapelist, read_clock()):
            return None
        allow_list = tuple(config.restore.filters)
        return render_reach_order(
            ReachOrder(self._site.name, config.user, config.ledger, allow_list)
        )

    async def _order_drills(self) -> str | None:
        """Return which drills to make, None where that was looked for already today."""
        config = self._site.config
        policy, name = config.drill, self._site.name
        if not policy.scheduled or not is_look_due(looked_path(name), policy.every, read_clock()):
            return None
        return render_drill_order(
            DrillOrder(
                name,
                config.user,
                config.ledger,
                tuple(config.restore.filters),
                policy.every.total_seconds(),
                policy.full_every.total_seconds(),
                policy.sample,
            )
        )

    async def _order_export(self) -> str | None:
        """Return where to, None where that is not configured."""
        config, export = self._site.config, self._site.config.export
        if not export.folder:
            return None
        name, to = self._site.name, export.encrypt_to
        return render_export_order(
            ExportOrder(name, config.user, config.ledger, export.folder, export.keep, to)
        )

    async def _order_heads(self) -> str | None:
        site = self._site
        dumps = await site.access.read(lambda ledger: ledger.verdicts.held(site.name))
        order = self._plan(dumps)
        if order.held or Path(STATE, "heads", site.name).exists():
            return render_order(order)
        return None

    def _plan(self, dumps: list[RecordedDump]) -> KeepOrder:
        site = self._site
        today = site.filters()
        held = [
            HeldDump(
                each.host,
                each.disk,
                each.timestamp,
                each.level,
                today.get((each.host, each.disk)),
                dump.filters,
            )
            for dump in dumps
            if (each := dump.verdict).level is not None
        ]
        return KeepOrder(
            site.name,
            tuple(map(str, site.settings.holding)),
            site.config.restore.keep_heads,
            site.config.restore.filters,
            tuple(held),
        )


def looked_path(amanda_config: str) -> Path:
    """Return the file whose time is when was looked last for drills that are due."""
    return Path(STATE, "drills", f"{amanda_config}.looked")


def is_look_due(looked: Path, every: timedelta, now: datetime) -> bool:
    """Return whether to look for drills that are due: once a day, and as often as each is made."""
    try:
        looked_at = datetime.fromtimestamp(looked.stat().st_mtime, UTC)
    except OSError:
        return True
    return not looked_at <= now < looked_at + nearly(min(EVERY, every))


def is_reach_old(found: ReachFound | None, tapelist: Path, now: datetime) -> bool:
    """Return whether what was found a while ago may be another by now.

    Amanda writes the tapelist each time that it begins with a volume, whose dumps are gone then.
    """
    if found is None or not found.looked_at <= now < found.looked_at + EVERY:
        return True
    try:
        changed_at = tapelist.stat().st_mtime
    except OSError:  # made with the first volume
        return False
    return datetime.fromtimestamp(changed_at, UTC) >= found.looked_at

"""What is made of the fleet when something has changed: by steps, each for itself.

A step gets the view that was gathered once for all of them. One that fails keeps no other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.days import sum_up_day
from asyncamanda.core.fleet.facts import DayMark
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.background.log import LOG
from asyncamanda.server.dispatch.refreshes import LOCK
from asyncamanda.server.fleet.gathering import gather_fleet
from asyncamanda.server.fleet.metrics_file import keep_metrics
from asyncamanda.server.fleet.page_folder import keep_page
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.telling.changes import tell_changes
from asyncamanda.system.locks import hold_lock


@dataclass(frozen=True, slots=True)
class RefreshStep:
    """A step: what it does, in words, and the function that does it.

    `is_wanted` says whether server.toml asks for it. One that has to be up to date is named in
    ServerConfig.keeps_fleet_fresh as well; else it is done once an hour.
    """

    what: str
    do: Callable[[ServerConfig, Ledger, FleetView], None]
    is_wanted: Callable[[ServerConfig], bool] = lambda _: True


def keep_fleet_day(_config: ServerConfig, ledger: Ledger, view: FleetView) -> None:
    """Write down how the fleet is, for its curves, and that each client is known from today on."""
    ledger.fleet.keep_day(sum_up_day(view))
    unknown = [
        Identity(each.facts.client, each.facts.amanda_config)
        for each in view.clients
        if each.facts.days[-1] is DayMark.UNKNOWN and not each.facts.retired_at
    ]
    if unknown:
        ledger.strips.note(unknown, view.at, DayMark.AWAY)


def tell_people(config: ServerConfig, ledger: Ledger, view: FleetView) -> None:
    """Tell people what changed; who could not be reached is told by the next look."""
    for sent in tell_changes(config, ledger, view):
        if sent.problem:
            LOG.warning("%s could not be notified: %s", sent.channel, sent.problem)


STEPS: Sequence[RefreshStep] = (
    RefreshStep("keeping the fleet's day", keep_fleet_day),
    RefreshStep(
        "writing the page",
        lambda config, _ledger, view: keep_page(config, view),
        lambda config: bool(config.page.folder),
    ),
    RefreshStep(
        "writing the metrics",
        lambda config, _, view: keep_metrics(config, view),
        lambda config: bool(config.metrics.textfile),
    ),
    RefreshStep("telling people", tell_people),
)


def refresh(
    config: ServerConfig, ledger: Ledger, now: datetime, steps: Sequence[RefreshStep] = STEPS
) -> list[str]:
    """Gather the fleet once, and do each step that is wanted; return what failed, in sentences.

    Strips that are missing are made first. Raises Held where another process is at it, and what
    gather_fleet() raises.
    """
    with hold_lock(Path(STATE, LOCK), now):
        if ledger.strips.are_missing():
            ledger.strips.make_anew(now)
        view = gather_fleet(config, ledger, now)
        return [fault for step in steps if (fault := _do(step, config, ledger, view))]


def _do(step: RefreshStep, config: ServerConfig, ledger: Ledger, view: FleetView) -> str:
    """Do a step, if it is wanted; return why it failed, "" if it did not."""
    try:
        if step.is_wanted(config):
            step.do(config, ledger, view)
    except (OSError, AsyncamandaError) as error:
        return f"{step.what} failed: {error}"
    except Exception as error:  # a bug in one is no reason to do none of the others
        LOG.exception("a bug in %s", step.what)
        return f"{step.what} failed: {error!r}"
    return ""

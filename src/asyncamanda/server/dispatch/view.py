"""What goes on in one Amanda configuration, as values for `server queue`."""

from collections.abc import Iterable, Mapping

from asyncamanda.core.protocol.messages import Queued
from asyncamanda.server.amanda.run import Run
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.flushes import Flushes
from asyncamanda.server.dispatch.queue import OpenRequest, Queue


def view_config(
    site: Site, queue: Queue, places: Mapping[str, Queued], going: Iterable[Run]
) -> dict[str, object]:
    """Return who waits, at which of the `places`, and the runs that are `going`."""
    return {
        "amanda_config": site.name,
        "fault": site.fault and site.fault.message,
        "waiting": [_view_entry(queue.entries[client], place) for client, place in places.items()],
        "runs": [
            {
                "run": run.timestamp,
                "kind": run.row.kind.value,
                "clients": list(run.clients),
                "begun_at": run.row.begun_at.isoformat(),
                "unfinished": [entry.client for entry in queue.of_run(run)],
            }
            for run in going
        ],
    }


def view_holding(flushes: Flushes) -> dict[str, object]:
    """Return how full the holding disk is, and since when a flush is due."""
    due_since = flushes.history.due_since
    return {
        "held_bytes": flushes.holding.held,
        "holding_bytes": flushes.holding.capacity,
        "flush_due_since": due_since and due_since.isoformat(),
    }


def _view_entry(entry: OpenRequest, word: Queued) -> dict[str, object]:
    estimate = word.estimate if entry.sessions else None
    return {
        "client": entry.client,
        "submitted_at": entry.submitted_at.isoformat(),
        "present": bool(entry.sessions),
        "place": word.place,
        "waits_for": word.reason if entry.sessions else "the client",
        "estimate_seconds": None if estimate is None else estimate.total_seconds(),
    }

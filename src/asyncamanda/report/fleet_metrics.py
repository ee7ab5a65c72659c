"""The fleet, for Prometheus: what a text file of the node exporter's has on the server.

What is not known has no sample, and never 0. A client that is lost or retired counts as that and
has no other sample, and neither has a disk that Amanda is configured to leave out: nobody waits for
their backups.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from asyncamanda.core.fleet.facts import ConfigFacts, DiskFacts
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.report.exposition import (
    MetricFamily,
    describe_software,
    render_families,
    render_labels,
)

_GONE = {ClientState.LOST, ClientState.RETIRED}


def render_fleet_metrics(view: FleetView) -> str:
    """Return all metrics of the fleet."""
    return render_families(_families(view))


def _families(view: FleetView) -> Iterator[MetricFamily]:
    present = [client for client in view.clients if client.standing.state not in _GONE]
    yield from _of_disks(present)
    yield from _of_clients(present, view.at)
    states = Counter(client.standing.state for client in view.clients)
    yield MetricFamily(
        "clients",
        "Clients in each state.",
        {render_labels(state=state.value): float(states[state]) for state in ClientState},
    )
    yield from _of_configs(view.configs)
    yield MetricFamily(
        "runs_total",
        "Runs of Amanda that the ledger has, by how they ended.",
        {render_labels(result=result): float(n) for result, n in view.runs_total.items()},
    )
    yield describe_software("server")


def _of_disks(clients: Iterable[ClientView]) -> Iterator[MetricFamily]:
    success: dict[str, float] = {}
    proved: dict[str, float] = {}
    for client in clients:
        facts = client.facts
        for disk in facts.disks:
            labels = render_labels(
                client=facts.client, amanda_config=facts.amanda_config, disk=disk.disk
            )
            if not disk.is_parked:
                _put_oldest(success, labels, confirmed_at(disk))
                _put_oldest(proved, labels, disk.proof.proved_at)
    yield MetricFamily(
        "client_last_success_timestamp_seconds",
        "Start of the last confirmed dump of the disk.",
        success,
    )
    yield MetricFamily(
        "restore_proved_timestamp_seconds",
        "When it was last proved that the disk can be restored.",
        proved,
    )


def confirmed_at(disk: DiskFacts) -> datetime | None:
    """Return when the run of the newest confirmed dump began, None if that is not known."""
    return disk.confirmed.dumped_at if disk.confirmed else None


def _put_oldest(samples: dict[str, float], labels: str, at: datetime | None) -> None:
    """Add the sample; of two disks whose names are written alike the older one counts."""
    if at:
        samples[labels] = min(at.timestamp(), samples.get(labels, at.timestamp()))


def _of_clients(clients: Iterable[ClientView], at: datetime) -> Iterator[MetricFamily]:
    labelled = {_label_client(client): client for client in clients}

    def samples(read: Callable[[ClientView], float | None]) -> dict[str, float]:
        read_values = ((labels, read(client)) for labels, client in labelled.items())
        return {labels: value for labels, value in read_values if value is not None}

    yield MetricFamily(
        "client_last_seen_timestamp_seconds",
        "When the client was last connected.",
        samples(lambda client: _seen_at(client, at)),
    )
    yield MetricFamily(
        "client_exposure_seconds",
        "For how long the client was used at least since its last confirmed backup began.",
        samples(lambda client: _seconds(client.facts.exposure.used)),
    )
    yield MetricFamily(
        "client_stale_after_seconds",
        "The age from which the client's last backup is stale, by its own settings.",
        samples(_stale_after),
    )
    yield MetricFamily(
        "client_exposed",
        "1 if the client was without a backup, or was used without one, for longer than allowed.",
        samples(_exposed),
    )
    yield MetricFamily(
        "client_state",
        "1 for the state that the client is in.",
        {_label_client(client, is_with_state=True): 1.0 for client in labelled.values()},
    )


def _label_client(client: ClientView, *, is_with_state: bool = False) -> str:
    facts = client.facts
    state = {"state": client.standing.state.value} if is_with_state else {}
    return render_labels(client=facts.client, amanda_config=facts.amanda_config, **state)


def _seen_at(client: ClientView, at: datetime) -> float | None:
    seen_at = at if client.facts.is_connected else client.facts.last_seen
    return seen_at.timestamp() if seen_at else None


def _stale_after(client: ClientView) -> float | None:
    report = client.facts.report
    return _seconds(report.stale_after) if report else None


def _exposed(client: ClientView) -> float | None:
    standing = client.standing
    is_known = standing.is_exposed or standing.state is not ClientState.UNKNOWN
    return float(standing.is_exposed) if is_known else None


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _of_configs(configs: Iterable[ConfigFacts]) -> Iterator[MetricFamily]:
    labelled = {render_labels(amanda_config=config.name): config for config in configs}
    yield MetricFamily(
        "queue_requests",
        "Requests of clients that wait for a run.",
        {
            labels: float(len(config.waiting))
            for labels, config in labelled.items()
            if not config.fault
        },
    )
    for name, words in (("used", "that are full"), ("size", "that there are")):
        yield MetricFamily(
            f"holding_disk_{name}_bytes",
            f"Bytes of the holding disk {words}.",
            {
                labels: float(value)
                for labels, config in labelled.items()
                if (value := config.held_bytes if name == "used" else config.holding_bytes)
                is not None
            },
        )

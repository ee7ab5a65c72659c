"""The server's metrics: each with its value and labels, and nothing that is not known."""

from dataclasses import replace

from tests.exposition import Samples, parse_exposition
from tests.fleets import DAY, GB, HOUR, NOON, make_client, make_fleet

from asyncamanda import __version__
from asyncamanda.core.dispatch.drills import DiskProof
from asyncamanda.core.fleet.facts import ConfigFacts, DiskFacts, Exposure
from asyncamanda.core.fleet.standing import ClientState, ClientView, FleetView
from asyncamanda.core.model import DleVerdict, DumpState
from asyncamanda.report.fleet_metrics import render_fleet_metrics

# one byte that is not UTF-8, quotes, a line's end, a terminal's codes, and what looks like a sample
NASTY = '/a "b"\\\n\udcff\x1b[31m} 1\rasyncamanda_clients 0'
SHOWN = '/a "b"\\\n\\udcff\\x1b[31m} 1\\x0dasyncamanda_clients 0'


def render(view: FleetView) -> Samples:
    """Return the samples of a fleet, by names without "asyncamanda_"."""
    found = parse_exposition(render_fleet_metrics(view))
    return {(name.removeprefix("asyncamanda_"), labels): n for (name, labels), n in found.items()}


def of_client(samples: Samples, client: str) -> dict[str, float]:
    """Return what there is of one client, by metric, and by the disk's name if it is of a disk."""
    return {
        f"{name} {kept['disk']}" if "disk" in kept else name: value
        for (name, labels), value in samples.items()
        if (kept := dict(labels)).get("client") == client
    }


def show(view: ClientView) -> dict[str, float]:
    """Return what there is of a client of a fleet of one."""
    return of_client(render(FleetView(NOON, (view,))), view.facts.client)


def test_a_client_has_its_times_its_exposure_and_its_state() -> None:
    """Times are seconds since 1970, spans are seconds."""
    view = make_client(1, "laptop", NOON)
    begun_at = (NOON - 6 * HOUR).timestamp()
    assert show(view) == {
        "client_last_success_timestamp_seconds /home": begun_at,
        "restore_proved_timestamp_seconds /home": begun_at,
        "client_last_seen_timestamp_seconds": begun_at,
        "client_exposure_seconds": 3600,
        "client_stale_after_seconds": 7 * 86400,
        "client_exposed": 0,
        "client_state": 1,
    }
    states = [labels for name, labels in render(FleetView(NOON, (view,))) if name == "client_state"]
    assert states == [(("client", "laptop"), ("amanda_config", "daily"), ("state", "protected"))]


def test_who_is_connected_is_seen_now() -> None:
    """Whatever the ledger has noted last."""
    view = make_client(1, "laptop", NOON)
    view = replace(view, facts=replace(view.facts, is_connected=True))
    assert show(view)["client_last_seen_timestamp_seconds"] == NOON.timestamp()


def test_what_is_not_known_has_no_sample() -> None:
    """Not even 0: for an alert that would be very long ago, or well."""
    view = make_client(1, "laptop", NOON)
    bad = DleVerdict("laptop", "/srv", "20261130110000", DumpState.FAILED)
    undated = DleVerdict("laptop", "/var", "20261130110000", DumpState.STORED)
    disks = (
        DiskFacts("/srv", None, bad, DiskProof(None, "the image is cut off")),
        DiskFacts("/var", undated, undated, DiskProof()),
    )
    facts = replace(
        view.facts, disks=disks, last_seen=None, report=None, exposure=Exposure(None, is_least=True)
    )
    standing = replace(view.standing, state=ClientState.UNKNOWN)
    assert show(ClientView(facts, standing)) == {"client_state": 1}
    exposed = replace(standing, is_exposed=True)
    assert show(ClientView(facts, exposed)) == {"client_state": 1, "client_exposed": 1}


def test_what_a_configuration_does_not_say_has_no_sample() -> None:
    """A holding disk that cannot be measured, a configuration that cannot be used."""
    config = ConfigFacts("daily", waiting=("laptop",), held_bytes=None, holding_bytes=10 * GB)
    broken = ConfigFacts("weekly", "amanda.conf is invalid")
    names = {
        (name, value)
        for (name, _), value in render(FleetView(NOON, (), (config, broken))).items()
        if name.startswith(("queue", "holding"))
    }
    assert names == {("queue_requests", 1), ("holding_disk_size_bytes", 10 * GB)}


def test_every_state_is_counted_and_0_is_known() -> None:
    """A fleet has each state, so a panel has no holes; lost and retired ones are counted too."""
    counts = {
        dict(labels)["state"]: value
        for (name, labels), value in render(make_fleet(26)).items()
        if name == "clients"
    }
    assert list(counts) == [state.value for state in ClientState]
    assert counts["protected"] == 6
    assert sum(counts.values()) == 26
    empty = render(FleetView(NOON, ()))
    assert [n for (name, _), n in empty.items() if name == "clients"] == [0] * len(ClientState)


def test_nobody_waits_for_who_is_gone_or_left_out() -> None:
    """No sample that an alert on an old backup could find: lost, retired, a parked disk."""
    samples = render(make_fleet(26))
    assert of_client(samples, "laptop0011") == {}
    assert of_client(samples, "laptop0012") == {}
    view = make_client(1, "laptop", NOON)
    home, srv = view.facts.disks
    facts = replace(view.facts, disks=(replace(home, is_parked=True), srv))
    assert "client_last_success_timestamp_seconds /home" not in show(replace(view, facts=facts))


def test_one_name_in_two_configurations_is_two_clients() -> None:
    """Else a sample would be there twice, and the exporter would complain of the whole file."""
    daily = make_client(1, "laptop", NOON)
    weekly = replace(daily, facts=replace(daily.facts, amanda_config="weekly"))
    samples = render(FleetView(NOON, (daily, weekly)))
    seen = [labels for name, labels in samples if name == "client_last_seen_timestamp_seconds"]
    assert [dict(labels)["amanda_config"] for labels in seen] == ["daily", "weekly"]


def test_totals_holding_disk_and_version() -> None:
    """What is there once, or once for each configuration."""
    samples = render(make_fleet(3))
    assert samples["runs_total", (("result", "clean"),)] == 4000
    assert samples["runs_total", (("result", "failed"),)] == 12
    assert samples["holding_disk_used_bytes", (("amanda_config", "daily"),)] == 3 * GB
    assert samples["queue_requests", (("amanda_config", "daily"),)] == 1
    assert samples["info", (("version", __version__), ("role", "server"))] == 1


def test_any_name_comes_back_and_ends_no_line() -> None:
    """Of a client, a disk, a configuration, a result."""
    view = make_client(1, NASTY, NOON)
    home, _ = view.facts.disks
    facts = replace(view.facts, disks=(replace(home, disk=NASTY),), amanda_config=NASTY)
    fleet = FleetView(NOON, (replace(view, facts=facts),), (ConfigFacts(NASTY),), (), {NASTY: 1})
    samples = render(fleet)
    labels = (("client", SHOWN), ("amanda_config", SHOWN), ("disk", SHOWN))
    assert ("client_last_success_timestamp_seconds", labels) in samples
    assert samples["runs_total", (("result", SHOWN),)] == 1


def test_two_disks_that_are_written_alike_are_one_sample_of_the_older() -> None:
    """A byte that is not UTF-8, and the same written out: a sample twice is refused."""
    view = make_client(1, "laptop", NOON)
    home, _ = view.facts.disks
    assert home.confirmed
    older = replace(home.confirmed, dumped_at=NOON - 9 * DAY)
    disks = (replace(home, disk="\udcff"), DiskFacts("\\udcff", older, older, home.proof))
    for order in (disks, disks[::-1]):
        shown = show(replace(view, facts=replace(view.facts, disks=order)))
        found = shown["client_last_success_timestamp_seconds \\udcff"]
        assert found == (NOON - 9 * DAY).timestamp()

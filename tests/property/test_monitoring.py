"""Whatever names and reasons are, what monitoring reads is valid, and ranges mean what they say."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.exposition import parse_exposition
from tests.fleets import NOON, make_client
from tests.plugins import read_output

from asyncamanda.core.fleet.checking import check_client, check_fleet
from asyncamanda.core.fleet.facts import ConfigFacts
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.core.values.plugin import CheckLimits, PerfValue, PluginAnswer, PluginStatus
from asyncamanda.core.values.threshold import AlertRange, parse_range
from asyncamanda.report.fleet_metrics import render_fleet_metrics
from asyncamanda.report.plugin import render_plugin_answer

# lone surrogates as well, which a name that is not UTF-8 has
texts = st.text(st.characters(exclude_categories=()), max_size=60)
labels = st.sampled_from(["age", "a b", "it's", "x=y"])
numbers = st.none() | st.integers(0, 10**15).map(float)
statuses = st.sampled_from(PluginStatus)


def make_fleet_of(names: list[str], config: str, disk: str, reason: str) -> FleetView:
    """Return clients of these names, whose first disk and whose reasons are called so."""
    clients = []
    for number, name in enumerate(names):
        view = make_client(number, name, NOON)
        home, srv = view.facts.disks
        facts = replace(view.facts, amanda_config=config, disks=(replace(home, disk=disk), srv))
        standing = replace(view.standing, sentence=reason, alarm=reason, evidence=(reason, name))
        clients.append(replace(view, facts=facts, standing=standing))
    return FleetView(
        NOON, tuple(clients), (ConfigFacts(config, waiting=(disk,)),), faults=(reason,)
    )


@given(st.lists(texts, min_size=1, max_size=4), texts, texts, texts)
def test_no_name_and_no_reason_breaks_what_is_read(
    names: list[str], config: str, disk: str, reason: str
) -> None:
    """Neither the metrics, of which one bad line costs all, nor the plugin's lines."""
    fleet = make_fleet_of(names, config, disk, reason)
    parse_exposition(render_fleet_metrics(fleet))
    for answer in (
        check_fleet(fleet, CheckLimits()),
        check_client(fleet.clients[:1], CheckLimits(), NOON),
    ):
        read_output(render_plugin_answer(answer), int(answer.status))


@given(statuses, texts, st.dictionaries(labels, numbers), st.lists(texts, max_size=50))
def test_any_answer_is_read_again(
    status: PluginStatus, text: str, values: dict[str, float | None], lines: list[str]
) -> None:
    """With its status, and as many numbers as there were."""
    shown = tuple(PerfValue(label, value) for label, value in values.items())
    answer = PluginAnswer(status, text, shown, tuple(lines))
    said = read_output(render_plugin_answer(answer), int(status))
    assert (said.status, len(said.numbers)) == (status.name, len(values))


@given(
    st.floats(0, 1e9, allow_subnormal=False).map(lambda value: round(value, 3)),
    st.floats(0, 1e9, allow_subnormal=False).map(lambda value: round(value, 3)),
    st.booleans(),
    st.floats(-1e9, 1e9),
)
def test_a_range_is_read_as_it_was_written(
    one: float, other: float, is_inside: bool, value: float
) -> None:
    """And turned round it alerts just what it did not."""
    limit = AlertRange(min(one, other), max(one, other), is_inside)
    assert parse_range(str(limit)) == limit
    turned = replace(limit, is_inside=not is_inside)
    assert limit.alerts(value) is not turned.alerts(value)

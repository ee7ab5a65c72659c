"""What contrib/ has for other programs: they understand it, and it is about metrics we have."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fleets import make_fleet

from asyncamanda.core.model import Outcome
from asyncamanda.report.fleet_metrics import render_fleet_metrics
from asyncamanda.report.prometheus import Metrics, render_prometheus

ROOT = Path(__file__).parents[2]
RULES = ROOT / "contrib/prometheus/asyncamanda.rules.yml"
DASHBOARD = ROOT / "contrib/grafana/asyncamanda.json"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OTHERS = {"node_textfile_mtime_seconds"}  # of the node exporter

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="it needs promtool, of Debian's prometheus"
)


def promtool(*words: str, text: str = "") -> str:
    """Return what promtool says; fail if it complains."""
    done = subprocess.run(
        ["promtool", *words], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def render_all() -> tuple[str, str]:
    """Return the server's metrics and a client's, with each metric that there is."""
    at_home = Metrics(
        NOW, {"/home": NOW}, attempted_at=NOW, outcome=Outcome.BACKED_UP, success_at=NOW
    )
    return render_fleet_metrics(make_fleet(26)), render_prometheus(at_home)


def known_names() -> set[str]:
    """Return the names of all metrics."""
    return set(re.findall(r"^# TYPE (\w+)", "".join(render_all()), re.MULTILINE)) | OTHERS


def load_dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    value = json.loads(DASHBOARD.read_text("utf-8"))
    assert isinstance(value, dict)
    return value


def list_queries() -> list[str]:
    """Return each query of the dashboard, with a value for its variable."""
    queries = [
        target["expr"] for panel in load_dashboard()["panels"] for target in panel["targets"]
    ]
    return [query.replace("$instance", ".*") for query in queries]


@needs_promtool
@pytest.mark.parametrize("text", render_all(), ids=["server", "client"])
def test_prometheus_finds_nothing_wrong_with_the_metrics(text: str) -> None:
    """Neither their form nor their names and heads."""
    assert promtool("check", "metrics", text=text) == ""


@needs_promtool
def test_names_of_any_kind_break_no_metric() -> None:
    """One bad line, and the exporter would drop the whole file."""
    nasty = (
        'a"b',
        "a\\b",
        "a\nb",
        "\udcff",
        "}",
        "{x='1'} 2",
        "\x1b[31m",
        "\u202e",
        "é \U0001f4be",
    )
    promtool("check", "metrics", text=render_fleet_metrics(make_fleet(20, names=nasty)))


@needs_promtool
def test_the_rules_alert_when_they_should() -> None:
    """By the tests that lie beside them, in Prometheus' own form."""
    promtool("check", "rules", str(RULES))
    tests = RULES.with_name("asyncamanda.rules.test.yml")
    assert "SUCCESS" in promtool("test", "rules", str(tests))
    alerts = re.findall(r"alert: (\w+)", RULES.read_text("utf-8"))
    tested = set(re.findall(r"alertname: (\w+)", tests.read_text("utf-8")))
    assert tested == {*alerts}


@needs_promtool
def test_the_dashboards_queries_are_understood(tmp_path: Path) -> None:
    """Each as a recording rule, so that Prometheus parses it."""
    rules = [
        {"record": f"query:{number}", "expr": query} for number, query in enumerate(list_queries())
    ]
    path = tmp_path / "queries.yml"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_rules_and_dashboard_are_about_metrics_that_there_are() -> None:
    """A name that is spelt otherwise would never alert, and show an empty panel."""
    variables = json.dumps(load_dashboard()["templating"])
    texts = [*list_queries(), variables, RULES.read_text("utf-8")]
    named = {name for text in texts for name in re.findall(r"\b(?:asyncamanda|node)_\w+", text)}
    assert named - known_names() == set()
    unused = {name for name in known_names() - named if "_client" in name or "_disk" in name}
    assert unused == {"asyncamanda_client_stale_after_seconds"}


def test_the_dashboard_is_as_grafana_wants_it() -> None:
    """By kinds/dashboard/dashboard_kind.cue of grafana/grafana: what has to be there, its types."""
    board = load_dashboard()
    assert {type(board[key]) for key in ("title", "uid", "timezone", "refresh")} == {str}
    assert 8 <= len(board["uid"]) <= 40
    assert (type(board["schemaVersion"]), board["graphTooltip"]) == (int, 1)
    assert {each["type"] for each in board["templating"]["list"]} == {"datasource", "query"}
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in {"stat", "timeseries", "table"}
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        values = [step["value"] for step in steps]
        assert values[0] is None
        assert values[1:] == sorted(values[1:])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        grid = panel["gridPos"]
        here = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(x for x, _ in here) < 24
        assert not here & taken, "two panels in one place"
        taken |= here

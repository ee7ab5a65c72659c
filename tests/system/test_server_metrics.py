"""`server metrics` and `server check`, each a process of its own, over a fleet that is known."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tests.exposition import parse_exposition
from tests.fleets import HOUR, NOON, make_fleet
from tests.plugins import Output, read_output

from asyncamanda.config.server import MetricsFile, ServerConfig
from asyncamanda.core.dispatch.records import RunEnd, RunKind
from asyncamanda.server.fleet import refreshing
from asyncamanda.server.fleet.refreshing import STEPS
from asyncamanda.server.ledger.ledger import Ledger

# the commands, with a fleet of 13 clients instead of what the ledger has
RUN = """\
import sys
from tests.fleets import make_fleet
from asyncamanda import cli
from asyncamanda.server.fleet import gathering
gathering.gather_fleet = lambda config, ledger, now: make_fleet(13)
sys.exit(cli.main(sys.argv[1:]))
"""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    """A server.toml, with a ledger and a folder of the exporter's beside it."""

    folder: Path

    @property
    def textfile(self) -> Path:
        """The exporter's file."""
        return self.folder / "exporter/asyncamanda.prom"

    def configure(self, text: str = "") -> None:
        """Write server.toml, for the account that these tests run as."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        head = f'user = "{user}"\nledger = "{self.folder}/ledger.sqlite"\n'
        (self.folder / "server.toml").write_text(f"{head}{text}\n")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Return how `asyncamanda server` with these words ended."""
        argv = [sys.executable, "-c", RUN, "server", *words]
        if not {"--help", "-V"} & {*words}:
            argv += ["--config", str(self.folder / "server.toml")]
        environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "LC_ALL": "C"}
        return subprocess.run(
            argv, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    def check(self, *words: str) -> Output:
        """Return what the plugin said."""
        done = self.run("check", *words)
        assert done.stderr == ""
        return read_output(done.stdout, done.returncode)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Return a server whose ledger is there."""
    Ledger.open(f"{tmp_path}/ledger.sqlite", timedelta(seconds=5)).close()
    made = Server(tmp_path)
    made.configure()
    made.textfile.parent.mkdir()
    return made


def test_the_metrics_are_printed(server: Server) -> None:
    """As Prometheus reads them, in UTF-8 whatever the locale."""
    done = server.run("metrics")
    assert (done.returncode, done.stderr) == (0, "")
    found = parse_exposition(done.stdout)
    assert found["asyncamanda_clients", (("state", "protected"),)] == 3


def test_the_text_file_is_written_whole_and_readable(server: Server) -> None:
    """The exporter is another user; beside it nothing is left that it would read."""
    server.configure(f'[metrics]\ntextfile = "{server.textfile}"')
    server.textfile.write_text("old\n")
    done = server.run("metrics", "--write")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert parse_exposition(server.textfile.read_text())
    assert stat.S_IMODE(server.textfile.stat().st_mode) == 0o644
    assert [path.name for path in server.textfile.parent.iterdir()] == [server.textfile.name]


def test_a_text_file_that_cannot_be_written_is_told(server: Server) -> None:
    """Or one that is not configured; with what to do."""
    done = server.run("metrics", "--write")
    assert (done.returncode, "[metrics]" in done.stderr) == (78, True)
    server.textfile.parent.rmdir()
    server.configure(f'[metrics]\ntextfile = "{server.textfile}"')
    done = server.run("metrics", "--write")
    assert (done.returncode, "cannot be written: No such file" in done.stderr) == (78, True)


def test_the_fleet_and_a_client_are_checked(server: Server) -> None:
    """With limits for each; by its own state without."""
    fleet = server.check()
    assert (fleet.status, fleet.text) == (
        "CRITICAL",
        "2 of 11 clients need you: laptop0002, laptop0004",
    )
    assert server.check("-H", "laptop0001").status == "OK"
    late = server.check("-H", "laptop0001", "-w", "5h", "--exposure-critical", "10h")
    assert (late.status, late.text) == ("WARNING", "laptop0001: last backup 6h ago")
    assert late.numbers["exposure"].crit == "36000"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-H", "laptop01"], "no client laptop01 is enrolled"),
        (["-w", "soon"], "--warning: 'soon': not a span of time"),
        (["-t", "0"], "--timeout: '0' is no number of seconds"),
        (["laptop0001"], "unrecognized arguments: laptop0001"),
    ],
)
def test_what_is_asked_wrongly_is_unknown(server: Server, words: list[str], reason: str) -> None:
    """With the reason on stdout, and a hint below it."""
    said = server.check(*words)
    assert (said.status, said.text) == ("UNKNOWN", reason)
    assert said.lines


def test_without_a_ledger_nothing_is_known(server: Server) -> None:
    """Also where it is damaged, and where server.toml has a mistake."""
    ledger = server.folder / "ledger.sqlite"
    ledger.write_bytes(b"no database" * 1000)
    assert server.check().status == "UNKNOWN"
    ledger.unlink()
    said = server.check()
    assert (said.status, said.text[:25]) == ("UNKNOWN", "there is no ledger yet: /")
    server.configure("[metrics]\ntextfile = 1")
    said = server.check()
    assert (said.status, "metrics.textfile: found 1" in said.lines[0]) == ("UNKNOWN", True)


def test_a_help_and_a_version_end_with_3(server: Server) -> None:
    """As the guidelines want: they are no result of a check."""
    for words, start in ((["--help"], "usage: "), (["-V"], "check_asyncamanda ")):
        done = server.run("check", *words)
        assert (done.returncode, done.stdout[: len(start)]) == (3, start)


def test_the_dispatchers_look_at_the_fleet_writes_the_file(server: Server) -> None:
    """Within half a minute of each change, if server.toml names it; and says why it could not."""
    (step,) = (step for step in STEPS if step.what == "writing the metrics")
    assert not step.is_wanted(ServerConfig())
    config = ServerConfig(metrics=MetricsFile(str(server.textfile)))
    assert step.is_wanted(config)
    assert config.keeps_fleet_fresh
    ledger = Ledger.open(f"{server.folder}/ledger.sqlite", timedelta(seconds=5))
    with closing(ledger):
        assert refreshing._do(step, config, ledger, make_fleet(5)) == ""
        assert parse_exposition(server.textfile.read_text())
        nowhere = ServerConfig(metrics=MetricsFile(f"{server.folder}/none/a.prom"))
        fault = refreshing._do(step, nowhere, ledger, make_fleet(5))
    assert fault.startswith("writing the metrics failed: ")
    assert fault.endswith("/none cannot be written: No such file or directory")


def test_totals_never_fall(server: Server) -> None:
    """A run that is known by its log alone may go on, or be known already: it counts later."""
    ledger = Ledger.open(f"{server.folder}/ledger.sqlite", timedelta(seconds=5))
    with closing(ledger):
        own = ledger.runs.begin(RunKind.BATCH, "daily", ("laptop",), (), NOON - 3 * HOUR)
        other = ledger.runs.begin(RunKind.OTHER, "daily", ("tower",), (), NOON - 3 * HOUR)
        ledger.runs.end(other.id, NOON - HOUR, RunEnd(None, is_clean=False))
        assert ledger.fleet.runs_total(NOON) == {"clean": 0, "failed": 0}
        ledger.runs.end(own.id, NOON - HOUR, RunEnd(0, is_clean=True))
        ledger.runs.end(other.id, NOON, RunEnd(None, is_clean=True))  # its log has grown
        assert ledger.fleet.runs_total(NOON) == {"clean": 1, "failed": 0}
        assert ledger.fleet.runs_total(NOON + 25 * HOUR) == {"clean": 2, "failed": 0}
        third = ledger.runs.begin(RunKind.BATCH, "daily", ("laptop",), (), NOON - HOUR)
        ledger.runs.end(third.id, NOON, RunEnd(4, is_clean=True))  # a dump of it failed
        assert ledger.fleet.runs_total(NOON) == {"clean": 1, "failed": 1}

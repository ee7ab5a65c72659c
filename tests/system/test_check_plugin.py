"""`check --nagios` and check_asyncamanda on a client, as a monitoring system starts them."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.plugins import Output, read_output
from tests.system.conftest import PYTHON
from tests.system.test_status import SUMMARY, age, close

from asyncamanda.system.limited import ask_within

if TYPE_CHECKING:
    from tests.system.conftest import Rig

SCRIPT = Path(__file__).parents[2] / "bin/check_asyncamanda"
INSTALLED = "/usr/local/bin/check_asyncamanda"


@pytest.fixture
def private(rig: Rig) -> Rig:
    """Return the hosts, with a client.toml for root and backup alone, and the script installed."""
    rig.configure()
    close(rig)
    text = SCRIPT.read_text("utf-8").replace("/usr/bin/python3", PYTHON)
    rig.laptop.write(INSTALLED, text, mode=0o755)
    return rig


def ask(rig: Rig, *words: str, user: str = "nobody") -> Output:
    """Return what check_asyncamanda says to an ordinary user."""
    done = rig.laptop.run([INSTALLED, *words], user=user, check=False)
    assert done.stderr == ""
    return read_output(done.stdout, done.returncode)


def test_a_user_without_rights_is_told_what_everybody_may_know(private: Rig) -> None:
    """As the monitoring's own user: before the first start, after it, and when nothing follows."""
    before = ask(private)
    assert before.status == "UNKNOWN"
    assert any("once the agent has run" in line for line in before.lines)
    assert private.run("run").exit == 0
    for user in ("nobody", "root"):
        well = ask(private, "-w", "26h", "-c", "3d", user=user)
        assert (well.status, well.text[:10]) == ("OK", "all well: ")
        assert (well.numbers["age"].warn, well.numbers["age"].crit) == ("93600", "259200")
        assert (well.numbers["fresh"].value, well.numbers["fresh"].most) == (1, 1)
    value = json.loads(private.laptop.read(SUMMARY))
    for days, words, status in ((2, ["-w", "26h"], "WARNING"), (8, [], "CRITICAL")):
        private.laptop.write(SUMMARY, json.dumps(age(value, days)), owner="backup")
        assert ask(private, *words).status == status


@pytest.mark.parametrize(
    "words",
    [
        ["--client", "-w", "soon"],
        ["--client", "-t", "never"],
        ["--client", "--bogus"],
        ["--client", "--json"],
        ["--config", "/none"],
        ["--server"],
        ["-H", "laptop"],
    ],
)
def test_whatever_is_asked_wrongly_is_unknown_on_stdout(private: Rig, words: list[str]) -> None:
    """With the reason, and no other exit code; nobody reads a plugin's stderr."""
    said = ask(private, *words)
    assert (said.status, said.numbers) == ("UNKNOWN", {})
    assert said.lines


def test_a_help_and_a_version_are_no_result(private: Rig) -> None:
    """They end with 3, so that nobody takes them for a check that went well."""
    for words, start in ((["--help"], "usage: "), (["-V"], "check_asyncamanda ")):
        done = private.laptop.run([INSTALLED, *words], check=False)
        assert (done.returncode, done.stdout[: len(start)]) == (3, start)
    assert private.run("check", "--help").exit == 0
    assert private.run("check", "-w", "1d").exit == 64


def test_what_hangs_is_unknown_when_the_time_is_up(private: Rig) -> None:
    """Here the file of everybody's summary is on a file system that does not answer."""
    assert private.run("run").exit == 0
    private.laptop.write(private.config, "")
    private.laptop.run(["rm", private.config])
    private.laptop.run(["mkfifo", private.config])  # whoever opens it waits
    said = ask(private, "-t", "1", user="root")
    assert (said.status, said.text) == ("UNKNOWN", "there was no answer within 1 s")


def test_an_answer_comes_in_time_or_not_at_all(tmp_path: Path) -> None:
    """What the look has started is ended with it; an error there is no answer."""
    assert ask_within(30, lambda: "é\udcff") == "é\udcff"
    assert ask_within(30, lambda: "x" * 1_000_000) == "x" * 1_000_000

    def hang() -> str:
        child = subprocess.Popen(["sleep", "1000"])
        (tmp_path / "pid").write_text(str(child.pid))
        time.sleep(1000)
        return "never"

    assert ask_within(1, hang) is None
    pid = (tmp_path / "pid").read_text()
    status = Path(f"/proc/{pid}/stat")
    assert not status.exists() or status.read_text().rpartition(") ")[2][0] in "ZX"


def test_an_error_of_the_looks_own_is_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    """It is told on stderr, where somebody who types the command sees it."""

    def fail() -> str:
        raise RuntimeError("broken")

    assert ask_within(30, fail) == ""
    assert "RuntimeError: broken" in capfd.readouterr().err

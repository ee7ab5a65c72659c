"""What is said to people who have just installed it, on a machine that lacks something."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncamanda.commands.server import SUBCOMMANDS

if TYPE_CHECKING:
    from tests.system.conftest import Rig

ROOT = Path(__file__).parents[2]


START = "import sys; from asyncamanda import cli; sys.exit(cli.main(sys.argv[1:]))"


def run_bare(*words: str) -> subprocess.CompletedProcess[str]:
    """Run asyncamanda where no package is installed besides."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    argv = [sys.executable, "-S", "-c", START, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environ)


def test_a_plugin_without_the_servers_packages_says_so_in_its_own_way() -> None:
    """A monitoring system reads what is on stdout, and four exit codes."""
    done = run_bare("server", "check")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("BACKUP UNKNOWN: this asyncamanda is a client's")
    assert re.search(r"pip install .*\[server\]", done.stdout)


@pytest.mark.parametrize("command", [name for name in SUBCOMMANDS if name != "check"])
def test_a_client_without_the_servers_packages_says_so_in_a_sentence(command: str) -> None:
    """Before anything is done, and without a traceback."""
    done = run_bare("server", command)
    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    said, hint = done.stderr.splitlines()
    assert "this asyncamanda is a client's" in said
    assert re.search(r"pip install .*\[server\]", hint)


def test_help_for_the_servers_commands_is_there_on_a_client() -> None:
    """Who reads about them need not have them."""
    done = run_bare("server", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in SUBCOMMANDS)


def test_a_machine_that_is_not_set_up_is_led_to_setup(rig: Rig) -> None:
    """And to a page that is there."""
    rig.laptop.path(rig.config).unlink(missing_ok=True)
    done = rig.run("run", "--json")
    assert done.exit == 78
    assert "asyncamanda setup SERVER" in done.json["hint"]
    (page,) = re.findall(r"\S+\.md", done.json["hint"])
    assert rig.laptop.path(page).is_file(), page


def test_a_configuration_from_another_systems_editor(rig: Rig) -> None:
    """A mark of UTF-8 is read over; another encoding is named."""
    rig.configure(command="mark")
    text = rig.laptop.read(rig.config)
    rig.laptop.path(rig.config).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert rig.run("check").exit == 0
    rig.laptop.path(rig.config).write_bytes(text.encode("utf-16"))
    done = rig.run("check")
    assert done.exit == 78
    assert "is written in UTF-16" in done.stderr
    assert "save it as UTF-8" in done.stderr

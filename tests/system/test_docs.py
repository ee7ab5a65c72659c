"""The docs say what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from asyncamanda.cli import COMMANDS
from asyncamanda.commands.server import SUBCOMMANDS
from asyncamanda.config.client import ClientConfig, NotifySettings, SshSettings
from asyncamanda.core.agent.by_command import names_one_client
from asyncamanda.server.enrol.setup import SERVER_TOML

ROOT = Path(__file__).parents[2]


def test_every_key_of_the_configuration_is_in_the_guide() -> None:
    """The guide's table has each key of client.toml, and no other."""
    tables = {"ssh": SshSettings, "notify": NotifySettings}
    keys = {field.name for field in fields(ClientConfig)} - {*tables}
    keys |= {f"[{name}] {field.name}" for name, kind in tables.items() for field in fields(kind)}
    table = (ROOT / "docs/guide.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == keys


def test_every_command_is_in_the_guide() -> None:
    """Each command that --help lists is explained."""
    guide = (ROOT / "docs/guide.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in guide] == []


def test_every_key_of_the_servers_configuration_is_in_its_page() -> None:
    """The page's table has each key of server.toml, and no other."""
    page = (ROOT / "docs/server.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\[?[a-z][^`]*)` \| [^|]*\| ", page, re.MULTILINE)
    keys = {line.split()[1] for line in SERVER_TOML.splitlines() if " = " in line}
    assert {row.split()[-1] for row in rows} == keys


def test_every_command_of_the_server_is_in_its_page() -> None:
    """Each subcommand that `server --help` lists is explained."""
    page = (ROOT / "docs/server.md").read_text("utf-8")
    assert [name for name in SUBCOMMANDS if f"`server {name}" not in page] == []


def test_every_amdump_that_a_client_is_told_to_run_names_that_client() -> None:
    """Or another one that is away puts each of its backups in doubt."""
    pages = ("README.md", "docs/guide.md", "docs/design/0007-whose-dump-failed.md")
    text = "".join((ROOT / page).read_text("utf-8") for page in pages)
    lines = re.findall(r"\"(/usr/sbin/amdump [^\"]*)\"|`(amdump [^`]*)`", text)
    commands = [one or other for one, other in lines]
    assert len(commands) >= 4
    assert [each for each in commands if not names_one_client(each)] == []

"""The docs say what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from asyncamanda.cli import COMMANDS
from asyncamanda.config import ClientConfig, SshSettings

ROOT = Path(__file__).parents[2]


def test_every_key_of_the_configuration_is_in_the_guide() -> None:
    """The guide's table has each key of client.toml, and no other."""
    keys = {field.name for field in fields(ClientConfig)} - {"ssh"}
    keys |= {f"[ssh] {field.name}" for field in fields(SshSettings)}
    table = (ROOT / "docs/guide.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == keys


def test_every_command_is_in_the_guide() -> None:
    """Each command that --help lists is explained."""
    guide = (ROOT / "docs/guide.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in guide] == []

"""server setup where Debian's packages are missing, and nobody is there to be asked."""

import argparse

import pytest

from asyncamanda.commands.server import setup as setup_command
from asyncamanda.errors import ConfigurationError


def provide(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """Run that part of the command, without a terminal, as if these packages were missing."""
    monkeypatch.setattr(setup_command, "find_missing_packages", lambda: missing)
    monkeypatch.setattr(setup_command, "is_amanda_there", lambda: "amanda-server" not in missing)
    setup_command._provide_packages(argparse.Namespace(dry_run=False, yes=False))


def test_unasked_a_missing_package_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on: Amanda's server is there, and the rest can be installed at any time."""
    provide(monkeypatch, "libencode-locale-perl")
    said = capsys.readouterr()
    assert "missing: apt install libencode-locale-perl" in said.out
    assert said.err.startswith("warning: not installed")


def test_without_amandas_server_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 78, and what to install, whether or not somebody can be asked."""
    with pytest.raises(ConfigurationError) as caught:
        provide(monkeypatch, "amanda-server", "amanda-client")
    assert "apt install amanda-server" in caught.value.hint

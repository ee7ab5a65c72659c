"""What `server clients --json` says where the fleet cannot be looked at."""

from __future__ import annotations

import pytest

from asyncamanda.commands.server import clients
from asyncamanda.config.server import ServerConfig
from asyncamanda.errors import LaterError


def test_what_hides_the_states_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The states are null then, and why is on stderr."""

    def refuse(_config: ServerConfig) -> None:
        raise LaterError("ledger-busy", "the ledger is locked", "wait")

    monkeypatch.setattr(clients, "open_ledger_to_read", refuse)
    assert clients._find_standings(ServerConfig()) == {}
    assert "the ledger is locked" in capsys.readouterr().err

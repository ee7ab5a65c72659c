"""A server's process that answers with what was made up (holdings.py): run by test_restore_service.

It is called with a description of itself, in JSON; stdin, stdout and stderr are the client's.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.holdings import MadeUpFiles, MadeUpHoldings

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.server.background.log import open_own_log
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.answer_streams import AnswerStreams
from asyncamanda.server.restore.service import RestoreCaller, RestoreService


def serve(told: dict[str, Any]) -> int:
    """Answer one client; return the exit code."""
    folder = Path(told["folder"])
    faults: dict[str, Exception] = {"bug": RuntimeError("a bug"), "memory": MemoryError()}
    fault = faults.get(told["fault"])
    holdings = MadeUpHoldings(MadeUpFiles(pieces=told["pieces"], fault=fault))

    @contextmanager
    def open_holdings(
        config: ServerConfig, ledger: Ledger, identity: Identity
    ) -> Iterator[MadeUpHoldings]:
        assert config.ledger
        assert ledger.restores
        assert identity.client
        yield holdings

    open_own_log(folder / "restore.log")
    registry = Registry(folder / "authorized_keys")
    caller = RestoreCaller(Identity(told["client"], "daily"), registry, told["who"])
    config = ServerConfig(ledger=str(folder / "ledger.sqlite"))
    service = RestoreService(config, folder / "restores", open_holdings, told["asked_within"])
    return service.serve(caller, 0, AnswerStreams(1, 2))


if __name__ == "__main__":
    sys.exit(serve(json.loads(sys.argv[1])))

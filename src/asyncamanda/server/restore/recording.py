"""A row in the ledger for each restore: from before its first byte to its end, whatever that is."""

import os
from collections.abc import Callable

from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.restore.request import FilesRequest, RawRequest
from asyncamanda.core.values.printable import clip
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import AsyncamandaError
from asyncamanda.server.background.log import LOG
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.ledger.restores import RestoreBegun, shorten_paths
from asyncamanda.server.restore.presence import GONE
from asyncamanda.system.clock import now
from asyncamanda.system.processes import read_boot_id, read_process

CLIENT = "client"
WHOLE_IMAGE = "the whole image of level {}"
LONGEST_OUTCOME = 500


class RestoreRecord:
    """The row of a restore, if it comes to one. `who` gets the files: CLIENT, or "admin:USER"."""

    def __init__(self, identity: Identity, who: str) -> None:
        self.ledger: Ledger | None = None
        self._identity = identity
        self._who = who
        self._number: int | None = None
        self._run = ""
        self._counts: Callable[[], tuple[int, int]] = lambda: (0, 0)

    def begin(
        self,
        request: FilesRequest | RawRequest,
        run: str,
        counts: Callable[[], tuple[int, int]],
    ) -> None:
        """Write down that it begins; `counts` tells later how many files and bytes were sent.

        Raises LedgerUnavailable or LedgerBusy if that cannot be: nothing is given back then. The
        administrator, who may have to fix just that, gets it anyway.
        """
        assert self.ledger
        self._counts, self._run = counts, run
        begun = _describe(self._identity, self._who, request, run)
        try:
            self._number = self.ledger.restores.begin(begun)
        except AsyncamandaError as error:
            if self._who == CLIENT:
                raise
            LOG.warning("a restore for %s is not written down: %s", self._who, error.message)

    def end(self, outcome: str) -> None:
        """Write down how it ended, if it had begun, and close the ledger.

        Where the ledger is locked or full just now the row has no end.
        """
        if self.ledger is None:
            return
        try:
            if self._number is not None:
                files, size = self._counts()
                amount = f"{files} files, {format_size(size)}"
                what = f"{amount} of run {self._run} for {self._who}: {outcome}"
                LOG.info("%s: restored %s", self._identity.client, what)
                words = clip(outcome, LONGEST_OUTCOME)
                self.ledger.restores.end(self._number, now(), files, size, words)
        except AsyncamandaError as error:
            LOG.warning("the end of restore %d is not written down: %s", self._number, error)
        finally:
            self.ledger.close()


def name_success(missing: int) -> str:
    """Return what the ledger says of a restore that came to its end, without so many files."""
    if not missing:
        return "all sent"
    return f"{missing} missing, all else sent"


def name_end(error: Exception) -> str:
    """Return what the ledger says of a restore that ended so."""
    match error:
        case BrokenPipeError():
            return GONE
        case AsyncamandaError():
            return error.message
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return type(error).__name__


def _name_wanted(request: FilesRequest | RawRequest) -> tuple[tuple[str, ...], int]:
    if isinstance(request, RawRequest):
        return (WHOLE_IMAGE.format(request.level),), 0
    return shorten_paths(request.paths)


def _describe(
    identity: Identity, who: str, request: FilesRequest | RawRequest, run: str
) -> RestoreBegun:
    paths, more_paths = _name_wanted(request)
    own = read_process(os.getpid())
    return RestoreBegun(
        identity.amanda_config,
        identity.client,
        who,
        request.disk,
        run,
        now(),
        os.getpid(),
        own.started if own else 0,
        read_boot_id(),
        paths,
        more_paths,
    )

"""What the server has of one client, as serving.py asks for it: by the ledger, and in the dumps."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.protocol.bounds import MOST_ENTRIES
from asyncamanda.core.restore.answer import DiskAnswer, DumpOfDisk, FileVersion
from asyncamanda.core.restore.recorded import RecordedDump
from asyncamanda.core.restore.request import FilesRequest, ListRequest, RawRequest
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.restore.dated import ChainFiles, ChainList, name_device
from asyncamanda.server.restore.disks import DiskDumps, describe_disks
from asyncamanda.server.restore.images import ChainImages
from asyncamanda.server.restore.reading import open_chain
from asyncamanda.server.restore.source import Source, read_source
from asyncamanda.server.restore.versions import describe_version, list_versions


@contextmanager
def open_holdings(
    config: ServerConfig, ledger: Ledger, identity: Identity
) -> Iterator["ClientHoldings"]:
    """Yield what there is of a client. Raises what read_source() raises."""
    allow_list = config.restore.filters
    source = read_source(ledger, identity.amanda_config, identity.client, allow_list)
    yield ClientHoldings(source)


@dataclass(frozen=True, slots=True)
class ClientHoldings:
    """The dumps of one client. Its methods raise what open_chain() and the reading raises."""

    source: Source

    def disks(self) -> Iterable[DiskAnswer]:
        """Yield each disk, with the dates that can be restored."""
        return map(_describe_disk, describe_disks(self.source))

    @contextmanager
    def open_list(self, request: ListRequest) -> Iterator[ChainList]:
        """Yield what was there in a disk at a date."""
        at = request.at
        with open_chain(self.source, request.disk, at.before, at.run, is_list=True) as chain:
            yield ChainList(self.source, request.disk, chain)

    def versions(self, request: ListRequest) -> Iterable[FileVersion]:
        """Yield each dump that has the path, the newest first."""
        found = list_versions(self.source, request.disk, request.path, has_ways=request.has_owners)
        newest_first = reversed(list(found))
        return [describe_version(version, request.path) for version in newest_first]

    @contextmanager
    def open_files(self, request: FilesRequest) -> Iterator[ChainFiles]:
        """Yield what is to be given back."""
        at = request.at
        expected = request.resume.dumps if request.resume else ()
        opened = open_chain(self.source, request.disk, at.before, at.run, expected=expected)
        with opened as chain:
            yield ChainFiles(self.source, request, chain)

    @contextmanager
    def open_images(self, request: RawRequest) -> Iterator[ChainImages]:
        """Yield the images of a chain, whatever program made them."""
        at = request.at
        with open_chain(self.source, request.disk, at.before, at.run, is_raw=True) as chain:
            yield ChainImages(chain, name_device(self.source, request.disk))


def _describe_disk(found: DiskDumps) -> DiskAnswer:
    newest = list(islice(reversed(found.dumps), MOST_ENTRIES))[::-1]
    runs = tuple(map(_describe_dump, newest))
    return DiskAnswer(
        disk=found.disk,
        device=found.device,
        first_at=runs[0].dumped_at if runs else None,
        last_at=runs[-1].dumped_at if runs else None,
        runs=runs,
        is_listable=not found.fault,
        reason=found.fault,
        gone_at=found.gone_at,
        gone_with=found.gone_with,
        has_images=found.has_images,
        is_sealed=found.is_sealed,
    )


def _describe_dump(dump: RecordedDump) -> DumpOfDisk:
    verdict = dump.verdict
    assert verdict.dumped_at is not None
    assert verdict.level is not None
    return DumpOfDisk(verdict.timestamp, verdict.dumped_at, verdict.level)

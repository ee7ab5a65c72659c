"""Dumps on volumes that only Amanda itself can read: tapes, and whatever its other changers have.

They come through amfetchdump, raw: its own decoding would do what a header says. It reserves the
volumes, so it is not started where a run, a flush or another amfetchdump may want them; for each of
our processes there is one at a time. It says at its end only that something was wrong, and it was
seen to hang: so its bytes are counted, and it is watched. Source: Restore.pm of
Amanda 3.5.1; tests/e2e/test_fetched.py asks the real one.
"""

from collections.abc import Collection

from asyncamanda.core.amanda.dump_form import DumpForm, parse_form
from asyncamanda.core.amanda.header import HEADER_BYTES, DumpHeader, parse_header
from asyncamanda.core.amanda.timestamps import format_stamp
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import BadDataError, LaterError
from asyncamanda.server.restore.dump_files import WantedDump
from asyncamanda.server.restore.pipeline import Pipeline
from asyncamanda.system.processes import iterate_processes, read_argv

PATIENCE = 900.0  # seconds without a byte: a tape has to be loaded, and wound
_USERS = {"taper", "amflush", "amvault", "amfetchdump", "amidxtaped", "amcheckdump", "amrestore"}


class Drive:
    """What reads volumes for one process: who uses it stops whoever did before."""

    def __init__(self, amanda_config: str, patience: float = PATIENCE) -> None:
        self.amanda_config = amanda_config
        self.patience = patience
        self.user: FetchedDump | None = None

    def take(self, user: "FetchedDump") -> None:
        """Let `user` be the one. Raises LaterError if Amanda itself uses volumes now."""
        if self.user not in {None, user}:
            assert self.user
            self.user.stop()
        self.user = user
        if busy := find_users(self.amanda_config):
            raise LaterError(
                "volumes-busy",
                f"Amanda uses the volumes of {self.amanda_config} just now: {', '.join(busy)}",
                "try again when that has ended",
            )


def find_users(amanda_config: str) -> list[str]:
    """Return the programs that may use volumes of a configuration just now."""
    users = (
        process.name
        for process in iterate_processes()
        if process.name in _USERS and amanda_config in read_argv(process.pid)
    )
    return sorted(set(users))


class FetchedDump:
    """A dump that amfetchdump brings, with the face of DumpFiles; but it is read from its start.

    Whoever wants an earlier byte has it brought again. `size` is as in the header, 0 where that
    does not say.
    """

    def __init__(self, drive: Drive, dump: WantedDump, labels: Collection[str]) -> None:
        """Bring the header. Raises BadDataError if it is none of the dump's, or nothing comes."""
        self._drive = drive
        self._dump = dump
        self._pipeline: Pipeline | None = None
        self._offset = 0
        self.where = f"volume {', '.join(labels)}"
        self.header: DumpHeader = self._begin()
        self.form: DumpForm = parse_form(self.header)
        self.size = self.header.size or 0

    def close(self) -> None:
        """End what brings it."""
        self.stop()

    def stop(self) -> None:
        """End what brings it, for now."""
        if self._pipeline:
            self._pipeline.close()
            self._pipeline = None

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes, b"" at the end only.

        Raises BadDataError if it does not come, and LaterError if the volumes are in use.
        """
        pipeline = self._go_to(offset)
        piece = pipeline.read(count)
        self._note(len(piece))
        return piece

    def send(self, sink: int, offset: int, count: int) -> int:
        """Let the kernel move up to `count` bytes to `sink`, and return how many; 0 at the end.

        Raises as read_at() does, and OSError if they cannot be written.
        """
        moved = self._go_to(offset).move(sink, count)
        self._note(moved)
        return moved

    def _note(self, count: int) -> None:
        self._offset += count
        if not count and self.size and self._offset != self.size:
            raise self._explain(f"{format_size(self._offset)} of {format_size(self.size)} came")

    def _go_to(self, offset: int) -> Pipeline:
        if self._pipeline is None or offset < self._offset:
            self._begin()
        assert self._pipeline
        while self._offset < offset:
            piece = self._pipeline.read(min(offset - self._offset, 1 << 18))
            if not piece:
                break
            self._offset += len(piece)
        return self._pipeline

    def _begin(self) -> DumpHeader:
        """Let it be brought from its start, and return its header."""
        self.stop()
        self._drive.take(self)
        command = plan_fetch(self._drive.amanda_config, self._dump)
        self._pipeline = Pipeline(None, [command], self._explain, self._drive.patience)
        self._offset = 0
        try:
            return self._read_header(self._pipeline)
        except BaseException:
            self.stop()
            raise

    def _read_header(self, pipeline: Pipeline) -> DumpHeader:
        block = b""
        while len(block) < HEADER_BYTES:
            piece = pipeline.read(HEADER_BYTES - len(block))
            if not piece:
                raise self._explain("nothing comes")
            block += piece
        header = parse_header(block)
        if header is None or not self._dump.is_of(header) or header.is_partial:
            raise self._explain("something else comes")
        return header

    def _explain(self, how: str) -> BadDataError:
        dump = self._dump
        return BadDataError(
            "fetch-failed",
            f"the dump of {format_stamp(dump.timestamp)} of {dump.host}:{dump.disk} (level "
            f"{dump.level}) does not come from {self.where}: {how}",
            "is the volume there? `amtape CONFIG show` on the server says what the changer has",
        )


def plan_fetch(amanda_config: str, dump: WantedDump) -> list[str]:
    """Return the argv that prints a dump, its header first, as it lies on its volumes.

    Names are patterns without `=`.
    """
    raw = ["-p", "-h", "--no-decompress", "--no-decrypt"]
    names = [f"={dump.host}", f"={dump.disk}", dump.timestamp, str(dump.level)]
    return ["amfetchdump", *raw, amanda_config, *names]

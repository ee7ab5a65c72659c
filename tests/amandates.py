"""amandates as a whole: its text to records and back, which only tests need."""

from collections.abc import Iterable
from datetime import UTC, datetime

from asyncamanda.core.amanda.amandates import Rejected, iterate_rows
from asyncamanda.core.amanda.quoting import quote
from asyncamanda.core.model import DumpRecord


def parse_amandates(text: str) -> tuple[list[DumpRecord], Rejected]:
    """Return every record of a short `text`, never-dumped ones included, and what was skipped."""
    rejected = Rejected()
    records = [
        DumpRecord(disk, level, datetime.fromtimestamp(seconds, UTC))
        for disk, level, seconds in iterate_rows([text], rejected)
    ]
    return records, rejected


def render_amandates(records: Iterable[DumpRecord]) -> str:
    """Return the text that Amanda would write for `records`, in their order."""
    return "".join(
        f"{quote(record.disk)} {record.level} {int(record.started_at.timestamp())}\n"
        for record in records
    )

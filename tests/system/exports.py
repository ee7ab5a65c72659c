"""Exports as they should not be: a good one's members, and anybody's changes of them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from asyncamanda.core.export.manifest import ExportedConfig, ExportHead, render_head
from asyncamanda.core.export.members import HEAD, MANIFEST
from asyncamanda.server.export.verified import ExportFile, VerifiedExport, verify

AT = datetime(2026, 11, 30, 20, tzinfo=UTC)
CONFIG = ExportedConfig(
    "daily",
    {
        "log": "/var/lib/amanda/daily/log",
        "curinfo": "/var/lib/amanda/daily/curinfo",
        "index": "/var/lib/amanda/daily/index",
        "tapelist": "/etc/amanda/daily/tapelist",
    },
)
EXPORT_HEAD = ExportHead(
    AT, "amanda", "1.0", "backup", None, is_remote=False, configs=(CONFIG,), clients=("laptop",)
)
FILES = {
    "server.toml": b"max_runs = 2\n",
    "authorized_keys": b"# nobody\n",
    "amanda/daily/conf/amanda.conf": b'org "daily"\n' * 5000,
    "amanda/daily/log/log.20261130200000.0": b"INFO amdump amdump pid 7\n",
}

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, text: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    """Return a member of a tar archive."""
    info = tarfile.TarInfo(name)
    info.size = len(text)
    info.mode = 0o600
    info.type = kind
    info.linkname = link
    return info, text


def plan_entries(files: dict[str, bytes] | None = None, head: bytes = b"") -> list[Entry]:
    """Return the members of a whole export that holds these files."""
    texts = {HEAD: head or render_head(EXPORT_HEAD), **(FILES if files is None else files)}
    rows = [[name, len(t), hashlib.sha256(t).hexdigest(), 0o600] for name, t in texts.items()]
    manifest = json.dumps({"members": rows}).encode()
    return [entry(name, text) for name, text in (texts | {MANIFEST: manifest}).items()]


def pack(entries: list[Entry]) -> bytes:
    """Return the gzipped archive of these."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for info, text in entries:
            archive.addfile(info, io.BytesIO(text))
    return packed.getvalue()


def read_export(folder: Path, content: bytes) -> VerifiedExport:
    """Verify a file that holds this."""
    (path := folder / "export").write_bytes(content)
    return verify(ExportFile(path))


def insert(place: int, *more: Entry) -> Callable[[list[Entry]], list[Entry]]:
    """Return what adds members before the one at `place`."""
    return lambda entries: [*entries[:place], *more, *entries[place:]]

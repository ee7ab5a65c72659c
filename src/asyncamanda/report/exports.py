"""What an export holds, in words and as JSON's values."""

from asyncamanda.core.export.manifest import ExportHead
from asyncamanda.core.values.printable import printable
from asyncamanda.core.values.size import format_size
from asyncamanda.report.json import time_value
from asyncamanda.report.text import format_time


def head_value(head: ExportHead, files: int) -> dict[str, object]:
    """Return what JSON has of an export."""
    return {
        "made_at": time_value(head.made_at),
        "host": head.host,
        "asyncamanda": head.version,
        "format": head.format,
        "clients": list(head.clients),
        "configs": [config.name for config in head.configs],
        "has_ledger": head.ledger_format is not None,
        "files": files,
    }


def describe_export(head: ExportHead, files: int, size: int, host_keys: list[str]) -> list[str]:
    """Return lines on an export that is whole."""
    lines = [
        f"made {format_time(head.made_at)} on {printable(head.host)}, by asyncamanda "
        f"{printable(head.version)}",
        f"{files} files, {format_size(size)}, each as its checksum says",
        f"{len(head.clients)} clients: {', '.join(head.clients) or '-'}",
    ]
    for config in head.configs:
        volumes = ", ".join(map(printable, config.vtapes)) or "none on a disk"
        lines.append(f"Amanda configuration {config.name}: volumes in {volumes}")
    if head.ledger_format is None:
        lines.append("no ledger")
    elif head.is_remote:
        lines.append("the ledger, as a copy of a database server's")
    else:
        lines.append("the ledger")
    lines.append(f"host keys: {', '.join(host_keys) or 'none'}")
    return lines

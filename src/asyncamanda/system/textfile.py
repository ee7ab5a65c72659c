"""A text file for Prometheus' node exporter, which is another user and may read it at any time."""

from pathlib import Path

from asyncamanda.system.files import write_whole

SUFFIX = ".prom"


def write_textfile(path: Path, text: str) -> str:
    """Replace the file at `path` by one with `text`; return what is wrong, "" if nothing is."""
    if path.suffix != SUFFIX:
        return f"the exporter reads only *{SUFFIX} files: rename it"
    try:
        write_whole(path, text)
    except OSError as error:
        return f"{path.parent} cannot be written: {error.strerror}"
    return ""

"""The text file for Prometheus' node exporter."""

from pathlib import Path

from asyncamanda.notify.sent import Sent
from asyncamanda.report.prometheus import Metrics, render_prometheus
from asyncamanda.system.files import write_whole


def write_standing(path: Path, standing: Metrics, _limit: float) -> Sent:
    """Replace the file, and return the result."""
    path = path.expanduser()
    if path.suffix != ".prom":
        return Sent("textfile", "the exporter reads only *.prom files: rename it", is_mistake=True)
    try:
        write_whole(path, render_prometheus(standing))
    except OSError as error:
        problem = f"{path.parent} cannot be written: {error.strerror}"
        return Sent("textfile", problem, is_mistake=True)
    return Sent("textfile")

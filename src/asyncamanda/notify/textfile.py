"""The text file for Prometheus' node exporter."""

from pathlib import Path

from asyncamanda.notify.sent import Sent
from asyncamanda.report.prometheus import Metrics, render_prometheus
from asyncamanda.system.textfile import write_textfile


def write_standing(path: Path, standing: Metrics, _limit: float) -> Sent:
    """Replace the file, and return the result."""
    if problem := write_textfile(path.expanduser(), render_prometheus(standing)):
        return Sent("textfile", problem, is_mistake=True)
    return Sent("textfile")

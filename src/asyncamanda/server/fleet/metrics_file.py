"""The fleet's metrics in a text file, for Prometheus' node exporter on this machine."""

from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.errors import ConfigurationError
from asyncamanda.report.fleet_metrics import render_fleet_metrics
from asyncamanda.system.textfile import write_textfile


def keep_metrics(config: ServerConfig, view: FleetView) -> None:
    """Write the text file that server.toml names.

    Raises ConfigurationError if it names none, or if that cannot be written.
    """
    if not config.metrics.textfile:
        raise ConfigurationError(
            "no-textfile",
            "server.toml names no text file",
            'add `textfile = "/var/lib/prometheus/node-exporter/asyncamanda.prom"` to [metrics]',
        )
    if problem := write_textfile(Path(config.metrics.textfile), render_fleet_metrics(view)):
        raise ConfigurationError(
            "textfile-not-written",
            problem,
            f"the folder has to be there, and {config.user} needs write access to it",
        )

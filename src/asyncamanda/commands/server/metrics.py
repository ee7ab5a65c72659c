"""asyncamanda server metrics: print the fleet's metrics for Prometheus, or write its text file."""

import argparse
import sys
from io import TextIOWrapper

from asyncamanda.commands.server.fleet_look import look_at_fleet
from asyncamanda.commands.server.options import add_config, load_as_amanda_user, warn
from asyncamanda.errors import Exit
from asyncamanda.report.fleet_metrics import render_fleet_metrics
from asyncamanda.report.stream import styled
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the text file of server.toml's [metrics], and print nothing",
    )
    add_config(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print the metrics, or write them.

    Raises what look_at_fleet() and keep_metrics() raise.
    """
    config = load_as_amanda_user(arguments)
    view = look_at_fleet(config, read_clock())
    for fault in view.faults:
        warn(fault)
    if arguments.write:
        from asyncamanda.server.fleet.metrics_file import keep_metrics  # noqa: PLC0415 - as there

        keep_metrics(config, view)
    else:
        _print(render_fleet_metrics(view))
    return Exit.OK


def _print(text: str) -> None:
    plain = styled(sys.stdout)
    if isinstance(plain, TextIOWrapper):
        plain.reconfigure(encoding="utf-8")  # which the format is, whatever the locale
    sys.stdout.write(text)

"""asyncamanda server check: a plugin of Nagios and Icinga for all clients, or for one."""

import argparse
from functools import partial

from asyncamanda.commands.plugin import add_plugin_options, answer_plugin
from asyncamanda.commands.server.fleet_look import look_at_fleet
from asyncamanda.commands.server.options import add_config, load_as_amanda_user, unknown_client
from asyncamanda.core.fleet.checking import check_client, check_fleet
from asyncamanda.core.values.plugin import CheckLimits, PluginAnswer, PluginStatus
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-H",
        "--hostname",
        metavar="CLIENT",
        help="the client's name as `asyncamanda server clients` lists it (default: all clients)",
    )
    add_plugin_options(parser, "exposure", "proof")
    add_config(parser)


def run(arguments: argparse.Namespace) -> PluginStatus:
    """Answer as a plugin. Raises UsageError for limits or a time that mean nothing."""
    return answer_plugin(arguments, partial(_look, arguments))


def _look(arguments: argparse.Namespace, limits: CheckLimits) -> PluginAnswer:
    """Return the answer. Raises what look_at_fleet() raises, BadDataError for an unknown client."""
    view = look_at_fleet(load_as_amanda_user(arguments), read_clock())
    if arguments.hostname is None:
        return check_fleet(view, limits)
    own = [client for client in view.clients if client.facts.client == arguments.hostname]
    if not own:
        known = sorted({client.facts.client for client in view.clients})
        raise unknown_client(arguments.hostname, known)
    return check_client(own, limits, view.at)

"""Arguments that several commands share."""

import argparse


def add_config(parser: argparse.ArgumentParser) -> None:
    """Let the command line name the configuration file."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $ASYNCAMANDA_CONFIG, a user's own "
        "~/.config/asyncamanda/client.toml, /etc/asyncamanda/client.toml)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let the answer be JSON."""
    parser.add_argument("--json", action="store_true", help="answer in JSON")

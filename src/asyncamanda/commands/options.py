"""Arguments that all commands share."""

import argparse


def add_common(parser: argparse.ArgumentParser) -> None:
    """Let the command line name the configuration file, and ask for JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration file (default: $ASYNCAMANDA_CONFIG, a user's own "
        "~/.config/asyncamanda/client.toml, /etc/asyncamanda/client.toml)",
    )

"""asyncamanda server setup: prepare this Amanda server, in steps that are shown first."""

import argparse
import os
import re
import sys
from pathlib import Path

from asyncamanda.commands.asking import is_agreed
from asyncamanda.commands.server.options import add_config, warn
from asyncamanda.config.server import ServerConfig, load_server_config
from asyncamanda.core.doctor.capacity import describe_capacity
from asyncamanda.core.protocol.authority import check_amanda_config_name
from asyncamanda.core.restore.retention import describe_room
from asyncamanda.core.values.size import ALLOWED, format_size, parse_size
from asyncamanda.errors import Exit, RefusedError, UsageError
from asyncamanda.report.page import print_folded
from asyncamanda.server.enrol.amanda_configs import find_amanda_configs
from asyncamanda.server.enrol.fleet_timer import plan_fleet_timer
from asyncamanda.server.enrol.newconfig import LEAST_SIZE, NewConfig, find_volumes
from asyncamanda.server.enrol.packages import (
    find_missing_packages,
    install_packages,
    is_amanda_there,
    refuse_without_amanda,
)
from asyncamanda.server.enrol.setup import plan_setup, warn_of_room
from asyncamanda.server.enrol.sshd import ask_sshd, describe_hindrances
from asyncamanda.system.steps import SetupStep, make_step

_UNASKED = "--yes makes these changes without asking, --dry-run only shows them"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./-]+")  # amanda.conf takes it as it is


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    new = parser.add_argument_group(
        "a new Amanda configuration", "for a server that has none: volumes in a folder on disk"
    )
    new.add_argument("--new-config", metavar="NAME", help="its name")
    new.add_argument("--vtapes", metavar="DIR", help="the folder for its volumes")
    new.add_argument("--size", metavar="SIZE", help="the total size of its volumes, such as 500GB")
    new.add_argument(
        "--holding", metavar="DIR", help="the holding disk's folder (default: holding in --vtapes)"
    )
    add_config(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Show what is to be changed, and change it when that is wanted.

    Raises UsageError, RefusedError to everybody but root and where a step fails,
    ConfigurationError without an Amanda server, and what plan_setup() raises.
    """
    if os.geteuid() != 0:
        raise RefusedError("not-root", "setup changes files of root", "run it as root")
    path, config = load_server_config(arguments.config)
    new = _read_new_config(arguments, config)
    is_default = not arguments.config
    _provide_packages(arguments)
    planned = plan_setup(config, new, is_default=is_default)
    if is_default:  # which is what the timer reads
        planned += plan_fleet_timer(config)
    steps = [step for step in planned if not step.is_so()]
    if new:
        room = describe_capacity(new.held, find_volumes(new))
        print_folded(f"with {format_size(new.size)}, {room}")
    if new and (warning := warn_of_room(new)):
        warn(warning)
    configs = find_amanda_configs()
    if not steps:
        print("nothing to change")
    elif not _make(steps, arguments):
        return Exit.OK
    for words in describe_hindrances(ask_sshd(config.user)):
        warn(words)
    _say_what_next(path, sorted({*configs, *([new.name] if new else [])}), new)
    return Exit.OK


def _provide_packages(arguments: argparse.Namespace) -> None:
    """Install what is missing, if that is wanted; without Amanda's server nothing goes on."""
    missing = find_missing_packages()
    if not missing:
        return
    line = f"apt install {' '.join(missing)}"
    if arguments.dry_run:
        print(f"would install what is missing: {line}")
        return
    print(f"missing: {line}")
    if arguments.yes or (sys.stdin.isatty() and is_agreed("install this now?", _UNASKED)):
        print("installing (this can take minutes)", flush=True)
        install_packages(missing)
        print_folded(f"installed: {' '.join(missing)}")
    elif is_amanda_there():
        warn(f"not installed, and clients cannot be backed up without: {' '.join(missing)}")
    if not is_amanda_there():
        raise refuse_without_amanda()


def _make(steps: list[SetupStep], arguments: argparse.Namespace) -> bool:
    """Show the steps and make them; return whether they were wanted."""
    print("would make sure that" if arguments.dry_run else "will make sure that")
    for step in steps:
        print_folded(f"  {step.what}")
    if arguments.dry_run:
        return False
    if not arguments.yes and not is_agreed("make these changes?", _UNASKED):
        print("nothing was changed")
        return False
    for step in steps:
        make_step(step)
    print("done")
    return True


def _read_new_config(arguments: argparse.Namespace, config: ServerConfig) -> NewConfig | None:
    name, vtapes, size = arguments.new_config, arguments.vtapes, arguments.size
    given = [option for option in (name, vtapes, size, arguments.holding) if option is not None]
    if not given:
        return None
    if name is None or vtapes is None or size is None:
        raise UsageError(
            "usage",
            "--new-config, --vtapes and --size must be given together",
            "such as: --new-config mobile --vtapes /srv/amanda/vtapes --size 500GB",
        )
    try:
        check_amanda_config_name(name)
    except ValueError as error:
        raise UsageError("bad-name", f"--new-config: {error}", "such as: mobile") from error
    place = _read_place("--vtapes", vtapes)
    holding = place / "holding"
    if arguments.holding is not None:
        holding = _read_place("--holding", arguments.holding)
    if place == holding:
        raise UsageError(
            "bad-place", "--holding and --vtapes are the same folder", "name two different ones"
        )
    return NewConfig(name, place, holding, _read_size(size), config.user)


def _read_place(option: str, text: str) -> Path:
    if not _PLAIN_PATH.fullmatch(text) or ".." in text or Path(text) == Path("/"):
        raise UsageError(
            "bad-place",
            f"{option} is not an absolute path of plain characters",
            "it begins with / and has only A-Z a-z 0-9 _ . - in its names",
        )
    return Path(text)


def _read_size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise UsageError("bad-size", f"--size: {error}", f"allowed: {ALLOWED}") from error
    if size < LEAST_SIZE:
        raise UsageError(
            "bad-size",
            f"--size: {format_size(size)} is too little for volumes",
            f"at least {format_size(LEAST_SIZE)}, and several times what all clients have",
        )
    return size


def _say_what_next(path: Path | None, configs: list[str], new: NewConfig | None) -> None:
    if new:
        print_folded(
            f"\n{format_size(new.room)} of volumes keep, uncompressed, with a full backup a week "
            "and a fiftieth of all data changed each day:"
        )
        for line in describe_room(new.room):
            print_folded(f"  {line}")
    print()
    if not configs:
        print("There is no Amanda configuration yet; this writes one:")
        print("  asyncamanda server setup --new-config NAME --vtapes DIR --size SIZE")
    print("Next, here, for each client:")
    print("  asyncamanda server invite CLIENT --disk /home")
    print_folded(
        "It prints the line to run there, as root, once asyncamanda is installed (README.md says "
        "how). There is no other step."
    )
    if len(configs) > 1:
        print_folded(f"Add --amanda-config NAME to that command: {', '.join(configs)}.")
    if path is None:
        print("The server's own settings are in /etc/asyncamanda/server.toml.")

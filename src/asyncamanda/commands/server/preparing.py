"""The --setup of a command at the server: first what `server setup --yes` does."""

import os

from asyncamanda.commands.server.options import warn
from asyncamanda.config.server import ServerConfig
from asyncamanda.errors import RefusedError
from asyncamanda.server.enrol.packages import (
    find_missing_packages,
    is_amanda_there,
    refuse_without_amanda,
)
from asyncamanda.server.enrol.setup import plan_setup
from asyncamanda.system.steps import make_step


def set_up_server(config: ServerConfig, *, is_default: bool) -> list[str]:
    """Make what `server setup --yes` would; return what was changed, in words.

    `is_default`: the configuration is the system's. Raises RefusedError to others than root, or
    without Amanda, and what make_step() raises.
    """
    if os.geteuid() != 0:
        raise RefusedError("not-root", "--setup changes files of root", "run it as root")
    if not is_amanda_there():
        raise refuse_without_amanda()
    if missing := find_missing_packages():
        warn(f"missing (not installed automatically): apt install {' '.join(missing)}")
    made = []
    for step in plan_setup(config, None, is_default=is_default):
        if not step.is_so():
            make_step(step)
            made.append(step.what)
    return made

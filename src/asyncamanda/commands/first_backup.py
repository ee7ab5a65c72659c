"""The end of setup: the first backup, unless this machine is to become what another was."""

import argparse
import os
import subprocess
import sys
from contextlib import suppress

from asyncamanda.client.setup.probe import ask_standing
from asyncamanda.commands.asking import is_agreed, is_not_refused
from asyncamanda.commands.printing import tell
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import Exit

# -P: this program is the one that is installed, whatever lies in the folder
_SELF = (sys.executable, "-P", "-m", "asyncamanda")
_LISTED_WITHIN = 30  # seconds


def _follow(argv: list[str], environ: dict[str, str]) -> int:
    """Run a program to its end, which it reaches by itself after a Ctrl-C; return its status."""
    process = subprocess.Popen(argv, env=environ)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def back_up_first(arguments: argparse.Namespace, user: str, *, is_asking: bool) -> Exit:
    """Make the first backup, if that is wanted; return how it ended."""
    # --backup wants one, due or not; where nobody is asked the server's report decides
    is_forced = arguments.backup is True
    if arguments.backup is None and is_asking:
        is_forced = _wants_backup(user)
    code = Exit.OK
    if is_forced or (arguments.backup is None and not is_asking and arguments.yes):
        environ = {k: v for k, v in os.environ.items() if k != "ASYNCAMANDA_CONFIG"}
        argv = [*_SELF, "run", "-v"]
        status = _follow([*argv, *(["--force"] if is_forced else [])], environ)
        code = next((known for known in Exit if known == status), Exit.INTERNAL)
    tell("`asyncamanda status` shows the state of the backup, `asyncamanda run` makes one.")
    return code


def _has_backups() -> bool:
    """Return whether the server has any backup of this client, if it says so soon."""
    argv = [*_SELF, "list", "--json"]
    with suppress(subprocess.TimeoutExpired, ValueError):
        done = subprocess.run(argv, capture_output=True, timeout=_LISTED_WITHIN, check=False)
        value = parse_json(done.stdout) if done.returncode == 0 else []
        return any(disk["last_at"] for disk in value)
    return False


def _wants_backup(user: str) -> bool:
    """Print the state of the backup as the server reports it, and ask whether to back up."""
    standing = ask_standing(user)
    tell(standing.reason)
    if standing.is_first and _has_backups():
        tell("The server has backups of the machine that was this client before.")
        tell("To have all of that here, before the first backup:")
        tell("  asyncamanda restore --all --to /")
    elif standing.is_due:
        return is_not_refused("Back up now?")
    return is_agreed("Back up now anyway?", "--backup backs up without a question")

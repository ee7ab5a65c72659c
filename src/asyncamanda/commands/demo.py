"""asyncamanda demo: the story of one backup, on a throwaway server and client on this machine."""

import argparse
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from asyncamanda.errors import Exit, NotStoredError
from asyncamanda.lab import Host, Lab

CLIENT_TOML = """\
server   = "backup@amanda"
command  = "/usr/sbin/amdump daily --exact-match laptop"
interval = "24h"
"""
DISKS = {"/srv/photos": "roaming", "/srv/d 3": "roaming-amgtar"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: none."""


def run(_: argparse.Namespace) -> Exit:
    """Build the lab, tell the story with the real commands, and take the lab down again."""
    prefix = Path(sys.prefix)
    _tell(
        "Two hosts, made for a minute on this machine: an Amanda server, `amanda`, and a "
        "laptop that is to be backed up. Amanda and OpenSSH are the real ones."
    )
    with Lab(prefix=prefix) as lab:
        _furnish(lab)
        _tell_story(lab)
    _tell("Both hosts are gone again, with all that was on them.")
    return Exit.OK


def _furnish(lab: Lab) -> None:
    for disk, dumptype in DISKS.items():
        lab.client.add_tree(disk, files=5, bytes_each=400_000)
        lab.server.add_dle("laptop", disk, dumptype)
    lab.client.write("/etc/asyncamanda/client.toml", CLIENT_TOML)


def _tell_story(lab: Lab) -> None:
    laptop, server = lab.client, lab.server
    _tell("1. The server has two disks of the laptop in its disklist, and never dumped them.")
    _type(server, "cat /etc/amanda/daily/disklist")
    _tell("The laptop knows its server, what to run there, and how often.")
    _type(laptop, "cat /etc/asyncamanda/client.toml")
    _tell("2. Is a backup due? The laptop looks at what Amanda noted there, and says why.")
    _type(laptop, "asyncamanda check")
    _tell("3. So it reaches the server over ssh, and has amdump run there.")
    _type(laptop, "asyncamanda run")
    _tell("4. Is it true? The server's own word:")
    _type(server, "runuser -u backup -- amadmin daily find laptop")
    missing = [disk for disk in DISKS if not server.stored("laptop", disk)]
    if missing:
        raise NotStoredError(
            "demo-failed", f"the server does not have {missing}", "please report this"
        )
    _tell("5. From now on the timer's start, many times a day, finds nothing to do.")
    connections = server.connections
    _type(laptop, "asyncamanda run -v")
    _type(laptop, "asyncamanda status")
    if server.connections != connections:
        raise NotStoredError("demo-failed", "the server was called again", "please report this")


def _type(host: Host, command: str) -> None:
    """Show `command` at the host's prompt and run it there. Raises NotStoredError if it fails."""
    print(f"{_bold(f'{host.name}#')} {command}", flush=True)
    environ = {"TERM": os.environ.get("TERM", "dumb"), "COLUMNS": "80"}
    program = host.start(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=None,
        stderr=None,
        environ=environ,
    )
    if program.wait():
        raise NotStoredError(
            "demo-failed",
            f"`{command}` ended with {program.returncode} on {host.name}",
            "please report this, with all that was printed",
        )
    print(flush=True)


def _tell(text: str) -> None:

    print(_bold(textwrap.fill(text, 78)), end="\n\n", flush=True)


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text

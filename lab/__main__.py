"""./demo: a backup from start to end, in a temporary lab on this machine."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asyncamanda.core.amanda.header import HEADER_BYTES
from asyncamanda.core.values.foreign import parse_json
from asyncamanda.errors import AsyncamandaError, Exit, NotStoredError
from asyncamanda.report.stream import styled
from lab import AmandaServer, Host, Lab

CLIENT_TOML = """\
server     = "backup@amanda"
interval   = "24h"
on_battery = "allow"     # whatever this demo runs on
[ssh]
keepalive  = "2s"        # a lost connection is to be noticed sooner than in life
"""
SERVER_TOML = """\
heartbeat = "2s"         # the same
[watch]
step = "4s"
"""
DISKS = {"/srv/photos": "roaming", "/srv/d 3": "roaming-amgtar"}
CLIENTS = {"laptop": tuple(DISKS), "tablet": ("/srv/photos",)}
PATIENCE = 60  # seconds
POLL = 0.2
SLOW = 1_000_000  # bits a second, on the slow line


def main() -> Exit:
    """Build the lab, tell the story with the real commands, and take the lab down again."""
    prefix = Path(sys.prefix)
    _tell(
        "Temporary hosts on this machine: an Amanda server, `amanda`, and two roaming machines,"
        " `laptop` and `tablet`, behind a hotel's router. Amanda and OpenSSH are real."
        ""
    )
    with Lab(prefix=prefix, clients=tuple(CLIENTS), nat=True) as lab:
        _furnish(lab)
        _tell_router(lab)
        _tell_enrolling(lab)
        _tell_backup(lab)
        _tell_not_due(lab)
        _tell_cut(lab)
        _tell_rest(lab)
        _tell_way_back(lab)
    _tell("All hosts have been removed, with everything on them.")
    return Exit.OK


def _furnish(lab: Lab) -> None:
    home = lab.server.account("backup").home
    lab.server.write(f"{home}/.ssh/authorized_keys", "", owner="backup", mode=0o600)
    lab.server.write("/etc/asyncamanda/server.toml", SERVER_TOML)
    for name, client in lab.clients.items():
        for disk in CLIENTS[name]:
            client.add_tree(disk, files=5, bytes_each=400_000)
            lab.server.add_dle(name, disk, DISKS[disk])
        client.write("/etc/asyncamanda/client.toml", CLIENT_TOML)


def _tell_router(lab: Lab) -> None:
    _tell("1. The server cannot reach the laptop, neither by its address nor by its name.")
    _type(lab.server, f"ping -q -c 1 -W 1 {lab.client.address}", expected=1)
    _type(lab.server, "getent hosts laptop || echo unknown")


def _tell_enrolling(lab: Lab) -> None:
    _tell("2. The server is made ready once. It shows each change before it makes it.")
    _type(lab.server, "asyncamanda server setup --yes")
    _tell("3. Each client's key may request its own backup, and nothing else.")
    for name, client in lab.clients.items():
        key = client.backup_key
        _type(
            lab.server,
            f"asyncamanda server enroll {name} --amanda-config daily \\\n    --key '{key}'",
        )
    _type(lab.client, "cat /etc/asyncamanda/client.toml")


def _tell_backup(lab: Lab) -> None:
    laptop, server, tablet = lab.client, lab.server, lab.clients["tablet"]
    _tell("4. Is a backup due? The server decides, and it has not been asked yet.")
    _type(laptop, "asyncamanda check")
    _tell(
        "5. So the laptop asks. The tablet asks in the same moment; the server waits for a few "
        "seconds for others, and starts one run for all connected clients. Amanda reaches them "
        "through the connections that they made."
        ""
    )
    other = tablet.start(["asyncamanda", "run"], stdin=subprocess.DEVNULL)
    _type(laptop, "asyncamanda run")
    said = other.communicate(timeout=PATIENCE)
    if other.returncode:
        raise NotStoredError("demo-failed", f"the tablet says: {said}", "please report this")
    _tell("6. Check it: the server's ledger, and Amanda's own records:")
    _wait(lambda: not server.is_amdump_running(), server)
    _type(server, "asyncamanda server runs")
    _type(server, "runuser -u backup -- amadmin daily find")
    missing = [
        (name, disk) for name in CLIENTS for disk in CLIENTS[name] if not server.stored(name, disk)
    ]
    if missing:
        raise NotStoredError(
            "demo-failed", f"the server does not have {missing}", "please report this"
        )


def _tell_not_due(lab: Lab) -> None:
    laptop, server = lab.client, lab.server
    _tell("7. From now on the timer's starts find nothing to do until the next backup is due.")
    connections = server.connections
    _type(laptop, "asyncamanda run -v")
    _type(laptop, "asyncamanda status")
    if server.connections != connections:
        raise NotStoredError("demo-failed", "the server was called again", "please report this")


def _tell_cut(lab: Lab) -> None:
    tablet, server = lab.clients["tablet"], lab.server
    _tell("8. The tablet is on a slow line, and its cable is pulled in the middle of a dump.")
    tablet.add_tree("/srv/photos", files=1, bytes_each=2_000_000)
    tablet.slow(SLOW)
    command = "asyncamanda run --force"
    agent = _begin(tablet, command)
    _wait_while(agent, lambda: not _is_coming(server))
    tablet.cut()
    _tell("(Now it is pulled. The server waits for the tablet.)")
    _wait_while(agent, lambda: "tablet" in _ask_queue(server)["connected"])
    tablet.heal()
    _tell("(Now it is back: the tablet connects again, and Amanda tries again in the same run.)")
    _end(agent, command)
    _wait(lambda: not server.is_amdump_running(), server)
    _type(server, "asyncamanda server runs -n 1")


def _tell_rest(lab: Lab) -> None:
    laptop, server = lab.client, lab.server
    _tell("9. The holding disk is flushed to a volume at a threshold, daily, or by hand.")
    _type(server, "asyncamanda server flush daily")
    _wait(lambda: not _is_held(server), server)
    _type(server, "asyncamanda server runs")
    _tell("10. A stolen key opens nothing.")
    _type(laptop, "runuser -u backup -- ssh backup@amanda cat /etc/shadow", expected=77)


def _tell_way_back(lab: Lab) -> None:
    laptop, photo = lab.client, "/srv/photos/file-3"
    before = laptop.path(photo).read_bytes()
    _tell("11. A photo is deleted by mistake. What does the server have, and what was there?")
    _type(laptop, f"rm {photo}")
    _type(laptop, "asyncamanda list")
    _type(laptop, "asyncamanda list /srv/photos")
    _tell("One line brings it back.")
    _type(laptop, f"asyncamanda restore {photo} --in-place")
    _type(laptop, f"ls -l {photo}")
    if laptop.path(photo).read_bytes() != before:
        raise NotStoredError("demo-failed", "another file came back", "please report this")


def _is_held(server: AmandaServer) -> bool:
    """Return whether anything is in the holding disk still."""
    return any(server.path("/srv/amanda/holding").glob("*/*"))


def _wait(condition: Callable[[], bool], server: AmandaServer) -> None:
    """Return as soon as `condition` holds, and the dispatcher has taken note of it."""
    give_up_at = time.monotonic() + PATIENCE
    while not condition() or _has_unjudged(server):
        if time.monotonic() > give_up_at:
            raise NotStoredError("demo-failed", "the server is not done", "please report this")
        time.sleep(POLL)


def _wait_while(program: "subprocess.Popen[str]", condition: Callable[[], bool]) -> None:
    """Return as soon as `condition` does not hold any more, while that program runs."""
    give_up_at = time.monotonic() + PATIENCE
    while condition():
        if time.monotonic() > give_up_at or program.poll() is not None:
            raise NotStoredError("demo-failed", "it went otherwise", "please report this")
        time.sleep(POLL)


def _is_coming(server: AmandaServer) -> bool:
    """Return whether some of the tablet's dump has come, behind its header."""
    coming = server.path("/srv/amanda/holding").glob("*/tablet.*.tmp")
    return any(place.stat().st_size > HEADER_BYTES for place in coming)


def _has_unjudged(server: AmandaServer) -> bool:
    return any(config["runs"] for config in _ask_queue(server)["configs"])


def _ask_queue(server: AmandaServer) -> Any:
    return parse_json(server.run(["asyncamanda", "server", "queue", "--json"]).stdout)


def _type(host: Host, command: str, expected: int = 0) -> None:
    """Show `command` at the host's prompt and run it there.

    Raises NotStoredError if it does not end with the `expected` exit code.
    """
    _end(_begin(host, command), command, expected)


def _begin(host: Host, command: str) -> "subprocess.Popen[str]":
    """Show `command` at the host's prompt, and start it there."""
    print(f"{_bold(f'{host.name}#')} {command}", file=styled(sys.stdout), flush=True)
    environ = {"TERM": os.environ.get("TERM", "dumb"), "COLUMNS": "80"}
    return host.start(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=None,
        stderr=None,
        environ=environ,
    )


def _end(program: "subprocess.Popen[str]", command: str, expected: int = 0) -> None:
    """Wait for a program's end. Raises NotStoredError if it is not as `expected`."""
    if program.wait() != expected:
        raise NotStoredError(
            "demo-failed",
            f"`{command}` ended with {program.returncode}",
            "please report this, with all that was printed",
        )
    print(flush=True)


def _tell(text: str) -> None:
    print(_bold(textwrap.fill(text, 78)), end="\n\n", file=styled(sys.stdout), flush=True)


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AsyncamandaError as error:
        print(f"demo: {error.message}\ndemo: {error.hint}", file=sys.stderr)
        sys.exit(error.exit)
    except KeyboardInterrupt:
        sys.exit(Exit.LATER)

"""Programs of Amanda's that stop as they begin, until they are told to go on: no race is won."""

from tests.e2e.laptop import wait_until

from lab import Host

PROGRAMS = "/usr/lib/amanda"
_STOPPED = '#!/bin/sh\nkill -STOP "$$"\nexec {copy} "$@"\n'


def stop_next(host: Host, program: str) -> None:
    """Let every start of this program of Amanda's, at this host, stop before it does anything."""
    path, copy, instead = f"{PROGRAMS}/{program}", f"/srv/real/{program}", f"/srv/instead-{program}"
    host.run(["mkdir", "-p", "/srv/real"])
    host.run(["cp", "-p", path, copy])
    host.write(instead, _STOPPED.format(copy=copy), mode=0o755)
    host.run(["mount", "--bind", instead, path])


def is_stopped(host: Host, program: str) -> bool:
    """Return whether one has begun, and stands."""
    found = host.run(["ps", "-eo", "stat=,args="]).stdout
    return any(line[0] == "T" and f"{PROGRAMS}/{program}" in line for line in found.splitlines())


def wait_stopped(host: Host, program: str) -> None:
    """Return when one has begun, and stands; those that begin from now on do not stop."""
    wait_until(f"{program} begins", lambda: is_stopped(host, program))
    host.run(["umount", "--lazy", f"{PROGRAMS}/{program}"])  # what stands may still have it open


def go_on(host: Host, program: str) -> None:
    """Let those go on that stand."""
    host.run(["pkill", "-CONT", "-f", "--", f"{PROGRAMS}/{program}"])

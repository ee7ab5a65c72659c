"""The Debian packages that a server needs, and installing them."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from asyncamanda.errors import ConfigurationError
from asyncamanda.system.environ import SEARCHED
from asyncamanda.system.programs import plain_environ, refuse_failure, run_program

INSTALLED_WITHIN = 1800.0  # seconds: it fetches them, by whatever line the server has

# A program and the package that brings it. amdump, amfetchdump and all other Perl programs of
# Amanda's need the last, and Debian's packages do not depend on it; amfetchdump, which restores, is
# the client's (amanda-facts, "Packages and accounts").
_PROGRAMS = {
    "amdump": "amanda-server",
    "amfetchdump": "amanda-client",
    "sshd": "openssh-server",
}
_LOCALE = Path("/usr/share/perl5/Encode/Locale.pm"), "libencode-locale-perl"


def find_missing_packages() -> tuple[str, ...]:
    """Return the Debian packages that are needed and not here."""
    missing = [name for program, name in _PROGRAMS.items() if not _is_there(program)]
    return (*missing, *([] if _LOCALE[0].exists() else [_LOCALE[1]]))


def is_amanda_there() -> bool:
    """Return whether this machine can dump clients."""
    return _is_there("amdump")


def refuse_without_amanda() -> ConfigurationError:
    """Return the error for a machine that cannot."""
    return ConfigurationError(
        "no-amanda",
        "this machine has no amdump, so it is not an Amanda server",
        "apt install amanda-server amanda-client libencode-locale-perl; then run this again",
    )


def install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages. Raises RefusedError with what apt-get said if that fails."""
    argv = ["apt-get", "install", "--yes", *packages]
    environ = {**plain_environ(), "DEBIAN_FRONTEND": "noninteractive"}
    answer = run_program(argv, INSTALLED_WITHIN, environ=environ)
    refuse_failure(answer, " ".join(argv), "install them by hand, and run this again")


def _is_there(program: str) -> bool:
    found = shutil.which(program, path=SEARCHED)
    return found is not None and os.access(found, os.X_OK)

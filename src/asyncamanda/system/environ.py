"""At the server the environment of whoever started this program decides nothing.

Amanda's names for its runs are local times of the machine, and Amanda gets a clean environment. A
TZ in the ssh session's (from /etc/environment, say) would shift every time that is read, and a
PYTHONPATH would choose what is loaded. The gate imports this, so it imports next to nothing.
"""

import os
import sys

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/amanda"

_AGAIN = """\
import sys
sys.path.insert(0, {!r})
from asyncamanda.__main__ import main
sys.exit(main())
"""


def shed_environ(argv: list[str]) -> None:
    """Continue without TZ and PYTHON*, before any time is read and anything more is loaded.

    Where the environment has such settings, this process starts again, as `argv` says, without
    them. The first line of a script cannot say it (pip rewrites that line without options).
    """
    if not sys.flags.isolated and any(name.startswith("PYTHON") for name in os.environ):
        kept = {name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")}
        place = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120 - as in quick
        again = [sys.executable, "-I", "-c", _AGAIN.format(place), *argv]
        os.execve(sys.executable, again, kept)  # noqa: S606
    if os.environ.pop("TZ", None) is not None:
        import time  # noqa: PLC0415 - hardly ever needed

        time.tzset()


def clean_environ() -> dict[str, str]:
    """Return the environment that a process of this account needs, whatever this one has."""
    import pwd  # noqa: PLC0415 - a gate that finds a dispatcher does not need it

    account = pwd.getpwuid(os.geteuid())
    return {
        "HOME": account.pw_dir,
        "LANG": "C.UTF-8",
        "LOGNAME": account.pw_name,
        "PATH": SEARCHED,
        "USER": account.pw_name,
    }

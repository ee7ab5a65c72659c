"""What an ssh session's environment says at the server decides nothing there."""

from pathlib import Path

import pytest
from tests.e2e.laptop import ask_json
from tests.e2e.office import Office, open_office

SHADOW, LOADED = "/srv/shadow", "/var/tmp/loaded"  # noqa: S108 - the host's own
# a module that shows when it is loaded instead of Python's own
MODULE = f"""
with open("{LOADED}", "a") as word:
    print(__name__, file=word)
raise ImportError(__name__)
"""


def _set_environ(office: Office, **environ: str) -> None:
    """Let every ssh session at the server have this environment, as PAM or sshd would."""
    words = " ".join(f"{name}={value}" for name, value in environ.items())
    office.server.append("/etc/ssh/sshd_config", f"SetEnv {words}\n")
    office.server.stop_sshd()
    office.server.start_sshd()


def _dispatcher_environ(office: Office) -> set[str]:
    """Return the names of the variables that the dispatcher has."""
    (pid,) = office.pids("server dispatch --on-demand")
    words = office.server.read(f"/proc/{pid}/environ").split("\0")
    return {word.partition("=")[0] for word in words if word}


@pytest.mark.parametrize("zone", ["Pacific/Pago_Pago", "Pacific/Kiritimati"])
def test_a_zone_of_the_sessions_shifts_no_time(lab_prefix: Path, zone: str) -> None:
    """Nothing is due after a backup, and it is as old as it is, at both ends of the world."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()
        _set_environ(office, TZ=zone)
        assert office.backup("laptop").returncode == 0, office.diary
        status = ask_json(office.client("laptop"), "status")
        assert [disk["standing"] for disk in status["disks"]] == ["fresh"]
        begun = ask_json(office.client("laptop"), "history")[-1]["started_at"]
        assert status["last_backup_at"][:13] >= begun[:13]
        assert office.backup("laptop").stdout == ""
        assert len(office.dumps()) == 1
        assert _dispatcher_environ(office) == {"HOME", "LANG", "LOGNAME", "PATH", "USER"}


def test_what_python_is_told_by_the_session_loads_nothing(lab_prefix: Path) -> None:
    """Neither in the gate, nor in the dispatcher, nor in a command."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()
        for name in ("socket", "fcntl", "signal", "asyncio", "json", "sqlalchemy", "argparse"):
            office.server.write(f"{SHADOW}/{name}.py", MODULE)
        _set_environ(office, PYTHONPATH=SHADOW, PYTHONUNBUFFERED="1")
        run = office.backup("laptop")
        assert run.returncode == 0, run.stderr + office.diary
        argv = ["/usr/local/bin/asyncamanda", "server", "runs"]
        office.server.run(argv, environ={"PYTHONPATH": SHADOW})
        assert not office.server.path(LOADED).exists(), office.server.read(LOADED)

"""Commands at the server take neither their zone nor their code from the environment."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from asyncamanda.system.environ import clean_environ
from lab.patience import at_most


def run(argv: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run our command line as it is installed, but for where it lies."""
    code = "import sys; from asyncamanda.__main__ import main; sys.exit(main())"
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": source} | environ,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )


@pytest.mark.parametrize("argv", [["server", "--help"], ["gate"]])
def test_python_is_told_nothing(argv: list[str], tmp_path: Path) -> None:
    """A module that lies before Python's own is not loaded; the answer is as without it."""
    (tmp_path / "argparse.py").write_text("raise SystemExit('loaded')\n")
    (tmp_path / "socket.py").write_text("raise SystemExit('loaded')\n")
    plain = run(argv, {})
    source = str(Path(__file__).parents[2] / "src")
    told = run(argv, {"PYTHONPATH": f"{tmp_path}:{source}", "PYTHONVERBOSE": ""})
    assert (told.returncode, told.stdout, told.stderr) == (
        plain.returncode,
        plain.stdout,
        plain.stderr,
    )
    assert "loaded" not in told.stderr


def test_the_zone_is_the_machines() -> None:
    """Before any time is read: what this process and all that it starts see."""
    code = (
        "import os, sys, time; sys.path.insert(0, sys.argv[1]); "
        "from asyncamanda.system.environ import shed_environ; shed_environ([]); "
        "print(time.localtime(0).tm_gmtoff, 'TZ' in os.environ)"
    )
    source = str(Path(__file__).parents[2] / "src")
    said = [
        subprocess.check_output([sys.executable, "-I", "-c", code, source], env=zone, text=True)
        for zone in ({}, {"TZ": "Pacific/Kiritimati"}, {"TZ": "XYZ11"})
    ]
    assert said[0].endswith(" False\n")
    assert said == [said[0]] * 3


def test_words_survive_the_new_beginning() -> None:
    """Each argument as it was, odd ones as well."""
    odd = run(["gate", "--client", "a b'\"\\", "--amanda-config"], {"PYTHONHASHSEED": "1"})
    assert odd.returncode == 64
    assert odd.stderr.startswith("asyncamanda gate: ")
    assert "ImportError" not in odd.stderr


def test_a_clean_environment_has_five_things() -> None:
    """Whoever calls: the account's names and home, and where programs are."""
    account = pwd.getpwuid(os.geteuid())
    environ = clean_environ()
    assert (environ["HOME"], environ["USER"]) == (account.pw_dir, account.pw_name)
    assert environ["LOGNAME"] == account.pw_name
    assert environ["LANG"] == "C.UTF-8"
    assert "/usr/sbin" in environ["PATH"]
    assert len(environ) == 5

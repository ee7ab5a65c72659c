"""The dispatcher's log while it runs: turned over, and with what a signal asks for."""

import os
import subprocess
import sys
from pathlib import Path

PRELUDE = """\
import os, signal, sys
from pathlib import Path
from asyncamanda.server.background.tasks import write_log
from asyncamanda.server.background.log import close_log, open_log
path = Path(sys.argv[1])
os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
open_log(path)
"""
LONG = """\
for number in range(12_000):
    write_log(f"{number} {'x' * 100}")
os.write(2, b"what another program wrote\\n")
close_log()
"""
ASKED = """\
def here_it_is():
    os.kill(os.getpid(), signal.SIGUSR1)
here_it_is()
write_log("and goes on")
"""


def write(source: str, path: Path) -> str:
    """Run a process with a log at `path`; return what is in it."""
    argv = [sys.executable, "-c", PRELUDE + source, str(path)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(argv, check=True, env=environ, timeout=60)
    return path.read_text()


def test_a_long_diary_is_turned_over_while_it_is_written(tmp_path: Path) -> None:
    """Nothing is lost between the two, and what others write to stderr goes to the new one."""
    path = tmp_path / "dispatcher.log"
    text = write(LONG, path)
    old = path.with_name("dispatcher.log.1").read_text()
    assert len(text) < len(old) <= 1 << 20
    lines = [line[21:].split()[0] for line in (old + text).splitlines() if "xxx" in line]
    assert lines == [str(number) for number in range(12_000)]
    assert text.endswith("what another program wrote\n")


def test_a_signal_shows_where_the_dispatcher_is(tmp_path: Path) -> None:
    """And it goes on as if nothing had been."""
    text = write(ASKED, tmp_path / "dispatcher.log")
    assert "(most recent call first)" in text
    assert " in here_it_is" in text
    assert text.endswith("Z and goes on\n")

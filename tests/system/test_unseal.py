"""What a client needs to open its own dumps: no package of the server's, and the right files."""

import os
import subprocess
import sys
from pathlib import Path

from tests.system.watching import until

from asyncamanda.core.amanda.packets import NAK, REQ, end, packet

SOURCE = Path(__file__).parents[2] / "src"
_WITHOUT = "import sys; sys.modules['sqlalchemy'] = None; import asyncamanda.commands.unseal"
ENVIRON = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]}


def test_a_client_opens_its_dumps_without_the_servers_packages() -> None:
    """What reads dumps is the server's own code, and a client has no ledger."""
    subprocess.run([sys.executable, "-c", _WITHOUT], check=True, env=ENVIRON)


def test_the_guard_hands_on_what_is_harmless_and_ends_with_its_amandad(tmp_path: Path) -> None:
    """A refusal comes from the guard; the end of the input reaches amandad, whose status counts."""
    program = tmp_path / "amandad"
    program.write_text(f"#!/bin/sh\ncat >{tmp_path}/heard\necho over\nexit 3\n")
    program.chmod(0o755)
    argv = [sys.executable, "-m", "asyncamanda.system.guarded", str(program), "-auth=ssh"]
    good = packet(1, REQ, "SERVICE noop\nOPTIONS a;\n") + end(1)
    bad = packet(2, REQ, "SERVICE sendbackup\nOPTIONS a;\n<dle></dle>\n")
    done = subprocess.run(argv, input=bad + good, capture_output=True, check=False, env=ENVIRON)
    assert done.returncode == 3, done.stderr
    assert (tmp_path / "heard").read_bytes() == good
    refusal, _, rest = done.stdout.partition(b"\n")
    assert refusal[8] == NAK
    assert rest.endswith(b"over\n")


def test_the_guard_does_not_outlive_its_amandad(tmp_path: Path) -> None:
    """Though its input stays open."""
    program = tmp_path / "amandad"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    argv = [sys.executable, "-m", "asyncamanda.system.guarded", str(program)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=ENVIRON) as guard:
        until(lambda: guard.poll() is not None, "the guard ends")
        assert guard.returncode == 0

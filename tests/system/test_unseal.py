"""What a client needs to open its own dumps: no package of the server's, and the right files."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.system.watching import until

from asyncamanda.commands.sealed.heads import BeginningStore
from asyncamanda.core.amanda.packets import NAK, REQ, end, packet
from asyncamanda.core.restore.answer import ImageOfDisk

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


def test_a_beginning_is_kept_for_root_alone_and_never_believed_when_damaged(tmp_path: Path) -> None:
    """Of that very image; what is cut or changed is as if it were not there."""
    store = BeginningStore(tmp_path / "opened")
    at = datetime(2026, 11, 20, tzinfo=UTC)
    image = ImageOfDisk("20261120120000", at, 0, "amgtar", is_tar=True, size=100)
    assert store.find("/home", image) == b""
    store.keep("/home", image, b"a list" * 1000)
    assert store.find("/home", image) == b"a list" * 1000
    assert store.find("/srv", image) == b""
    assert store.find("/home", replace(image, size=101)) == b""
    [file] = (tmp_path / "opened").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    packed = file.read_bytes()
    for damaged in (packed[:-9], packed[:5], b"", packed[:-6] + b"x" + packed[-5:]):
        file.write_bytes(damaged)
        assert store.find("/home", image) == b""
    os.utime(file, (0, 0))
    store.keep("/srv", image, b"another")
    assert not file.exists()


def test_nothing_is_kept_where_that_cannot_be(tmp_path: Path) -> None:
    """Nor is a list lost for it."""
    (tmp_path / "opened").write_text("a file")
    store = BeginningStore(tmp_path / "opened")
    image = ImageOfDisk("20261120120000", datetime(2026, 11, 20, tzinfo=UTC), 0, "amgtar")
    store.keep("/home", image, b"a list")
    assert store.find("/home", image) == b""

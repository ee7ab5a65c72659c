"""The gate of a client that wants files back, and the program that it becomes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncamanda.core.protocol.authority import Identity
from asyncamanda.core.restore.answer import AnswerDecoder, RestoreFailed
from asyncamanda.errors import UsageError
from asyncamanda.server.gate.restore import plan_serve
from asyncamanda.server.restore.serve import parse_arguments

ROOT = Path(__file__).parents[2]
LAPTOP = Identity("laptop", "daily")
LINE = ["gate", "--client", "laptop", "--amanda-config", "daily"]


def run(*argv: str, original: str = "") -> tuple[int, str, str]:
    """Run asyncamanda; return its exit code, and what is on stdout and stderr."""
    environ = os.environ | {"PYTHONPATH": str(ROOT / "src"), "SSH_ORIGINAL_COMMAND": original}
    done = subprocess.run(
        [sys.executable, "-m", "asyncamanda", *argv],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        input="",
    )
    return done.returncode, done.stdout, done.stderr


def parse_failure(words: str) -> RestoreFailed:
    """Return the one answer that was given."""
    (failed,) = AnswerDecoder().feed(words.encode())
    assert isinstance(failed, RestoreFailed)
    return failed


def test_it_becomes_a_polite_program_that_dies_with_sshd() -> None:
    """By util-linux' programs, which each replace themselves by the next one."""
    argv = plan_serve(LAPTOP, "--who", "admin:root")
    asyncamanda = argv.index(sys.executable)
    assert argv[:asyncamanda] == [
        *("ionice", "-t", "-c", "2", "-n", "7"),
        *("setpriv", "--pdeathsig", "TERM", "--"),
    ]
    assert argv[asyncamanda + 1 :] == [
        *("-I", "-m", "asyncamanda", "server", "serve", "laptop", "daily"),
        *("--who", "admin:root"),
    ]


@pytest.mark.parametrize("flags", [["--no-restore"], ["--direct", "--no-restore"]])
def test_a_client_that_may_not_restore_is_told_so_by_the_gate(flags: list[str]) -> None:
    """As an answer that its own asyncamanda understands, and with what allows it."""
    code, out, said = run(*LINE, *flags, original="asyncamanda gate restore")
    failed = parse_failure(said)
    assert (code, failed.exit, failed.reference, out) == (77, 77, "no-restore", "")
    assert "server enroll laptop --restore" in failed.hint
    assert json.loads(said)["type"] == "failed"


@pytest.mark.parametrize("original", ["asyncamanda gate restore x", "asyncamanda gate restore\n"])
def test_what_only_looks_like_it_is_denied(original: str) -> None:
    """Before anything of it is read."""
    code, out, said = run(*LINE, original=original)
    assert (code, out) == (77, "")
    assert said.startswith("asyncamanda gate: this key may not run 'asyncamanda gate restore")


def test_its_arguments_are_who_asks() -> None:
    """And for whom, which the gate never says."""
    assert parse_arguments(["laptop", "daily"]) == (LAPTOP, {})
    options = {"--who": "admin:ana", "--config": "/x"}
    words = ["laptop", "daily", "--who", "admin:ana", "--config", "/x"]
    assert parse_arguments(words) == (LAPTOP, options)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["laptop"],
        ["laptop", "daily", "x"],
        ["laptop", "daily", "--who"],
        ["laptop", "daily", "--whom", "admin"],
        ["--who", "admin:ana"],
        ["../x", "daily"],
        ["laptop", "*"],
    ],
)
def test_other_arguments_are_refused(argv: list[str]) -> None:
    """Names are checked here, too."""
    with pytest.raises(UsageError):
        parse_arguments(argv)


def test_what_is_wrong_with_the_server_is_an_answer(tmp_path: Path) -> None:
    """So that the client can say it."""
    config = tmp_path / "server.toml"
    config.write_text("user = 7\n")
    code, out, said = run("server", "serve", "laptop", "daily", "--config", str(config))
    failed = parse_failure(said)
    assert (code, failed.exit, out) == (78, 78, "")
    assert "user" in failed.message

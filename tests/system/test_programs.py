"""A program is run to its end: how it ended is told, and none of them keeps us waiting."""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
import threading
from pathlib import Path

import pytest
from tests.system.hungfs import hung_file_system
from tests.system.test_endings import is_asked
from tests.system.watching import until

from asyncamanda.errors import RefusedError
from asyncamanda.server.background.programs import run_apart
from asyncamanda.system import programs
from asyncamanda.system.processes import describe_process
from asyncamanda.system.programs import Answer, run_or_refuse, run_program
from lab.patience import at_most


def test_what_it_printed_and_how_it_ended() -> None:
    """Each by itself, bytes that are no UTF-8 included; its stdin can be opened by name."""
    argv = ["sh", "-c", r"printf 'a\377'; cat /dev/stdin; printf 'no' >&2; exit 3"]
    answer = run_program(argv, text="said\n")
    assert answer == Answer(3, "a\udcffsaid\n", "no")
    assert answer.first_line == "no"
    assert run_program(["cat"]) == Answer(0)


def test_what_is_printed_as_it_ends_is_heard() -> None:
    """More than a pipe holds, and up to the last byte."""
    answer = run_program(["head", "-c", "1000000", "/dev/zero"])
    assert (answer.status, len(answer.stdout)) == (0, 1000000)


def test_what_it_leaves_running_keeps_nobody_waiting() -> None:
    """Though that has its stdout."""
    answer = run_program(["sh", "-c", "sleep 300 & echo $!"], 60)
    os.kill(int(answer.stdout), 9)  # so it is still there
    assert answer.status == 0


def test_one_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    """And says nothing of itself."""
    told = tmp_path / "pid"
    answer = run_program(["sh", "-c", f"echo $$ >&2; sleep 300 & echo $! >{told}; wait"], 2)
    assert answer.status is None
    assert answer.is_passing
    assert answer.fault == "sh did not end within 2 seconds"
    until(lambda: not describe_process(int(told.read_text())), "the child is gone")


def test_one_that_prints_without_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before its time is over."""
    monkeypatch.setattr(programs, "LARGEST", 1 << 20)
    answer = run_program(["yes"], 60)
    assert answer == Answer(None, fault="yes printed more than 1 MB", is_passing=True)


def test_one_that_is_not_there() -> None:
    """Which will not pass."""
    answer = run_program(["no-such-program"])
    assert answer == Answer(None, fault="no-such-program cannot be run: No such file or directory")
    assert answer.first_line == answer.fault


def test_a_failure_becomes_an_error() -> None:
    """With what it complained of, and the hint."""
    with pytest.raises(RefusedError, match=r"^sh -c echo odd >&2; false: odd$") as caught:
        run_or_refuse(["sh", "-c", "echo odd >&2; false"], 10, "mend it")
    assert (caught.value.reference, caught.value.hint) == ("command-failed", "mend it")


def test_somebody_elses_program_has_nothing_of_roots() -> None:
    """Its groups, its home, and its name."""
    nobody = pwd.getpwnam("nobody")
    answer = run_program(["sh", "-c", "id -u; id -G; echo $HOME $USER"], account=nobody)
    assert answer.stdout.split() == ["65534", "65534", "/nonexistent", "nobody"]


READING = r"""
import asyncio, os
from asyncamanda.server.background.programs import run_apart
assert os.fsdecode(b"\303") == "\udcc3", "this Python's file names are UTF-8"
print(ascii(asyncio.run(run_apart(["printf", r"\303\244\377"])).stdout))
"""


def test_amandas_programs_are_read_as_utf_8_whatever_the_locale() -> None:
    """As its logs and its disklist are: else a disk would have two names."""
    argv = [sys.executable, "-X", "utf8=0", "-c", READING]
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    environ = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": path}
    answer = run_program(argv, 60, environ=environ)
    assert (answer.stdout.strip(), answer.stderr) == (r"'\xe4\udcff'", "")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what is left
def test_one_that_no_signal_ends_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits in the kernel; whoever asked is told, and so is the loop of the dispatcher."""
    monkeypatch.setattr(programs, "KILLED_WITHIN", 0.5)
    asked, asking = os.pipe()
    with hung_file_system(tmp_path, asking) as file:
        # a signal ends who waits until the question is taken
        found: list[Answer] = []
        once = threading.Thread(target=lambda: found.append(run_program(["cat", str(file)], 3)))
        once.start()
        until(lambda: is_asked(asked), "it waits", 30)
        once.join(at_most(30))
        assert not once.is_alive()
        (answer,) = found
        assert "was killed and does not end" in answer.fault
        answer = asyncio.run(run_apart(["cat", str(file)], 1))
        assert answer.status is None
        assert answer.is_passing
    os.close(asked)
    os.close(asking)

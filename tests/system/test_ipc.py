"""What is said on the dispatcher's socket arrives whole, or it is clear that nobody hears."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncamanda.server.gate import ipc
from asyncamanda.server.gate.ipc import ask_dispatcher, call_dispatcher, pack, unpack

NOBODY = 65534


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A state folder with a place for the socket."""
    ipc.make_runtime_folder(str(tmp_path))
    return str(tmp_path)


@contextmanager
def dispatcher(state: str, answer: Callable[[socket.socket, list[str]], None]) -> Iterator[None]:
    """Have somebody listen, for one caller."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(ipc.socket_path(state))
        listener.listen()

        def serve() -> None:
            caller, _ = listener.accept()
            with caller:
                answer(caller, unpack(caller.recv(ipc.LARGEST)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(10)


def test_the_folder_is_the_owners_alone(state: str) -> None:
    """And it may be there already."""
    ipc.make_runtime_folder(state)
    assert Path(state, "run").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("words", [["view"], ["talk", "a", "", "first"], ["drop", "\udce9ü\n"]])
def test_words_arrive_as_they_were_said(words: list[str]) -> None:
    """Whatever is in them."""
    assert unpack(pack(*words)) == words


def test_where_nobody_listens_there_is_no_answer(state: str) -> None:
    """Nor where the folder is missing, or a dead dispatcher has left its socket."""
    assert ask_dispatcher("view", state=state) is None
    assert ask_dispatcher("view", state=f"{state}/missing") is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(ipc.socket_path(state))
    assert Path(ipc.socket_path(state)).exists()
    assert call_dispatcher(state) is None


def test_a_long_answer_is_heard_to_its_end(state: str) -> None:
    """In as many packets as it takes, though a character is cut in two."""
    text = "é" * 3 * ipc.LARGEST

    def answer(caller: socket.socket, words: list[str]) -> None:
        raw = f"{' '.join(words)} {text}".encode()
        for start in range(0, len(raw), 4001):
            caller.send(raw[start : start + 4001])

    with dispatcher(state, answer):
        assert ask_dispatcher("flush", "daily", state=state) == f"flush daily {text}"


def test_a_dispatcher_that_says_nothing_is_not_waited_for(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hang; whoever asks is told."""
    monkeypatch.setattr(ipc, "ANSWER_WITHIN", 0.2)
    asked = threading.Event()

    def hang(_caller: socket.socket, _words: list[str]) -> None:
        asked.wait(10)

    with dispatcher(state, hang):
        with pytest.raises(TimeoutError):
            ask_dispatcher("view", state=state)
        asked.set()


def test_a_stranger_is_told_that_the_folder_is_closed(tmp_path: Path) -> None:
    """Which is not the same as that nobody listens."""
    state = tmp_path / "server"
    ipc.make_runtime_folder(str(state))
    source = (
        "import os, sys\n"
        "from asyncamanda.server.gate.ipc import ask_dispatcher\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0:\n"
        f"    os.setgroups([]); os.setresgid(*[{NOBODY}] * 3); os.setresuid(*[{NOBODY}] * 3)\n"
        "else:\n"
        "    os.chmod('run', 0)\n"
        "try:\n"
        "    ask_dispatcher('view', state='.')\n"
        "except PermissionError:\n"
        "    print('closed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, str(state)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "closed\n", done.stderr

"""A dispatcher that is stopped, or hangs: noticed by the gates, and ended, so that another follows.

While it works it marks its lock file every few seconds, by the time of its last change. Of a gate
whose dispatcher has left no mark for a while, one asks it; if no answer comes it is killed, by its
number and the time of its start, so that no other process is ever met. Runs have sessions of
their own, and go on. What cannot be ended (it is in a system call that does not return) is named.

Gates import this, so it imports next to nothing.
"""

import os
import signal
import socket
import time
from contextlib import suppress
from select import POLLIN, poll

from asyncamanda.server.gate import ipc

MARK_SECONDS = 2.0  # the dispatcher's rhythm
STILL_SECONDS = 6.0  # without a mark: then it is asked
LOOK_SECONDS = 2.0  # so often each gate looks whether there is one
STOPPED_SECONDS = 3.0  # for the answer of a process that a signal has stopped
ANSWER_SECONDS = 12.0  # ... of one that may be busy
CALL_SECONDS = 0.5
END_SECONDS = 3.0  # from the kill to its end
START_SECONDS = 5.0  # for the next one, on a machine that is busy

# A dispatcher that hangs costs no dump, for another one is at work before anybody gives up: neither
# the agent, which has heard nothing for a beat of 15 s perhaps, and gives up after three
# (core/protocol/heartbeat.py), nor a stream, for which the dispatcher has to vouch.
REPLACED_WITHIN = (
    STILL_SECONDS + LOOK_SECONDS + ANSWER_SECONDS + CALL_SECONDS + END_SECONDS + START_SECONDS
)
VOUCH_SECONDS = 5.0  # the dispatcher's rhythm in that
UNWATCHED_SECONDS = 2 * VOUCH_SECONDS + REPLACED_WITHIN  # a stream's patience
ALIVE = "alive"  # a word that any dispatcher answers, if only by not understanding it


def lock_path() -> str:
    """Return where the dispatcher's lock is."""
    return f"{ipc.STATE}/dispatcher.lock"


def mark_life() -> None:
    """Note that this dispatcher works."""
    with suppress(OSError):  # then the gates ask
        os.utime(lock_path())


def is_still() -> bool:
    """Return whether there is no fresh mark of the dispatcher's. One from the future is none."""
    try:
        age = time.time() - os.stat(lock_path()).st_mtime  # noqa: PTH116 - as in quick
    except OSError:
        return True
    return not 0 <= age <= STILL_SECONDS


def end_stuck() -> str:
    """End the dispatcher if it does not work; return why that cannot be, else "".

    To be called by one gate at a time, who holds the lock of starts.
    """
    if not is_still():
        return ""
    pid = _find_holder()
    started = _read_start(pid)
    if started is None or _is_answering(pid):
        return ""
    state = _read_state(pid)
    words = f"the dispatcher (pid {pid}, state {state}) did not answer"
    if _kill(pid, started):
        _note(f"{words}: it is killed, and another one is started")
        return ""
    return f"{words} on the server, and cannot be ended: does a file system hang there?"


def _find_holder() -> int:
    """Return the process that has the dispatcher's lock; 0 if nobody has it."""
    from pathlib import Path  # noqa: PLC0415 - hardly ever needed, as all below

    from asyncamanda.system.locks import read_holder  # noqa: PLC0415

    holder = read_holder(Path(lock_path()))
    return (holder and holder.pid) or 0


def _read_start(pid: int) -> int | None:
    """Return when `pid` began, by the kernel's ticks; None if it is no dispatcher of this user."""
    from asyncamanda.system.processes import read_argv, read_process  # noqa: PLC0415

    process = read_process(pid) if pid else None
    if process is None or "dispatch" not in read_argv(pid) or _read_owner(pid) != os.geteuid():
        return None
    return process.started


def _read_owner(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - as in quick
    except OSError:
        return None


def _read_state(pid: int) -> str:
    """Return the letter of a process's state (proc(5)), "gone" if there is no such process."""
    from asyncamanda.system.processes import describe_process  # noqa: PLC0415

    seen = describe_process(pid)
    return seen.state if seen else "gone"


def _is_answering(pid: int) -> bool:
    """Return whether the dispatcher answers, leaves a mark, or ends, before it is given up."""
    begun_at = time.monotonic()
    while True:
        if _call() or not is_still() or (state := _read_state(pid)) in {"gone", "Z", "X"}:
            return True
        bound = STOPPED_SECONDS if state in {"T", "t"} else ANSWER_SECONDS
        if time.monotonic() - begun_at > bound:
            return False


def _call() -> bool:
    """Return whether the dispatcher answers a word within CALL_SECONDS; take that time if not."""
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    caller.settimeout(CALL_SECONDS)
    try:
        with caller:
            caller.connect(ipc.socket_path())
            caller.send(ipc.pack(ALIVE))
            return bool(caller.recv(ipc.LARGEST))
    except TimeoutError:
        return False
    except OSError:
        time.sleep(CALL_SECONDS)
        return False


def _kill(pid: int, started: int) -> bool:
    """Kill the process of that number and start; return whether it is gone soon."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if _read_start(pid) != started:  # the number is another's by now
            return True
        signal.pidfd_send_signal(process, signal.SIGKILL)
        ended = poll()
        ended.register(process, POLLIN)
        return bool(ended.poll(END_SECONDS * 1000))
    except ProcessLookupError:
        return True
    finally:
        os.close(process)


def _note(words: str) -> None:
    """Write a line to the log, which is another process's."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(OSError):
        diary = os.open(f"{ipc.STATE}/dispatcher.log", flags, 0o600)
        try:
            os.write(diary, f"{stamp} warning: {words}\n".encode())
        finally:
            os.close(diary)

"""What systemd's journal says of earlier starts of the system, written by its own journald.

Of each start it is told another id, as the kernel would.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

# journald wants the second version's control groups where systemd has them
SCRIPT = """\
import json, os, signal, socket, subprocess, sys, time
from datetime import timedelta, timezone
from pathlib import Path

from asyncamanda.core.exposure.record import Sighting
from asyncamanda.system.past_boots import look_at_clocks, look_back

SOCKET, ID = Path("/run/systemd/journal/socket"), Path("/proc/sys/kernel/random/boot_id")
BOOTS = ["1" * 32, "2" * 32]

def until(claim):
    give_up_at = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)

def write(words):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"MESSAGE={words}\\n".encode(), str(SOCKET))
    argv = ["journalctl", "--system", "-q", "-o", "cat", "-n", "5"]
    until(lambda: words in subprocess.run(argv, capture_output=True, text=True).stdout)

def boot(name, words):
    own = f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}"
    Path("/tmp/boot").write_text(own + "\\n")
    subprocess.run(["mount", "--bind", "/tmp/boot", str(ID)], check=True)
    journald = subprocess.Popen(["/lib/systemd/systemd-journald"])
    noted = []
    try:
        until(SOCKET.exists)
        for word in words:
            if noted:
                until(lambda: time.time() > noted[-1] + 3)
            write(word)
            noted.append(time.time())
        return noted, time.clock_gettime(time.CLOCK_MONOTONIC)
    finally:
        journald.terminate()
        journald.wait()
        SOCKET.unlink(missing_ok=True)
        subprocess.run(["umount", str(ID)], check=True)

subprocess.run(["mount", "--make-rprivate", "/"], check=True)
for place in ("/run", "/tmp"):
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
Path("/run/systemd/journal").mkdir(parents=True)
Path("/run/log/journal").mkdir(parents=True)
own_files = {"/etc/systemd/journald.conf": SETTINGS, "/etc/machine-id": "4" * 32 + "\\n"}
for place, text in own_files.items():
    own = Path("/tmp", Path(place).name)
    own.write_text(text)
    subprocess.run(["mount", "--bind", str(own), place], check=True)
began = look_at_clocks()[1]
(_, one) = boot(BOOTS[0], ["one"])
(noted, two) = boot(BOOTS[1], ["evening", "morning"])
_, now = look_at_clocks()
midnight = int(noted[0]) + 2  # between the two lines of the second start
zone = timezone(-timedelta(seconds=midnight % 86400))
found = look_back(Sighting(BOOTS[0], began.at, began.awake), now, zone)
lost = look_back(Sighting("3" * 32, began.at, began.awake), now, zone)
print(json.dumps({
    "found": found and [[s.boot[0], s.at.timestamp(), s.awake] for s in found],
    "lost": lost, "one": one, "two": two, "noted": noted, "midnight": midnight,
}))
"""
SETTINGS = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n"


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What the journal says after two earlier starts; the second had a midnight in it."""
    argv = ["unshare", "-m", sys.executable, "-c", f"SETTINGS = {SETTINGS!r}\n{SCRIPT}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return value


def test_the_end_of_each_start_and_its_evening_are_in_the_journal(said: dict[str, Any]) -> None:
    """By the monotonic clock to the second: that is what counts as use."""
    found = said["found"]
    assert [boot for boot, _, _ in found] == ["1", "2", "2", "2"]
    first, began, evening, end = found
    assert first[2] == pytest.approx(said["one"], abs=20)  # the journal says last that it ends
    assert began[2] == 0
    assert evening[1] < said["midnight"] <= end[1]
    assert evening[1] == pytest.approx(said["noted"][0], abs=2)
    assert end[2] == pytest.approx(said["two"], abs=20)
    assert end[2] - evening[2] == pytest.approx(end[1] - evening[1], abs=0.1)


def test_a_start_that_the_journal_does_not_have_is_not_known(said: dict[str, Any]) -> None:
    """There may have been others after it that it does not have either."""
    assert said["lost"] is None

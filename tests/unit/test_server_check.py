"""What `amcheck -s` says of the server: which of its lines are trouble."""

import pytest

from asyncamanda.core.amanda.amcheck import UNKNOWN
from asyncamanda.core.amanda.server_check import ADVICE, interpret_server_check

HEAD = """\
Amanda Tape Server Host Check
-----------------------------
"""
HELD = "NOTE: Holding disk '/srv/h': 31416 KB disk space available, using 7802 KB as requested\n"
NEW = """\
slot 1: contains an empty volume
Will write label 'daily-001' to new volume in slot 1.
NOTE: skipping tape-writable test
"""
WRITTEN = """\
slot 1: volume 'daily-001' is still active and cannot be overwritten
slot 2: volume 'daily-002'
Will write to volume 'daily-002' in slot 2.
NOTE: skipping tape-writable test
"""
NONE = """\
slot 1: volume 'daily-001' is still active and cannot be overwritten
slot 2: Couldn't open device file:/srv/v/slot2 for reading: Permission denied
all slots have been loaded
Taper scan algorithm did not find an acceptable volume.
    (expecting a new volume)
ERROR: No acceptable volumes found
"""
TAIL = """\
NOTE: host info dir '/var/lib/amanda/daily/curinfo/laptop' does not exist
      It will be created on the next run
Server check took 1.107 seconds
(brought to you by Amanda 3.5.1)
"""
SHORT = "holding disk '/srv/h': only 581632 KB available (780288 KB requested)"


@pytest.mark.parametrize("volumes", [NEW, WRITTEN])
@pytest.mark.parametrize("head", ["", "NOTE: tapelist file does not exists\n      it will be\n"])
def test_what_a_healthy_server_has_to_say_is_no_trouble(head: str, volumes: str) -> None:
    """Whatever its volumes, and beside a warning, which is none either but is explained."""
    found = interpret_server_check(0, HEAD + head + HELD + volumes + TAIL, "")
    assert (found.bad, found.warnings) == ((), ())
    short = f"{HEAD}{head}WARNING: WARNING: {SHORT}\n{volumes}{TAIL}"
    found = interpret_server_check(1, short, "")
    (warning,) = found.warnings
    assert (found.bad, warning.said) == ((), SHORT)
    assert "`use`" in warning.why
    assert "server flush" in warning.fix


@pytest.mark.parametrize(
    ("line", "said", "fix"),
    [
        (NONE, "No acceptable volumes found", "tapecycle"),
        ("ERROR: directory '/srv/v' does not exist\n", "directory '/srv/v' does", "mount"),
        (
            "ERROR: holding dir '/s h' (No such file or directory)\n       you must create a dir\n",
            "holding dir '/s h'",
            "-o backup -g backup '/s h'",
        ),
        (
            "NOTE: logdir '/v/log' (No such file or directory)\n      you must create directory\n",
            "logdir '/v/log'",
            "-g backup /v/log",
        ),
        ("ERROR: holding disk '/h': not writable: No\n", "holding disk '/h'", "chown -R backup"),
        ("BAD: odd\n", "odd", ADVICE),
        ("odd\n", "odd", ADVICE),
    ],
)
def test_trouble_is_told_alone_and_with_what_to_do_at_the_server(
    line: str, said: str, fix: str
) -> None:
    """One line of many, some of them about the same; no client's files are named."""
    found = interpret_server_check(1, HEAD + HELD + line + TAIL, "")
    (trouble,) = found.bad
    assert trouble.said.startswith(said)
    assert fix in trouble.fix
    assert "client" not in trouble.why + trouble.fix


def test_a_warning_does_not_hide_an_error() -> None:
    """Each is where it belongs; the hold file is the capacity check's."""
    hold = "WARNING: hold file '/c/hold' exists. Amdump will sleep as long as this file exists\n"
    text = f"{HEAD}{hold}WARNING: {SHORT}\nERROR: odd\n{TAIL}"
    found = interpret_server_check(1, text, "")
    assert [trouble.said for trouble in found.bad] == ["odd"]
    assert [trouble.said for trouble in found.warnings] == [SHORT]


@pytest.mark.parametrize(("status", "end"), [(1, "ended with status 1"), (None, "was ended")])
def test_without_a_reason_something_is_wrong_still(status: int | None, end: str) -> None:
    """And what is on stderr is the reason, if there is something."""
    (trouble,) = interpret_server_check(status, HEAD + HELD + NEW + TAIL, "").bad
    assert trouble.said == f"amcheck {end} without giving a reason"
    (trouble,) = interpret_server_check(status, "", "amcheck: cannot start\n").bad
    assert (trouble.said, trouble.why) == ("amcheck: cannot start", UNKNOWN)

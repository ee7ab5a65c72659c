"""What ssh printed -> what went wrong. The words are OpenSSH 9.2's."""

import pytest

from asyncamanda.core.ssh.fault import Fault, interpret_connect_failure

CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key for server has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("printed", "fault"),
    [
        ("ssh: Could not resolve hostname x: Name or service not known\n", Fault.UNRESOLVED),
        (
            "ssh: connect to host x port 22: Connection refused\n",
            Fault.CONNECTION_REFUSED,
        ),
        ("ssh: connect to host x port 22: Connection timed out\n", Fault.UNREACHABLE),
        ("ssh: connect to host x port 22: No route to host\n", Fault.UNREACHABLE),
        ("ssh: connect to host x port 22: Network is unreachable\n", Fault.UNREACHABLE),
        ("kex_exchange_identification: Connection closed by remote host\n", Fault.DROPPED),
        ("Connection reset by 10.0.0.1 port 22\n", Fault.DROPPED),
        (
            "No ED25519 host key is known for x and you have requested strict checking.\n"
            "Host key verification failed.\n",
            Fault.HOST_KEY_UNKNOWN,
        ),
        (CHANGED, Fault.HOST_KEY_CHANGED),
        ("user@x: Permission denied (publickey,password).\n", Fault.PERMISSION_DENIED),
        (
            "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.\n",
            Fault.NOTHING_COMMON,
        ),
        ("Host key ED25519 SHA256:x revoked by file /r\n", Fault.HOST_KEY_REVOKED),
        ("command-line: line 0: Bad configuration option: foo\n", Fault.BAD_OPTIONS),
        ("ssh: connect to host x port 22: Permission denied\n", Fault.UNREACHABLE),  # a firewall
        ("ssh: connect to host x port 22: Host is down\n", Fault.UNREACHABLE),
        ("ssh: connect to host x port 22: Network is down\n", Fault.UNREACHABLE),
        (
            "kex_exchange_identification: banner line contains invalid characters\n"
            "banner exchange: Connection to 10.0.0.1 port 22: invalid format\n",
            Fault.NOT_SSH,
        ),
        ("Bad remote protocol version identification: 'HTTP'\n", Fault.NOT_SSH),
        ("client_loop: send disconnect: Broken pipe\n", Fault.DROPPED),
        ("ssh_dispatch_run_fatal: Connection to x port 22: Broken pipe\n", Fault.DROPPED),
        ("Bad packet length 1349676916.\n", Fault.DROPPED),
        ("Timeout, server x not responding.\n", Fault.DROPPED),
        (
            "Received disconnect from 10.0.0.1 port 22:2: x@x: Permission denied (publickey).\n"
            "Disconnected from 10.0.0.1 port 22\n",
            Fault.DROPPED,
        ),
        (
            "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\n"
            "Disconnected from 10.0.0.1 port 22\n",
            Fault.PERMISSION_DENIED,
        ),
        (
            "Unable to negotiate with x port 22: no matching cipher found. Their offer: "
            "REMOTE HOST IDENTIFICATION HAS CHANGED\n",
            Fault.NOTHING_COMMON,
        ),
        ("something else\n", Fault.OTHER),
        ("", Fault.OTHER),
        ("\x00\udce9\n", Fault.OTHER),
    ],
)
def test_each_way_not_to_connect_has_its_name(printed: str, fault: Fault) -> None:
    """A changed host key is never taken for an unknown one, nor either for a bad network."""
    assert interpret_connect_failure(printed).fault is fault


def test_an_unusable_key_is_a_warning_beside_the_fault() -> None:
    """What ssh said of the key file is kept, since it is why the permission was denied."""
    printed = 'Load key "/k": Permission denied (x)\nuser@x: Permission denied (publickey).\n'
    found = interpret_connect_failure(printed)
    assert found.fault is Fault.PERMISSION_DENIED
    assert found.line == "user@x: Permission denied (publickey)."
    assert found.warnings == ('Load key "/k": Permission denied (x)',)


BANNER = "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nREVOKED HOST KEY\nx was revoked\n"
BANNER += "guest@portal: Permission denied (publickey).\nNo ED25519 host key is known for x\n"


@pytest.mark.parametrize(
    ("printed", "fault"),
    [
        ("Connection closed by 10.0.0.1 port 22\r\n", Fault.DROPPED),
        ("Connection closed by UNKNOWN port 65535\r\n", Fault.DROPPED),
        ("ssh: connect to host x port 22: Connection timed out\r\n", Fault.UNREACHABLE),
        ("something else\r\n", Fault.OTHER),
    ],
)
def test_what_the_other_side_prints_is_no_evidence(printed: str, fault: Fault) -> None:
    """A banner comes beside ssh's own log, whatever it says."""
    assert interpret_connect_failure(printed, BANNER).fault is fault


@pytest.mark.parametrize(
    ("beside", "fault"),
    [
        ("ssh: connect to host jump port 22: Connection refused\r\n", Fault.CONNECTION_REFUSED),
        ("ssh: Could not resolve hostname jump: Name or service not known\r\n", Fault.UNRESOLVED),
        ("me@jump: Permission denied (publickey).\r\n", Fault.PERMISSION_DENIED),
        ("channel 0: open failed: connect failed: No route to host\r\n", Fault.UNREACHABLE),
        ("nc: it does not work\n", Fault.DROPPED),
    ],
)
def test_a_jump_hosts_ssh_says_why_there_is_no_way(beside: str, fault: Fault) -> None:
    """It is another ssh, which writes beside the log of the first; that knows of no server."""
    found = interpret_connect_failure("Connection closed by UNKNOWN port 65535\r\n", beside)
    assert found.fault is fault
    assert beside.strip() in (found.line, *found.warnings)


def test_an_ssh_that_does_not_start_says_why_beside_its_log() -> None:
    """It has none then."""
    assert interpret_connect_failure("", "ssh: unknown option\n").line == "ssh: unknown option"


def test_silence_is_told_as_silence() -> None:
    """There is a line to show even where ssh gave none."""
    assert interpret_connect_failure("\n\n").line == "ssh said nothing"

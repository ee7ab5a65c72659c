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


def test_silence_is_told_as_silence() -> None:
    """There is a line to show even where ssh gave none."""
    assert interpret_connect_failure("\n\n").line == "ssh said nothing"

"""What amcheck's lines mean."""

import re
import string

import pytest

from asyncamanda.core.amanda.amcheck import (
    MEANINGS,
    UNKNOWN,
    Trouble,
    explain_lines,
    interpret_amcheck,
)
from asyncamanda.core.amanda.amcheck_lines import Meaning

HEAD = "Amanda Backup Client Hosts Check\n--------------------------------\n"
WELL = "Client check: 1 host checked in 2.065 seconds.  0 problems found.\n"
ONE = "Client check: 1 host checked in 2.071 seconds.  1 problem found.\n"
NONE = "Client check: 0 hosts checked in 0.000 seconds.  0 problems found.\n"
TAIL = "(brought to you by Amanda 3.5.1)\n"
BROKEN = "ERROR: laptop: selfcheck request failed: error sending REQ: write error to: Broken pipe\n"


def interpret(*lines: str, status: int = 1, stderr: str = "") -> tuple[Trouble, ...]:
    """Return what is wrong with the laptop by a report of these lines."""
    return interpret_amcheck("laptop", status, "".join((HEAD, *lines, TAIL)), stderr)


def said(*lines: str, status: int = 1, stderr: str = "") -> list[str]:
    """Return what was said of what is wrong."""
    return [trouble.said for trouble in interpret(*lines, status=status, stderr=stderr)]


def test_all_is_well_if_one_host_was_checked_without_a_problem() -> None:
    """Whatever ssh has mumbled meanwhile."""
    assert interpret(WELL, status=0) == ()
    assert interpret("HOST laptop OK: /srv\n", WELL, status=0, stderr="Warning: hm\n") == ()


@pytest.mark.parametrize(
    ("lines", "status"),
    [((WELL,), 1), ((NONE,), 0), ((), 0), ((), 1), ((WELL.replace("0 p", "1 p"),), 0)],
)
def test_silence_is_not_taken_for_health(lines: tuple[str, ...], status: int) -> None:
    """No host, no report, or a status: something is wrong, though nobody says what."""
    (trouble,) = interpret(*lines, status=status)
    assert trouble.said == f"amcheck ended with status {status} without giving a reason"
    assert trouble.why == UNKNOWN


def test_amcheck_that_was_ended_is_no_health_either() -> None:
    """Its own end is missing."""
    (trouble,) = interpret_amcheck("laptop", None, "", "")
    assert trouble.said == "amcheck was ended without giving a reason"
    slow = "amcheck did not end within 180 seconds"
    (trouble,) = interpret_amcheck("laptop", None, "", slow)
    assert (trouble.said, trouble.is_absence) == (slow, True)


def test_an_error_counts_whatever_the_status_and_the_sum_say() -> None:
    """3.5.1 counts no problem where it does not know the auth."""
    line = "ERROR: Could not find security driver 'foo' for host 'laptop'. auth for this dle is bad"
    (trouble,) = interpret(f"{line}\n", WELL, status=0)
    assert trouble.said == line.removeprefix("ERROR: ")
    assert 'auth "ssh"' in trouble.fix


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("HOST laptop ERROR: laptop: Could not read /a (/a): oh", "Could not read /a (/a): oh"),
        ("ERROR: laptop: odd", "odd"),
        ("ERROR: NAK laptop: odd", "odd"),
        ("HOST laptop WARNING: odd", "odd"),
        ("HOST laptop CRITICAL: odd", "odd"),
        ("odd", "odd"),
        ("ERROR: tower: odd", "tower: odd"),
    ],
)
def test_a_line_that_is_not_known_is_shown_and_says_so(line: str, words: str) -> None:
    """Without what amcheck puts before it."""
    (trouble,) = interpret(f"{line}\n", ONE)
    assert (trouble.said, trouble.why) == (words, UNKNOWN)


def test_each_trouble_is_told_once() -> None:
    """Several disks report the same; programs say as which user they looked."""
    line = "HOST laptop ERROR: can not read/write '/l/.': Permission denied (ruid:{} euid:34)\n"
    (trouble,) = interpret(line.format(0), line.format(34), ONE)
    assert trouble.said == "can not read/write '/l/.': Permission denied"
    assert trouble.fix == "on laptop: chown backup:backup /l && chmod 770 /l"


def test_what_is_to_be_done_can_be_copied_into_a_shell() -> None:
    """Whatever a folder is called; the explanation has the name as it is."""
    line = "ERROR: laptop: can not stat '/a b;c/gnutar-lists': No such file or directory\n"
    (trouble,) = interpret(line, ONE)
    assert trouble.fix.endswith("-m 770 '/a b;c/gnutar-lists'")
    (trouble,) = interpret("ERROR: laptop: can not stat '/{x} y': No such file or directory\n", ONE)
    assert trouble.why.startswith("the client has no /{x} y:")


def test_advice_and_backtraces_are_no_troubles() -> None:
    """An indented line goes on with the one before it."""
    multiple = "Multiple DLE's for host 'laptop' use different auth methods"
    assert said(f"ERROR: {multiple}\n", "       Please ensure that all ...\n", ONE) == [multiple]
    frames = (
        "ERROR: laptop: service selfcheck: /lib/libglib-2.0.so.0(g_log+0x8f)[0x7f53c3a7606f]\n",
        "ERROR: laptop: service selfcheck: /lib/libamanda-3.5.4.so(+0x39c17) [0x7f4ac8e52c17]\n",
        "ERROR: laptop: service selfcheck: /usr/lib/amanda/selfcheck(main+0x2a) [0x55af0ca8]\n",
        "ERROR: laptop: service selfcheck: /usr/lib/amanda/selfcheck(main+0xbd)[0x5571b862e8ad]\n",
    )
    assert said(*frames, "ERROR: laptop: odd\n", ONE) == ["odd"]


def test_an_echo_is_dropped_where_another_line_tells_more() -> None:
    """And is shown where it is all that there is."""
    relay = "asyncamanda: there is no /x here: is amanda-client installed?"
    assert said(BROKEN, ONE, stderr=f"{relay}\n") == [relay]
    assert said(BROKEN, ONE) == [BROKEN.removeprefix("ERROR: laptop: ").strip()]


@pytest.mark.parametrize(
    "line",
    [
        "laptop is not connected, or refused the request",
        "laptop is not connected",
        "laptop has left",
        "laptop does not open a stream",
        "laptop vanished: its connection is lost",
        "asyncamanda's dispatcher ends",
    ],
)
def test_a_client_that_is_away_is_no_fault(line: str) -> None:
    """The relay's words, and below them ssh's, who finds nobody."""
    ssh = "kex_exchange_identification: Connection closed by remote host\n"
    ssh += "Connection closed by UNKNOWN port 65535\n"
    (trouble,) = interpret(BROKEN, ONE, stderr=f"asyncamanda: {line}\n{ssh}")
    assert trouble.is_absence
    assert trouble.fix == "on laptop: asyncamanda run --force"
    (trouble,) = interpret("ERROR: laptop: odd\n", ONE)
    assert not trouble.is_absence


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("laptop is not enrolled any more", "revoked"),
        ("laptop: what it sent is not Amanda's: b'bash: am'", "something else"),
    ],
)
def test_the_relays_refusals_are_known(reason: str, why: str) -> None:
    """As amcheck prints a NAK."""
    (trouble,) = interpret(f"ERROR: NAK laptop: asyncamanda: {reason}\n", ONE)
    assert why in trouble.why
    assert not trouble.is_absence


@pytest.mark.parametrize(
    ("line", "is_absence", "words"),
    [
        ("ssh: connect to host laptop port 22: Connection timed out", True, "it is off or away"),
        ("ssh: connect to host laptop port 22: No route to host", True, "it is off or away"),
        ("ssh: connect to host 10.0.0.9 port 22: Network is unreachable", True, "off or away"),
        ("Timeout, server laptop not responding.", True, "it is off or away"),
        ("ssh: connect to host laptop port 22: Connection refused", False, "no sshd listens"),
        ("ssh: Could not resolve hostname laptop: Name or service not known", False, "no address"),
        ("backup@laptop: Permission denied (publickey).", False, "does not let"),
    ],
)
def test_ssh_itself_tells_why_a_client_of_its_own_is_not_reached(
    line: str, is_absence: bool, words: str
) -> None:
    """With a report of 3.5.1's, and with 3.5.4's, which has no line then but its last."""
    for told in (interpret(BROKEN, ONE, stderr=f"{line}\n"), interpret(stderr=f"{line}\r\n")):
        (trouble,) = told
        assert (trouble.said, trouble.is_absence) == (line, is_absence)
        assert words in trouble.why


@pytest.mark.parametrize(
    "line",
    ["Host key verification failed.", "ssh: connect to host laptop port 22: No route to host"],
)
def test_what_the_amanda_user_has_to_do_can_be_typed_by_root(line: str) -> None:
    """That account may have no shell."""
    (trouble,) = interpret_amcheck("laptop", 1, "", line, "amandabackup")
    assert "as root" in trouble.fix
    assert trouble.fix.endswith(": runuser -u amandabackup -- ssh laptop true")


def test_amadmin_complains_of_the_configuration_in_the_same_words() -> None:
    """A program's name before them is not part of it."""
    text = (
        "'/etc/amanda/daily/amanda.conf', line 61: error: not a keyword.\n"
        "amadmin: errors processing config file\n"
    )
    (trouble,) = explain_lines("laptop", text)
    assert trouble.fix == "on the server: correct line 61 of /etc/amanda/daily/amanda.conf"


@pytest.mark.parametrize("meaning", MEANINGS, ids=lambda meaning: meaning.pattern[:30])
def test_every_known_line_has_an_explanation_and_a_remedy(meaning: Meaning) -> None:
    """What they name is in the pattern."""
    names = {*re.compile(meaning.pattern).groupindex, "client", "user"}
    for text in (meaning.why, meaning.fix):
        assert text
        used = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert used <= names


def test_a_warning_of_amanda_conf_is_not_taken_for_the_mistake() -> None:
    """It stands before it, and Amanda goes on with a configuration that has only that."""
    warning = "'/etc/amanda/daily/amanda.conf', line 7: warning: Keyword x is deprecated."
    mistake = "'/etc/amanda/daily/amanda.conf', line 9: error: not a keyword."
    said = [trouble.said for trouble in explain_lines("laptop", f"{warning}\n{mistake}\n")]
    assert said == [mistake]
    (alone,) = explain_lines("laptop", warning)
    assert "Amanda goes on" in alone.why

"""The command line of 2014, as Perl's Getopt::Long reads it by default."""

import re

import pytest

from asyncamanda.core.agent.classic import ClassicArguments, is_classic, parse_classic

REST = ["-h", "server", "-c", "/usr/sbin/amdump daily", "-a", "/var/lib/amanda/amandates"]


def test_the_form_of_2014_is_read_whole() -> None:
    """Every option, by its short name."""
    assert parse_classic(["-i", "24", "-k", "/etc/key", *REST]) == ClassicArguments(
        interval="24",
        host="server",
        command="/usr/sbin/amdump daily",
        amandates="/var/lib/amanda/amandates",
        key="/etc/key",
    )


def test_the_key_may_be_missing() -> None:
    """Without -k, ssh finds a key of its own."""
    assert parse_classic(["-i", "24", *REST]).key is None


# each proved with perl 5.36's Getopt::Long 2.52, 'interval|i=s' and defaults
@pytest.mark.parametrize(
    ("argv", "interval"),
    [
        (["-i", "24"], "24"),
        (["--i", "24"], "24"),
        (["--interval", "24"], "24"),
        (["-interval", "24"], "24"),
        (["-int", "24"], "24"),
        (["--inter=24"], "24"),
        (["-i=24"], "24"),
        (["-I", "24"], "24"),
        (["--INTERVAL=24"], "24"),
        (["--Interval", "1 day"], "1 day"),
        (["-i", "24", "-i", "36"], "36"),
        (["--interval=a=b"], "a=b"),
        (["-i", "-5"], "-5"),
        (["-i", "-h"], "-h"),
        (["-i", "--"], "--"),
        (["+i", "24"], "24"),
        (["+interval=24"], "24"),
    ],
)
def test_any_spelling_that_perl_took_is_taken(argv: list[str], interval: str) -> None:
    """One dash or two or a plus, `=` or a blank, any case, any beginning; the last one counts."""
    assert is_classic(argv)
    assert parse_classic([*argv, *REST]).interval == interval
    assert parse_classic([*REST, *argv]).interval == interval


def test_two_dashes_may_end_the_options() -> None:
    """As Perl let them, with nothing behind."""
    assert parse_classic(["-i", "24", *REST, "--"]) == parse_classic(["-i", "24", *REST])


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["-i24", *REST], "-i... is not understood"),
        (["-vx", *REST], "-v... is not understood"),
        (["---i", "24", *REST], "-... is not understood"),
        (["-i", "24", *REST, "-x", "3"], "-x... is not understood"),
        (["-i", "24", *REST, "--intervals=3"], "--intervals... is not understood"),
        (["-i", "24", *REST, "--", "more"], "-... is not understood"),
        (["--", "-i", "24", *REST], "-... is not understood"),
        (["-i", "24", *REST, "++i", "3"], "a value without an option is not understood"),
        (["-i", "24", *REST, "more"], "a value without an option is not understood"),
        (["-i", "24", *REST, "-"], "-... is not understood"),
        (["-i=", *REST], "--interval has no value"),
        (["-i", "", *REST], "--interval has no value"),
        ([*REST, "-i"], "--interval has no value"),
        (["-h", "server"], "--interval, --command, --amandates missing"),
        ([], "--interval, --host, --command, --amandates missing"),
    ],
)
def test_what_perl_did_not_take_is_refused_with_its_name(argv: list[str], fault: str) -> None:
    """The fault names the option by its letters, or all that are missing at once."""
    with pytest.raises(ValueError, match=f"^{re.escape(fault)}"):
        parse_classic(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["root:hunter2@server", "-i", "24"],
        ["--hosts=root:hunter2@server"],
        ["--host:root:hunter2@server"],
        ["-i", "24", "-hroot:hunter2@server"],
        ["-hunter2@server", "-i", "24"],
        ["-i", "24", "+x:hunter2@server"],
        ["-h", "root:hunter2@server", "-i"],
        ["-h", "root:hunter2@server"],
    ],
)
def test_no_complaint_shows_a_password(argv: list[str]) -> None:
    """What may be a password is not repeated."""
    with pytest.raises(ValueError, match=r"understood|no value|missing") as refusal:
        parse_classic(argv)
    assert "hunter2" not in str(refusal.value)


def test_arguments_printed_show_no_password() -> None:
    """A traceback or a log line with the arguments is harmless."""
    arguments = parse_classic(["-i", "24", *REST, "-h", "root:hunter2@server"])
    assert arguments.host == "root:hunter2@server"
    assert "hunter2" not in f"{arguments} {arguments!r}"


@pytest.mark.parametrize(
    ("argv", "classic"),
    [
        (["-h"], False),
        (["-h", "server"], True),
        (["-i"], True),
        (["-a=/x"], True),
        (["+i", "24"], True),
        (["--COMMAND", "x"], True),
        ([], False),
        (["--help"], False),
        (["--version"], False),
        (["--help", "-i", "24"], False),
        (["--json"], True),
        (["-v", "-i", "24"], True),
        (["-i24"], True),
        (["run", "-i", "24"], False),
        (["root:x@server", "-i", "24"], False),
        (["--"], True),
        (["-"], True),
        (["+"], True),
    ],
)
def test_the_first_word_tells_the_classic_form(argv: list[str], classic: bool) -> None:
    """An option of any kind but these three, so that a slip is told as that form's."""
    assert is_classic(argv) is classic

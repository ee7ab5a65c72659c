"""The command line: what is not understood ends with 64, and repeats nothing that may be secret."""

from pathlib import Path

import pytest

from asyncamanda import __version__, cli
from asyncamanda.cli import main


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "root:hunter2 x@server"],
        ["root:hunter2 x@server"],
        ["run", "root:hunter2"],
        ["run", "--json=root:hunter2@server"],
        ["run", "--hunter2=root:hunter2@server"],
        ["-i", "root:hunter2@server", "-h", "24", "-c", "c", "-a", "a"],
        ["-i", "24", "-h", "root:hunter2@ser ver", "-c", "c", "-a", "a"],
        ["-hroot:hunter2@server", "-i", "24", "-c", "c", "-a", "a"],
        ["-hunter2"],
    ],
)
def test_no_complaint_shows_a_password(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever word it was put in by mistake."""
    assert main(argv) == 64
    said = capsys.readouterr()
    assert "asyncamanda: " in said.err
    assert "hunter2" not in said.out + said.err


@pytest.mark.parametrize(
    "argv", [["run", "--conf", "/x"], ["run", "--verb"], ["run", "--dry"], ["check", "--js"]]
)
def test_an_option_is_written_whole(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An abbreviation that works today may mean something else tomorrow."""
    assert main(argv) == 64
    assert "asyncamanda: unrecognized arguments: " in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["-v"], ["--json"], ["-i24"], ["-x", "run"]])
def test_a_slip_in_the_classic_form_is_told_with_both_forms(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Who meant a command finds the way as well."""
    assert main(argv) == 64
    said = capsys.readouterr()
    assert "is not understood" in said.out + said.err
    assert "-i|--interval HOURS" in said.out + said.err
    assert "--help for the commands" in said.out + said.err


@pytest.mark.parametrize("argv", [["server"], ["server", "enrol"], ["server", "--nosuch"]])
def test_a_command_within_a_command_is_needed(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`server` alone does nothing; its own help is what the hint names."""
    assert main(argv) == 64
    assert "asyncamanda server --help lists the options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["statsu"], "did you mean status? asyncamanda --help"),
        (["stup"], "did you mean setup? asyncamanda --help"),
        (["server", "enrol"], "did you mean enroll? asyncamanda server --help"),
        (["server", "kep"], "hint: asyncamanda server --help"),
        (["run", "--forc"], "hint: asyncamanda run --help"),
        (["server", "runs", "--jso"], "hint: asyncamanda server runs --help"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(
    argv: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And with the help that has it; what only programs call is not among the choices."""
    assert main(argv) == 64
    said = capsys.readouterr().err
    assert meant in said
    for hidden in ("broker", "reach", "keep"):
        assert hidden not in said


@pytest.mark.parametrize("client", ["run", "server", "clients"])
def test_a_name_may_be_a_commands(client: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in a command's place is the command, and nothing behind it."""
    assert main(["server", "enroll", client, "--key"]) == 64
    said = capsys.readouterr().err
    assert "argument --key: expected one argument" in said
    assert "hint: asyncamanda server enroll --help" in said


def test_every_module_of_a_command_is_one_that_can_be_called() -> None:
    """Listed or not; the rest is what several of them share."""
    folder = Path(cli.__file__).parent / "commands"
    named = {*cli.COMMANDS, *cli.UNLISTED}
    modules = {
        path.stem
        for path in folder.glob("*.py")
        if {"add_arguments", "run"} <= {*vars(cli.load_command(path.stem))}
    }
    assert modules == {name.replace("-", "_") for name in named - {"server"}}


def test_asyncamanda_alone_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """On the way to the right command; it is no success, lest a line of cron's be believed."""
    assert main([]) == 64
    said = capsys.readouterr()
    assert all(name in said.out for name in cli.COMMANDS)
    assert "broker" not in said.out + said.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["help"], "usage: asyncamanda [-h]"),
        (["help", "run"], "usage: asyncamanda run"),
        (["help", "server", "enroll"], "usage: asyncamanda server enroll"),
        (["version"], f"asyncamanda {__version__}"),
    ],
)
def test_help_and_version_are_understood_as_words(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with many other programs."""
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 0
    assert words in capsys.readouterr().out


def test_a_wrong_command_is_told_those_that_people_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And not what systemd starts."""
    assert main(["frobnicate"]) == 64
    said = capsys.readouterr().err
    assert "(choose from" in said
    assert "setup" in said
    assert "broker" not in said

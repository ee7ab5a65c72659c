"""Arguments in, exits out. The only place that turns errors into exits."""

import argparse
import difflib
import json
import os
import re
import sys
import traceback
from collections.abc import Collection
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from types import ModuleType
from typing import NoReturn, Protocol

from asyncamanda import __version__, quick
from asyncamanda.client.start.settings import plan_classic
from asyncamanda.commands.hints import drop_force
from asyncamanda.core.agent import classic
from asyncamanda.errors import (
    AsyncamandaError,
    ConfigurationError,
    EverydayError,
    Exit,
    UsageError,
)
from asyncamanda.report.narrator import is_watched, silence, write_line
from asyncamanda.report.page import fold, fold_hint
from asyncamanda.report.stream import clean
from asyncamanda.system.pages import name_pages


class Command(Protocol):
    """What every module in commands/ offers, but for a package, which lists its SUBCOMMANDS."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


# name: what the list of commands says of it. Only the module that is asked for is loaded.
COMMANDS = {
    "setup": "make this machine a client of an Amanda server",
    "run": "check, and back up if due (what the timer starts)",
    "check": "show what is due and why, without changing anything",
    "status": "show the state of the backup",
    "history": "list past attempts and their results",
    "list": "show what can be restored: disks, files at a date, their versions",
    "restore": "get files back from the backup",
    "prove": "get a few files back, and compare them with those that are here",
    "recovery-sheet": "print what opens encrypted dumps, to be kept on paper",
    "doctor": "check everything a backup needs and suggest fixes",
    "notify": "send a test notification, or show pending desktop notifications",
    "schedule": "install, remove or show the timer",
    "server": "enroll clients and administer the server",
}
# what systemd starts, and nobody types
UNLISTED = {
    "broker": "answer a user of this machine who wants files back",
    "unseal": "answer from dumps that this machine has encrypted",
}
_UNKNOWN = re.compile(r"argument COMMAND: invalid choice: '(?P<word>[^']*)'")
_OF_SERVER = "SQLAlchemy"  # of pyproject.toml's extra `server`


class _Parser(argparse.ArgumentParser):
    """A parser that raises UsageError.

    `asked` is the command line as far as it names a command; `listed` and `hidden` are the commands
    in it.
    """

    asked = ""
    listed: Collection[str] = ()
    hidden: Collection[str] = ()

    def error(self, message: str) -> NoReturn:
        for name in self.hidden:
            message = re.sub(rf", '?{name}'?(?=[,)])", "", message)  # Python 3.12 ends the quotes
        what, _, cited = message.partition(": ")
        if "@" in cited or re.search(r":\S", cited):  # it may cite a password
            message = f"{what} (not shown: a password may be in it)"
        unknown = _UNKNOWN.match(message)
        close = difflib.get_close_matches(unknown["word"], self.listed, 1) if unknown else []
        meant = f"did you mean {close[0]}? " if close else ""
        hint = f"{meant}{self._name_asked(message)} --help lists the options"
        raise UsageError("usage", message, hint)

    def _name_asked(self, message: str) -> str:
        """Return the command whose help shows what would have been understood."""
        return (self.asked if message.startswith("unrecognized") else "") or self.prog


def main(argv: list[str]) -> int:
    """Do what `argv`, without the program's name, says; return the exit code."""
    _prepare_streams()
    code = _run(argv)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader has gone, which does not change the answer
            silence(stream)
    return code


def _prepare_streams() -> None:
    """Have both streams, though a caller may have closed one, and print every name as text."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 - open to the end
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = clean(sys.stdout), clean(sys.stderr)


def _run(argv: list[str]) -> int:
    if _is_plugin(argv):
        from asyncamanda.commands.plugin import run_plugin  # noqa: PLC0415 - as load_command() does

        return run_plugin(partial(_dispatch, argv))
    try:
        return _dispatch(argv)
    except AsyncamandaError as error:
        _print_error(error, argv)
        return error.exit
    except BrokenPipeError:  # the reader has closed the pipe
        return Exit.OK
    except KeyboardInterrupt:
        return Exit.LATER
    except Exception:
        write_line(sys.stderr, traceback.format_exc().rstrip())  # print_exc() may colour it
        print("asyncamanda: this is a bug in asyncamanda; please report it", file=sys.stderr)
        return Exit.INTERNAL


def _is_plugin(argv: list[str]) -> bool:
    """Return whether a monitoring system asks, which has its own exit codes."""
    return argv[:2] == ["server", "check"] or (argv[:1] == ["check"] and "--nagios" in argv)


def _dispatch(argv: list[str]) -> int:
    if not argv:
        make_parser(argv).print_help()
        return Exit.USAGE
    argv = _respell(argv)
    _refuse_servers(argv)
    place = quick.place_note(argv)
    if classic.is_classic(argv):
        try:
            arguments = classic.parse_classic(argv)
        except ValueError as error:
            raise UsageError(
                "usage", str(error), f"usage: {classic.USAGE}; or --help for the commands"
            ) from error
        from asyncamanda.commands import run  # noqa: PLC0415 - as load_command() does

        return run.run_plan(plan_classic(arguments), run.RunOptions(note_place=place))
    parsed = make_parser(argv).parse_args(argv, argparse.Namespace(note_place=place, typed=argv))
    command: Command = load_command(parsed.command_name)
    return command.run(parsed)


def _respell(argv: list[str]) -> list[str]:
    """Return `argv` with `help` and `version` as the options that they mean."""
    match argv:
        case ["help", *words]:
            return [*words, "--help"]
        case ["version"]:
            return ["--version"]
    return argv


def _refuse_servers(argv: list[str]) -> None:
    """Raise ConfigurationError for a command of the server's where its packages are missing."""
    is_one = argv[0] == "server" and argv[1:] and not argv[1].startswith("-")
    if not is_one or find_spec(_OF_SERVER.lower()):
        return
    raise ConfigurationError(
        "not-a-server",
        f"`asyncamanda server` administers an Amanda server, and this asyncamanda is a client's: "
        f"without {_OF_SERVER}",
        f"run it on the server; if this is the server, as root in a checkout of asyncamanda: "
        f"{sys.prefix}/bin/pip install -c constraints.txt '.[server]'",
    )


def load_command(name: str) -> ModuleType:
    """Return the module of the command `name`, "server.enroll" for one within another."""
    return import_module(f"asyncamanda.commands.{name.replace('-', '_')}")


def make_parser(argv: list[str]) -> argparse.ArgumentParser:
    """Return a parser with all commands, and the arguments of the one named in `argv`."""
    parser = _Parser(
        prog="asyncamanda",
        allow_abbrev=False,
        description="Amanda backups for machines that are not always connected.",
        epilog=f"The classic form, of the 2014 script, still works: {classic.USAGE}",
    )
    parser.add_argument("--version", action="version", version=f"asyncamanda {__version__}")
    words = [word for word in argv if not word.startswith("-")]
    parser.asked = _add_commands(parser, COMMANDS, "", words, UNLISTED)
    return parser


def _add_commands(
    parser: _Parser,
    table: dict[str, str],
    package: str,
    words: list[str],
    hidden: dict[str, str],
) -> str:
    """Add the commands of `table` to `parser`; the first of `words` names the one asked for.

    Returns the command line up to that one.

    Those of `hidden` are for other programs, and not listed.
    """
    asked = parser.prog
    parser.listed, parser.hidden = table, hidden
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name, text in (table | hidden).items():
        about = f"{text[:1].upper()}{text[1:]}."
        if name in table:
            command = commands.add_parser(name, help=text, description=about, allow_abbrev=False)
        else:
            command = commands.add_parser(name, description=about, allow_abbrev=False)
        command.set_defaults(command_name=f"{package}{name}")
        if words[:1] == [name]:
            asked = command.prog
            module = load_command(f"{package}{name}")
            if subcommands := getattr(module, "SUBCOMMANDS", None):
                further = getattr(module, "HIDDEN", {})
                asked = _add_commands(command, subcommands, f"{package}{name}.", words[1:], further)
            else:
                module.add_arguments(command)
    return asked


def _print_error(error: AsyncamandaError, argv: list[str]) -> None:
    error.hint = name_pages(drop_force(error.hint) if "--force" in argv else error.hint)
    if "--json" in argv:
        value = {
            "outcome": "error",
            "error": error.reference,
            "message": error.message,
            "hint": error.hint,
            "exit": int(error.exit),
        }
        write_line(sys.stdout, json.dumps(value))  # one line: it may be the last of many
        return
    is_everyday = isinstance(error, EverydayError)  # of which cron need not send a mail
    if is_everyday and not is_watched() and not {"-v", "--verbose"} & set(argv):
        return
    write_line(sys.stderr, fold(f"asyncamanda: {error.message}", sys.stderr))
    write_line(sys.stderr, fold_hint(f"hint: {error.hint}", sys.stderr, "  "))

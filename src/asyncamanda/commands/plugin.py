"""A command as a plugin of Nagios, Icinga and the like: its options, its answer, its exits.

monitoring-plugins.org/doc/guidelines.html: whatever happens, the answer is on stdout, and the exit
code one of four. A failure to look is UNKNOWN, and so are a help and a version.
"""

import argparse
import sys
import traceback
from collections.abc import Callable
from functools import partial

from asyncamanda import __version__
from asyncamanda.core.values.plugin import CheckLimits, PluginAnswer, PluginStatus
from asyncamanda.core.values.threshold import ALLOWED, AlertRange, Thresholds, parse_range
from asyncamanda.errors import AsyncamandaError, UsageError
from asyncamanda.report.plugin import render_plugin_answer
from asyncamanda.system.limited import ask_within

TIMEOUT = 8  # seconds; Nagios waits for 10 where `-t` has not told NRPE or SSH otherwise
LONGEST_TIMEOUT = 600


def add_plugin_options(parser: argparse.ArgumentParser, *spans: str) -> None:
    """Let the command line have what all plugins have, and limits for each of `spans`."""
    group = parser.add_argument_group(
        "limits", f"Each is {ALLOWED}; quote ~ and @. A value outside of it is alerted."
    )
    group.add_argument(
        "-w", "--warning", metavar="RANGE", help="WARNING for a last backup of another age"
    )
    group.add_argument("-c", "--critical", metavar="RANGE", help="the same, CRITICAL")
    words = {
        "exposure": "a client that was used for another time since its last backup",
        "proof": "a last proof of another age, or one that failed",
    }
    for span in spans:
        group.add_argument(f"--{span}-warning", metavar="RANGE", help=f"WARNING for {words[span]}")
        group.add_argument(f"--{span}-critical", metavar="RANGE", help="the same, CRITICAL")
    parser.add_argument(
        "-t",
        "--timeout",
        metavar="SECONDS",
        help=f"UNKNOWN if it takes longer (default: {TIMEOUT})",
    )
    parser.add_argument(
        "-V", "--version", action="version", version=f"check_asyncamanda {__version__}"
    )


def read_limits(arguments: argparse.Namespace) -> CheckLimits:
    """Return the limits that the command line names. Raises UsageError for one that means none."""
    kept = vars(arguments)

    def both(prefix: str) -> Thresholds:
        names = [f"{prefix}{name}" for name in ("warning", "critical")]
        return Thresholds(*(_read_range(name, kept.get(name)) for name in names))

    return CheckLimits(both(""), both("exposure_"), both("proof_"))


def _read_range(name: str, text: str | None) -> AlertRange | None:
    try:
        return None if text is None else parse_range(text)
    except ValueError as error:
        option = name.replace("_", "-")
        raise UsageError(
            "bad-range", f"--{option}: {text!a}: {error}", f"allowed: {ALLOWED}"
        ) from error


def _read_timeout(text: str | None) -> int:
    if text is None:
        return TIMEOUT
    if text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= LONGEST_TIMEOUT:
        return int(text)
    raise UsageError(
        "bad-timeout",
        f"--timeout: {text!a} is no number of seconds",
        f"from 1 to {LONGEST_TIMEOUT}, and less than what calls this waits",
    )


def answer_plugin(
    arguments: argparse.Namespace, look: Callable[[CheckLimits], PluginAnswer]
) -> PluginStatus:
    """Print what `look` says, within the time that the command line allows, and return its status.

    Raises UsageError for limits or a time that mean nothing.
    """
    limits, timeout = read_limits(arguments), _read_timeout(arguments.timeout)
    text = ask_within(timeout, partial(_look, look, limits))
    if text is None:
        text = _encode(
            PluginAnswer(PluginStatus.UNKNOWN, f"there was no answer within {timeout} s")
        )
    status, _, shown = text.partition("\n")
    if not shown:
        raise RuntimeError("the look ended without an answer")
    print(shown)
    return PluginStatus(int(status))


def _look(look: Callable[[CheckLimits], PluginAnswer], limits: CheckLimits) -> str:
    try:
        return _encode(look(limits))
    except AsyncamandaError as error:
        return _encode(_unknown(error))


def _encode(answer: PluginAnswer) -> str:
    return f"{int(answer.status)}\n{render_plugin_answer(answer)}"


def _unknown(error: AsyncamandaError) -> PluginAnswer:
    return PluginAnswer(PluginStatus.UNKNOWN, error.message, (), (error.message, error.hint))


def run_plugin(dispatch: Callable[[], int]) -> int:
    """Return the exit code of a plugin's command line, which `dispatch` carries out."""
    try:
        return dispatch()
    except AsyncamandaError as error:
        print(render_plugin_answer(_unknown(error)))
    except (SystemExit, BrokenPipeError, KeyboardInterrupt):  # argparse has printed a help
        pass
    except Exception as error:
        print(f"BACKUP UNKNOWN: a bug in asyncamanda, please report it: {type(error).__name__}")
        sys.stderr.write(traceback.format_exc())
    return PluginStatus.UNKNOWN

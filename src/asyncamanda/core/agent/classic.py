"""The command line of 2014.

    asyncamanda -i|--interval HOURS -h|--host [user[:password]@]host[:port] [-k|--key FILE]
                -c|--command COMMAND -a|--amandates FILE

It was read by Perl's Getopt::Long with its defaults, so old crontabs may hold any spelling
that that takes: one dash or two before a long name, `=` before the value, any case, and any
beginning of a name that fits one option only; `+` for a dash; `--` at the end.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

USAGE = (
    "asyncamanda -i|--interval HOURS -h|--host [user[:password]@]host[:port] "
    '[-k|--key FILE] -c|--command "/usr/sbin/amdump daily" -a|--amandates FILE'
)
OPTIONS = ("interval", "host", "key", "command", "amandates")
REQUIRED = ("interval", "host", "command", "amandates")


@dataclass(frozen=True, slots=True)
class ClassicArguments:
    """What the classic command line says; `host` may hold a password."""

    interval: str
    host: str
    command: str
    amandates: str
    key: str | None = None

    def __repr__(self) -> str:
        return f"ClassicArguments({self.command!r})"


def is_classic(argv: Sequence[str]) -> bool:
    """Return whether `argv`, without the program's name, is the classic form: options only.

    `-h` and nothing else asks for help, as everywhere.
    """
    first = argv[0] if argv else ""
    return first.startswith(("-", "+")) and argv != ["-h"] and first not in {"--help", "--version"}


def parse_classic(argv: Sequence[str]) -> ClassicArguments:
    """Return what `argv` says; the last of several equal options counts.

    Raises ValueError, with what is wrong and never with a password.
    """
    values: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        option = _option_of(word)
        if word == "--" and next(words, None) is None:
            break
        if option is None:
            raise ValueError(f"{_without_value(word)} is not understood")
        _, has_value, value = word.partition("=")
        following = value if has_value else next(words, None)
        if not following:
            raise ValueError(f"--{option} has no value")
        values[option] = following
    missing = [f"--{option}" for option in REQUIRED if option not in values]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    return ClassicArguments(**values)


def _option_of(word: str) -> str | None:
    """Return the option that `word` names, or None."""
    dashed = re.fullmatch(r"(?:--|-|\+)([a-z]+)", word.partition("=")[0].lower())
    if not dashed:
        return None
    stem = dashed[1]
    fitting = [option for option in OPTIONS if option.startswith(stem)]
    return fitting[0] if len(fitting) == 1 else None


def _without_value(word: str) -> str:
    """Return what may be shown of a word that was not understood: it may hold a password."""
    option = re.match(r"--[A-Za-z]+|-[A-Za-z]?", word)
    return f"{option[0]}..." if option else "a value without an option"

"""What dumps leave out: patterns for names, as GNU tar has them; it knows no other (amgtar(8)).

Some stand in the dumptype, others in a file on the client that the dumptype names.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable

# on each client, written by its agent; a dumptype reads it by `exclude list optional "..."`
CLIENT_LIST = "/var/lib/asyncamanda/client/excludes"
# what the dumptype `roaming` leaves out, in any folder: what programs make again, and trash
USUAL = (
    ".cache",
    ".ccache",
    ".thumbnails",
    ".var/app/*/cache",
    ".local/share/Trash",
    ".Trash",
    ".Trash-[0-9]*",
)
ALLOWED = 'patterns for names, such as ["*.iso", "Downloads", "./ana/VMs"]'
LONGEST = 1000  # characters of a pattern


def check_pattern(text: str) -> None:
    """Raise ValueError if no name would ever be like `text`, or a list cannot hold it."""
    if not text.strip() or text != text.strip():
        raise ValueError("blanks around it, or nothing else")
    if not text.isprintable() or len(text) > LONGEST:
        raise ValueError(f"not at most {LONGEST} characters that print")
    if text.startswith("/"):
        raise ValueError("a path from / matches nothing: begin with the disk's folder as ./")
    if text.endswith("/"):
        raise ValueError("with a slash at its end it matches nothing")
    if text in {".", "./", "*", "./*"}:
        raise ValueError("it would leave out everything")


def compile_patterns(patterns: Iterable[str]) -> Callable[[bytes], bool]:
    """Return what tells whether a path below a disk's folder, without ./, is left out by them.

    As GNU tar compares: * and ? are like a slash, too, and without ./ a pattern may begin in any
    folder. What is in a folder that is left out is, too.
    """
    found = [re.compile(_render_pattern(pattern), re.DOTALL) for pattern in patterns]

    def is_excluded(path: bytes) -> bool:
        text = path.decode("utf-8", "surrogateescape")
        return any(pattern.search(text) for pattern in found)

    return is_excluded


def _render_pattern(pattern: str) -> str:
    beginning = "^" if pattern.startswith("./") else "(?:^|/)"
    name = fnmatch.translate(pattern.removeprefix("./")).rpartition("\\")[0]
    return f"{beginning}{name}(?:/|$)"


def render_list(patterns: Iterable[str]) -> str:
    """Return the text of an exclude list."""
    return "".join(f"{pattern}\n" for pattern in patterns)

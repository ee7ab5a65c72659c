"""The disklist: what `amadmin CONFIG dles` and `amadmin CONFIG disklist` say of each DLE.

Both print names as they are, without quotes; other text is quoted. Source: dles() and
disklist_one() in amadmin.c of Amanda 3.5.1; tests/e2e/test_amanda_facts.py asks the real one.

The file itself is not read for what it means, which is Amanda's to say: only, line for line, to
make a smaller one of it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from itertools import pairwise

from asyncamanda.core.amanda.filters import NONE, Filters
from asyncamanda.core.amanda.quoting import quote, unquote

_NAMED = re.compile(r"    (?P<what>host|disk|    device) (?P<name>.+)")
_SETTING = re.compile(
    r"        (?P<key>AUTH|PROGRAM|APPLICATION|STRATEGY|IGNORE|HOLDINGDISK|STARTTIME|COMPRESS"
    r"|ENCRYPT|(?:SERVER|CLIENT)-CUSTOM-COMPRESS"
    r"|(?:SERVER|CLIENT)-ENCRYPT|(?:SERVER|CLIENT)-DECRYPT-OPTION) +(?P<value>.*)"
)
# a word of a disklist's line: quotes may be anywhere in it, and hold blanks
WORD = re.compile(r'(?:"(?:\\.|[^"\\])*+"|\\.|[^\s"\\])++')
_INCLUDE = "includefile"
_WITHOUT_NAME = "custom("  # begins what Amanda calls an application that is defined in a DLE
GNUTAR = "GNUTAR"


@dataclass(frozen=True, slots=True)
class Dle:
    """A DLE. `parked` says by which setting Amanda leaves it out, "" where it is not.

    `device` is the path that is dumped, "" where that is the disk's name. `auth` is how Amanda
    calls the client. `filters` is None where that is not known. `program` is what dumps it: GNUTAR,
    DUMP, or APPLICATION, which `application` names unless it is defined in the DLE itself.
    `starttime` is the time of day before which Amanda waits with it; `is_never_held`: it goes to a
    volume each time.
    """

    host: str
    disk: str
    device: str = ""
    auth: str = ""
    parked: str = ""
    filters: Filters | None = None
    program: str = ""
    application: str = ""
    starttime: time | None = None
    is_never_held: bool = False

    @property
    def is_parked(self) -> bool:
        """Whether Amanda is configured to leave it out."""
        return bool(self.parked)


def parse_dles(text: str) -> list[tuple[str, str]]:
    """Return (host, disk) for each line of `amadmin CONFIG dles`, in the disklist's order."""
    rows = (line.partition(" ")[::2] for line in text.split("\n"))
    return [(host, disk) for host, disk in rows if host and disk]


def parse_disklist(text: str) -> list[Dle]:
    """Return each DLE of `amadmin CONFIG disklist`, in its order. Never raises."""
    found: list[Dle] = []
    host = disk = device = ""
    settings: dict[str, str] = {}
    for line in [*text.split("\n"), "    disk :"]:
        if setting := _SETTING.fullmatch(line):
            settings.setdefault(setting["key"], setting["value"].strip())
        elif (named := _NAMED.fullmatch(line)) and named["what"] == "    device":
            device = named["name"]
        elif named and named["name"].endswith(":"):
            if settings:
                found.append(_read_dle(host, disk, device, settings))
            settings, device = {}, ""
            if named["what"] == "host":
                host, disk = named["name"][:-1], ""
            else:
                disk = named["name"][:-1]
    return [dle for dle in found if dle.host and dle.disk]


def _read_dle(host: str, disk: str, device: str, settings: Mapping[str, str]) -> Dle:
    def text(key: str) -> str:
        return unquote(settings.get(key, ""))

    parked = "ignore" if settings.get("IGNORE", "").lower() == "yes" else ""
    if not parked and settings.get("STRATEGY", "").upper() == "SKIP":
        parked = "strategy skip"
    compress = settings.get("COMPRESS", NONE).lower()
    encrypt = settings.get("ENCRYPT", NONE).lower()
    side, _, kind = compress.partition(" ")
    filters = Filters(
        compress=compress,
        compress_program=text(f"{side.upper()}-CUSTOM-COMPRESS") if kind == "custom" else "",
        encrypt=encrypt,
        encrypt_program="" if encrypt == NONE else text(f"{encrypt.upper()}-ENCRYPT"),
        decrypt_option="" if encrypt == NONE else text(f"{encrypt.upper()}-DECRYPT-OPTION"),
    )
    named = text("APPLICATION")
    return Dle(
        host,
        disk,
        device,
        text("AUTH"),
        parked,
        filters,
        program=text("PROGRAM"),
        application="" if named.startswith(_WITHOUT_NAME) else named,
        starttime=_read_time(settings.get("STARTTIME", "")),
        is_never_held=settings.get("HOLDINGDISK", "").upper() == "NEVER",
    )


def _read_time(text: str) -> time | None:
    """Return the time of day of a starttime such as 2230; None for 000, which is none."""
    hours, minutes = divmod(int(text), 100) if text.isascii() and text.isdigit() else (0, 0)
    return time(hours, minutes) if (hours or minutes) and hours < 24 and minutes < 60 else None


def render_name(name: str) -> str:
    """Return `name` as a disklist has it, in which a bare # or brace would mean something."""
    text = quote(name)
    return f'"{text}"' if text == name and re.search("[#{}]", name) else text


def render_lone_dle(host: str, disk: str) -> str:
    """Return a disklist with this one DLE, of no dumptype, for amadmin to find nothing else in."""
    return f"{render_name(host)} {render_name(disk)} {{\n}}\n"


def join_disklist(
    pairs: Iterable[tuple[str, str]], settings: Iterable[Dle]
) -> dict[tuple[str, str], Dle]:
    """Return the DLE of each (host, disk) of `pairs`, which say what there is, in their order.

    One whose settings are not found (its name holds a line's end, say) counts as one that is
    dumped, so that nothing is left out by mistake.
    """
    known = {(dle.host, dle.disk): dle for dle in settings}
    return {pair: known.get(pair) or Dle(*pair) for pair in pairs}


def order_hosts(
    hosts: Sequence[str], dles: Iterable[Dle]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return `hosts` so ordered that amdump takes each for a host, and those that have to wait.

    A word that is also a disk, or a device, of the host before it makes Amanda give up the whole
    run (match_disklist() in diskfile.c of Amanda 3.5.1: "cannot be both a host and a disk").
    """
    words: dict[str, set[str]] = {}
    for dle in dles:
        words.setdefault(dle.host.lower(), set()).update({dle.disk.lower(), dle.device.lower()})

    def fits(host: str, place: int) -> bool:
        near = [*ordered[:place][-1:], host, *ordered[place : place + 1]]
        names = [name.lower() for name in near]
        return all(after not in words.get(before, ()) for before, after in pairwise(names))

    ordered: list[str] = []
    left: list[str] = []
    for host in hosts:
        place = next((at for at in range(len(ordered), -1, -1) if fits(host, at)), None)
        if place is None:
            left.append(host)
        else:
            ordered.insert(place, host)
    return tuple(ordered), tuple(left)


def find_included(line: str) -> str | None:
    """Return the name of the file that a disklist's line includes; None if it includes none."""
    words = WORD.findall(line)
    return unquote(words[1]) if len(words) > 1 and words[0] == _INCLUDE else None


def narrow_disklist(lines: Iterable[str], hosts: Collection[str]) -> str:
    """Return the lines of a disklist that make the DLEs of `hosts`, as they are.

    What this makes of a disklist it does not understand, Amanda has to be asked. Source:
    parse_diskline() in diskfile.c of Amanda 3.5.1.
    """
    wanted = {host.lower() for host in hosts}
    kept: list[str] = []
    is_kept = False
    nested = NestedLines()
    for line in lines:
        if not nested.is_open:
            words = split_words(line)
            is_kept = bool(words) and unquote(words[0]).lower() in wanted
        nested.feed(line)
        if is_kept:
            kept.append(f"{line}\n")
    return "".join(kept)


class NestedLines:
    """Which lines of a disklist make up an entry: all up to the brace that closes its first.

    Within it an application, or a script, may have braces of its own.
    """

    def __init__(self) -> None:
        self._depth = 0

    @property
    def is_open(self) -> bool:
        """Whether the next line belongs to the same entry."""
        return self._depth > 0

    def feed(self, line: str) -> bool:
        """Take the next line; return whether the entry goes on after it."""
        if not self.is_open:
            self._depth = int(any(word.startswith("{") for word in split_words(line)[2:4]))
        elif line.lstrip().startswith("}"):
            self._depth -= 1
        elif any(word.startswith("{") for word in split_words(line)[1:]):
            self._depth += 1
        return self.is_open


def split_words(line: str) -> list[str]:
    """Return the words of a disklist's line as they stand there, but for a comment at its end."""
    return WORD.findall(line.removesuffix(find_comment(line)))


def find_comment(line: str) -> str:
    """Return the comment at the end of a disklist's line, from its # on; "" if there is none."""
    begins = (word.start() for word in WORD.finditer(line) if word[0].startswith("#"))
    return line[start:] if (start := next(begins, None)) is not None else ""

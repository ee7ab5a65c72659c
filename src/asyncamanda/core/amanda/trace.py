"""A run's trace: what was begun, and when the run really started.

The trace, amdump.TIMESTAMP, is what a run's programs print. Its first lines are the run's own;
further down there is text of clients as well, so what is found there is a claim. Source: amdump.pl,
amflush.pl, handle_result() and output_scheduleline() in planner.c, read_schedule() in driver.c, and
chunker_cmd() and dumper_cmd() in driverio.c of Amanda 3.5.1.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from asyncamanda.core.amanda.quoting import unquote

Key = tuple[str, str]  # host, disk

LONGEST_LINE = 65_536  # characters: longer lines are ignored
_HEAD_LINES = 12  # in which the run says when it started

_SKIP = r'(?:"(?:\\.|[^"\\])*+"|\\.|[^ "\\])++'  # one word, which may be quoted
_WORD, _LEVEL = f"({_SKIP})", "([0-9]{1,3})"
_SENT = re.compile(
    r"driver: send-cmd time [0-9.]+ to (?:"
    rf"chunker[0-9]+: [A-Z]+-WRITE \S+ {_SKIP} {_WORD} \S+ {_WORD} {_LEVEL} .*"
    rf"|dumper[0-9]+: [A-Z]+-DUMP \S+ \S+ \S+ \S+ {_WORD} \S+ {_WORD} {_SKIP} {_LEVEL} .*)"
)
_DUMPED_BY = re.compile(
    rf"driver: send-cmd time [0-9.]+ to (dumper[0-9]{{1,4}}): [A-Z]+-DUMP \S+ \S+ \S+ \S+ "
    rf"{_WORD} \S+ {_WORD} {_SKIP} {_LEVEL} .*"
)
_CHUNKER = re.compile(
    r"driver: started (chunker[0-9]{1,4}) pid ([0-9]{1,10})"
    rf"|driver: send-cmd time [0-9.]+ to (chunker[0-9]{{1,4}}): "
    rf"[A-Z]+-WRITE \S+ {_SKIP} {_WORD} \S+ {_WORD} [0-9]{{1,3}} .*"
)
_PLANNED = re.compile(
    rf"DUMP {_WORD} {_SKIP} {_WORD} [0-9]{{14}} [0-9]+ {_LEVEL} [0-9:]+ ([0-9]{{1,18}}) "
    r"([0-9]{1,18}) .*"
)
_SCHEDULE = "GENERATING SCHEDULE:\n--------\n"
_SCHEDULE_END = "\n--------\n"
_START = re.compile(
    r"[a-z]+: starttime-locale-independent (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ([A-Za-z0-9+-]{1,10})"
)


@dataclass(frozen=True, slots=True)
class Planned:
    """What the planner meant to dump: the level, and about how much, in KiB.

    `kilobytes` is after compression, as far as there is any; `whole_kilobytes` before it; 0 where
    that is not known.
    """

    level: int
    kilobytes: int
    whole_kilobytes: int


def find_planned(trace: str) -> dict[Key, Planned]:
    """Return what the planner scheduled of each (host, disk), by a run's trace.

    What the driver makes of it may be less: an incremental instead of a full, or nothing.

    It stands in one block, and while that is written no text of a client is: the planner has heard
    all of them, and the driver reads the schedule to its end before it starts a dump. But an answer
    that the planner cannot read is copied with all of its lines, so that a client may add a block
    of its own, though it cannot take the planner's away. Where two lines on one DLE differ, one is
    forged: then the lower level counts, and the size is not known.

    What remains: a client may lead another one that is in the same run, and was scheduled, to one
    more run, with as many volumes as any may take; never to none, nor to a refusal for its size.
    """
    found: dict[Key, Planned] = {}
    for block in trace.split(_SCHEDULE)[1:]:
        for line in f"\n{block}".partition(_SCHEDULE_END)[0].split("\n"):
            if not line.startswith("DUMP ") or len(line) > LONGEST_LINE:
                continue
            if told := _PLANNED.fullmatch(line):
                host, disk, *numbers = told.groups()
                level, whole, kilobytes = map(int, numbers)
                planned = Planned(level, kilobytes, max(whole, kilobytes))
                key = unquote(host), unquote(disk)
                other = found.setdefault(key, planned)
                if other != planned:
                    found[key] = Planned(min(other.level, level), 0, 0)
    return found


def find_begun(trace: str) -> dict[Key, int]:
    """Return the level of each (host, disk) whose dump the driver started, by a run's trace.

    A DLE that was started again has its last level. The chunker is told before the client is
    asked, so the client may not have been at it.
    """
    found: dict[Key, int] = {}
    for line in trace.split("\n"):
        if not line.startswith("driver: send-cmd ") or len(line) > LONGEST_LINE:
            continue
        if sent := _SENT.fullmatch(line):
            host, disk, level = sent.group(1, 2, 3) if sent[1] is not None else sent.group(4, 5, 6)
            found[unquote(host), unquote(disk)] = int(level)
    return found


def find_dumpers(trace: str) -> dict[Key, str]:
    """Return which dumper (by the name of its process) was last told to dump each (host, disk)."""
    found: dict[Key, str] = {}
    for line in trace.split("\n"):
        if not line.startswith("driver: send-cmd ") or len(line) > LONGEST_LINE:
            continue
        if told := _DUMPED_BY.fullmatch(line):
            found[unquote(told[2]), unquote(told[3])] = told[1]
    return found


def find_chunkers(trace: str) -> dict[int, Key]:
    """Return the (host, disk) that each chunker was first told to write, by its process id.

    The driver starts one for each dump, and tells it at once.
    """
    pids: dict[str, int] = {}
    found: dict[int, Key] = {}
    for line in trace.split("\n"):
        if not line.startswith("driver: s") or len(line) > LONGEST_LINE:
            continue
        if told := _CHUNKER.fullmatch(line):
            started, pid, writes, host, disk = told.groups()
            if started:
                pids[started] = int(pid)
            elif writes in pids:
                found.setdefault(pids.pop(writes), (unquote(host), unquote(disk)))
    return found


def find_start(head: str) -> tuple[datetime, str] | None:
    """Return when the run started, by the beginning of its trace; None if it does not say so.

    That is the server's local time, without a zone, and how the zone was called then. A run's
    timestamp may be later: Amanda takes the next one that is free.
    """
    for line in head.split("\n", _HEAD_LINES)[:_HEAD_LINES]:
        if found := _START.fullmatch(line):
            try:
                return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S"), found[2]  # noqa: DTZ007 - as it is written
            except ValueError:
                return None
    return None

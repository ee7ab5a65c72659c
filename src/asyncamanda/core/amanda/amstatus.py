"""amstatus: how far each dump of a run is.

A line a dump, `HOST:DISK TIMESTAMP LEVEL SIZEk WORDS`, DISK quoted where needed; then a summary.
Source: amstatus and Amanda/Status.pm of Amanda 3.5.1; tests/samples/amstatus has what it said of
real runs.
"""

import re

from asyncamanda.core.amanda.quoting import unquote
from asyncamanda.core.model import DleProgress

# in the configuration's displayunit
_KILOBYTES = {"k": 1, "m": 1024, "g": 1024**2, "t": 1024**3}

_DLE = re.compile(
    r'([^\s:"]+):((?:"(?:\\.|[^"\\])*+"|\\.|[^ "\\])++) +(?:([0-9]{8,14}) +)?+(?:([0-9]{1,3}) +)?+'
    r"(?:([0-9]{1,18})([kmgt]) +)?+(\S.*)"
)
_DONE = re.compile(r"\(([0-9]{1,18})([kmgt]) done \(")

# the beginning of amstatus's words, in the order in which they are looked for
_PHASES = (
    (re.compile(r"getting estimate|partial estimate|estimate done|no estimate"), "estimating"),
    (re.compile(r"dump failed: .*; will retry"), "waiting"),
    (re.compile(r"estimate failed|dump failed|dump to tape failed|terminated while"), "failed"),
    (re.compile(r"dump done(?: \([^)]*\))?, (?:\(\S+\) )?writing"), "writing"),
    (re.compile(r"dump (?:to tape )?done"), "done"),
    (re.compile(r"dumping"), "dumping"),
)


def parse_amstatus(text: str, timestamp: str) -> tuple[DleProgress, ...]:
    """Return how far each dump of the run `timestamp` is, in amstatus's order.

    What the run only flushes has an older timestamp and is left out. A dump that waits for its
    volume is done; one that ended in a dead run has failed; words that are not known mean that
    it waits. Sizes are in KiB, at the precision of the configuration's displayunit; more may be
    done than was estimated. Never raises.
    """
    found = []
    for line in text.split("\n"):
        dle = _DLE.fullmatch(line)
        if not dle:
            continue
        host, disk, stamp, level, size, unit, words = dle.groups()
        phase = _find_phase(words)
        # a DLE may have no timestamp as long as nothing is scheduled
        if stamp != timestamp and (stamp or phase != "estimating"):
            continue
        total = int(size) * _KILOBYTES[unit] if size else 0
        done = 0
        if phase == "done":
            done = total
        elif phase in {"dumping", "writing"} and (so_far := _DONE.search(words)):
            done = int(so_far[1]) * _KILOBYTES[so_far[2]]
        found.append(DleProgress(host, unquote(disk), int(level or 0), phase, done, total))
    return tuple(found)


def _find_phase(words: str) -> str:
    return next((phase for pattern, phase in _PHASES if pattern.match(words)), "waiting")

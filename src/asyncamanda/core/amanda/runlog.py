"""A run's log: what Amanda says about each DLE.

Text of clients stands in it as well, with all kinds of line breaks but Amanda's own: so a line is
a claim, and what it claims counts as far as something witnesses it (witness.py). How the lines are
read is in runlog_reader.py; tests/samples/run-logs are logs that Amanda 3.5.1 wrote.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncamanda.core.amanda.runlog_reader import LONGEST_LINE, PARTS, Key, Place, RunLogReader
from asyncamanda.core.model import DleVerdict, DumpState

NO_WORD = "the run ended without reporting it"
PLANNER_DIED = "the run ended before it was planned, because Amanda's planner died"

_FIRST = re.compile(r"INFO ([a-z]+) \S+ pid ([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class RunLog:
    """What a run's log claims.

    `program` and `pid` are line 1's; `timestamp` is the run's, "" where none is given, None where
    it is not one (of a run that was named by its day). `dles` are those that the run was to dump,
    in its order; `hosts` are those of them that stand there before any client was asked. `verdicts`
    are sorted by host, disk and timestamp. One with another timestamp than the run's is of a dump
    that the run brought from the holding disk to a volume. `places` are the volume and the file
    there of each part that was written; `taped_bytes` is how much of a dump the taper wrote, if it
    has said that once, and nothing else of the dump. `is_finished` is whether the run said that it
    ended; `labels` are the volumes written; `errors` are the run's own troubles, a line each.
    `is_doubtful`: Amanda could not read what a client answered. `is_planned`: the planner came to
    its end, or there is none to come; one that dies takes the dumps of all clients with it.
    """

    program: str
    pid: int
    timestamp: str | None
    dles: tuple[Key, ...]
    verdicts: tuple[DleVerdict, ...]
    is_finished: bool
    labels: tuple[str, ...]
    errors: tuple[str, ...]
    hosts: frozenset[str] = frozenset()
    places: Mapping[tuple[str, str, str], tuple[Place, ...]] = field(default_factory=dict)
    taped_bytes: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    is_doubtful: bool = False
    is_planned: bool = True

    @property
    def silence(self) -> str:
        """Why a DLE is missing that the log does not mention, if this is the run's end."""
        return _explain_silence(is_planned=self.is_planned)


def _explain_silence(*, is_planned: bool) -> str:
    return NO_WORD if is_planned else PLANNER_DIED


def parse_run_log(text: str, begun: Mapping[Key, int] = {}) -> RunLog | None:
    """Return what the log `text` says, or None if its line 1 is not an Amanda run's.

    `begun` has the level of each DLE whose dump was started, as find_begun() gives it, and fills
    in where the log is silent. Never raises; a last line without its end is not read.

    The last attempt counts, both ways. A failure after a success is a failure, since it is the
    later report on the client, whose snapshot may by now claim files that only the failed dump had.
    To doubt a good dump costs one more dump; to trust a bad one costs data.
    """
    lines = text.split("\n")[:-1]
    first = _FIRST.fullmatch(lines[0]) if lines else None
    if not first or first[1] in PARTS:
        return None
    reader = RunLogReader(first[1], first[2])
    for line in lines:
        if len(line) <= LONGEST_LINE:
            reader.read(line)
    dles = tuple(reader.list_dles())
    stamp = reader.timestamp or ""
    verdicts = [verdict for verdict in reader.flushed.values() if verdict]
    for key in dict.fromkeys((*dles, *reader.dumps)):
        dump, level = reader.dumps.get(key), begun.get(key)
        verdicts.append(
            dump.judge(*key, stamp, level)
            if dump
            else DleVerdict(
                *key,
                stamp,
                DumpState.MISSING,
                level,
                _explain_silence(is_planned=reader.is_planned),
                has_begun=level is not None,
            )
        )
    return RunLog(
        program=first[1],
        pid=int(first[2]),
        timestamp=reader.timestamp,
        dles=dles,
        verdicts=tuple(sorted(verdicts, key=lambda v: (v.host, v.disk, v.timestamp))),
        is_finished=reader.is_finished,
        labels=tuple(reader.labels),
        errors=tuple(reader.errors),
        hosts=frozenset(reader.hosts),
        places={dump: tuple(places) for dump, places in reader.places.items()},
        taped_bytes={dump: size for dump, size in reader.taped_bytes.items() if size},
        is_doubtful=reader.is_doubtful,
        is_planned=reader.is_planned,
    )

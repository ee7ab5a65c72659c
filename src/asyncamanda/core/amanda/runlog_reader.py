r"""How a run's log is read: each line of it that says something about the run or a dump.

Lines end at `\n` alone; Amanda writes none that is longer than 4 KB (STR_SIZE in logfile.c) and its
first words. Line 1 is `INFO amdump amdump pid PID`; every other line is `KIND PROGRAM REST`, or
begins with two blanks and continues the line before. Host and disk are quoted where needed. Source:
logfile.c, planner.c, driver.c, dumper.c, Chunker/Controller.pm and Taper/Worker.pm of Amanda 3.5.1;
tests/samples/run-logs are logs that it wrote.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from asyncamanda.core.amanda.dump_result import ECHOED, SAID, TOLD, Dump
from asyncamanda.core.amanda.quoting import unquote
from asyncamanda.core.amanda.timestamps import is_stamp
from asyncamanda.core.model import DleVerdict, DumpState

Key = tuple[str, str]  # host, disk
Place = tuple[str, int]  # a volume's label, and the number of a file there

LONGEST_LINE = 8192  # characters: Amanda writes no longer one
PART_DIED = "Amanda's {} died in the middle of the dump"  # as 3.5.4's dumper does on a lost client

# what Amanda writes of an answer that it could not read: then a client's text may stand anywhere
_UNREADABLE = re.compile(
    r"invalid reply from sendsize|badly formatted response from|parse of reply message failed"
)
# lines that come before the first client is asked
_EARLY = re.compile(
    r"(?:INFO|START|STATS|DISK) |WARNING planner (?:tapecycle \(|problem copying|WARNING: )"
)

# the parts of a run, each of which has lines in the run's log
PARTS = {"planner", "driver", "dumper", "chunker", "taper"}

_SKIP = r'(?:"(?:\\.|[^"\\])*+"|\\.|[^ "\\])++'  # one word, which may be quoted
_WORD, _STAMP, _LEVEL = f"({_SKIP})", "([0-9]{14})", "([0-9]{1,3})"
_STORAGE = r'(?:VAULT )?(?:"ST:(?:\\.|[^"\\])*+" )?(?:"POOL:(?:\\.|[^"\\])*+" )?'
_DISK = re.compile(f"{_WORD} {_WORD}")
_DUMP = re.compile(f"{_WORD} {_WORD}(?: ([0-9]{{8,14}}))? {_LEVEL} (.+)")
_TAPED = re.compile(f"{_STORAGE}{_WORD} {_WORD} {_STAMP} (?:[0-9]+ )?{_LEVEL} (.+)")
_LABEL = re.compile(f"datestamp [0-9]+ {_STORAGE}label {_WORD} tape [0-9]+")
_DATE = re.compile("date ([0-9]+)(?: .*)?")
_PART = re.compile(f"{_STORAGE}{_WORD} ([0-9]{{1,9}}) {_WORD} {_WORD} {_STAMP} [0-9]+/-?[0-9]+ .*")
_SIZE = re.compile(r"\[sec [^][]*\borig-kb ([0-9]{1,18})\]")
_TAPED_BYTES = re.compile(r"\[sec [^][]*\bbytes ([0-9]{1,18}) [^][]*\]")
_NO_TAPE = re.compile(r"no-tape (?:error|config) \[(.*)\]")
_RETRY = re.compile(r"delay -?[0-9]+ level -?[0-9]+ message (.*)")
_DIED = re.compile(f'(dumper|chunker)[0-9]+ died while dumping ([^ :"]+):{_WORD} lev {_LEVEL}\\.?')
_REASON = re.compile(r"  (?:\? |sendbackup: error )(.+)")


@dataclass(slots=True)
class RunLogReader:
    """What was read so far, line by line.

    `program` and `awaited` are line 1's program and pid: the end of that process is the run's.
    """

    program: str
    awaited: str  # the pid whose end is the run's
    timestamp: str | None = ""
    hosts: set[str] = field(default_factory=set)
    places: dict[tuple[str, str, str], list[Place]] = field(default_factory=dict)
    taped_bytes: dict[tuple[str, str, str], int | None] = field(default_factory=dict)
    is_doubtful: bool = False
    has_planned: bool = False
    is_early: bool = True  # nothing can come from a client yet
    wanted: Counter[Key] = field(default_factory=Counter)
    dumps: dict[Key, Dump] = field(default_factory=dict)
    flushed: dict[tuple[str, str, str], DleVerdict | None] = field(default_factory=dict)
    is_finished: bool = False
    labels: dict[str, None] = field(default_factory=dict)
    errors: dict[str, None] = field(default_factory=dict)
    speaking: Dump | None = None  # whose failure the lines that go on are about

    def read(self, line: str) -> None:
        """Take in a line, unless Amanda did not write it or it says nothing of interest."""
        if line.startswith("  "):
            if self.speaking and self.speaking.weight < TOLD and (told := _REASON.match(line)):
                self.speaking.blame(_clean(told[1]), TOLD)
            return
        self.speaking = None
        self.is_early = self.is_early and _EARLY.match(line) is not None
        kind, _, rest = line.partition(" ")
        program, _, rest = rest.partition(" ")
        if kind in {"ERROR", "FAIL", "WARNING"} and _UNREADABLE.search(rest):
            self.is_doubtful = True
        if take := _TAKERS.get(kind):
            take(self, kind, program, rest)

    def take_remark(self, kind: str, program: str, rest: str) -> None:
        """Take in an INFO or WARNING line."""
        if program == self.program:
            if rest == f"pid-done {self.awaited}":
                self.is_finished = True
            elif rest.startswith(f"fork {program} {self.awaited} "):  # amflush, to the background
                self.awaited = rest.rpartition(" ")[2]
        elif program == "driver" and (died := _DIED.fullmatch(rest)):
            dump = self.dumps.setdefault((unquote(died[2]), unquote(died[3])), Dump())
            if died[1] == "dumper":
                dump.note_dumper(int(died[4]), 0, is_well=False, is_strange=False)
            else:
                dump.note_chunker(int(died[4]), is_well=False)
            dump.blame(PART_DIED.format(died[1]), TOLD)
        elif program == "driver" and "[Will retry dump " in rest:  # the held dump is unreadable
            self.take_result(kind, program, rest)
        elif kind == "WARNING" and rest.startswith("Taper "):
            self.take_error(kind, program, rest)

    @property
    def is_planned(self) -> bool:
        """Whether the planner came to its end; of all programs only amdump has one."""
        return self.has_planned or self.program != "amdump"

    def take_error(self, _kind: str, program: str, rest: str) -> None:
        """Take in a trouble of the run's."""
        text = _clean(rest)
        if no_tape := _NO_TAPE.fullmatch(text):
            text = no_tape[1]
        self.errors[text if text.startswith(f"{program} ") else f"{program}: {text}"] = None

    def take_disk(self, _kind: str, program: str, rest: str) -> None:
        """Take in a DLE that is to be dumped; amflush's are only to be flushed."""
        if program in {"planner", "ambackupd"} and (found := _DISK.fullmatch(rest)):
            host, disk = unquote(found[1]), unquote(found[2])
            self.wanted[host, disk] += 1
            if self.is_early:
                self.hosts.add(host)

    def take_date(self, kind: str, program: str, rest: str) -> None:
        """Take in the run's timestamp, or a volume's label."""
        if program == "taper":
            if found := _LABEL.fullmatch(rest):
                self.labels[unquote(found[1])] = None
        elif kind == "FINISH" and program == "planner":
            self.has_planned = True
        elif self.timestamp == "" and (found := _DATE.fullmatch(rest)):
            self.timestamp = found[1] if is_stamp(found[1]) else None

    def take_part(self, _kind: str, program: str, rest: str) -> None:
        """Take in where a part of a dump was written."""
        if program == "taper" and (found := _PART.fullmatch(rest)):
            label, file, host, disk, stamp = found.groups()
            place = unquote(label), int(file)
            self.places.setdefault((unquote(host), unquote(disk), stamp), []).append(place)

    def take_result(self, kind: str, program: str, rest: str) -> None:
        """Take in a dump's result. STRANGE lines have no timestamp, all others have one."""
        if program == "taper":
            self._take_taped(kind, rest)
            return
        found = _DUMP.fullmatch(rest) if program in PARTS else None
        if not found or (found[3] is None) != (kind == "STRANGE"):
            return
        key, level, said = (unquote(found[1]), unquote(found[2])), int(found[4]), _clean(found[5])
        if program == "planner":
            if kind == "FAIL" or said.startswith("skipped"):
                dump = self.dumps.setdefault(key, Dump())
                dump.note_planner(level, said.removeprefix("skipped: "), is_skip=kind != "FAIL")
        elif found[3] in {None, self.timestamp} and said != "Taper protocol error":
            dump = self.dumps.setdefault(key, Dump())
            is_well = kind in {"SUCCESS", "STRANGE"}
            if program == "driver":
                dump.note_driver(level, said.removeprefix("Will retry dump because of "))
            elif program == "chunker":
                dump.note_chunker(level, is_well=is_well)
            else:
                size = _read_size(found[5])
                dump.note_dumper(level, size, is_well=is_well, is_strange=kind == "STRANGE")
            if kind in {"FAIL", "RETRY"}:
                retry = _RETRY.fullmatch(said)
                dump.blame(_clean(retry[1]) if retry else said)
                self.speaking = dump

    def _take_taped(self, kind: str, rest: str) -> None:
        found = _TAPED.fullmatch(rest)
        if not found or kind not in {"DONE", "PARTIAL", "FAIL"} or not is_stamp(found[3]):
            return
        host, disk, stamp = key = (unquote(found[1]), unquote(found[2]), found[3])
        level, size, is_done = int(found[4]), _read_size(found[5]), kind == "DONE"
        counted = _TAPED_BYTES.search(found[5]) if is_done and key not in self.taped_bytes else None
        self.taped_bytes[key] = int(counted[1]) if counted else None  # two results: neither counts
        if is_done:
            said = ""
        elif kind == "PARTIAL":  # numbers, and a reason where there is one
            said = _clean(_behind_numbers(found[5]))
        else:  # `error` or `config`, and the reason
            said = _clean(found[5].partition(" ")[2])
        trouble = said or "not all of it was written"
        if not is_done:
            self.errors[f"taper: {_clean(host)}:{_clean(disk)} of {stamp}: {trouble}"] = None
        if stamp == self.timestamp:
            dump = self.dumps.setdefault((host, disk), Dump())
            is_cut = kind == "PARTIAL" and not said
            dump.note_taper(level, size, is_well=is_done, is_cut=is_cut)
            if not is_done:
                dump.blame(trouble, SAID if said else ECHOED)
        elif is_done:
            self.flushed[key] = DleVerdict(*key, DumpState.STORED, level, kilobytes=size)
        else:
            self.flushed.setdefault(key, None)

    def list_dles(self) -> Iterator[Key]:
        """Yield the DLEs that were to be dumped.

        The planner has a line for each of these, and the same line for each dump that it means
        to flush: where there are as many flushed dumps of a DLE as lines, it was not to be dumped.
        """
        flushed = Counter((host, disk) for host, disk, _ in self.flushed)
        for key, count in self.wanted.items():
            if key in self.dumps or count > flushed[key]:
                yield key


_TAKERS: dict[str, Callable[[RunLogReader, str, str, str], None]] = {
    "INFO": RunLogReader.take_remark,
    "WARNING": RunLogReader.take_remark,
    "ERROR": RunLogReader.take_error,
    "FATAL": RunLogReader.take_error,
    "DISK": RunLogReader.take_disk,
    "START": RunLogReader.take_date,
    "FINISH": RunLogReader.take_date,
    "PART": RunLogReader.take_part,
    **dict.fromkeys(
        ("SUCCESS", "STRANGE", "PARTIAL", "FAIL", "RETRY", "DONE"), RunLogReader.take_result
    ),
}


def _behind_numbers(said: str) -> str:
    """Return what is said behind the numbers in brackets."""
    _, begun, rest = said.rpartition("[sec ")
    _, ended, reason = rest.partition("]")
    return reason.lstrip(" ") if begun and ended else said


def _read_size(said: str) -> int:
    found = _SIZE.search(said)
    return int(found[1]) if found else 0


def _clean(said: str) -> str:
    """Return `said` as one line, without the quotes and brackets around it."""
    if said.startswith('"'):
        said = unquote(said)
    said = " ".join(said.split())
    return said[1:-1].strip() if said.startswith("[") and said.endswith("]") else said

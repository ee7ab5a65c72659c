"""One DLE's dump in one run: what the parts of Amanda logged about it, and what that amounts to.

A DLE may be tried several times in one run. The lines about one attempt come in any order, and
nothing says where the next begins: it does with a line that cannot belong to this one. Source:
driver.c, dumper.c, Chunker/Controller.pm and Taper/Worker.pm of Amanda 3.5.1.
"""

import re
from dataclasses import dataclass

from asyncamanda.core.model import DleVerdict, DumpState

# reasons that only say that the other side gave up, whose own reason is the better one
_ECHO = re.compile(
    r"Aborted by driver|chunker failed|dumper returned FAILED|shm_ring cancelled|data write"
    r"|too many dumper retry|\S+ died$|[0-9]+-[0-9]+$"
)
# the driver's messages after a dump was begun; all its others say that it never was
_AFTERWARDS = re.compile(r"too many dumper retry|\S+ died$|holding disk error")

# how much a reason says
NOTHING, ECHOED, TOLD, SAID = range(4)


@dataclass(slots=True)
class Dump:
    """What was said of one DLE's dump: its last attempt, and the best reason of all attempts.

    `dumper`, `chunker` and `taper` say whether that part did well, None where it said nothing.
    """

    level: int | None = None
    kilobytes: int = 0
    dumper: bool | None = None
    chunker: bool | None = None
    taper: bool | None = None
    is_strange: bool = False
    is_given_up: bool = False
    is_skipped: bool = False
    has_begun: bool = False
    reason: str = ""
    weight: int = NOTHING

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt was unsuccessful."""
        is_lost = self.taper is False and self.chunker is None  # it went straight to a volume
        return self.is_given_up or is_lost or self.dumper is False or self.chunker is False

    @property
    def is_whole(self) -> bool:
        """Whether the server has all of it.

        The taper says DONE only where the dumper did well, or the held dump is marked as whole.
        Its PARTIAL with a reason (no volume, an error) leaves the dump in the holding disk.
        """
        return not self.has_failed and bool(self.taper or (self.dumper and self.chunker))

    def note_planner(self, level: int, said: str, *, is_skip: bool) -> None:
        """Take in that the planner left it out; where it failed its level means nothing."""
        self.is_skipped, self.is_given_up = is_skip, not is_skip
        self.level = level if is_skip else None
        self.blame(said)

    def note_driver(self, level: int, said: str) -> None:
        """Take in that the driver gave it up, at once or in the end."""
        self.level, self.is_given_up = level, True
        self.has_begun = self.has_begun or bool(_AFTERWARDS.match(said))
        self.blame(said)

    def note_dumper(self, level: int, kilobytes: int, *, is_well: bool, is_strange: bool) -> None:
        """Take in the dumper's result."""
        self._go_on(level, self.dumper, is_well=is_well)
        self.dumper, self.is_strange = is_well, is_strange
        self.kilobytes = kilobytes or self.kilobytes

    def note_chunker(self, level: int, *, is_well: bool) -> None:
        """Take in the result of the chunker, which writes to the holding disk."""
        self._go_on(level, self.chunker, is_well=is_well)
        self.chunker = is_well

    def note_taper(self, level: int, kilobytes: int, *, is_well: bool, is_cut: bool) -> None:
        """Take in the taper's result; of several volumes or tries one good one is enough.

        `is_cut`: it wrote all that the held file has, which is marked as a part of a dump; then the
        driver considers it done, and removes the file.
        """
        self._go_on(level, None, is_well=is_well)
        self.is_given_up |= is_cut and not self.taper
        self.taper = self.taper or is_well
        self.kilobytes = kilobytes or self.kilobytes

    def _go_on(self, level: int, before: bool | None, *, is_well: bool) -> None:
        """Begin a new attempt if a part speaks again, or does well after another failed."""
        if before is not None or (is_well and self.has_failed):
            self.dumper = self.chunker = self.taper = None
            self.is_given_up, self.kilobytes = False, 0
        self.level, self.has_begun = level, True

    def blame(self, reason: str, weight: int = SAID) -> None:
        """Keep `reason` if none so far says more; of two equal ones, the later one."""
        if _ECHO.match(reason):
            weight = ECHOED
        if reason and weight >= self.weight:
            self.reason, self.weight = reason, weight

    def judge(self, host: str, disk: str, timestamp: str, begun: int | None) -> DleVerdict:
        """Return what it amounts to; `begun` is the level that was started, by the trace."""
        level = begun if self.level is None else self.level
        has_begun = self.has_begun or begun is not None
        kilobytes, reason, is_strange = 0, self.reason, False
        if self.is_whole:
            state = DumpState.STORED if self.taper else DumpState.HELD
            kilobytes, reason, is_strange = self.kilobytes, "", self.is_strange
        elif self.is_skipped and not has_begun:
            state = DumpState.SKIPPED
        else:
            state = DumpState.FAILED
            reason = reason or (
                "only a part of the dump arrived"
                if self.chunker is False
                else "the run ended before the dump was known to be whole"
            )
        return DleVerdict(
            host, disk, timestamp, state, level, reason, kilobytes, is_strange, has_begun
        )

"""Run logs: whatever befalls a log, nothing is made up of it."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import decoded_texts, disk_names, levels, texts
from tests.samples import list_run_logs, read_sample

from asyncamanda.core.amanda.amstatus import parse_amstatus
from asyncamanda.core.amanda.quoting import quote, unquote
from asyncamanda.core.amanda.runlog import RunLog, parse_run_log
from asyncamanda.core.amanda.trace import find_begun
from asyncamanda.core.model import DumpState

LOGS = [read_sample(name) for name in list_run_logs()]
STATUS = read_sample("amstatus/20261123055725.finished.txt")
TRACE = read_sample("run-logs/amdump.20261124151504")
RUN = "20261123055725"
CRC = "7bf3ee61:1"

# what tells that a dump is whole: of the dumper's, or of the taper's
CONFIRMING = re.compile(r"(?:SUCCESS|STRANGE) dumper |DONE taper ")
WORD = re.compile(r'(?:"(?:\\.|[^"\\])*+"|\\.|[^ "\\])++')


@st.composite
def mangled(draw: st.DrawFn, text: str) -> str:
    """Return `text` after its lines were dropped, doubled, swapped, cut or filled with noise."""
    lines = text.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        cut = draw(st.integers(0, len(line)))
        other = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "cut", "fill", "end"])):
            case "drop":
                lines[place] = ""
            case "double":
                lines[other] += line
            case "swap":
                lines[place], lines[other] = lines[other], line
            case "cut":
                lines[place] = line[:cut]
            case "fill":
                lines[place] = line[:cut] + draw(decoded_texts) + line[cut:]
            case _:
                lines[place:] = [line[:cut]]
        lines = [line for line in lines if line] or [""]
    return "".join(lines)


def names(log: RunLog) -> set[tuple[str, str]]:
    """Return the DLEs that `log` confirms."""
    return {(v.host, v.disk) for v in log.verdicts if v.state.is_confirmed}


@given(st.sampled_from(LOGS).flatmap(mangled))
def test_nothing_is_confirmed_that_no_line_names(text: str) -> None:
    """Only a good word of the dumper's or taper's does; and no log is too mangled to be read."""
    log = parse_run_log(text)
    if not log:
        return
    good = set[tuple[str, str]]()
    for line in text.split("\n"):
        if CONFIRMING.match(line):
            good |= set(pairwise(map(unquote, WORD.findall(line))))
    assert names(log) <= good


@given(st.sampled_from(LOGS), st.data())
def test_a_lost_line_confirms_nothing_more(text: str, data: st.DataObject) -> None:
    """Whichever lines are lost, as long as no failure is."""
    lines = text.splitlines(keepends=True)
    kept = [lines[0]]
    kept += [
        line
        for line in lines[1:]
        if re.match("FAIL|PARTIAL|RETRY", line) or data.draw(st.booleans())
    ]
    whole, less = parse_run_log(text), parse_run_log("".join(kept))
    assert whole
    assert less
    assert names(less) <= names(whole)


@given(st.sampled_from(LOGS), st.data())
def test_a_log_that_was_cut_off_has_no_end(text: str, data: st.DataObject) -> None:
    """A run is finished by its last line alone, and by no part of it."""
    first, *lines = text[: data.draw(st.integers(0, len(text) - 1))].split("\n")
    kept = [line for line in lines if data.draw(st.booleans())]
    log = parse_run_log("\n".join((first, *kept)))
    assert not log or not log.is_finished


@given(texts, texts, st.sampled_from(LOGS))
def test_any_text_is_read_or_is_no_log(noise: str, more: str, text: str) -> None:
    """Never an error, be it of a log's, a trace's or amstatus's."""
    first = text.partition("\n")[0]
    for tried in (noise, f"{first}\n{noise}\n{more}\n", f"{text}{noise}\n{more}\n"):
        parse_run_log(tried)
        find_begun(tried)
        parse_amstatus(tried, RUN)


@given(mangled(STATUS), mangled(TRACE))
def test_mangled_words_of_amandas_are_no_error(status: str, trace: str) -> None:
    """Names and numbers that were cut are other names and numbers, or none."""
    for row in parse_amstatus(status, RUN):
        assert row.done_kilobytes >= 0
    assert all(level >= 0 for level in find_begun(trace).values())


@given(disk_names, disk_names, levels)
def test_any_name_is_found_again(host: str, disk: str, level: int) -> None:
    """As Amanda quotes it, in the log and in the trace."""
    name = f"{quote(host)} {quote(disk)}"
    log = parse_run_log(
        f"INFO amdump amdump pid 1\nSTART planner date {RUN}\nDISK planner {name}\n"
        f"SUCCESS dumper {name} {RUN} {level} {CRC} {CRC} [sec 1 kb 1 kps 1 orig-kb 7]\n"
        f"SUCCESS chunker {name} {RUN} {level} {CRC} [sec 1 kb 1 kps 1]\n"
        f'DONE taper "ST:s" "POOL:p" {name} {RUN} 1 {level} {CRC} {CRC} {CRC} [sec 1 kb 1 kps 1]\n'
        f"INFO amdump pid-done 1\n"
    )
    assert log
    assert log.dles == ((host, disk),)
    (verdict,) = log.verdicts
    assert (verdict.host, verdict.disk, verdict.level) == (host, disk, level)
    assert (verdict.state, verdict.kilobytes) == (DumpState.STORED, 7)
    assert log.is_finished
    begun = find_begun(
        f"driver: send-cmd time 1.0 to chunker0: SHM-WRITE 00-1 {quote('/h/' + disk)} "
        f"{quote(host)} ff {quote(disk)} {level} {RUN} 1 GNUTAR 1 |\n"
    )
    assert begun == {(host, disk): level}


@given(disk_names, levels)
def test_any_disk_of_amstatus_is_found_again(disk: str, level: int) -> None:
    """Whatever is in its name; hosts have none of these characters."""
    text = (
        f"{'lap:' + quote(disk):20} {RUN} {level}        80k dumping (7k done (8.75%)) ( 5:57:29)\n"
    )
    (row,) = parse_amstatus(text, RUN)
    assert (row.host, row.disk, row.level, row.done_kilobytes) == ("lap", disk, level, 7)

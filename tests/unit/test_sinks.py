"""What others wrote is shown and kept as text, wherever it comes out."""

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.live import Live
from rich.progress import Progress, TextColumn
from rich.spinner import Spinner

from asyncamanda.client.notify.desktop import notification_of
from asyncamanda.core.agent.alerts import Alert, AlertKind, render_body, render_subject
from asyncamanda.core.amanda.amcheck import Trouble
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.model import DleProgress, DleVerdict, DumpState
from asyncamanda.core.protocol.messages import Finished, Queued, Running
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.notify.mail import compose_mail
from asyncamanda.notify.pings import ping_body
from asyncamanda.report.doctor import render_check
from asyncamanda.report.json import render_event, render_json
from asyncamanda.report.live import LiveView
from asyncamanda.report.narrator import Narrator, write_line
from asyncamanda.report.page import fold
from asyncamanda.report.prometheus import Metrics, render_prometheus
from asyncamanda.report.stream import clean, styled
from asyncamanda.report.table import print_glance, print_table
from asyncamanda.server.background.tasks import write_log, write_trace
from asyncamanda.server.gate import attach, gate
from asyncamanda.system.journal import JournalLine, journal_fields

NOW = datetime(2026, 11, 24, 15, 15, 4, tzinfo=UTC)
RUN = "20261124151504"
# a colour, two line ends that we do not use, a text direction, a byte, and a terminal's CSI
NASTY = "a\x1b[31mb\rc\x85d\u202ee\udcfff\x9bg\U000e0041h"
SHOWN = r"a\x1b[31mb\x0dc\x85d\u202ee\udcfff\x9bg\U000e0041h"
IN_ONE_LINE = SHOWN.replace(r"\x0d", " ").replace(r"\x85", " ")  # where blanks become one
LINES = f"{NASTY}\n{NASTY}"
ALERT = Alert(AlertKind.FAILED, NASTY, NOW, NASTY, LINES, NASTY)


def _tell() -> None:
    Narrator("laptop", "1", is_talkative=True).tell(NASTY)


def _hear() -> None:
    narrator = Narrator("laptop", "1", is_talkative=True)
    narrator.hear(Queued(1, 1, None, NASTY))
    narrator.hear(Running(NASTY, NOW, 1))
    verdict = DleVerdict("laptop", NASTY, RUN, DumpState.FAILED, reason=NASTY)
    narrator.hear(Finished(RUN, NOW, (verdict,)))


def _show_live() -> None:
    console = Console(width=500, highlight=False)
    column = TextColumn("{task.fields[disk]} {task.fields[phase]}", markup=False)
    spinner, bars = Spinner("dots"), Progress(column, console=console, auto_refresh=False)
    view = LiveView(Live(console=console), spinner, bars)
    view.update(NASTY)
    view.show_dles((DleProgress("laptop", NASTY, 0, NASTY, 1, 2),))
    console.print(spinner, bars)


def _fail(words: str = LINES) -> None:
    try:
        json.loads(None)  # type: ignore[arg-type]
    except TypeError as error:
        error.add_note(words)
        write_trace()


PRINTED: dict[str, tuple[Callable[[], object], int]] = {  # and how often it is shown
    "the dispatcher's diary": (lambda: write_log(NASTY), 1),
    "a traceback in it": (_fail, 2),
    "the agent's diary": (_tell, 1),
    "what the server says": (_hear, 4),
    "a line": (lambda: write_line(sys.stderr, NASTY), 1),
    "an answer": (lambda: print(LINES, file=clean(sys.stdout)), 2),
    "answers": (lambda: clean(sys.stdout).writelines([NASTY, "\n", NASTY, "\n"]), 2),
    "a glance": (lambda: print_glance(NASTY), 1),
    "a table": (lambda: print_table((NASTY,), [(NASTY,)]), 2),
    "what lives": (_show_live, 3),
    "the gate": (lambda: gate.say(LINES), 2),
    "a stream's gate": (lambda: attach.say(NASTY, 75), 1),
}


@pytest.mark.parametrize("sink", PRINTED)
def test_what_is_printed_steers_no_terminal(sink: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever prints it: on stdout, on stderr, in the log."""
    write, times = PRINTED[sink]
    write()
    said = capsys.readouterr()
    assert (said.out + said.err).count(SHOWN) == times
    assert all(line.isprintable() for line in (said.out + said.err).split("\n"))


TOLD: dict[str, tuple[Callable[[], str], int]] = {
    "a mail": (lambda: compose_mail("me", "backup", ALERT).get_content(), 5),
    "a mail's subject": (lambda: str(compose_mail("me", "backup", ALERT)["Subject"]), 1),
    "a mail's sender": (lambda: str(compose_mail("me", "backup", ALERT)["From"]), 1),
    "a message": (lambda: render_body(ALERT), 5),
    "a message's subject": (lambda: render_subject(ALERT), 1),
    "a desktop's title": (lambda: notification_of(ALERT).title, 1),
    "a desktop's text": (lambda: notification_of(ALERT).body, 3),
    "a ping": (lambda: ping_body(LINES).decode(), 2),
    "the journal": (lambda: journal_fields(JournalLine(NASTY))["MESSAGE"], 1),
    "the journal's fields": (
        lambda: journal_fields(JournalLine("x", run=NASTY))["ASYNCAMANDA_RUN"],
        1,
    ),
    "a folded answer": (lambda: fold(LINES, io.StringIO()), 2),
    "a doctor's answer": (
        lambda: "\n".join(
            render_check(Check("alias", Health.BAD, NASTY, NASTY, NASTY, (Trouble(NASTY, "", ""),)))
        ),
        4,
    ),
}


@pytest.mark.parametrize("sink", TOLD)
def test_what_is_told_or_kept_is_text(sink: str) -> None:
    """In a mail, a message, a notification, the journal and a report."""
    render, times = TOLD[sink]
    text = render()
    text = text.replace("\\\\", "\\")  # as in a mail's quoted name
    assert text.count(SHOWN) + text.count(IN_ONE_LINE) == times
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_metric_s_label_is_text_and_its_escapes_are_escaped() -> None:
    """As the exporter reads it; a line's end is Prometheus' own."""
    text = render_prometheus(Metrics(NOW, {f"{NASTY}\n": NOW}))
    shown = SHOWN.replace("\\", "\\\\")
    assert f'{{disk="{shown}\\n"}}' in text
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("render", [render_json, lambda value: render_event("x", {"y": value})])
def test_json_has_the_text_as_it_is(render: Callable[[str], str]) -> None:
    """Escaped by JSON's own ways, so that a program gets what there was."""
    text = render(NASTY)
    assert text.isascii()
    assert text.isprintable()
    value = json.loads(text)
    assert (value["y"] if isinstance(value, dict) else value) == NASTY


def test_the_diary_has_one_line_for_each_word(capsys: pytest.CaptureFixture[str]) -> None:
    """So that nobody can write a line that looks like ours."""
    write_log("laptop says x\n2026-11-24T15:15:04Z the dispatcher ends")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert r"says x\x0a2026" in said


def test_the_agent_s_diary_has_one_line_for_each_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Each names the client and the run."""
    Narrator("laptop", "1", is_talkative=True).tell("the server says: x\nlaptop 1: all well")
    assert capsys.readouterr().err == "laptop 1: the server says: x\\x0alaptop 1: all well\n"


def test_a_traceback_s_lines_are_told_from_others(capsys: pytest.CaptureFixture[str]) -> None:
    """Its message may have any lines in it."""
    _fail("x\n2026-11-24T15:15:04Z the dispatcher ends")
    lines = capsys.readouterr().err.splitlines()
    assert "Traceback (most recent call last):" in lines[0]
    assert all(line[20:].startswith(" | ") for line in lines)
    assert lines[-1].endswith(" | 2026-11-24T15:15:04Z the dispatcher ends")


def test_a_clean_stream_is_cleaned_once_and_else_as_it_was() -> None:
    """Who writes a terminal's codes of its own gets what is below."""
    plain = io.StringIO()
    stream = clean(plain)
    assert clean(stream) is stream
    assert styled(stream) is plain
    assert styled(plain) is plain
    assert stream.isatty() is False
    assert stream.write("\x1b\n") == 2
    stream.flush()
    assert plain.getvalue() == "\\x1b\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("/srv/Büro 1 · 2", "/srv/Büro 1 · 2"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc\x7f", r"a\x0ab\x09c\x7f"),
        ("\xa0\xad", r"\xa0\xad"),
        ("\udce9\u2028\u200b", r"\udce9\u2028\u200b"),
        ("\U000e0001", r"\U000e0001"),
        (r"\x1b", r"\x1b"),
        (NASTY, SHOWN),
    ],
)
def test_what_does_not_print_is_written_out(text: str, shown: str) -> None:
    """As Python writes it, and only once."""
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "longest", "clipped"),
    [("", 3, ""), ("abcd", 4, "abcd"), ("abcde", 4, "a..."), ("abcde", 3, "...")],
)
def test_a_long_text_is_clipped(text: str, longest: int, clipped: str) -> None:
    """To no more than that, with its dots."""
    assert clip(text, longest) == clipped

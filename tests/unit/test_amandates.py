"""amandates: lines to rows, and what Amanda would skip."""

from datetime import UTC, datetime

import pytest
from tests.amandates import parse_amandates, render_amandates

from asyncamanda.core.amanda.amandates import (
    KEPT_REJECTED,
    KEPT_TEXT,
    LATEST_SECOND,
    Rejected,
    Row,
    iterate_rows,
)
from asyncamanda.core.model import DumpRecord

START = 1_795_413_303
QUOTED = (
    f'"/srv/d 3" 0 {START}\n'
    f'"C:\\\\Users\\\\ana" 0 {START + 1}\n'
    f'"tab\\there" 1 {START + 2}\n'
    f"d1 0 {START}\n"
    f"d1 1 {START + 86_400}\n"
)  # as Amanda 3.5.1 wrote it


def read(*blocks: str) -> tuple[list[Row], Rejected]:
    """Return the rows of `blocks`, and what was skipped."""
    rejected = Rejected()
    return list(iterate_rows(blocks, rejected)), rejected


def test_a_file_of_amandas_gives_every_disk_and_level() -> None:
    """Quoted names and several levels of one disk are each a record."""
    records, rejected = parse_amandates(QUOTED)
    assert [(record.disk, record.level) for record in records] == [
        ("/srv/d 3", 0),
        (r"C:\Users\ana", 0),
        ("tab\there", 1),
        ("d1", 0),
        ("d1", 1),
    ]
    assert records[4].started_at == datetime.fromtimestamp(START + 86_400, UTC)
    assert rejected == Rejected()


def test_writing_records_gives_amandas_file() -> None:
    """What was read is written as Amanda wrote it."""
    records, _ = parse_amandates(QUOTED)
    assert render_amandates(records) == QUOTED


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (f"/ 0 {START}", ("/", 0, START)),
        (f"/ 399 {START}", ("/", 399, START)),
        ("/ 0 0", ("/", 0, 0)),
        ("/ 0 1", ("/", 0, 1)),
        (f"/ 0 {LATEST_SECOND}", ("/", 0, LATEST_SECOND)),
        (f" \t/  1 \t {START} ", ("/", 1, START)),
        (f"/ +1 +{START}", ("/", 1, START)),
        (f"/ 007 {START}", ("/", 7, START)),
        (f"/ 0 {START} more words", ("/", 0, START)),
        (f"/ 0 {START}\r", ("/", 0, START)),
        (f'"" 0 {START}', ("", 0, START)),
        (f'"a b"c 0 {START}', ("a bc", 0, START)),
        (f'"a\\"b" 0 {START}', ('a"b', 0, START)),
        (f'"a\\nb" 0 {START}', ("a\nb", 0, START)),
        (f'"é" 0 {START}', ("é", 0, START)),
        (f"é 0 {START}", ("é", 0, START)),
        (f"/写真\u30002024 0 {START}", ("/写真\u30002024", 0, START)),
        (f"/a\u00a0b 0 {START}", ("/a\u00a0b", 0, START)),
        (f"/a\x85b 0 {START}", ("/a\x85b", 0, START)),
        (f'"\udce9" 0 {START}', ("\udce9", 0, START)),
        (f"0 1 {START}", ("0", 1, START)),
    ],
)
def test_a_line_that_amanda_reads_is_a_row(line: str, row: Row) -> None:
    """Name, level and time count, whatever blanks are between and words behind.

    Only ASCII's blanks are blanks: where char is unsigned, as on ARM, Amanda leaves bytes above
    0x7F unquoted.
    """
    assert read(line + "\n") == ([row], Rejected())


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("/home", "no disk name"),
        ("/home 0", "no level and time"),
        ("/home x y", "no level and time"),
        ("/home 0 soon", "no level and time"),
        ("/home 0x1 17", "no level and time"),
        ("/home ٣ 17", "no level and time"),
        ('"/home 0 17', "no disk name"),
        (f"/home 400 {START}", "level 400 is not within 0 to 399"),
        (f"/home -1 {START}", "level -1 is not within 0 to 399"),
        ("/home 0 -1", "time -1 is not within"),
        (f"/home 0 {LATEST_SECOND + 1}", f"time {LATEST_SECOND + 1} is not within"),
        (f"/home 0 {'9' * 40}", "is not within"),
        ("\0\0\0\0", "no disk name"),
    ],
)
def test_a_malformed_line_is_kept_with_its_number_and_fault(line: str, fault: str) -> None:
    """A line that Amanda skips costs nothing but itself."""
    rows, rejected = read(f"/a 0 {START}\n{line}\n/b 0 {START}\n")
    assert rows == [("/a", 0, START), ("/b", 0, START)]
    assert rejected.count == 1
    assert (rejected.lines[0].number, rejected.lines[0].text) == (2, line)
    assert fault in rejected.lines[0].fault


def test_lines_are_numbered_through_all_blocks() -> None:
    """A plain block, one with a fault and a last one without its end count alike."""
    plain = f"/a 0 {START}\n" * 3
    rows, rejected = read(plain, f"/b 1 {START}\nbad\n\n", plain, "worse")
    assert len(rows) == 7
    assert [(line.number, line.text) for line in rejected.lines] == [(5, "bad"), (10, "worse")]


@pytest.mark.parametrize("text", ["", "\n", "\n\n \t\r\n"])
def test_a_file_without_lines_holds_nothing_and_no_fault(text: str) -> None:
    """Empty is no damage: nothing was ever backed up."""
    assert read(text) == ([], Rejected())


def test_a_last_line_without_its_end_is_read() -> None:
    """A file cut after its last digit is whole."""
    assert read(f"/a 0 {START}")[0] == [("/a", 0, START)]


def test_many_bad_lines_are_counted_and_few_are_kept() -> None:
    """A file of rubbish neither fills the memory nor hides how much of it there is."""
    rows, rejected = read("x" * 10_000 + "\n", "rubbish\n" * 1_000)
    assert rows == []
    assert rejected.count == 1_001
    assert [line.number for line in rejected.lines] == list(range(1, KEPT_REJECTED + 1))
    assert rejected.lines[0].text == "x" * KEPT_TEXT


@pytest.mark.parametrize("level", [0, 9, 10, 99, 100, 199, 399])
def test_a_plain_block_and_a_line_with_blanks_are_read_alike(level: int) -> None:
    """The way for many plain lines gives what the careful way gives."""
    plain, careful = f"/a {level} {START}\n", f" /a {level} {START}\n"
    assert read(plain) == read(careful) == ([("/a", level, START)], Rejected())


def test_a_plain_block_has_no_level_above_amandas() -> None:
    """A level of 400 is rejected though its line looks plain."""
    assert read(f"/a 400 {START}\n")[1].count == 1


def test_a_long_line_of_quotes_is_read_in_no_time() -> None:
    """No text makes the pattern try again and again."""
    rows, rejected = read('"a' * 100_000 + "\n", "\\" * 100_001 + "\n", '"' * 100_001 + "\n")
    assert rows == []
    assert rejected.count == 3


def test_nothing_of_a_line_is_kept_while_reading() -> None:
    """A million lines are read one after the other, as they are asked for."""
    rows = iterate_rows((f"/d{i % 250} {i % 400} {START}\n" for i in range(10**12)), Rejected())
    assert next(rows) == ("/d0", 0, START)
    assert next(rows) == ("/d1", 1, START)


def test_a_record_is_equal_to_its_like() -> None:
    """Records are values."""
    assert parse_amandates(f"/a 2 {START}\n")[0] == [
        DumpRecord("/a", 2, datetime.fromtimestamp(START, UTC))
    ]

"""amandates: nothing is lost, and nothing breaks it."""

from hypothesis import example, given
from hypothesis import strategies as st
from tests.amandates import parse_amandates, render_amandates
from tests.property.strategies import amandates_texts, disk_names, near_lines, records

from asyncamanda.core.amanda.amandates import (
    KEPT_REJECTED,
    Rejected,
    iterate_rows,
)
from asyncamanda.core.amanda.quoting import quote, unquote
from asyncamanda.core.model import DumpRecord


@given(disk_names)
@example("")
@example("\"\\\n\r\t\f\v :'\x7f")
@example("a\\")
@example("\udce9\udcff")
def test_any_name_survives_amandas_quotes(name: str) -> None:
    """A name is read back as it was, and its quoted form is one word on one line."""
    quoted = quote(name)
    assert unquote(quoted) == name
    assert "\n" not in quoted
    assert quoted.startswith('"') or len(quoted.split()) == 1


@given(st.lists(records, max_size=6))
def test_amandates_round_trips(each: list[DumpRecord]) -> None:
    """What is written is read, every record, in its order, and no line is rejected."""
    assert parse_amandates(render_amandates(each)) == (each, Rejected())


@given(amandates_texts)
@example('"')
@example("\\")
@example("/ 0 " + "9" * 400)
@example('"\\777" 0 1')
def test_any_text_gives_records_and_rejected_lines(text: str) -> None:
    """Each line that is not blank is a record or rejected, and nothing is raised."""
    found, rejected = parse_amandates(text)
    lines = [line for line in text.split("\n") if line.strip(" \t\r\v\f")]
    assert len(found) + rejected.count == len(lines)
    assert len(rejected.lines) == min(rejected.count, KEPT_REJECTED)
    assert all(0 <= record.level < 400 for record in found)
    for line in rejected.lines:
        assert text.split("\n")[line.number - 1].startswith(line.text)


@given(st.binary(max_size=300))
def test_any_bytes_give_records_and_rejected_lines(raw: bytes) -> None:
    """A file of rubbish is a file of rejected lines."""
    parse_amandates(raw.decode("utf-8", "surrogateescape"))


@given(amandates_texts, st.data())
def test_it_does_not_matter_where_blocks_end(text: str, data: st.DataObject) -> None:
    """Any cut behind a line gives the same rows, and the same rejected lines."""
    *whole_lines, rest = text.split("\n")
    blocks = [""]
    for line in (*(f"{line}\n" for line in whole_lines), rest):
        if blocks[-1].endswith("\n") and data.draw(st.booleans()):
            blocks.append("")
        blocks[-1] += line
    whole, cut = Rejected(), Rejected()
    assert list(iterate_rows(blocks, cut)) == list(iterate_rows([text], whole))
    assert cut == whole


@given(records, near_lines, records)
def test_a_bad_line_costs_no_other(before: DumpRecord, line: str, after: DumpRecord) -> None:
    """Whatever stands between two records, both are read."""
    text = render_amandates([before]) + line.replace("\n", "") + "\n" + render_amandates([after])
    found, _ = parse_amandates(text)
    assert (found[0], found[-1]) == (before, after)
